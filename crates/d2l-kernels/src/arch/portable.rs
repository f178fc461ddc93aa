//! The baseline of the target: four floats in an array, which the compiler turns into SSE2 or NEON registers.

#[cfg(test)]
use super::Level;
use super::{Simd, Vector};

/// The target's baseline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Simd for Portable {
    #[cfg(test)]
    const LEVEL: Level = Level::Portable;
    const LANES: usize = 4;
    // AArch64's baseline has the fused instruction. x86-64's has not: `f32::mul_add` would be a library call.
    const FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
    type Vector = Lanes;
    type Short = Self;
}

/// Four floats.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(crate) struct Lanes([f32; 4]);

impl Lanes {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [p, q, r, s]) = (self.0, other.0);
        Self([f(a, p), f(b, q), f(c, r), f(d, s)])
    }
}

impl Vector for Lanes {
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(source: *const f32) -> Self {
        // SAFETY: the caller vouches for four readable floats; the read asks for no alignment.
        Self(unsafe { source.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32) {
        // SAFETY: the caller vouches for four writable floats; the write asks for no alignment.
        unsafe { target.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        let ([a, b, c, d], [p, q, r, s], [t, u, v, w]) = (self.0, factor.0, addend.0);
        let f = Portable::mul_add;
        Self([f(a, p, t), f(b, q, u), f(c, r, v), f(d, s, w)])
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.zip(Self::splat(0.0), |a, zero| if a < zero { zero } else { a })
    }

    #[inline(always)]
    fn where_positive(self, condition: Self) -> Self {
        self.zip(
            condition,
            |value, condition| if condition <= 0.0 { 0.0 } else { value },
        )
    }

    #[inline(always)]
    fn larger(best: (Self, Self), value: Self, place: Self) -> (Self, Self) {
        let (mut largest, mut places) = best;
        for lane in 0..4 {
            let better = (value.0[lane] > largest.0[lane]) | value.0[lane].is_nan();
            largest.0[lane] = if better { value.0[lane] } else { largest.0[lane] };
            places.0[lane] = if better { place.0[lane] } else { places.0[lane] };
        }
        (largest, places)
    }

    #[inline(always)]
    unsafe fn store_u16(self, target: *mut u16) {
        // By way of i32, for which the baseline has an instruction.
        let whole = self.0.map(|value| value as i32 as u16);
        // SAFETY: the caller vouches for four writable numbers; the write asks for no alignment.
        unsafe { target.cast::<[u16; 4]>().write_unaligned(whole) }
    }

    #[inline(always)]
    unsafe fn add_where(self, value: Self, places: *const u16, place: u16) -> Self {
        // SAFETY: the caller vouches for four readable numbers; the read asks for no alignment.
        let places = unsafe { places.cast::<[u16; 4]>().read_unaligned() };
        let mut sum = self;
        for ((sum, value), found) in sum.0.iter_mut().zip(value.0).zip(places) {
            // A mask rather than a condition: the compiler makes vectors of the former only.
            let mask = u32::from(found == place).wrapping_neg();
            *sum += f32::from_bits(value.to_bits() & mask);
        }
        sum
    }
}

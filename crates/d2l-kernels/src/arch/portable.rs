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
}

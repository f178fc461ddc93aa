//! Instruction sets: one source per kernel, compiled for each level, chosen once at run time.
//!
//! A kernel is a value that implements `Kernel`; its `run` and everything it calls are `#[inline(always)]`.
//! `dispatch` calls `run` inside a function with the level's `#[target_feature]`s, so that the same source
//! becomes AVX-512, AVX2 or baseline code. Closures handed to other threads leave that function: dispatch inside
//! the piece of work, not around the loop over pieces.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// An instruction-set level, ordered from the least to the most capable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every processor of the target has: SSE2 on x86-64, NEON on AArch64.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        })
    }
}

/// Asked for a level that this processor does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnavailableLevel {
    /// The level that was asked for.
    pub asked: Level,
    /// The highest level this processor has.
    pub detected: Level,
}

impl fmt::Display for UnavailableLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "instruction set {} is not available: this processor has {}",
            self.asked, self.detected
        )
    }
}

impl std::error::Error for UnavailableLevel {}

/// The level in use plus one; zero until it is first asked for.
static CURRENT: AtomicU8 = AtomicU8::new(0);

/// The highest level of this processor.
pub fn detected() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = has!("avx2") && has!("fma");
        if avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
            return Level::Avx512;
        }
        if avx2 {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// The level that kernels run at: the detected one, unless [`force`] chose another.
#[inline]
pub fn level() -> Level {
    match CURRENT.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => {
            let level = detected();
            CURRENT.store(level as u8 + 1, Ordering::Relaxed);
            level
        }
    }
}

/// Makes every kernel of the process run at `level` from now on; `None` goes back to the detected one.
///
/// For tests and benchmarks. Calls that are running in other threads may change level between two of their
/// pieces, which is harmless to memory but not to bit-equality.
///
/// # Errors
/// If this processor does not have `level`; nothing changes then.
pub fn force(level: Option<Level>) -> Result<(), UnavailableLevel> {
    let detected = detected();
    let level = level.unwrap_or(detected);
    if level > detected {
        return Err(UnavailableLevel {
            asked: level,
            detected,
        });
    }
    CURRENT.store(level as u8 + 1, Ordering::Relaxed);
    Ok(())
}

/// The levels this processor can run, from the least to the most capable.
pub fn available() -> Vec<Level> {
    [Level::Portable, Level::Avx2, Level::Avx512]
        .into_iter()
        .filter(|&level| level <= detected())
        .collect()
}

/// Floats in the longest register of all levels.
const MAX_LANES: usize = 16;

/// A register of floats.
///
/// The types are the processor's own vectors where it has wide ones, and an array of four floats elsewhere.
pub(crate) trait Vector: Copy {
    /// Floats in the register.
    const LANES: usize;
    /// Every lane `value`.
    fn splat(value: f32) -> Self;
    /// Reads `LANES` floats; no alignment is asked for.
    ///
    /// # Safety
    /// `source` must be readable for `LANES` floats.
    unsafe fn load(source: *const f32) -> Self;
    /// Writes `LANES` floats; no alignment is asked for.
    ///
    /// # Safety
    /// `target` must be writable for `LANES` floats.
    unsafe fn store(self, target: *mut f32);
    /// Reads `count` floats, up to `LANES`; the lanes behind are 0.
    ///
    /// # Safety
    /// `source` must be readable for `count` floats.
    #[inline(always)]
    unsafe fn load_first(source: *const f32, count: usize) -> Self {
        if count >= Self::LANES {
            // SAFETY: the caller's promise.
            return unsafe { Self::load(source) };
        }
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the caller vouches for the source; `lanes` is as long as the longest register.
        unsafe {
            std::ptr::copy_nonoverlapping(source, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }
    /// Writes the first `count` floats, up to `LANES`.
    ///
    /// # Safety
    /// `target` must be writable for `count` floats.
    #[inline(always)]
    unsafe fn store_first(self, target: *mut f32, count: usize) {
        if count >= Self::LANES {
            // SAFETY: the caller's promise.
            return unsafe { self.store(target) };
        }
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the caller vouches for the target; `lanes` is as long as the longest register.
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), target, count);
        }
    }
    /// `self + other`
    fn add(self, other: Self) -> Self;
    /// `self − other`
    fn sub(self, other: Self) -> Self;
    /// `self · other`
    fn mul(self, other: Self) -> Self;
    /// `self · factor + addend`, in one rounding where the level has a fused instruction, else in two.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `max(self, 0)`, NaN where `self` is NaN.
    fn relu(self) -> Self;
    /// `self` where `condition` is above 0 or NaN, 0 elsewhere: the gradient behind a ReLU.
    fn where_positive(self, condition: Self) -> Self;
    /// `(value, place)` where `value` is above `best` or NaN, `(best, its place)` elsewhere.
    fn larger(best: (Self, Self), value: Self, place: Self) -> (Self, Self);
    /// Writes the lanes as 16-bit numbers; they are whole, from 0 to 65535.
    ///
    /// # Safety
    /// `target` must be writable for `LANES` numbers.
    unsafe fn store_u16(self, target: *mut u16);
    /// `self + value` where `places` holds `place`, `self` elsewhere.
    ///
    /// # Safety
    /// `places` must be readable for `LANES` numbers.
    unsafe fn add_where(self, value: Self, places: *const u16, place: u16) -> Self;
}

/// Asks for the cache line of `address`, which need not be valid.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and it never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// A level as a type: what a kernel is compiled for.
pub(crate) trait Simd: Copy + 'static {
    /// The level as a value.
    #[cfg(test)]
    const LEVEL: Level;
    /// Floats in a vector register.
    const LANES: usize;
    /// Whether `mul_add` is one instruction.
    const FMA: bool;
    /// A vector register.
    type Vector: Vector;
    /// The same, or a level of shorter vectors that is part of this one: for what has but a few columns.
    type Short: Simd;

    /// `a · b + c`, in one rounding where the level has a fused instruction, else in two (never a library call).
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if Self::FMA { a.mul_add(b, c) } else { a * b + c }
    }
}

/// A computation that is compiled once per level. `run` and all that it calls must be `#[inline(always)]`.
pub(crate) trait Kernel {
    /// What `run` returns.
    type Output;
    /// The computation, for the level `S`.
    fn run<S: Simd>(self) -> Self::Output;
}

/// Runs `kernel` at the current [`level`].
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level()` never exceeds what the processor was found to have.
        Level::Avx512 => unsafe { x86::run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { x86::run_avx2(kernel) },
        _ => kernel.run::<Portable>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fused;
    impl Kernel for Fused {
        type Output = (Level, usize, f32);
        #[inline(always)]
        fn run<S: Simd>(self) -> Self::Output {
            let vector = S::Vector::splat(2.0).mul_add(S::Vector::splat(3.0), S::Vector::splat(4.0));
            let mut lanes = [0.0; 16];
            // SAFETY: no vector is longer than 16 floats.
            unsafe { vector.sub(S::Vector::splat(1.0)).relu().store(lanes.as_mut_ptr()) };
            assert_eq!(S::Vector::LANES, S::LANES);
            assert!(lanes[..S::LANES].iter().all(|&lane| lane == 9.0));
            (S::LEVEL, S::LANES, S::mul_add(2.0, 3.0, 4.0))
        }
    }

    #[test]
    fn dispatch_runs_the_forced_level() {
        let _guard = crate::testing::lock_level();
        for level in available() {
            force(Some(level)).unwrap();
            let (ran, lanes, value) = dispatch(Fused);
            assert_eq!((ran, value), (level, 10.0));
            assert!(lanes.is_power_of_two());
        }
        force(None).unwrap();
        assert_eq!(level(), detected());
    }

    #[test]
    fn a_missing_level_is_refused() {
        if detected() < Level::Avx512 {
            assert_eq!(
                force(Some(Level::Avx512)),
                Err(UnavailableLevel {
                    asked: Level::Avx512,
                    detected: detected()
                })
            );
        }
    }

    #[test]
    fn relu_keeps_nan() {
        struct Relu(f32);
        impl Kernel for Relu {
            type Output = f32;
            #[inline(always)]
            fn run<S: Simd>(self) -> f32 {
                let mut lanes = [0.0; 16];
                // SAFETY: no vector is longer than 16 floats.
                unsafe { S::Vector::splat(self.0).relu().store(lanes.as_mut_ptr()) };
                lanes[0]
            }
        }
        let _guard = crate::testing::lock_level();
        for level in available() {
            force(Some(level)).unwrap();
            assert!(dispatch(Relu(f32::NAN)).is_nan());
            assert_eq!(dispatch(Relu(-1.0)), 0.0);
            assert_eq!(dispatch(Relu(2.5)), 2.5);
        }
        force(None).unwrap();
    }
}

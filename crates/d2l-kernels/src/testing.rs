//! What the tests of this crate share: levels one at a time, seeded values, comparisons.

use crate::arch::{self, Level};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The level is a process-wide setting and tests run in parallel: whoever forces it holds this.
pub(crate) fn lock_level() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f` at every level of this processor.
pub(crate) fn at_every_level(mut f: impl FnMut(Level)) {
    let _guard = lock_level();
    for level in arch::available() {
        arch::force(Some(level)).unwrap();
        f(level);
    }
    arch::force(None).unwrap();
}

/// Runs `f` in a pool of `threads` threads.
pub(crate) fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(f)
}

/// `len` values in −1..1, a pure function of `seed`.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Panics where an element of `got` is further than `tolerance · (1 + |wanted|)` from `wanted`.
#[track_caller]
pub(crate) fn assert_close(what: &str, wanted: &[f32], got: &[f32], tolerance: f32) {
    assert_eq!(wanted.len(), got.len(), "{what}: length");
    for (index, (&wanted, &got)) in wanted.iter().zip(got).enumerate() {
        let close = (wanted - got).abs() <= tolerance * (1.0 + wanted.abs());
        assert!(
            close || wanted.is_nan() && got.is_nan(),
            "{what}[{index}]: wanted {wanted}, got {got}"
        );
    }
}

/// Panics unless both have the same bits.
#[track_caller]
pub(crate) fn assert_same_bits(what: &str, wanted: &[f32], got: &[f32]) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(wanted) == bits(got), "{what}: the bits differ");
}

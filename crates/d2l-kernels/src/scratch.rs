//! Scratch memory that outlives a call: a fresh page costs a page fault, a reused one does not.
//!
//! Every thread keeps the buffers it last used, up to [`KEPT_FLOATS`] in all. A buffer is lent to a closure and
//! goes back to the thread's store afterwards. Its contents are whatever the last user left. Where no buffer is large
//! enough a larger one takes the place of the largest, so that a thread soon has as many as it lends at once.

use crate::memory::prefer_large_pages;
use std::cell::RefCell;

/// Floats a thread keeps between calls: 64 MiB.
const KEPT_FLOATS: usize = 16 << 20;

/// Bytes of scratch memory that a thread keeps between calls, at most.
pub const SCRATCH_BYTES: usize = KEPT_FLOATS * size_of::<f32>();

/// Buffers start on a cache line.
const ALIGNMENT_FLOATS: usize = 16;

thread_local! {
    static STORE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `f` a buffer of `len` floats that starts on a cache line, with unspecified (but initialised) contents.
pub(crate) fn with<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let needed = len + ALIGNMENT_FLOATS;
    // Another piece of work may run on this thread while `f` waits for its own pieces, so the buffer leaves the
    // store while it is lent.
    let mut buffer = STORE.with_borrow_mut(|store| {
        let best = (0..store.len())
            .filter(|&index| store[index].len() >= needed)
            .min_by_key(|&index| store[index].len());
        let Some(best) = best else {
            // Too small for this, as it will be the next time.
            let largest = (0..store.len()).max_by_key(|&index| store[index].len());
            largest.map(|index| store.swap_remove(index));
            return None;
        };
        Some(store.swap_remove(best))
    });
    let buffer = buffer.get_or_insert_with(|| {
        let mut fresh = vec![0.0; needed];
        prefer_large_pages(&mut fresh);
        fresh
    });
    let misaligned = (buffer.as_ptr() as usize / size_of::<f32>()) % ALIGNMENT_FLOATS;
    let start = (ALIGNMENT_FLOATS - misaligned) % ALIGNMENT_FLOATS;
    let result = f(&mut buffer[start..start + len]);
    STORE.with_borrow_mut(|store| {
        store.push(std::mem::take(buffer));
        let mut kept: usize = store.iter().map(Vec::len).sum();
        // The oldest buffers go first: they are the least likely to be asked for again.
        while kept > KEPT_FLOATS && !store.is_empty() {
            kept -= store.remove(0).len();
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_buffers_are_disjoint_and_aligned() {
        with(100, |outer| {
            assert_eq!(outer.as_ptr() as usize % 64, 0);
            outer.fill(1.0);
            with(100, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|&value| value == 1.0));
        });
    }

    #[test]
    fn a_buffer_is_reused() {
        let first = with(100, |buffer| buffer.as_ptr());
        assert_eq!(with(60, |buffer| buffer.as_ptr()), first);
    }

    #[test]
    fn a_larger_buffer_takes_the_place_of_a_smaller_one() {
        STORE.with_borrow_mut(Vec::clear);
        for len in [100, 1000, 10_000] {
            with(len, |_| with(len / 2, |_| ()));
        }
        let kept: Vec<usize> = STORE.with_borrow(|store| store.iter().map(Vec::len).collect());
        assert!(
            kept.len() <= 2 && kept.contains(&(10_000 + ALIGNMENT_FLOATS)),
            "{kept:?}"
        );
    }

    #[test]
    fn the_store_is_bounded() {
        with(KEPT_FLOATS + 1, |buffer| buffer[0] = 1.0);
        let kept: usize = STORE.with_borrow(|store| store.iter().map(Vec::len).sum());
        assert!(kept <= KEPT_FLOATS);
    }
}

//! Work split in fixed pieces, the same bits for any number of threads.
//!
//! The caller cuts its work into pieces from the shapes alone, never from the number of threads. Threads of
//! rayon's current pool then pull pieces from one atomic counter: which thread runs a piece changes from call to
//! call, what a piece computes does not. Pulling, rather than a split in equal shares, keeps the cores busy when
//! another process takes one of them for a while.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `f` once for every piece in `0..pieces`, on the threads of rayon's current pool.
///
/// Runs on the calling thread, in order, where there is one piece or one thread. Called from outside a pool it
/// goes through rayon's global pool; a caller with many short calls should run all of them inside
/// `ThreadPool::install`, which saves a hand-over per call.
pub fn for_each_piece(pieces: usize, f: impl Fn(usize) + Sync) {
    let threads = if pieces <= 1 {
        1
    } else {
        rayon::current_num_threads().min(pieces)
    };
    if threads == 1 {
        (0..pieces).for_each(f);
        return;
    }
    let next = AtomicUsize::new(0);
    let pull = || {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                break;
            }
            f(piece);
        }
    };
    rayon::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|_| pull());
        }
        pull();
    });
}

/// Calls `f(i, part)` for the `i`-th run of `chunk` elements of `data` (the last one may be shorter).
///
/// # Panics
/// If `chunk` is zero.
pub fn for_each_chunk_mut<T: Send>(data: &mut [T], chunk: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    assert!(chunk > 0, "for_each_chunk_mut: chunk must not be zero");
    let len = data.len();
    let base = SendPtr::new(data);
    for_each_piece(len.div_ceil(chunk), |piece| {
        let start = piece * chunk;
        // SAFETY: the pieces are disjoint ranges of `data`, each inside it and visited once; `data` stays
        // borrowed until every piece has returned.
        let part = unsafe { base.slice(start, chunk.min(len - start)) };
        f(piece, part);
    });
}

/// A pointer to the first element of a mutable slice that pieces of work share.
///
/// Sharing it is safe; making a slice from it is not, because only the caller knows that no two pieces touch the
/// same element.
#[derive(Debug)]
pub struct SendPtr<T>(*mut T);

impl<T> Clone for SendPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SendPtr<T> {}

// SAFETY: the pointer alone gives no access; every use of it is an unsafe block that upholds disjointness.
unsafe impl<T: Send> Send for SendPtr<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SendPtr<T> {}

impl<T> SendPtr<T> {
    /// The start of `slice`.
    pub fn new(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr())
    }

    /// The pointer itself.
    pub fn get(self) -> *mut T {
        self.0
    }

    /// Elements `start..start + len` of the slice this was made from.
    ///
    /// # Safety
    /// The range must lie inside that slice, the slice must still be borrowed, and while the result lives
    /// nothing else may touch the range.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice<'a>(self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the caller keeps the range inside the slice and to itself.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_runs_once() {
        let mut seen = vec![0u32; 1000];
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            seen.fill(0);
            pool.install(|| {
                for_each_chunk_mut(&mut seen, 7, |_, part| {
                    part.iter_mut().for_each(|count| *count += 1)
                });
            });
            assert!(seen.iter().all(|&count| count == 1), "{threads} threads");
        }
    }

    #[test]
    fn chunks_know_their_index() {
        let mut data = vec![0usize; 10];
        for_each_chunk_mut(&mut data, 4, |index, part| part.fill(index));
        assert_eq!(data, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]);
    }
}

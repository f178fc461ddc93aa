//! Work split in fixed pieces, the same bits for any number of threads.
//!
//! The caller cuts its work into pieces from the shapes alone, never from the number of threads. Each thread of rayon's
//! current pool takes the pieces of a share of its own, from the front, and then those of others, from the back: which
//! thread runs a piece changes from call to call, what a piece computes does not. Shares, because what a thread wrote
//! in one operation is in its caches for the next; taking from others, because that keeps the cores busy when another
//! process has one of them for a while.
//!
//! The caller never waits for a thread that has not begun: one that wakes up after the last piece was pulled finds the
//! [`Job`] closed. So work of some microseconds takes no longer than it would on the caller's thread alone.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Calls `f` once for every piece in `0..pieces`, on the calling thread and the threads of rayon's current pool.
///
/// Runs on the calling thread, in order, where there is one piece or one thread. A panic of `f` is passed on to the
/// caller once no thread is in `f` any more.
pub fn for_each_piece(pieces: usize, f: impl Fn(usize) + Sync) {
    let threads = match pieces {
        0 | 1 => 1,
        _ => rayon::current_num_threads().min(pieces),
    };
    // No machine has so many pieces in its memory that they do not fit in a share.
    if threads == 1 || pieces > u32::MAX as usize {
        (0..pieces).for_each(f);
        return;
    }
    let work: *const (dyn Fn(usize) + Sync + '_) = &f;
    // SAFETY: only the lifetime changes. `Job::help` uses the pointer only while the job is open, and the job is
    // closed, with nobody in it, before this function returns or unwinds and `f` ends.
    let work: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
    let job = Arc::new(Job {
        work,
        shares: (0..threads)
            .map(|thread| Share::new(pieces * thread / threads..pieces * (thread + 1) / threads))
            .collect(),
        state: AtomicUsize::new(0),
        panic: Mutex::new(None),
    });
    for _ in 1..threads {
        let job = Arc::clone(&job);
        rayon::spawn(move || job.help());
    }
    let mine = catch_unwind(AssertUnwindSafe(|| job.pull(&f)));
    job.close();
    let theirs = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(panic) = mine.err().or(theirs) {
        resume_unwind(panic);
    }
}

/// Pieces of work that threads may still join.
struct Job {
    /// The caller's closure, which is there as long as the job is open or somebody is in it.
    work: *const (dyn Fn(usize) + Sync),
    /// The pieces that nobody has taken.
    shares: Box<[Share]>,
    /// Twice the number of helpers in the job, plus 1 once it is closed.
    state: AtomicUsize,
    /// What a helper panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Set in [`Job::state`] when the job is closed.
const CLOSED: usize = 1;
/// Added to [`Job::state`] by each helper.
const HELPER: usize = 2;

// SAFETY: `work` is the one field that is not `Send` by itself; the closure behind it is `Sync`, and `help` uses it
// only while the caller keeps it.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Runs pieces until none is left.
    fn pull(&self, work: &(dyn Fn(usize) + Sync)) {
        let own = rayon::current_thread_index().unwrap_or(0) % self.shares.len();
        while let Some(piece) = self.shares[own].take_first() {
            work(piece);
        }
        for distance in 1..self.shares.len() {
            let other = &self.shares[(own + distance) % self.shares.len()];
            while let Some(piece) = other.take_last() {
                work(piece);
            }
        }
    }

    /// Runs pieces on another thread than the caller's, unless the job is closed.
    fn help(&self) {
        // Acquire: what the caller wrote before it opened the job. Closing and entering are changes of one atomic, so
        // either the helper sees that the job is closed, or `close` sees the helper.
        if self.state.fetch_add(HELPER, Ordering::Acquire) & CLOSED == 0 {
            // SAFETY: the job was open when this thread was counted, so `close` waits for it to leave.
            let work = unsafe { &*self.work };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.pull(work))) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
        }
        // Release: what the pieces wrote, for `close`.
        self.state.fetch_sub(HELPER, Ordering::Release);
    }

    /// Lets nobody in any more, and waits until all are out.
    fn close(&self) {
        /// Looks at the state before the core is offered to others; a piece takes microseconds.
        const SPINS: usize = 1 << 12;
        let mut state = self.state.fetch_or(CLOSED, Ordering::AcqRel);
        let mut spins = 0;
        while state >= HELPER {
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
            state = self.state.load(Ordering::Acquire);
        }
    }
}

/// A range of pieces that threads take from both ends.
struct Share(AtomicU64);

impl Share {
    /// `pieces`, which end below 2³².
    fn new(pieces: Range<usize>) -> Self {
        Self(AtomicU64::new((pieces.start as u64) << 32 | pieces.end as u64))
    }

    fn take_first(&self) -> Option<usize> {
        self.take(|left| (left.start, left.start + 1..left.end))
    }

    fn take_last(&self) -> Option<usize> {
        self.take(|left| (left.end - 1, left.start..left.end - 1))
    }

    /// Takes a piece; `take` gives it and the pieces left, of a range that is not empty.
    fn take(&self, take: impl Fn(Range<usize>) -> (usize, Range<usize>)) -> Option<usize> {
        // Relaxed: a piece carries no data; entering and closing the job order those.
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let left = (state >> 32) as usize..(state as u32) as usize;
            if left.is_empty() {
                return None;
            }
            let (piece, left) = take(left);
            let new = (left.start as u64) << 32 | left.end as u64;
            match self
                .0
                .compare_exchange_weak(state, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(piece),
                Err(now) => state = now,
            }
        }
    }
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

    #[test]
    fn a_panic_in_any_thread_reaches_the_caller_and_leaves_the_pool_usable() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for bad in [0, 1, 50, 99] {
            let ran = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.install(|| {
                    for_each_piece(100, |piece| {
                        assert_ne!(piece, bad, "on purpose");
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                });
            }));
            assert!(result.is_err() && ran.load(Ordering::Relaxed) < 100);
            pool.install(|| for_each_piece(100, |_| _ = ran.fetch_add(1, Ordering::Relaxed)));
            assert!(ran.load(Ordering::Relaxed) >= 100);
        }
    }

    #[test]
    fn pieces_may_have_pieces() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let count = AtomicUsize::new(0);
        pool.install(|| {
            for _ in 0..200 {
                for_each_piece(5, |_| {
                    for_each_piece(7, |_| _ = count.fetch_add(1, Ordering::Relaxed))
                });
            }
        });
        assert_eq!(count.into_inner(), 200 * 35);
    }

    #[test]
    fn results_of_all_threads_are_there_when_it_returns() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        pool.install(|| {
            for round in 0..2000 {
                let mut data = [0usize; 64];
                for_each_chunk_mut(&mut data, 1, |index, part| part[0] = index + round);
                assert!(
                    data.iter()
                        .enumerate()
                        .all(|(index, &value)| value == index + round)
                );
            }
        });
    }
}

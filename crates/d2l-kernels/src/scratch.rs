//! Scratch memory that outlives a call: a fresh page costs a page fault, a reused one does not.
//!
//! Every thread keeps a buffer for each depth of lending, up to [`KEPT_FLOATS`] in all: the outermost buffer, the one
//! lent inside its closure, and so on. A buffer grows to the longest that was asked for at its depth. Its contents are
//! whatever the last user left. How much a thread keeps thus follows from the operations alone: [`ScratchNeed`].

use crate::memory::prefer_large_pages;
use std::cell::RefCell;

/// Floats a thread keeps between calls: 64 MiB.
const KEPT_FLOATS: usize = 16 << 20;

/// Buffers start on a cache line.
const ALIGNMENT_FLOATS: usize = 16;

/// What an operation lends inside each other, at most.
const DEPTHS: usize = 6;

/// The scratch memory that operations need, by the depth at which it is lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchNeed {
    /// Floats that the calling thread lends: those around the pieces of work, then those of a piece.
    caller: [usize; DEPTHS],
    /// Floats that every other thread lends to a piece of work.
    worker: [usize; DEPTHS],
}

impl ScratchNeed {
    /// Of an operation that lends `own` around its pieces of work, and `piece` to each of them; the outermost first.
    pub(crate) fn new(own: &[usize], piece: &[usize]) -> Self {
        let mut need = Self::default();
        let lent = own.iter().chain(piece);
        need.caller
            .iter_mut()
            .zip(lent)
            .for_each(|(depth, len)| *depth = len + ALIGNMENT_FLOATS);
        need.worker
            .iter_mut()
            .zip(piece)
            .for_each(|(depth, len)| *depth = len + ALIGNMENT_FLOATS);
        need
    }

    /// Of the same inside a buffer of `len` floats.
    pub(crate) fn inside(mut self, len: usize) -> Self {
        self.caller.rotate_right(1);
        self.caller[0] = len + ALIGNMENT_FLOATS;
        self
    }

    /// Of two operations, one after the other.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let larger =
            |a: [usize; DEPTHS], b: [usize; DEPTHS]| std::array::from_fn(|depth| a[depth].max(b[depth]));
        Self {
            caller: larger(self.caller, other.caller),
            worker: larger(self.worker, other.worker),
        }
    }

    /// The bytes that all of `threads` threads keep for it.
    pub fn bytes(&self, threads: usize) -> u64 {
        let sum = |depths: &[usize]| depths.iter().fold(0usize, |sum, &len| sum.saturating_add(len));
        let others = sum(&self.worker).saturating_mul(threads.saturating_sub(1));
        (sum(&self.caller).saturating_add(others) as u64).saturating_mul(size_of::<f32>() as u64)
    }
}

thread_local! {
    static STORE: RefCell<Store> = const { RefCell::new(Store { buffers: Vec::new(), lent: 0 }) };
}

/// The buffers of a thread by depth; those that are lent are empty.
struct Store {
    buffers: Vec<Vec<f32>>,
    lent: usize,
}

/// A buffer that is lent, and goes back when it is dropped.
struct Lent(Vec<f32>);

impl Lent {
    fn take(needed: usize) -> Self {
        let mut buffer = STORE.with_borrow_mut(|store| {
            let depth = store.lent;
            store.lent += 1;
            if store.buffers.len() == depth {
                store.buffers.push(Vec::new());
            }
            std::mem::take(&mut store.buffers[depth])
        });
        if buffer.len() < needed {
            // The old one goes before the new one comes.
            drop(std::mem::take(&mut buffer));
            buffer = vec![0.0; needed];
            prefer_large_pages(&mut buffer);
        }
        Self(buffer)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        STORE.with_borrow_mut(|store| {
            store.lent -= 1;
            let kept: usize = store.buffers.iter().map(Vec::len).sum();
            if kept + buffer.len() <= KEPT_FLOATS {
                let depth = store.lent;
                store.buffers[depth] = buffer;
            }
        });
    }
}

/// Lends `f` a buffer of `len` floats that starts on a cache line, with unspecified (but initialised) contents.
pub(crate) fn with<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut lent = Lent::take(len + ALIGNMENT_FLOATS);
    let buffer = &mut lent.0;
    let misaligned = (buffer.as_ptr() as usize / size_of::<f32>()) % ALIGNMENT_FLOATS;
    let start = (ALIGNMENT_FLOATS - misaligned) % ALIGNMENT_FLOATS;
    f(&mut buffer[start..start + len])
}

/// The scratch memory that this thread keeps, in floats.
#[cfg(test)]
pub(crate) fn kept() -> usize {
    STORE.with_borrow(|store| store.buffers.iter().map(Vec::len).sum())
}

/// Forgets what this thread keeps.
#[cfg(test)]
pub(crate) fn forget() {
    STORE.with_borrow_mut(|store| store.buffers.clear());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv2d::{self, Activation, Algorithm, Conv2dShape, Product};
    use crate::linear;
    use crate::testing::{at_every_level, values};
    use proptest::prelude::*;

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
    fn a_thread_keeps_the_longest_of_each_depth() {
        forget();
        for (outer, inner) in [(100, 50), (1000, 20), (10, 2000)] {
            with(outer, |_| with(inner, |_| ()));
        }
        let need = ScratchNeed::new(&[1000], &[]).max(ScratchNeed::new(&[10, 2000], &[]));
        assert_eq!(kept(), 1000 + 2000 + 2 * ALIGNMENT_FLOATS);
        assert_eq!(need.bytes(1), 4 * kept() as u64);
        let shared = need.max(ScratchNeed::new(&[1], &[500]));
        assert_eq!(
            shared.bytes(3),
            need.bytes(1) + 2 * 4 * (500 + ALIGNMENT_FLOATS) as u64
        );
        let inside = ScratchNeed::new(&[7], &[8]).inside(9);
        assert_eq!(
            inside,
            ScratchNeed {
                worker: ScratchNeed::new(&[], &[8]).worker,
                ..ScratchNeed::new(&[9, 7, 8], &[])
            }
        );
    }

    #[test]
    fn a_panic_gives_the_buffer_back() {
        forget();
        let panicked = std::panic::catch_unwind(|| with(100, |_| with(100, |_| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(STORE.with_borrow(|store| store.lent), 0);
        with(100, |outer| {
            with(100, |inner| assert_ne!(outer.as_ptr(), inner.as_ptr()))
        });
    }

    #[test]
    fn the_store_is_bounded() {
        with(KEPT_FLOATS + 1, |buffer| buffer[0] = 1.0);
        assert!(kept() <= KEPT_FLOATS);
    }

    /// What `operation` leaves with a thread that does all of it, in bytes.
    fn kept_after(operation: impl FnOnce() + Send) -> u64 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| {
            operation();
            4 * kept() as u64
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn convolutions_need_what_they_say(
            batch in 1usize..4, size in (5usize..20, 5usize..20), channels in (1usize..40, 1usize..40),
            kernel in 1usize..6, stride in 1usize..3, padding in 0usize..3, product in 0usize..3,
            algorithm in prop::sample::select(vec![Algorithm::Auto, Algorithm::Direct, Algorithm::Winograd]),
        ) {
            let shape = Conv2dShape {
                batch,
                in_height: size.0,
                in_width: size.1,
                in_channels: channels.0,
                out_channels: channels.1,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [padding; 2],
                dilation: [1, 1],
                groups: 1,
            };
            prop_assume!(shape.check().is_ok());
            let (mut x, mut weight) = (values(shape.x_len(), 1), values(shape.weight_len(), 2));
            let mut y = values(shape.y_len(), 3);
            let product = [Product::Forward, Product::GradInput, Product::GradWeight][product];
            at_every_level(|level| {
                let need = conv2d::scratch(&shape, product, algorithm);
                let kept = kept_after(|| match product {
                    Product::Forward => {
                        conv2d::forward(&shape, &x, &weight, None, Activation::None, algorithm, &mut y).unwrap();
                    }
                    Product::GradInput => conv2d::grad_input(&shape, &y, &weight, algorithm, &mut x).unwrap(),
                    Product::GradWeight => conv2d::grad_weight(&shape, &x, &y, algorithm, &mut weight).unwrap(),
                });
                assert_eq!(kept, need.bytes(1), "{level}");
            });
        }

        #[test]
        fn dense_layers_need_what_they_say(batch in 1usize..300, input in 1usize..300, output in 1usize..300) {
            let (mut x, mut weight) = (values(batch * input, 1), values(output * input, 2));
            let (mut y, mut bias) = (values(batch * output, 3), values(output, 4));
            at_every_level(|level| {
                let forward = kept_after(|| {
                    linear::forward(batch, input, output, &x, &weight, Some(&bias), true, &mut y).unwrap();
                });
                assert_eq!(forward, linear::scratch(batch, input, output, false).bytes(1), "{level}");
                let all = kept_after(|| {
                    linear::forward(batch, input, output, &x, &weight, Some(&bias), true, &mut y).unwrap();
                    linear::grad_bias(batch, output, &y, &mut bias).unwrap();
                    linear::grad_input(batch, input, output, &y, &weight, &mut x).unwrap();
                    linear::grad_weight(batch, input, output, &x, &y, &mut weight).unwrap();
                });
                assert_eq!(all, linear::scratch(batch, input, output, true).bytes(1), "{level}");
            });
        }
    }
}

//! What the element-wise kernels share: one source per loop for all levels, and equal cuts through several slices.

use crate::par::{SendPtr, for_each_piece};

/// Elements per piece of cheap element-wise work: 128 KiB of floats. What fits in one piece never meets the
/// thread pool, whose hand-over costs as much as ten such pieces of memory traffic.
pub(crate) const ELEMENTS: usize = 1 << 15;

/// Defines a function whose body is compiled once per instruction-set level and runs at the current one.
///
/// The body sees the level as the type parameter `S`. Everything it calls must be `#[inline(always)]`.
macro_rules! per_level {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident<'a>($($argument:ident: $kind:ty),* $(,)?)
        $(-> $output:ty)? $body:block) => {
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name<'a>($($argument: $kind),*) $(-> $output)? {
            struct Arguments<'a> { $($argument: $kind),* }
            impl<'a> crate::arch::Kernel for Arguments<'a> {
                type Output = per_level!(@output $($output)?);
                #[inline(always)]
                #[allow(unused_variables)]
                fn run<S: crate::arch::Simd>(self) -> Self::Output {
                    let Arguments { $($argument),* } = self;
                    $body
                }
            }
            crate::arch::dispatch(Arguments { $($argument),* })
        }
    };
    (@output) => { () };
    (@output $output:ty) => { $output };
}
pub(crate) use per_level;

/// Calls `f(start, parts)` for every run of `chunk` elements of the equally long `slices`. An empty slice among
/// them stands for one that is absent and gives empty parts.
pub(crate) fn for_each_chunks_mut<const N: usize>(
    slices: [&mut [f32]; N],
    chunk: usize,
    f: impl Fn(usize, [&mut [f32]; N]) + Sync,
) {
    let len = slices.iter().map(|slice| slice.len()).max().unwrap_or(0);
    assert!(
        slices.iter().all(|slice| slice.is_empty() || slice.len() == len),
        "slices of different lengths"
    );
    let slices = slices.map(|slice| (SendPtr::new(slice), slice.len()));
    for_each_piece(len.div_ceil(chunk), |piece| {
        let start = piece * chunk;
        let parts = slices.map(|(base, own_len)| {
            // SAFETY: `start` is inside a slice of `len` elements, an empty slice is cut to nothing at its start,
            // and the pieces are disjoint ranges of slices that stay borrowed until every piece has returned.
            unsafe { base.slice(start.min(own_len), chunk.min(own_len.saturating_sub(start))) }
        });
        f(start, parts);
    });
}

/// Calls `f(piece, a, b)` for every run of `chunk` elements of two equally long slices.
pub(crate) fn for_each_chunk_pair_mut<A: Send, B: Send>(
    a: &mut [A],
    b: &mut [B],
    chunk: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let len = a.len();
    assert_eq!(len, b.len(), "slices of different lengths");
    let (a, b) = (SendPtr::new(a), SendPtr::new(b));
    for_each_piece(len.div_ceil(chunk), |piece| {
        let start = piece * chunk;
        let size = chunk.min(len - start);
        // SAFETY: the pieces are disjoint ranges inside both slices, which stay borrowed until all have returned.
        let (a, b) = unsafe { (a.slice(start, size), b.slice(start, size)) };
        f(piece, a, b);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_line_up_and_absent_slices_stay_empty() {
        let (mut a, mut b) = (vec![0.0; 10], vec![0.0; 10]);
        for_each_chunks_mut([&mut a, &mut [], &mut b], 4, |start, [a, none, b]| {
            assert!(none.is_empty());
            for (i, (a, b)) in a.iter_mut().zip(b).enumerate() {
                *a = (start + i) as f32;
                *b = -*a;
            }
        });
        assert!((0..10).all(|i| a[i] == i as f32 && b[i] == -(i as f32)));
    }

    #[test]
    fn pairs_line_up() {
        let (mut a, mut b) = (vec![0u8; 7], vec![0usize; 7]);
        for_each_chunk_pair_mut(&mut a, &mut b, 3, |piece, a, b| {
            a.fill(piece as u8);
            b.fill(piece);
        });
        assert_eq!(a, [0, 0, 0, 1, 1, 1, 2]);
        assert!(a.iter().zip(&b).all(|(&a, &b)| usize::from(a) == b));
    }
}

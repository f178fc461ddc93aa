//! The three passes over a matrix, in pieces of whole rows.

use super::columns::{Deviations, GradientSums, InputGradient, Normalise, Sums, mask};
use super::walk::{Order, walk};
use crate::arch::Simd;
use crate::par::{SendPtr, for_each_chunk_mut};
use crate::pieces::per_level;
use std::ops::Range;

/// The first rows of a piece, one in this many, are averaged for the pivot of its deviations. However these rows
/// differ from the others, what rounding adds to the variance is then at most this many times that of a second pass.
const PIVOT_SHARE: usize = 32;

/// Rows per piece: 256 KiB of activations, but at least 32 rows, so that what is kept per piece stays small beside
/// what it read.
pub(super) fn rows_per_piece(channels: usize) -> usize {
    ((1 << 16) / channels.max(1)).max(32)
}

/// What turns x into y, per column of a wide row.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    pub(super) mean: &'a [f32],
    /// gamma/√(variance + eps)
    pub(super) factor: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) relu: bool,
    pub(super) order: Order,
}

impl Affine<'_> {
    /// How to walk over the matrix; checks that the numbers are wide rows.
    fn order(&self) -> Order {
        let columns = self.order.columns;
        assert!(self.mean.len() == columns && self.factor.len() == columns && self.beta.len() == columns);
        self.order
    }
}

/// Runs `f(piece's range of elements, its sums)` for every piece; `per_piece` sums each, zeros before.
fn sums_of_pieces(
    channels: usize,
    len: usize,
    per_piece: usize,
    f: impl Fn(Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    let chunk = rows_per_piece(channels) * channels;
    let mut sums = vec![0.0; len.div_ceil(chunk) * per_piece];
    for_each_chunk_mut(&mut sums, per_piece, |piece, sums| {
        f(piece * chunk..((piece + 1) * chunk).min(len), sums)
    });
    sums
}

/// `sums[c] += wide[c] + wide[c + channels] + …`
#[inline(always)]
fn fold(wide: &[f32], sums: &mut [f32]) {
    for row in wide.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += *value;
        }
    }
}

/// Mean and biased variance of each column of `x`, which is not empty.
pub(super) fn moments(channels: usize, x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
    let order = Order::new(channels, x.len());
    let sums = sums_of_pieces(channels, x.len(), 3 * channels, |range, sums| {
        let mut wide = vec![0.0; 3 * order.columns];
        let (pivots, sums) = sums.split_at_mut(channels);
        let (deviations, squares) = sums.split_at_mut(channels);
        piece_moments(order, &x[range], &mut wide, pivots, deviations, squares);
    });
    let mut merged = vec![0f64; 2 * channels];
    let (merged_mean, merged_squares) = merged.split_at_mut(channels);
    let rows = x.len() / channels;
    merge_moments(rows, &sums, merged_mean, merged_squares);
    for channel in 0..channels {
        mean[channel] = merged_mean[channel] as f32;
        variance[channel] = (merged_squares[channel] / rows as f64) as f32;
    }
}

per_level! {
    /// The pivot of each column, and the sums of the deviations from it and of their squares. `wide` is zeros for
    /// three wide rows; the other outputs are zeros too.
    fn piece_moments<'a>(
        order: Order, x: &'a [f32], wide: &'a mut [f32], pivots: &'a mut [f32], deviations: &'a mut [f32],
        squares: &'a mut [f32],
    ) {
        let channels = pivots.len();
        let columns = order.columns;
        assert_eq!(wide.len(), 3 * columns);
        let (sums, wide) = wide.split_at_mut(columns);
        let (square_sums, pivot) = wide.split_at_mut(columns);
        let head = &x[..x.len().min(x.len().div_ceil(columns * PIVOT_SHARE) * columns)];
        // SAFETY: x holds the head, and `sums` a wide row.
        unsafe { walk::<S>(order, head.len(), &Sums { columns, x: x.as_ptr(), sums: sums.as_mut_ptr() }) };
        fold(sums, pivots);
        let scale = 1.0 / (head.len() / channels) as f32;
        pivots.iter_mut().for_each(|pivot| *pivot *= scale);
        for pivot in pivot.chunks_exact_mut(channels) {
            pivot.copy_from_slice(pivots);
        }
        sums.fill(0.0);
        let loops = Deviations {
            columns,
            x: x.as_ptr(),
            pivot: pivot.as_ptr(),
            sums: sums.as_mut_ptr(),
            squares: square_sums.as_mut_ptr(),
        };
        // SAFETY: x has this length, the others hold a wide row.
        unsafe { walk::<S>(order, x.len(), &loops) };
        fold(sums, deviations);
        fold(square_sums, squares);
    }
}

per_level! {
    /// Merges the pieces' moments, in order, into means and sums of squared deviations from them.
    fn merge_moments<'a>(rows: usize, pieces: &'a [f32], means: &'a mut [f64], sums: &'a mut [f64]) {
        let channels = means.len();
        let per_piece = rows_per_piece(channels);
        let mut seen = 0;
        for piece in pieces.chunks_exact(3 * channels) {
            let count = per_piece.min(rows - seen);
            let per_row = 1.0 / count as f64;
            let weight = count as f64 / (seen + count) as f64;
            let cross = weight * seen as f64;
            let (pivots, piece) = piece.split_at(channels);
            let (deviations, squares) = piece.split_at(channels);
            let merged = means.iter_mut().zip(&mut *sums);
            let piece = pivots.iter().zip(deviations).zip(squares);
            for ((mean, sum), ((&pivot, &deviation), &square)) in merged.zip(piece) {
                // By how much the piece's mean is above the pivot.
                let rest = f64::from(deviation) * per_row;
                let delta = f64::from(pivot) + rest - *mean;
                *mean += delta * weight;
                *sum += f64::from(square) - rest * f64::from(deviation) + delta * delta * cross;
            }
            seen += count;
        }
    }
}

per_level! {
    pub(super) fn normalise<'a>(affine: Affine<'a>, x: &'a [f32], residual: Option<&'a [f32]>, y: &'a mut [f32]) {
        match (affine.relu, residual) {
            (false, None) => normalise_rows::<S, false, false>(affine, x, x, y),
            (true, None) => normalise_rows::<S, true, false>(affine, x, x, y),
            (false, Some(residual)) => normalise_rows::<S, false, true>(affine, x, residual, y),
            (true, Some(residual)) => normalise_rows::<S, true, true>(affine, x, residual, y),
        }
    }
}

#[inline(always)]
fn normalise_rows<S: Simd, const RELU: bool, const ADD: bool>(
    affine: Affine<'_>,
    x: &[f32],
    residual: &[f32],
    y: &mut [f32],
) {
    let order = affine.order();
    let columns = order.columns;
    assert!(x.len() == y.len() && residual.len() == y.len());
    let loops = Normalise::<RELU, ADD> {
        columns,
        mean: affine.mean.as_ptr(),
        factor: affine.factor.as_ptr(),
        beta: affine.beta.as_ptr(),
        x: x.as_ptr(),
        residual: residual.as_ptr(),
        y: y.as_mut_ptr(),
    };
    // SAFETY: all three have this length, the numbers of `affine` are a wide row.
    unsafe { walk::<S>(order, y.len(), &loops) };
}

/// `dbeta = Σ d` and `dgamma = Σ d·(x − mean)`, with d the gradient behind the ReLU.
pub(super) fn gradient_sums(
    affine: Affine<'_>,
    x: &[f32],
    dy: &[f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    assert_eq!(x.len(), dy.len(), "slices of different lengths");
    let channels = dgamma.len();
    let sums = sums_of_pieces(channels, x.len(), 2 * channels, |range, sums| {
        piece_gradient_sums(affine, &x[range.clone()], &dy[range], sums);
    });
    merge_gradient_sums(&sums, dgamma, dbeta);
}

/// `dy = 0` where y is 0, then [`gradient_sums`] of that.
pub(super) fn mask_and_gradient_sums(
    affine: Affine<'_>,
    x: &[f32],
    y: &[f32],
    dy: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    assert!(x.len() == dy.len() && y.len() == dy.len());
    let channels = dgamma.len();
    let dy = SendPtr::new(dy);
    let sums = sums_of_pieces(channels, x.len(), 2 * channels, |range, sums| {
        // SAFETY: pieces are disjoint ranges of dy, which is as long as x and borrowed until all are done.
        let dy = unsafe { dy.slice(range.start, range.len()) };
        piece_masked_gradient_sums(affine, &x[range.clone()], &y[range], dy, sums);
    });
    merge_gradient_sums(&sums, dgamma, dbeta);
}

/// Adds the pieces' sums, in order.
fn merge_gradient_sums(pieces: &[f32], dgamma: &mut [f32], dbeta: &mut [f32]) {
    let channels = dgamma.len();
    let mut merged = vec![0f64; 2 * channels];
    for sums in pieces.chunks_exact(2 * channels) {
        merged
            .iter_mut()
            .zip(sums)
            .for_each(|(merged, &sum)| *merged += f64::from(sum));
    }
    let targets = dgamma.iter_mut().chain(dbeta);
    targets
        .zip(&merged)
        .for_each(|(target, &sum)| *target = sum as f32);
}

per_level! {
    /// `sums`: those of d·(x − mean), then those of d; zeros before.
    fn piece_gradient_sums<'a>(affine: Affine<'a>, x: &'a [f32], dy: &'a [f32], sums: &'a mut [f32]) {
        // What is behind this pointer is only written for `mask::OUTPUT`.
        let pointer = dy.as_ptr().cast_mut();
        if affine.relu {
            gradient_sums_rows::<S, { mask::RELU }>(affine, x, x, (pointer, dy.len()), sums);
        } else {
            gradient_sums_rows::<S, { mask::NONE }>(affine, x, x, (pointer, dy.len()), sums);
        }
    }
}

per_level! {
    fn piece_masked_gradient_sums<'a>(
        affine: Affine<'a>, x: &'a [f32], y: &'a [f32], dy: &'a mut [f32], sums: &'a mut [f32]
    ) {
        gradient_sums_rows::<S, { mask::OUTPUT }>(affine, x, y, (dy.as_mut_ptr(), dy.len()), sums);
    }
}

#[inline(always)]
fn gradient_sums_rows<S: Simd, const MASK: u8>(
    affine: Affine<'_>,
    x: &[f32],
    y: &[f32],
    (dy, dy_len): (*mut f32, usize),
    sums: &mut [f32],
) {
    let order = affine.order();
    let columns = order.columns;
    assert!(x.len() == dy_len && y.len() == dy_len);
    let mut wide = vec![0.0; 2 * columns];
    let (wide_gamma, wide_beta) = wide.split_at_mut(columns);
    let loops = GradientSums::<MASK> {
        columns,
        mean: affine.mean.as_ptr(),
        factor: affine.factor.as_ptr(),
        beta: affine.beta.as_ptr(),
        x: x.as_ptr(),
        y: y.as_ptr(),
        dy,
        gamma_sums: wide_gamma.as_mut_ptr(),
        beta_sums: wide_beta.as_mut_ptr(),
    };
    // SAFETY: all three have this length, the sums and the numbers of `affine` are wide rows; dy comes from a mutable
    // slice where it is written.
    unsafe { walk::<S>(order, dy_len, &loops) };
    let (gamma_sums, beta_sums) = sums.split_at_mut(sums.len() / 2);
    fold(wide_gamma, gamma_sums);
    fold(wide_beta, beta_sums);
}

per_level! {
    /// `dx = factor·d + shift + slope·(x − mean)`.
    pub(super) fn input_gradient<'a>(
        affine: Affine<'a>, x: &'a [f32], dy: &'a [f32], shift: &'a [f32], slope: &'a [f32], dx: &'a mut [f32]
    ) {
        if affine.relu {
            input_gradient_rows::<S, { mask::RELU }>(affine, x, dy, [shift, slope], dx);
        } else {
            input_gradient_rows::<S, { mask::NONE }>(affine, x, dy, [shift, slope], dx);
        }
    }
}

#[inline(always)]
fn input_gradient_rows<S: Simd, const MASK: u8>(
    affine: Affine<'_>,
    x: &[f32],
    dy: &[f32],
    [shift, slope]: [&[f32]; 2],
    dx: &mut [f32],
) {
    let order = affine.order();
    let columns = order.columns;
    assert!(x.len() == dx.len() && dy.len() == dx.len());
    assert!(shift.len() == columns && slope.len() == columns);
    let loops = InputGradient::<MASK> {
        columns,
        mean: affine.mean.as_ptr(),
        factor: affine.factor.as_ptr(),
        beta: affine.beta.as_ptr(),
        shift: shift.as_ptr(),
        slope: slope.as_ptr(),
        x: x.as_ptr(),
        dy: dy.as_ptr(),
        dx: dx.as_mut_ptr(),
    };
    // SAFETY: all three have this length, the per-channel numbers are wide rows.
    unsafe { walk::<S>(order, dx.len(), &loops) };
}

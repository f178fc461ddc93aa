//! The loops over rows.
//!
//! Per-channel numbers are repeated until they are [`MIN_COLUMNS`] wide, and rows are read that many at a time: a
//! matrix of few channels then runs in full vectors too. The last run of rows may be shorter; the repetition still
//! lines up with it.

use crate::arch::Simd;
use crate::par::{SendPtr, for_each_chunk_mut};
use crate::pieces::per_level;
use std::ops::Range;

/// Columns of the widened matrix, at least.
const MIN_COLUMNS: usize = 64;

/// Wide rows whose sum is formed before it is added to the piece's: bounds the error of long sums.
const INNER_ROWS: usize = 32;

/// Rows per piece: 256 KiB of activations, but at least 32 rows, so that what is kept per piece stays small beside
/// what it read.
pub(super) fn rows_per_piece(channels: usize) -> usize {
    ((1 << 16) / channels.max(1)).max(32)
}

/// Columns of the widened matrix: whole rows.
fn wide_columns(channels: usize) -> usize {
    channels * MIN_COLUMNS.div_ceil(channels)
}

/// `values`, repeated to the widened matrix's columns.
pub(super) fn widen(values: &[f32]) -> Vec<f32> {
    values.repeat(wide_columns(values.len()) / values.len())
}

/// What turns x into y, per column of the widened matrix.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    pub(super) mean: &'a [f32],
    /// gamma/√(variance + eps)
    pub(super) factor: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) relu: bool,
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

/// `sums[c] += wide[c] + wide[c + channels] + …`, and `wide` is zero again.
#[inline(always)]
fn fold(wide: &mut [f32], sums: &mut [f32]) {
    for row in wide.chunks_exact_mut(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += *value;
            *value = 0.0;
        }
    }
}

/// Mean and biased variance of each column of `x`, which is not empty.
pub(super) fn moments(channels: usize, x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
    let sums = sums_of_pieces(channels, x.len(), 3 * channels, |range, sums| {
        let mut wide = vec![0.0; 3 * wide_columns(channels)];
        let (pivots, sums) = sums.split_at_mut(channels);
        let (deviations, squares) = sums.split_at_mut(channels);
        piece_moments(&x[range], &mut wide, pivots, deviations, squares);
    });
    let rows = x.len() / channels;
    let per_piece = rows_per_piece(channels);
    let mut merged = vec![0f64; 2 * channels];
    let (merged_mean, merged_squares) = merged.split_at_mut(channels);
    let mut seen = 0;
    for sums in sums.chunks_exact(3 * channels) {
        let count = per_piece.min(rows - seen);
        let weight = count as f64 / (seen + count) as f64;
        let cross = weight * seen as f64;
        let (pivots, sums) = sums.split_at(channels);
        let (deviations, squares) = sums.split_at(channels);
        let merged = merged_mean.iter_mut().zip(&mut *merged_squares);
        let piece = pivots.iter().zip(deviations).zip(squares);
        for ((mean, sum), ((&pivot, &deviation), &square)) in merged.zip(piece) {
            // The pivot is the piece's mean, rounded: the sum of the deviations from it says by how much.
            let rest = f64::from(deviation) / count as f64;
            let delta = f64::from(pivot) + rest - *mean;
            *mean += delta * weight;
            *sum += f64::from(square) - rest * f64::from(deviation) + delta * delta * cross;
        }
        seen += count;
    }
    mean.iter_mut()
        .zip(merged_mean)
        .for_each(|(mean, merged)| *mean = *merged as f32);
    let variances = variance.iter_mut().zip(merged_squares);
    variances.for_each(|(variance, merged)| *variance = (*merged / rows as f64) as f32);
}

per_level! {
    /// The mean of each column, and the sums of the deviations from it and of their squares. `wide` is zeros for
    /// three wide rows; the other outputs are zeros too.
    fn piece_moments<'a>(
        x: &'a [f32], wide: &'a mut [f32], mean: &'a mut [f32], deviations: &'a mut [f32], squares: &'a mut [f32]
    ) {
        let channels = mean.len();
        let rows = (x.len() / channels) as f32;
        let columns = wide.len() / 3;
        let (sums, wide) = wide.split_at_mut(columns);
        let (square_sums, wide_mean) = wide.split_at_mut(columns);
        for block in x.chunks(INNER_ROWS * columns) {
            for row in block.chunks(columns) {
                for (sum, &x) in sums.iter_mut().zip(row) {
                    *sum += x;
                }
            }
            fold(sums, mean);
        }
        for mean in mean.iter_mut() {
            *mean /= rows;
        }
        for wide_mean in wide_mean.chunks_exact_mut(channels) {
            wide_mean.copy_from_slice(mean);
        }
        for block in x.chunks(INNER_ROWS * columns) {
            for row in block.chunks(columns) {
                let sums = sums.iter_mut().zip(&mut *square_sums);
                for (((sum, square_sum), &x), &mean) in sums.zip(row).zip(&*wide_mean) {
                    let deviation = x - mean;
                    *sum += deviation;
                    *square_sum = S::mul_add(deviation, deviation, *square_sum);
                }
            }
            fold(sums, deviations);
            fold(square_sums, squares);
        }
    }
}

per_level! {
    pub(super) fn normalise<'a>(affine: Affine<'a>, x: &'a [f32], residual: Option<&'a [f32]>, y: &'a mut [f32]) {
        // Without a residual any slice as long as x will do: it is not looked at.
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
    let Affine {
        mean, factor, beta, ..
    } = affine;
    let columns = mean.len();
    let rows = x.chunks(columns).zip(residual.chunks(columns));
    for (y, (x, residual)) in y.chunks_mut(columns).zip(rows) {
        let channels = mean.iter().zip(factor).zip(beta);
        let elements = y.iter_mut().zip(x.iter().zip(residual));
        for ((y, (&x, &residual)), ((&mean, &factor), &beta)) in elements.zip(channels) {
            let mut value = S::mul_add(x - mean, factor, beta);
            if ADD {
                value += residual;
            }
            *y = if RELU && value <= 0.0 { 0.0 } else { value };
        }
    }
}

/// `dbeta = Σ d` and `dgamma = Σ d·(x − mean)`, with d the gradient behind the ReLU.
pub(super) fn gradient_sums(
    affine: Affine<'_>,
    x: &[f32],
    dy: &[f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let channels = dgamma.len();
    let sums = sums_of_pieces(channels, x.len(), 2 * channels, |range, sums| {
        let mut wide = vec![0.0; 2 * affine.mean.len()];
        let (dgamma, dbeta) = sums.split_at_mut(channels);
        piece_gradient_sums(affine, &x[range.clone()], &dy[range], &mut wide, dgamma, dbeta);
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
    let channels = dgamma.len();
    // What is masked is summed while it is in the cache.
    let block = INNER_ROWS * affine.mean.len();
    let dy = SendPtr::new(dy);
    let sums = sums_of_pieces(channels, x.len(), 2 * channels, |range, sums| {
        let mut wide = vec![0.0; 2 * affine.mean.len()];
        let (dgamma, dbeta) = sums.split_at_mut(channels);
        for start in range.clone().step_by(block) {
            let block = start..range.end.min(start + block);
            // SAFETY: pieces and their blocks are disjoint ranges of dy, as long as x and borrowed until all are done.
            let dy = unsafe { dy.slice(block.start, block.len()) };
            mask(&y[block.clone()], dy);
            piece_gradient_sums(affine, &x[block], dy, &mut wide, dgamma, dbeta);
        }
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
    fn mask<'a>(y: &'a [f32], dy: &'a mut [f32]) {
        for (dy, &y) in dy.iter_mut().zip(y) {
            *dy = if y <= 0.0 { 0.0 } else { *dy };
        }
    }
}

per_level! {
    fn piece_gradient_sums<'a>(
        affine: Affine<'a>, x: &'a [f32], dy: &'a [f32], wide: &'a mut [f32], dgamma: &'a mut [f32],
        dbeta: &'a mut [f32],
    ) {
        if affine.relu {
            gradient_sums_rows::<S, true>(affine, x, dy, wide, dgamma, dbeta);
        } else {
            gradient_sums_rows::<S, false>(affine, x, dy, wide, dgamma, dbeta);
        }
    }
}

/// The gradient behind the ReLU of one element.
#[inline(always)]
fn behind_relu<S: Simd, const RELU: bool>(centred: f32, factor: f32, beta: f32, dy: f32) -> f32 {
    if RELU && S::mul_add(centred, factor, beta) <= 0.0 {
        0.0
    } else {
        dy
    }
}

#[inline(always)]
fn gradient_sums_rows<S: Simd, const RELU: bool>(
    affine: Affine<'_>,
    x: &[f32],
    dy: &[f32],
    wide: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let Affine {
        mean, factor, beta, ..
    } = affine;
    let columns = mean.len();
    let (gamma_sums, beta_sums) = wide.split_at_mut(columns);
    let block = INNER_ROWS * columns;
    for (x, dy) in x.chunks(block).zip(dy.chunks(block)) {
        for (x, dy) in x.chunks(columns).zip(dy.chunks(columns)) {
            let channels = gamma_sums
                .iter_mut()
                .zip(&mut *beta_sums)
                .zip(mean)
                .zip(factor)
                .zip(beta);
            for (((((gamma_sum, beta_sum), &mean), &factor), &beta), (&x, &dy)) in
                channels.zip(x.iter().zip(dy))
            {
                let centred = x - mean;
                let d = behind_relu::<S, RELU>(centred, factor, beta, dy);
                *gamma_sum = S::mul_add(d, centred, *gamma_sum);
                *beta_sum += d;
            }
        }
        fold(gamma_sums, dgamma);
        fold(beta_sums, dbeta);
    }
}

per_level! {
    /// `dx = factor·d + shift + slope·(x − mean)`.
    pub(super) fn input_gradient<'a>(
        affine: Affine<'a>, x: &'a [f32], dy: &'a [f32], shift: &'a [f32], slope: &'a [f32], dx: &'a mut [f32]
    ) {
        if affine.relu {
            input_gradient_rows::<S, true>(affine, x, dy, shift, slope, dx);
        } else {
            input_gradient_rows::<S, false>(affine, x, dy, shift, slope, dx);
        }
    }
}

#[inline(always)]
fn input_gradient_rows<S: Simd, const RELU: bool>(
    affine: Affine<'_>,
    x: &[f32],
    dy: &[f32],
    shift: &[f32],
    slope: &[f32],
    dx: &mut [f32],
) {
    let Affine {
        mean, factor, beta, ..
    } = affine;
    let columns = mean.len();
    for ((dx, x), dy) in dx
        .chunks_mut(columns)
        .zip(x.chunks(columns))
        .zip(dy.chunks(columns))
    {
        let channels = mean.iter().zip(factor).zip(beta).zip(shift.iter().zip(slope));
        let elements = dx.iter_mut().zip(x.iter().zip(dy));
        for ((dx, (&x, &dy)), (((&mean, &factor), &beta), (&shift, &slope))) in elements.zip(channels) {
            let centred = x - mean;
            let d = behind_relu::<S, RELU>(centred, factor, beta, dy);
            *dx = S::mul_add(d, factor, S::mul_add(centred, slope, shift));
        }
    }
}

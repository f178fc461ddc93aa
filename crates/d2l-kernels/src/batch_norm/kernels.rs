//! The loops over rows.

use crate::par::{SendPtr, for_each_piece};
use crate::pieces::per_level;

/// Rows per piece: 256 KiB of activations, but at least 32 rows, so that what is kept per piece stays small beside
/// what it read.
pub(super) fn rows_per_piece(channels: usize) -> usize {
    ((1 << 16) / channels.max(1)).max(32)
}

/// What turns x into y, per channel.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    pub(super) mean: &'a [f32],
    /// gamma/√(variance + eps)
    pub(super) factor: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) relu: bool,
}

/// Runs `f(piece's rows, its two sums)` for every piece of `x`; `2·channels` sums a piece.
fn sums_of_pieces(channels: usize, len: usize, f: impl Fn(std::ops::Range<usize>, &mut [f32], &mut [f32]) + Sync) -> Vec<f32> {
    let chunk = rows_per_piece(channels) * channels;
    let pieces = len.div_ceil(chunk);
    let mut sums = vec![0.0; pieces * 2 * channels];
    let base = SendPtr::new(&mut sums);
    for_each_piece(pieces, |piece| {
        // SAFETY: each piece has its own `2·channels` of the sums, which outlive the call.
        let sums = unsafe { base.slice(piece * 2 * channels, 2 * channels) };
        let (first, second) = sums.split_at_mut(channels);
        f(piece * chunk..((piece + 1) * chunk).min(len), first, second);
    });
    sums
}

/// Mean and biased variance of each column of `x`.
pub(super) fn moments(channels: usize, x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
    let sums = sums_of_pieces(channels, x.len(), |range, mean, deviations| {
        piece_moments(&x[range], mean, deviations);
    });
    let rows = x.len() / channels;
    let per_piece = rows_per_piece(channels);
    let mut merged = vec![(0f64, 0f64); channels];
    let mut seen = 0;
    for sums in sums.chunks_exact(2 * channels) {
        let count = per_piece.min(rows - seen);
        let weight = count as f64 / (seen + count) as f64;
        let (means, deviations) = sums.split_at(channels);
        for ((merged, &mean), &deviation) in merged.iter_mut().zip(means).zip(deviations) {
            let delta = f64::from(mean) - merged.0;
            merged.0 += delta * weight;
            merged.1 += f64::from(deviation) + delta * delta * weight * seen as f64;
        }
        seen += count;
    }
    for ((mean, variance), merged) in mean.iter_mut().zip(variance).zip(&merged) {
        *mean = if rows == 0 { f32::NAN } else { merged.0 as f32 };
        *variance = (merged.1 / rows as f64) as f32;
    }
}

per_level! {
    /// The mean of each column and the sum of squared deviations from it.
    fn piece_moments<'a>(x: &'a [f32], mean: &'a mut [f32], deviations: &'a mut [f32]) {
        let channels = mean.len();
        let rows = (x.len() / channels) as f32;
        for row in x.chunks_exact(channels) {
            for (sum, &x) in mean.iter_mut().zip(row) {
                *sum += x;
            }
        }
        for mean in mean.iter_mut() {
            *mean /= rows;
        }
        for row in x.chunks_exact(channels) {
            for ((sum, &x), &mean) in deviations.iter_mut().zip(row).zip(&*mean) {
                *sum = S::mul_add(x - mean, x - mean, *sum);
            }
        }
    }
}

per_level! {
    pub(super) fn normalise<'a>(affine: Affine<'a>, x: &'a [f32], y: &'a mut [f32]) {
        let Affine { mean, factor, beta, relu } = affine;
        let channels = mean.len();
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for ((((y, &x), &mean), &factor), &beta) in y.iter_mut().zip(x).zip(mean).zip(factor).zip(beta) {
                let value = S::mul_add(x - mean, factor, beta);
                *y = if relu && value <= 0.0 { 0.0 } else { value };
            }
        }
    }
}

/// `dbeta = Σ d` and `dgamma = Σ d·(x − mean)`, with d the gradient behind the ReLU.
pub(super) fn gradient_sums(affine: Affine<'_>, x: &[f32], dy: &[f32], dgamma: &mut [f32], dbeta: &mut [f32]) {
    let channels = affine.mean.len();
    let sums = sums_of_pieces(channels, x.len(), |range, dgamma, dbeta| {
        piece_gradient_sums(affine, &x[range.clone()], &dy[range], dgamma, dbeta);
    });
    let mut merged = vec![0f64; 2 * channels];
    for sums in sums.chunks_exact(2 * channels) {
        merged.iter_mut().zip(sums).for_each(|(merged, &sum)| *merged += f64::from(sum));
    }
    let (gamma_sums, beta_sums) = merged.split_at(channels);
    dgamma.iter_mut().zip(gamma_sums).for_each(|(dgamma, &sum)| *dgamma = sum as f32);
    dbeta.iter_mut().zip(beta_sums).for_each(|(dbeta, &sum)| *dbeta = sum as f32);
}

per_level! {
    fn piece_gradient_sums<'a>(
        affine: Affine<'a>, x: &'a [f32], dy: &'a [f32], dgamma: &'a mut [f32], dbeta: &'a mut [f32]
    ) {
        let Affine { mean, factor, beta, relu } = affine;
        let channels = mean.len();
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            let columns = dgamma.iter_mut().zip(dbeta.iter_mut()).zip(mean).zip(factor).zip(beta);
            for ((((((dgamma, dbeta), &mean), &factor), &beta), &x), &dy) in columns.zip(x).zip(dy) {
                let y = S::mul_add(x - mean, factor, beta);
                let d = if relu && y <= 0.0 { 0.0 } else { dy };
                *dgamma = S::mul_add(d, x - mean, *dgamma);
                *dbeta += d;
            }
        }
    }
}

per_level! {
    /// `dx = factor·d + shift + slope·(x − mean)`.
    pub(super) fn input_gradient<'a>(
        affine: Affine<'a>, x: &'a [f32], dy: &'a [f32], shift: &'a [f32], slope: &'a [f32], dx: &'a mut [f32]
    ) {
        let Affine { mean, factor, beta, relu } = affine;
        let channels = mean.len();
        let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(dy.chunks_exact(channels));
        for ((dx, x), dy) in rows {
            let columns = mean.iter().zip(factor).zip(beta).zip(shift).zip(slope);
            for (((dx, &x), &dy), ((((&mean, &factor), &beta), &shift), &slope)) in dx.iter_mut().zip(x).zip(dy).zip(columns) {
                let y = S::mul_add(x - mean, factor, beta);
                let d = if relu && y <= 0.0 { 0.0 } else { dy };
                *dx = S::mul_add(d, factor, S::mul_add(x - mean, slope, shift));
            }
        }
    }
}

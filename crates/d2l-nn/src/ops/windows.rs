//! Reductions over windows along one dimension, from candle operations that are differentiable on every device.
//!
//! A two-dimensional pooling window is a rectangle, so reducing rows first and columns then gives the same result,
//! and also the same choice among equal maxima (the first in row-major order).

use candle_core::{DType, Tensor};

use crate::Result;

/// The input positions `start..start + len` that one output position reduces; `len` is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// How the elements of a window become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// The maximum. NaN is greater than everything, and the whole gradient goes to the first maximum (to the last
    /// NaN), both as in PyTorch.
    Max,
    Sum,
}

/// Reduces dimension `dim` of `xs` to one element per window.
///
/// candle's own maximum is not used: it drops NaN and gives every one of several equal maxima the full gradient.
pub(crate) fn reduce_windows(
    xs: &Tensor,
    dim: usize,
    windows: &[Window],
    reduction: Reduction,
) -> Result<Tensor> {
    let xs = xs.contiguous()?;
    // The tap-th element of each window; shorter windows repeat their last one.
    let tap_of_each = |tap: usize| -> Result<Tensor> {
        let positions: Vec<u32> = windows
            .iter()
            .map(|window| (window.start + tap.min(window.len - 1)) as u32)
            .collect();
        let positions = Tensor::from_vec(positions, windows.len(), xs.device())?;
        Ok(xs.index_select(&positions, dim)?)
    };
    let mut reduced = tap_of_each(0)?;
    let longest = windows.iter().map(|window| window.len).max().unwrap_or(0);
    for tap in 1..longest {
        let candidate = tap_of_each(tap)?;
        reduced = match reduction {
            Reduction::Max => {
                let is_nan = candidate.ne(&candidate)?;
                let wins = (candidate.gt(&reduced)? + is_nan)?;
                wins.where_cond(&candidate, &reduced)?
            }
            Reduction::Sum => {
                let repeats = windows.iter().any(|window| tap >= window.len);
                let candidate = if repeats {
                    let inside: Vec<u8> = windows.iter().map(|window| u8::from(tap < window.len)).collect();
                    let mut shape = vec![1; xs.rank()];
                    shape[dim] = windows.len();
                    let inside = Tensor::from_vec(inside, shape, xs.device())?.to_dtype(DType::U8)?;
                    // Selecting, not multiplying by 0, which would turn an infinity into NaN.
                    inside
                        .broadcast_as(candidate.shape())?
                        .where_cond(&candidate, &candidate.zeros_like()?)?
                } else {
                    candidate
                };
                (reduced + candidate)?
            }
        };
    }
    Ok(reduced)
}

//! Softmax and its logarithm along one dimension.
//!
//! candle_nn's `softmax_last_dim` records no gradient, so these are built from operations that do.

use candle_core::Tensor;

use super::check::same_kind;
use super::path::widened;
use crate::{Error, Result};

/// `exp(x) / Σ exp(x)` along dimension `dim`, in a form that does not overflow.
///
/// # Errors
/// `dim` is not a dimension of `xs`, or `xs` has no floating-point type.
pub fn softmax(xs: &Tensor, dim: usize) -> Result<Tensor> {
    let shifted = below_zero("softmax", xs, dim)?;
    let exponentials = shifted.exp()?;
    let ys = exponentials.broadcast_div(&exponentials.sum_keepdim(dim)?)?;
    Ok(ys.to_dtype(xs.dtype())?)
}

/// `x − ln Σ exp(x)` along dimension `dim`, in a form that does not overflow.
///
/// # Errors
/// As [`softmax`].
pub fn log_softmax(xs: &Tensor, dim: usize) -> Result<Tensor> {
    let shifted = below_zero("log_softmax", xs, dim)?;
    let ys = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(dim)?.log()?)?;
    Ok(ys.to_dtype(xs.dtype())?)
}

/// `xs` minus its maximum along `dim`, which changes neither result; at least in f32.
fn below_zero(op: &'static str, xs: &Tensor, dim: usize) -> Result<Tensor> {
    same_kind(op, &[("xs", xs)])?;
    if dim >= xs.rank() {
        return Err(Error::Shape {
            op,
            expected: format!("dim below the rank {}", xs.rank()),
            got: format!("dim {dim} for xs {:?}", xs.dims()),
        });
    }
    let xs = widened(xs)?;
    if xs.elem_count() == 0 {
        return Ok(xs);
    }
    Ok(xs.broadcast_sub(&xs.detach().max_keepdim(dim)?)?)
}

//! The dense layer `y = x · weightᵀ + bias` and its three gradients. `weight` is `[out_features][in_features]`.

use crate::ShapeError;
use crate::error::checked_product;
use crate::matmul::{MatmulShape, matmul};

/// `y[batch][out_features] = x[batch][in_features] · weightᵀ + bias`, then `max(y, 0)` if `relu`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    batch: usize,
    in_features: usize,
    out_features: usize,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    const OPERATION: &str = "linear::forward";
    check(OPERATION, batch, in_features, out_features, x, weight, y)?;
    if let Some(bias) = bias {
        ShapeError::check_len(OPERATION, "bias", out_features, bias.len())?;
    }
    let shape = MatmulShape {
        m: batch,
        k: in_features,
        n: out_features,
        transpose_a: false,
        transpose_b: true,
    };
    matmul(&shape, x, weight, y)?;
    for row in y.chunks_exact_mut(out_features.max(1)) {
        if let Some(bias) = bias {
            row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
        if relu {
            row.iter_mut().for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y });
        }
    }
    Ok(())
}

/// The gradient of the input: `dx[batch][in_features] = dy[batch][out_features] · weight`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn grad_input(
    batch: usize,
    in_features: usize,
    out_features: usize,
    dy: &[f32],
    weight: &[f32],
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    check(
        "linear::grad_input",
        batch,
        in_features,
        out_features,
        dx,
        weight,
        dy,
    )?;
    let shape = MatmulShape {
        m: batch,
        k: out_features,
        n: in_features,
        transpose_a: false,
        transpose_b: false,
    };
    matmul(&shape, dy, weight, dx)
}

/// The gradient of the weight: `dweight[out_features][in_features] = dyᵀ · x`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn grad_weight(
    batch: usize,
    in_features: usize,
    out_features: usize,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) -> Result<(), ShapeError> {
    check(
        "linear::grad_weight",
        batch,
        in_features,
        out_features,
        x,
        dweight,
        dy,
    )?;
    let shape = MatmulShape {
        m: out_features,
        k: batch,
        n: in_features,
        transpose_a: true,
        transpose_b: false,
    };
    matmul(&shape, dy, x, dweight)
}

/// The gradient of the bias: `dbias[out_features] = Σ over the batch of dy`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn grad_bias(batch: usize, out_features: usize, dy: &[f32], dbias: &mut [f32]) -> Result<(), ShapeError> {
    const OPERATION: &str = "linear::grad_bias";
    ShapeError::check_len(
        OPERATION,
        "dy",
        checked_product(OPERATION, &[batch, out_features])?,
        dy.len(),
    )?;
    ShapeError::check_len(OPERATION, "dbias", out_features, dbias.len())?;
    crate::reduce::sum_rows(out_features, dy, dbias);
    Ok(())
}

fn check(
    operation: &'static str,
    batch: usize,
    in_features: usize,
    out_features: usize,
    input: &[f32],
    weight: &[f32],
    output: &[f32],
) -> Result<(), ShapeError> {
    let len = |factors: &[usize]| checked_product(operation, factors);
    ShapeError::check_len(operation, "input", len(&[batch, in_features])?, input.len())?;
    ShapeError::check_len(
        operation,
        "weight",
        len(&[out_features, in_features])?,
        weight.len(),
    )?;
    ShapeError::check_len(operation, "output", len(&[batch, out_features])?, output.len())
}

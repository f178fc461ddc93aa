//! Two-dimensional convolution (cross-correlation, as every deep-learning library means it) and its gradients.
//!
//! With `x` zero outside the image:
//! ```text
//! y[n][oy][ox][o] = bias[o] + Σ ky, kx, i:
//!     x[n][oy·stride₀ + ky·dilation₀ − padding₀][ox·stride₁ + kx·dilation₁ − padding₁][group·in/groups + i]
//!     · weight[ky][kx][i][o]                                where group = o / (out/groups)
//! ```

mod band;
mod correlate;
mod direct;
mod direct_weight;
pub mod naive;
mod shape;
#[cfg(test)]
mod tests;
mod winograd;

pub use shape::Conv2dShape;

use crate::{ScratchNeed, ShapeError};
use winograd::Variant;

/// The products of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// [`forward`]
    Forward,
    /// [`grad_input`]
    GradInput,
    /// [`grad_weight`]
    GradWeight,
}

/// The scratch memory of a product; none for a shape that is impossible.
pub fn scratch(shape: &Conv2dShape, product: Product, algorithm: Algorithm) -> ScratchNeed {
    if shape.check().is_err() || shape.batch == 0 {
        return ScratchNeed::default();
    }
    match (Variant::choose(shape, product, algorithm), product) {
        (Some(variant), _) => variant.scratch(shape, product),
        (None, Product::Forward) => direct::forward_scratch(shape),
        (None, Product::GradInput) => direct::grad_input_scratch(shape),
        (None, Product::GradWeight) => direct_weight::scratch(shape),
    }
}

/// The scratch memory of the gradient of the bias, with ReLU's or without.
pub fn bias_scratch(shape: &Conv2dShape) -> ScratchNeed {
    crate::reduce::scratch(shape.out_channels, shape.y_len())
}

/// How to compute a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Winograd where it applies and pays, else direct.
    #[default]
    Auto,
    /// Multiply and add as the definition says.
    Direct,
    /// Winograd wherever it applies, else direct.
    Winograd,
}

/// What is applied to the output of [`forward`] while it is still in registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(y, 0)`; NaN stays NaN.
    Relu,
}

/// `y = activation(conv(x, weight) + bias)`.
///
/// # Shapes
/// `x`: `[batch][in_height][in_width][in_channels]`; `weight`: `[kernel₀][kernel₁][in_channels / groups]
/// [out_channels]`; `bias`: `[out_channels]`; `y`: `[batch][out_height][out_width][out_channels]`.
///
/// # Errors
/// If the shape is impossible ([`Conv2dShape::check`]) or a slice does not have its length.
pub fn forward(
    shape: &Conv2dShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    algorithm: Algorithm,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    const OPERATION: &str = "conv2d::forward";
    shape.check_operands(OPERATION, x, weight, y)?;
    if let Some(bias) = bias {
        ShapeError::check_len(OPERATION, "bias", shape.out_channels, bias.len())?;
    }
    match Variant::choose(shape, Product::Forward, algorithm) {
        Some(variant) => winograd::forward(variant, shape, x, weight, bias, activation, y),
        None => direct::forward(shape, x, weight, bias, activation, y),
    }
    Ok(())
}

/// The gradient of the input: `dx[n][iy][ix][i] = Σ dy · weight` over every output that read this input.
///
/// # Shapes
/// As in [`forward`]: `dy` like `y`, `dx` like `x`.
///
/// # Errors
/// If the shape is impossible or a slice does not have its length.
pub fn grad_input(
    shape: &Conv2dShape,
    dy: &[f32],
    weight: &[f32],
    algorithm: Algorithm,
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    shape.check_operands("conv2d::grad_input", dx, weight, dy)?;
    match Variant::choose(shape, Product::GradInput, algorithm) {
        Some(variant) => winograd::grad_input(variant, shape, dy, weight, dx),
        None => direct::grad_input(shape, dy, weight, dx),
    }
    Ok(())
}

/// The gradient of the weight: `dweight[ky][kx][i][o] = Σ n, oy, ox: x · dy`.
///
/// # Shapes
/// As in [`forward`]: `dy` like `y`, `dweight` like `weight`.
///
/// # Errors
/// If the shape is impossible or a slice does not have its length.
pub fn grad_weight(
    shape: &Conv2dShape,
    x: &[f32],
    dy: &[f32],
    algorithm: Algorithm,
    dweight: &mut [f32],
) -> Result<(), ShapeError> {
    shape.check_operands("conv2d::grad_weight", x, dweight, dy)?;
    match Variant::choose(shape, Product::GradWeight, algorithm) {
        Some(variant) => winograd::grad_weight(variant, shape, x, dy, dweight),
        None => direct_weight::grad_weight(shape, x, dy, dweight),
    }
    Ok(())
}

/// The gradient of the bias: `dbias[o] = Σ n, oy, ox: dy`.
///
/// # Errors
/// If the shape is impossible or a slice does not have its length.
pub fn grad_bias(shape: &Conv2dShape, dy: &[f32], dbias: &mut [f32]) -> Result<(), ShapeError> {
    const OPERATION: &str = "conv2d::grad_bias";
    shape.check()?;
    ShapeError::check_len(OPERATION, "dy", shape.y_len(), dy.len())?;
    ShapeError::check_len(OPERATION, "dbias", shape.out_channels, dbias.len())?;
    crate::reduce::sum_rows(shape.out_channels, dy, dbias);
    Ok(())
}

/// The gradient of a ReLU and of the bias before it, in one pass: `dy = 0` where the activation `y` is 0, then
/// `dbias[o] = Σ n, oy, ox: dy`. The gradient passes where y is NaN, as in PyTorch.
///
/// # Shapes
/// `y`, `dy`: `[rows][channels]` for any number of rows, such as `[batch][out_height][out_width][out_channels]`;
/// `dbias`: `[channels]`.
///
/// # Errors
/// If there is no channel, `dy` is not made of whole rows, or a slice does not have its length.
pub fn relu_grad_bias(
    channels: usize,
    y: &[f32],
    dy: &mut [f32],
    dbias: &mut [f32],
) -> Result<(), ShapeError> {
    const OPERATION: &str = "conv2d::relu_grad_bias";
    if channels == 0 || !dy.len().is_multiple_of(channels) {
        return Err(ShapeError::new(
            OPERATION,
            format!("dy of whole rows of {channels} channels"),
            format!("{} elements", dy.len()),
        ));
    }
    ShapeError::check_len(OPERATION, "y", dy.len(), y.len())?;
    ShapeError::check_len(OPERATION, "dbias", channels, dbias.len())?;
    crate::reduce::mask_and_sum_rows(channels, y, dy, dbias);
    Ok(())
}

//! The image operations for tensors with the channels last, `[batch, height, width, channels]`.
//!
//! Parameters are the same as those of the namesakes in [`ops`](super), in the same order: a convolution's weight
//! is `[out_channels, in_channels / groups, kernel_height, kernel_width]` here too.

use candle_core::{Tensor, Var};

use super::batch_norm::{BatchNormOptions, batch_norm_in};
use super::check::ChannelOrder::Last;
use super::conv2d::{Conv2dOptions, conv2d_in};
use super::local_response_norm::local_response_norm_in;
use super::pool2d::{
    Pool2dOptions, adaptive_avg_pool2d_in, adaptive_max_pool2d_in, avg_pool2d_in, max_pool2d_in,
};
use crate::Result;

/// [`ops::conv2d`](super::conv2d) of `[batch, height, width, in_channels]`.
///
/// # Errors
/// As there.
pub fn conv2d(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    conv2d_in(Last, xs, weight, bias, options)
}

/// [`ops::max_pool2d`](super::max_pool2d) of `[batch, height, width, channels]`.
///
/// # Errors
/// As there.
pub fn max_pool2d(xs: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    max_pool2d_in(Last, xs, options)
}

/// [`ops::avg_pool2d`](super::avg_pool2d) of `[batch, height, width, channels]`.
///
/// # Errors
/// As there.
pub fn avg_pool2d(xs: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    avg_pool2d_in(Last, xs, options)
}

/// [`ops::adaptive_max_pool2d`](super::adaptive_max_pool2d) of `[batch, height, width, channels]`.
///
/// # Errors
/// As there.
pub fn adaptive_max_pool2d(xs: &Tensor, output: [usize; 2]) -> Result<Tensor> {
    adaptive_max_pool2d_in(Last, xs, output)
}

/// [`ops::adaptive_avg_pool2d`](super::adaptive_avg_pool2d) of `[batch, height, width, channels]`.
///
/// # Errors
/// As there.
pub fn adaptive_avg_pool2d(xs: &Tensor, output: [usize; 2]) -> Result<Tensor> {
    adaptive_avg_pool2d_in(Last, xs, output)
}

/// [`ops::batch_norm`](super::batch_norm) of `[batch, height, width, channels]`.
///
/// # Errors
/// As there.
pub fn batch_norm(
    xs: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    running_mean: &Var,
    running_var: &Var,
    options: &BatchNormOptions,
    train: bool,
) -> Result<Tensor> {
    batch_norm_in(
        Last,
        xs,
        [gamma, beta],
        [running_mean, running_var],
        options,
        train,
    )
}

/// [`ops::local_response_norm`](super::local_response_norm) of `[batch, height, width, channels]`.
///
/// # Errors
/// As there.
pub fn local_response_norm(xs: &Tensor, size: usize, alpha: f64, beta: f64, k: f64) -> Result<Tensor> {
    local_response_norm_in(Last, xs, size, alpha, beta, k)
}

//! Differentiable operations on candle tensors.
//!
//! Tensors follow candle's convention at this boundary: images are `[batch, channels, height, width]`, convolution
//! weights `[out_channels, in_channels / groups, kernel_height, kernel_width]`, linear weights `[out_features,
//! in_features]`; gradients come from plain `loss.backward()`. Strided, offset, transposed and broadcast tensors
//! give the same results as contiguous ones.
//!
//! Each operation has two implementations that tests hold against each other:
//!
//! * For f32 on the CPU a candle `CustomOp` whose forward and backward run the kernels of `d2l-kernels`. These
//!   read images with the channels last; [`to_nhwc`] and [`to_nchw`] convert, and the operations in [`nhwc`] take
//!   and give such tensors, so that a network converts its input once.
//! * For other types and devices a composition of candle operations that are differentiable everywhere.
//!   Half-precision tensors on the CPU are computed in f32. Under the feature `cudnn` the three products of a
//!   convolution on CUDA (forward, input gradient, weight gradient) are cuDNN's.
//!
//! [`with_path`] forces one of them.

mod activation;
mod batch_norm;
mod check;
mod conv2d;
mod cross_entropy;
mod dropout;
mod layout;
mod linear;
mod local_response_norm;
mod losses;
pub mod nhwc;
mod path;
mod pool2d;
mod softmax;
pub(crate) mod storage;
mod windows;

pub use activation::{elu, gelu, gelu_tanh, leaky_relu, relu, sigmoid, silu, softplus, tanh};
pub use batch_norm::{BatchNormOptions, batch_norm};
pub use conv2d::{Algorithm, Conv2dOptions, conv2d};
pub use cross_entropy::{
    CrossEntropyOptions, Reduction, cross_entropy, cross_entropy_with_gradient, nll_loss,
};
pub use dropout::dropout;
pub use layout::{flatten, to_nchw, to_nhwc};
pub use linear::{linear, linear_relu};
pub use local_response_norm::local_response_norm;
pub use losses::{ElementLoss, bce_with_logits, element_losses, hinge_loss, huber_loss, l1_loss, mse_loss};
pub use path::{Path, with_path};
pub use pool2d::{Pool2dOptions, adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d};
pub use softmax::{log_softmax, softmax};

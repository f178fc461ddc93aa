//! Two-dimensional convolution (cross-correlation, as in every framework) with bias and ReLU fused.

#[cfg(feature = "cudnn")]
mod by_cudnn;
mod by_kernel;

use candle_core::{DType, Tensor};
use d2l_kernels::conv2d::Conv2dShape;

pub use d2l_kernels::conv2d::Algorithm;

use super::activation;
use super::check::{ChannelOrder, ImageDims, image_dims, same_kind, vector_len};
use super::layout::{in_channels_first, in_channels_last};
use super::path::{is_half_on_cpu, takes_kernel};
use crate::{Error, Result};

const OP: &str = "conv2d";

/// How a convolution's window moves; each pair is height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Steps between neighbouring windows. Default 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side of the input. Default 0.
    pub padding: [usize; 2],
    /// Distance between the input positions that neighbouring weights read. Default 1.
    pub dilation: [usize; 2],
    /// The channels form this many groups that do not see each other. Default 1.
    pub groups: usize,
    /// Replaces negative outputs by 0 in the same pass. Default false.
    pub relu: bool,
    /// How the CPU computes it. Default [`Algorithm::Auto`]; [`Algorithm::Direct`] switches Winograd off.
    pub algorithm: Algorithm,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
            relu: false,
            algorithm: Algorithm::Auto,
        }
    }
}

/// `ys[b, o] = bias[o] + Σ_i xs[b, i] ⋆ weight[o, i]` over the channels `i` of `o`'s group.
///
/// # Shapes
/// `xs` `[batch, in_channels, height, width]`, `weight` `[out_channels, in_channels / groups, kernel_height,
/// kernel_width]`, `bias` `[out_channels]` → `[batch, out_channels, out_height, out_width]` with `out_height =
/// (height + 2·padding − dilation·(kernel_height − 1) − 1) / stride + 1`, rounded down.
///
/// # Errors
/// Wrong ranks, channels that do not match the weight or are not divisible into `groups`, a bias of another
/// length, zero strides, dilations, kernels or groups, an empty output, mixed data types or devices.
pub fn conv2d(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    conv2d_in(ChannelOrder::First, xs, weight, bias, options)
}

pub(crate) fn conv2d_in(
    order: ChannelOrder,
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    match bias {
        Some(bias) => same_kind(OP, &[("xs", xs), ("weight", weight), ("bias", bias)])?,
        None => same_kind(OP, &[("xs", xs), ("weight", weight)])?,
    }
    let shape = shape_of(image_dims(OP, xs, order)?, xs, weight, bias, options)?;
    if is_half_on_cpu(xs) {
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F32);
        let bias = bias.map(wide).transpose()?;
        let ys = conv2d_in(order, &wide(xs)?, &wide(weight)?, bias.as_ref(), options)?;
        return Ok(ys.to_dtype(xs.dtype())?);
    }
    if takes_kernel(OP, xs)? {
        in_channels_last(order, xs, |xs| {
            by_kernel::by_kernel(xs, weight, bias, shape, options)
        })
    } else {
        #[cfg(feature = "cudnn")]
        if super::path::takes_device_library() && by_cudnn::applies(xs, &shape) {
            return in_channels_first(order, xs, |xs| {
                by_cudnn::by_cudnn(xs, weight, bias, shape, options.relu)
            });
        }
        in_channels_first(order, xs, |xs| {
            by_composition(xs, weight, bias, shape, options.relu)
        })
    }
}

/// Checks everything about the arguments and gathers the sizes for the kernels.
fn shape_of(
    xs_dims: ImageDims,
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2dOptions,
) -> Result<Conv2dShape> {
    let &Conv2dOptions {
        stride,
        padding,
        dilation,
        groups,
        ..
    } = options;
    if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
        let message =
            format!("stride {stride:?}, dilation {dilation:?} and groups {groups} must be at least 1");
        return Err(Error::Options { op: OP, message });
    }
    let &[out_channels, group_channels, kernel_height, kernel_width] = weight.dims() else {
        return Err(Error::Rank {
            op: OP,
            name: "weight",
            expected: "[out_channels, in_channels / groups, kernel_height, kernel_width]",
            shape: weight.dims().to_vec(),
        });
    };
    let kernel = [kernel_height, kernel_width];
    if weight.elem_count() == 0 {
        return Err(Error::Shape {
            op: OP,
            expected: "weight with no dimension of size 0".to_string(),
            got: format!("weight {:?}", weight.dims()),
        });
    }
    if xs_dims.channels != group_channels * groups || !out_channels.is_multiple_of(groups) {
        return Err(Error::Shape {
            op: OP,
            expected: format!(
                "weight [out_channels, {} / groups, ..] with channels divisible by groups {groups}",
                xs_dims.channels
            ),
            got: format!("weight {:?} for xs {:?}", weight.dims(), xs.dims()),
        });
    }
    if let Some(bias) = bias {
        vector_len(OP, "bias", bias, out_channels, "one per output channel", xs)?;
    }
    let input = [xs_dims.height, xs_dims.width];
    let fits = |axis: usize| {
        let padded = padding[axis]
            .checked_mul(2)
            .and_then(|padding| padding.checked_add(input[axis]));
        let window = dilation[axis].checked_mul(kernel[axis] - 1);
        matches!((padded, window), (Some(padded), Some(window)) if window < padded)
    };
    if !fits(0) || !fits(1) {
        let window = format!("kernel {kernel:?}, padding {padding:?}, dilation {dilation:?}");
        return Err(Error::EmptyOutput {
            op: OP,
            input,
            window,
        });
    }
    let shape = Conv2dShape {
        batch: xs_dims.batch,
        in_height: xs_dims.height,
        in_width: xs_dims.width,
        in_channels: xs_dims.channels,
        out_channels,
        kernel,
        stride,
        padding,
        dilation,
        groups,
    };
    shape.check()?;
    Ok(shape)
}

/// The same from candle operations, for every device and type: gather each window's elements into a column, then
/// one matrix product per group. candle's own `conv2d` has one stride, padding and dilation for both axes.
///
/// `xs` is `[batch, in_channels, height, width]`.
fn by_composition(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
    relu: bool,
) -> Result<Tensor> {
    let Conv2dShape {
        batch,
        in_channels,
        out_channels,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        ..
    } = shape;
    let [kernel_height, kernel_width] = kernel;
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    let group_channels = in_channels / groups;

    // positions[k * out + o]: what the k-th weight along an axis reads for output o.
    let positions = |axis: usize, out: usize| {
        let positions: Vec<u32> = (0..kernel[axis])
            .flat_map(|k| (0..out).map(move |o| (o * stride[axis] + k * dilation[axis]) as u32))
            .collect();
        Tensor::new(positions, xs.device())
    };
    let patches = xs
        .pad_with_zeros(2, padding[0], padding[0])?
        .pad_with_zeros(3, padding[1], padding[1])?
        .contiguous()?
        .index_select(&positions(0, out_height)?, 2)?
        .index_select(&positions(1, out_width)?, 3)?
        .reshape(vec![
            batch,
            groups,
            group_channels,
            kernel_height,
            out_height,
            kernel_width,
            out_width,
        ])?
        .permute(vec![1, 2, 3, 5, 0, 4, 6])?
        .reshape((
            groups,
            group_channels * kernel_height * kernel_width,
            batch * out_height * out_width,
        ))?;
    let weight = weight.reshape((
        groups,
        out_channels / groups,
        group_channels * kernel_height * kernel_width,
    ))?;
    let ys = weight
        .matmul(&patches)?
        .reshape((out_channels, batch, out_height, out_width))?
        .transpose(0, 1)?;
    finish(ys, bias, relu)
}

/// Adds the bias to `[batch, out_channels, height, width]` and applies ReLU.
fn finish(mut ys: Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    if let Some(bias) = bias {
        ys = ys.broadcast_add(&bias.reshape((1, (), 1, 1))?)?;
    }
    if relu { activation::relu(&ys) } else { Ok(ys) }
}

//! Two-dimensional convolution (cross-correlation, as in every framework) with bias and ReLU fused.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};
use d2l_kernels::conv2d::{self as kernel, Activation, Conv2dShape};
use d2l_kernels::layout as kernel_layout;

pub use d2l_kernels::conv2d::Algorithm;

use super::activation::{self, relu_gradient};
use super::check::{ChannelOrder, ImageDims, image_dims, same_kind, vector_len};
use super::layout::{in_channels_first, in_channels_last};
use super::path::{is_half_on_cpu, takes_kernel};
use super::storage::{elements, with_elements};
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
        let wide = |tensor: &Tensor| tensor.to_dtype(candle_core::DType::F32);
        let bias = bias.map(wide).transpose()?;
        let ys = conv2d_in(order, &wide(xs)?, &wide(weight)?, bias.as_ref(), options)?;
        return Ok(ys.to_dtype(xs.dtype())?);
    }
    if takes_kernel(OP, xs)? {
        in_channels_last(order, xs, |xs| by_kernel(xs, weight, bias, shape, options))
    } else {
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

/// `xs` is `[batch, height, width, in_channels]`.
fn by_kernel(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    let op = Conv2d {
        shape,
        relu: options.relu,
        algorithm: options.algorithm,
    };
    let (xs, weight) = (xs.contiguous()?, weight.contiguous()?);
    Ok(match bias {
        Some(bias) => xs.apply_op3(&weight, &bias.contiguous()?, op)?,
        None => xs.apply_op2(&weight, op)?,
    })
}

/// The operation on the kernels: xs NHWC, weight OIHW, bias; ys NHWC.
struct Conv2d {
    shape: Conv2dShape,
    relu: bool,
    algorithm: Algorithm,
}

/// Gradients of input, weight and bias; `None` for an argument that no variable leads to.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl Conv2d {
    fn forward(
        &self,
        xs: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = &self.shape;
        let weight = self.to_hwio(weight)?;
        let activation = if self.relu {
            Activation::Relu
        } else {
            Activation::None
        };
        let mut ys = vec![0.0; shape.y_len()];
        kernel::forward(shape, xs, &weight, bias, activation, self.algorithm, &mut ys)
            .map_err(Error::from)?;
        Ok((CpuStorage::F32(ys), (&self.out_shape()).into()))
    }

    fn out_shape(&self) -> [usize; 4] {
        let size = [self.shape.out_height(), self.shape.out_width()];
        ImageDims::shape(
            ChannelOrder::Last,
            self.shape.batch,
            self.shape.out_channels,
            size,
        )
    }

    /// Sizes of an OIHW weight as the layout kernels take them: out, in, kernel positions.
    fn weight_dims(&self) -> [usize; 3] {
        let Conv2dShape {
            in_channels,
            out_channels,
            kernel: [height, width],
            groups,
            ..
        } = self.shape;
        [out_channels, in_channels / groups, height * width]
    }

    fn to_hwio(&self, weight: &[f32]) -> candle_core::Result<Vec<f32>> {
        let [out_channels, group_channels, positions] = self.weight_dims();
        let mut hwio = vec![0.0; weight.len()];
        kernel_layout::oihw_to_hwio(out_channels, group_channels, positions, weight, &mut hwio)
            .map_err(Error::from)?;
        Ok(hwio)
    }

    fn backward(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<Gradients> {
        let masked;
        let dys = if self.relu {
            masked = relu_gradient(ys, dys)?;
            &masked
        } else {
            dys
        };
        let (shape, algorithm) = (&self.shape, self.algorithm);
        with_elements(OP, [xs, weight, dys], |[xs_elements, weight_elements, dys]| {
            let mut dxs = None;
            if xs.track_op() {
                let hwio = self.to_hwio(weight_elements)?;
                let mut gradient = vec![0.0; shape.x_len()];
                kernel::grad_input(shape, dys, &hwio, algorithm, &mut gradient).map_err(Error::from)?;
                dxs = Some(Tensor::from_vec(gradient, xs.shape(), xs.device())?);
            }
            let mut dweight = None;
            if weight.track_op() {
                let mut hwio = vec![0.0; shape.weight_len()];
                kernel::grad_weight(shape, xs_elements, dys, algorithm, &mut hwio).map_err(Error::from)?;
                let [out_channels, group_channels, positions] = self.weight_dims();
                let mut gradient = vec![0.0; hwio.len()];
                kernel_layout::hwio_to_oihw(out_channels, group_channels, positions, &hwio, &mut gradient)
                    .map_err(Error::from)?;
                dweight = Some(Tensor::from_vec(gradient, weight.shape(), weight.device())?);
            }
            let mut dbias = None;
            if let Some(bias) = bias.filter(|bias| bias.track_op()) {
                let mut gradient = vec![0.0; shape.out_channels];
                kernel::grad_bias(shape, dys, &mut gradient).map_err(Error::from)?;
                dbias = Some(Tensor::from_vec(gradient, bias.shape(), bias.device())?);
            }
            Ok((dxs, dweight, dbias))
        })
    }
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(
            elements(OP, xs, xs_layout)?,
            elements(OP, weight, weight_layout)?,
            None,
        )
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (dxs, dweight, _) = self.backward(xs, weight, None, ys, dys)?;
        Ok((dxs, dweight))
    }
}

impl CustomOp3 for Conv2d {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let bias = elements(OP, bias, bias_layout)?;
        self.forward(
            elements(OP, xs, xs_layout)?,
            elements(OP, weight, weight_layout)?,
            Some(bias),
        )
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<Gradients> {
        self.backward(xs, weight, Some(bias), ys, dys)
    }
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
    let mut ys = weight
        .matmul(&patches)?
        .reshape((out_channels, batch, out_height, out_width))?
        .transpose(0, 1)?;
    if let Some(bias) = bias {
        ys = ys.broadcast_add(&bias.reshape((1, out_channels, 1, 1))?)?;
    }
    if relu { activation::relu(&ys) } else { Ok(ys) }
}

//! Max and average pooling over sliding windows and over windows chosen for an output size.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use d2l_kernels::pool::{self as kernel, AdaptivePool2dShape, Argmax, Pool2dShape};

use super::check::{ChannelOrder, ImageDims, image_dims, same_kind};
use super::layout::{in_channels_first, in_channels_last};
use super::path::{is_half_on_cpu, takes_kernel};
use super::storage::{elements, with_elements};
use super::windows::{Reduction, Window, reduce_windows};
use crate::{Error, Result};

/// How a pooling window moves; each pair is height, width. The meanings are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dOptions {
    /// Size of the window. Default 2.
    pub kernel: [usize; 2],
    /// Steps between neighbouring windows. Default 2.
    pub stride: [usize; 2],
    /// Rows and columns added on each side, at most half the window. They never win a maximum. Default 0.
    pub padding: [usize; 2],
    /// Keeps a last window that reaches beyond the padded input, if it starts inside the input or its left padding.
    /// Default false.
    pub ceil_mode: bool,
    /// An average divides by the window's size including padding. Default true.
    pub count_include_pad: bool,
}

impl Default for Pool2dOptions {
    fn default() -> Self {
        Self {
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
            ceil_mode: false,
            count_include_pad: true,
        }
    }
}

/// The largest element of each window; NaN is larger than everything. The gradient goes to one element, the first
/// of equal maxima in row-major order.
///
/// # Shapes
/// `[batch, channels, height, width]` → `[batch, channels, out_height, out_width]` with `out_height = (height +
/// 2·padding − kernel) / stride + 1`, rounded down, or up under [`ceil_mode`](Pool2dOptions::ceil_mode).
///
/// # Errors
/// Another rank, a kernel or stride of 0, padding above half the kernel, an empty output, no floating-point type.
pub fn max_pool2d(xs: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    max_pool2d_in(ChannelOrder::First, xs, options)
}

/// The mean of each window.
///
/// # Shapes
/// As [`max_pool2d`].
///
/// # Errors
/// As [`max_pool2d`].
pub fn avg_pool2d(xs: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    avg_pool2d_in(ChannelOrder::First, xs, options)
}

/// [`max_pool2d`] with windows such that the output has the given height and width: output `o` of `out` covers the
/// input from `⌊o·in/out⌋` to `⌈(o + 1)·in/out⌉`.
///
/// # Errors
/// Another rank, an output of size 0, no floating-point type.
pub fn adaptive_max_pool2d(xs: &Tensor, output: [usize; 2]) -> Result<Tensor> {
    adaptive_max_pool2d_in(ChannelOrder::First, xs, output)
}

/// [`avg_pool2d`] with the windows of [`adaptive_max_pool2d`]; `[1, 1]` is global average pooling.
///
/// # Errors
/// As [`adaptive_max_pool2d`].
pub fn adaptive_avg_pool2d(xs: &Tensor, output: [usize; 2]) -> Result<Tensor> {
    adaptive_avg_pool2d_in(ChannelOrder::First, xs, output)
}

pub(crate) fn max_pool2d_in(order: ChannelOrder, xs: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    pool("max_pool2d", order, xs, Kind::Max, |op, dims| {
        sliding(op, dims, options)
    })
}

pub(crate) fn avg_pool2d_in(order: ChannelOrder, xs: &Tensor, options: &Pool2dOptions) -> Result<Tensor> {
    pool("avg_pool2d", order, xs, Kind::Average, |op, dims| {
        sliding(op, dims, options)
    })
}

pub(crate) fn adaptive_max_pool2d_in(order: ChannelOrder, xs: &Tensor, output: [usize; 2]) -> Result<Tensor> {
    pool("adaptive_max_pool2d", order, xs, Kind::Max, |op, dims| {
        adaptive(op, dims, output)
    })
}

pub(crate) fn adaptive_avg_pool2d_in(order: ChannelOrder, xs: &Tensor, output: [usize; 2]) -> Result<Tensor> {
    pool("adaptive_avg_pool2d", order, xs, Kind::Average, |op, dims| {
        adaptive(op, dims, output)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Max,
    Average,
}

#[derive(Clone, Copy, Debug)]
enum Windows {
    Sliding(Pool2dShape),
    Adaptive(AdaptivePool2dShape),
}

fn pool(
    op: &'static str,
    order: ChannelOrder,
    xs: &Tensor,
    kind: Kind,
    windows: impl Fn(&'static str, ImageDims) -> Result<Windows>,
) -> Result<Tensor> {
    same_kind(op, &[("xs", xs)])?;
    let dims = image_dims(op, xs, order)?;
    let windows = windows(op, dims)?;
    if is_half_on_cpu(xs) {
        let wide = xs.to_dtype(DType::F32)?;
        // A trait object, so that the recursion instantiates one function and not an endless chain of them.
        let known: &dyn Fn(&'static str, ImageDims) -> Result<Windows> = &|_, _| Ok(windows);
        return Ok(pool(op, order, &wide, kind, known)?.to_dtype(xs.dtype())?);
    }
    // Windows of more elements than an argmax can count are rare enough for the composition to serve them.
    if takes_kernel(op, xs)? && (kind == Kind::Average || windows.argmax_fits()) {
        let (batch, channels) = (dims.batch, dims.channels);
        let out_shape = ImageDims::shape(ChannelOrder::Last, batch, channels, windows.out_size());
        in_channels_last(order, xs, |xs| {
            let xs = xs.contiguous()?;
            Ok(match kind {
                Kind::Max => xs.apply_op1(MaxPool {
                    op,
                    windows,
                    out_shape,
                    argmax: OnceLock::new(),
                })?,
                Kind::Average => xs.apply_op1(AvgPool {
                    op,
                    windows,
                    out_shape,
                })?,
            })
        })
    } else {
        in_channels_first(order, xs, |xs| by_composition(xs, kind, &windows))
    }
}

fn sliding(op: &'static str, dims: ImageDims, options: &Pool2dOptions) -> Result<Windows> {
    let &Pool2dOptions {
        kernel,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
    } = options;
    if kernel.contains(&0) || stride.contains(&0) {
        let message = format!("kernel {kernel:?} and stride {stride:?} must be at least 1");
        return Err(Error::Options { op, message });
    }
    if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
        let message = format!("padding {padding:?} must be at most half the kernel {kernel:?}");
        return Err(Error::Options { op, message });
    }
    let ImageDims {
        batch,
        channels,
        height,
        width,
    } = dims;
    let shape = Pool2dShape {
        batch,
        height,
        width,
        channels,
        kernel,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
    };
    if shape.out_height() == 0 || shape.out_width() == 0 {
        let window =
            format!("kernel {kernel:?}, stride {stride:?}, padding {padding:?}, ceil_mode {ceil_mode}");
        return Err(Error::EmptyOutput {
            op,
            input: [height, width],
            window,
        });
    }
    shape.check()?;
    Ok(Windows::Sliding(shape))
}

fn adaptive(op: &'static str, dims: ImageDims, output: [usize; 2]) -> Result<Windows> {
    let [out_height, out_width] = output;
    if output.contains(&0) {
        let window = format!("output {output:?}");
        return Err(Error::EmptyOutput {
            op,
            input: [dims.height, dims.width],
            window,
        });
    }
    let ImageDims {
        batch,
        channels,
        height,
        width,
    } = dims;
    let shape = AdaptivePool2dShape {
        batch,
        height,
        width,
        channels,
        out_height,
        out_width,
    };
    shape.check()?;
    Ok(Windows::Adaptive(shape))
}

impl Windows {
    fn out_size(&self) -> [usize; 2] {
        match self {
            Self::Sliding(shape) => [shape.out_height(), shape.out_width()],
            Self::Adaptive(shape) => [shape.out_height, shape.out_width],
        }
    }

    fn argmax_fits(&self) -> bool {
        let widest = |axis| {
            self.along(axis)
                .iter()
                .map(|(window, _)| window.len)
                .max()
                .unwrap_or(0)
        };
        widest(0).saturating_mul(widest(1)) <= 1 << Argmax::BITS
    }

    /// The windows along height (0) or width (1), cut at the edges of the input, and what each counts in a mean.
    fn along(&self, axis: usize) -> Vec<(Window, usize)> {
        let outputs = 0..self.out_size()[axis];
        match self {
            Self::Sliding(shape) => {
                let size = [shape.height, shape.width][axis];
                let (kernel, stride, padding) = (shape.kernel[axis], shape.stride[axis], shape.padding[axis]);
                outputs
                    .map(|output| {
                        // Positions count from the first element of the padding.
                        let (start, end) = (output * stride, output * stride + kernel);
                        let first = start.max(padding) - padding;
                        let len = (end.max(padding) - padding).min(size) - first;
                        let padded = end.min(size + 2 * padding) - start;
                        let count = if shape.count_include_pad { padded } else { len };
                        (Window { start: first, len }, count)
                    })
                    .collect()
            }
            Self::Adaptive(shape) => {
                let size = [shape.height, shape.width][axis] as u128;
                let out = outputs.end as u128;
                outputs
                    .map(|output| {
                        let start = (output as u128 * size / out) as usize;
                        let len = ((output as u128 + 1) * size).div_ceil(out) as usize - start;
                        (Window { start, len }, len)
                    })
                    .collect()
            }
        }
    }
}

/// Max pooling on the kernels, NHWC.
struct MaxPool {
    op: &'static str,
    windows: Windows,
    out_shape: [usize; 4],
    /// Where each maximum was found: written by the forward pass, read by the backward pass.
    argmax: OnceLock<Vec<Argmax>>,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        self.op
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let xs = elements(self.op, xs, layout)?;
        let len = self.out_shape.iter().product();
        let (mut ys, mut argmax) = (vec![0.0; len], vec![0; len]);
        match &self.windows {
            Windows::Sliding(shape) => kernel::max_forward(shape, xs, &mut ys, &mut argmax),
            Windows::Adaptive(shape) => kernel::adaptive_max_forward(shape, xs, &mut ys, &mut argmax),
        }
        .map_err(Error::from)?;
        // A second forward through the same object would find the same places.
        let _ = self.argmax.set(argmax);
        Ok((CpuStorage::F32(ys), (&self.out_shape).into()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, dys: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let Some(argmax) = self.argmax.get() else {
            candle_core::bail!("{}: backward before forward", self.op)
        };
        let mut dxs = vec![0.0; xs.elem_count()];
        with_elements(self.op, [dys], |[dys]| {
            Ok(match &self.windows {
                Windows::Sliding(shape) => kernel::max_backward(shape, dys, argmax, None, &mut dxs),
                Windows::Adaptive(shape) => kernel::adaptive_max_backward(shape, dys, argmax, None, &mut dxs),
            }
            .map_err(Error::from)?)
        })?;
        Ok(Some(Tensor::from_vec(dxs, xs.shape(), xs.device())?))
    }
}

/// Average pooling on the kernels, NHWC.
struct AvgPool {
    op: &'static str,
    windows: Windows,
    out_shape: [usize; 4],
}

impl CustomOp1 for AvgPool {
    fn name(&self) -> &'static str {
        self.op
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let xs = elements(self.op, xs, layout)?;
        let mut ys = vec![0.0; self.out_shape.iter().product()];
        match &self.windows {
            Windows::Sliding(shape) => kernel::avg_forward(shape, xs, &mut ys),
            Windows::Adaptive(shape) => kernel::adaptive_avg_forward(shape, xs, &mut ys),
        }
        .map_err(Error::from)?;
        Ok((CpuStorage::F32(ys), (&self.out_shape).into()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, dys: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let mut dxs = vec![0.0; xs.elem_count()];
        with_elements(self.op, [dys], |[dys]| {
            Ok(match &self.windows {
                Windows::Sliding(shape) => kernel::avg_backward(shape, dys, &mut dxs),
                Windows::Adaptive(shape) => kernel::adaptive_avg_backward(shape, dys, &mut dxs),
            }
            .map_err(Error::from)?)
        })?;
        Ok(Some(Tensor::from_vec(dxs, xs.shape(), xs.device())?))
    }
}

/// The same from candle operations, for every device and type; `xs` is `[batch, channels, height, width]`.
///
/// candle's own `max_pool2d` and `avg_pool2d` are not used: their gradients are wrong or missing unless the kernel
/// equals the stride and divides the input.
fn by_composition(xs: &Tensor, kind: Kind, windows: &Windows) -> Result<Tensor> {
    let reduction = if kind == Kind::Max {
        Reduction::Max
    } else {
        Reduction::Sum
    };
    let [(rows, row_counts), (columns, column_counts)]: [(Vec<Window>, Vec<usize>); 2] =
        [0, 1].map(|axis| windows.along(axis).into_iter().unzip());
    // Columns first: then the first of equal maxima in a row, and of equal rows the first, is chosen.
    let ys = reduce_windows(&reduce_windows(xs, 3, &columns, reduction)?, 2, &rows, reduction)?;
    if kind == Kind::Max {
        return Ok(ys);
    }
    let shares: Vec<f64> = row_counts
        .iter()
        .flat_map(|&rows| {
            column_counts
                .iter()
                .map(move |&columns| 1.0 / (rows * columns) as f64)
        })
        .collect();
    let [out_height, out_width] = windows.out_size();
    let shares = Tensor::from_vec(shares, (out_height, out_width), &candle_core::Device::Cpu)?;
    Ok(ys.broadcast_mul(&shares.to_dtype(xs.dtype())?.to_device(xs.device())?)?)
}

//! Local response normalisation across channels, from AlexNet
//! ([Krizhevsky et al. 2012](https://papers.nips.cc/paper/4824), section 3.3).

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use d2l_kernels::lrn as kernel;

use super::check::{ChannelOrder, image_dims, same_kind};
use super::layout::{in_channels_first, in_channels_last};
use super::path::{takes_kernel, widened};
use super::storage::{elements, with_elements};
use crate::{Error, Result};

const OP: &str = "local_response_norm";

/// `ys_c = xs_c / (k + alpha/size · Σ xs_j²)^beta` over the `size` channels `j` from `c − ⌊size/2⌋` to
/// `c + ⌊(size − 1)/2⌋`, as in PyTorch. (The paper has alpha where this has alpha/size.)
///
/// # Shapes
/// `[batch, channels, height, width]` → the same.
///
/// # Errors
/// Another rank, a size of 0, no floating-point type.
pub fn local_response_norm(xs: &Tensor, size: usize, alpha: f64, beta: f64, k: f64) -> Result<Tensor> {
    local_response_norm_in(ChannelOrder::First, xs, size, alpha, beta, k)
}

pub(crate) fn local_response_norm_in(
    order: ChannelOrder,
    xs: &Tensor,
    size: usize,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result<Tensor> {
    same_kind(OP, &[("xs", xs)])?;
    let dims = image_dims(OP, xs, order)?;
    if size == 0 {
        return Err(Error::Options {
            op: OP,
            message: "size must be at least 1, got 0".to_string(),
        });
    }
    let wide = widened(xs)?;
    let ys = if takes_kernel(OP, &wide)? {
        let norm = kernel::LocalResponseNorm {
            rows: dims.batch * dims.height * dims.width,
            channels: dims.channels,
            size,
            alpha: alpha as f32,
            beta: beta as f32,
            k: k as f32,
        };
        in_channels_last(order, &wide, |xs| {
            Ok(xs.contiguous()?.apply_op1(LocalResponseNorm { norm })?)
        })?
    } else {
        in_channels_first(order, &wide, |xs| {
            by_composition(xs, dims.channels, size, alpha, beta, k)
        })?
    };
    Ok(ys.to_dtype(xs.dtype())?)
}

/// The operation on the kernels, NHWC.
struct LocalResponseNorm {
    norm: kernel::LocalResponseNorm,
}

impl CustomOp1 for LocalResponseNorm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let xs = elements(OP, xs, layout)?;
        let mut ys = vec![0.0; xs.len()];
        kernel::forward(&self.norm, xs, &mut ys).map_err(Error::from)?;
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, dys: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let mut dxs = vec![0.0; xs.elem_count()];
        with_elements(OP, [xs, dys], |[xs, dys]| {
            Ok(kernel::backward(&self.norm, xs, dys, &mut dxs).map_err(Error::from)?)
        })?;
        Ok(Some(Tensor::from_vec(dxs, xs.shape(), xs.device())?))
    }
}

/// The same from candle operations, for every device and type; `xs` is `[batch, channels, height, width]`.
fn by_composition(
    xs: &Tensor,
    channels: usize,
    size: usize,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result<Tensor> {
    let before = size / 2;
    let squares = xs.sqr()?.pad_with_zeros(1, before, size - 1 - before)?;
    let mut sum = squares.narrow(1, 0, channels)?;
    for offset in 1..size {
        sum = (sum + squares.narrow(1, offset, channels)?)?;
    }
    Ok((xs * sum.affine(alpha / size as f64, k)?.powf(-beta)?)?)
}

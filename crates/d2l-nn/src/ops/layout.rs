//! Between `[batch, channels, height, width]` and `[batch, height, width, channels]`.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use d2l_kernels::layout as kernel;

use super::check::{ChannelOrder, ImageDims, image_dims, same_kind};
use super::path::takes_kernel;
use super::storage::{elements, with_elements};
use crate::{Error, Result};

/// `[batch, channels, height, width]` → contiguous `[batch, height, width, channels]`.
///
/// # Errors
/// `xs` has another rank, a dimension of size 0 other than the batch, or no floating-point type.
pub fn to_nhwc(xs: &Tensor) -> Result<Tensor> {
    reorder("to_nhwc", xs, ChannelOrder::First)
}

/// `[batch, height, width, channels]` → contiguous `[batch, channels, height, width]`.
///
/// # Errors
/// As [`to_nhwc`].
pub fn to_nchw(xs: &Tensor) -> Result<Tensor> {
    reorder("to_nchw", xs, ChannelOrder::Last)
}

/// One row per example: `[batch, ..]` → `[batch, product of the rest]`, as the first fully connected layer of a
/// network takes it. Features are in the order of `xs`'s dimensions, so weights trained on
/// `[batch, channels, height, width]` need that order here.
///
/// # Errors
/// `xs` is a scalar.
pub fn flatten(xs: &Tensor) -> Result<Tensor> {
    let Some((&batch, rest)) = xs.dims().split_first() else {
        return Err(Error::Rank {
            op: "flatten",
            name: "xs",
            expected: "[batch, ..]",
            shape: Vec::new(),
        });
    };
    Ok(xs.reshape((batch, rest.iter().product::<usize>()))?)
}

/// Runs `f` on `xs` with the channels last, whatever the order of `xs`, and gives back the result in that order.
pub(crate) fn in_channels_last(
    order: ChannelOrder,
    xs: &Tensor,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    match order {
        ChannelOrder::First => to_nchw(&f(&to_nhwc(xs)?)?),
        ChannelOrder::Last => f(xs),
    }
}

/// Runs `f` on `xs` with the channels first, whatever the order of `xs`, and gives back the result in that order.
pub(crate) fn in_channels_first(
    order: ChannelOrder,
    xs: &Tensor,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    match order {
        ChannelOrder::First => f(xs),
        ChannelOrder::Last => Ok(f(&xs.permute((0, 3, 1, 2))?)?.permute((0, 2, 3, 1))?),
    }
}

fn reorder(op: &'static str, xs: &Tensor, from: ChannelOrder) -> Result<Tensor> {
    same_kind(op, &[("xs", xs)])?;
    let dims = image_dims(op, xs, from)?;
    let ImageDims {
        batch,
        channels,
        height,
        width,
    } = dims;
    let to = match from {
        ChannelOrder::First => ChannelOrder::Last,
        ChannelOrder::Last => ChannelOrder::First,
    };
    if channels == 1 || height * width == 1 {
        return Ok(xs
            .contiguous()?
            .reshape(&ImageDims::shape(to, batch, channels, [height, width]))?);
    }
    if takes_kernel(op, xs)? {
        return Ok(xs.contiguous()?.apply_op1(Reorder { op, from, dims })?);
    }
    Ok(match from {
        ChannelOrder::First => xs.permute((0, 2, 3, 1))?.contiguous()?,
        ChannelOrder::Last => xs.permute((0, 3, 1, 2))?.contiguous()?,
    })
}

struct Reorder {
    op: &'static str,
    from: ChannelOrder,
    dims: ImageDims,
}

impl Reorder {
    fn run(&self, from: ChannelOrder, xs: &[f32]) -> candle_core::Result<Vec<f32>> {
        let ImageDims {
            batch,
            channels,
            height,
            width,
        } = self.dims;
        let mut ys = vec![0.0; xs.len()];
        match from {
            ChannelOrder::First => kernel::nchw_to_nhwc(batch, channels, height * width, xs, &mut ys),
            ChannelOrder::Last => kernel::nhwc_to_nchw(batch, channels, height * width, xs, &mut ys),
        }
        .map_err(Error::from)?;
        Ok(ys)
    }

    fn to(&self) -> ChannelOrder {
        match self.from {
            ChannelOrder::First => ChannelOrder::Last,
            ChannelOrder::Last => ChannelOrder::First,
        }
    }
}

impl CustomOp1 for Reorder {
    fn name(&self) -> &'static str {
        self.op
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let ImageDims {
            batch,
            channels,
            height,
            width,
        } = self.dims;
        let ys = self.run(self.from, elements(self.op, xs, layout)?)?;
        let shape = ImageDims::shape(self.to(), batch, channels, [height, width]);
        Ok((CpuStorage::F32(ys), (&shape).into()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, dys: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let dxs = with_elements(self.op, [dys], |[dys]| self.run(self.to(), dys))?;
        Ok(Some(Tensor::from_vec(dxs, xs.shape(), xs.device())?))
    }
}

//! The checks that operations share. Each returns an error that names the operation and the shapes.

use candle_core::Tensor;

use super::path::device_name;
use crate::{Error, Result};

/// Where the channels of an image tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelOrder {
    /// `[batch, channels, height, width]`, candle's and PyTorch's convention.
    First,
    /// `[batch, height, width, channels]`, what the kernels read.
    Last,
}

/// The dimensions of an image tensor, in whichever order it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageDims {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl ImageDims {
    /// The shape of an image tensor with other channels, height and width but this batch.
    pub(crate) fn shape(order: ChannelOrder, batch: usize, channels: usize, size: [usize; 2]) -> [usize; 4] {
        let [height, width] = size;
        match order {
            ChannelOrder::First => [batch, channels, height, width],
            ChannelOrder::Last => [batch, height, width, channels],
        }
    }
}

/// Dimensions of `xs`, which must have four; all but the batch must be at least 1.
pub(crate) fn image_dims(op: &'static str, xs: &Tensor, order: ChannelOrder) -> Result<ImageDims> {
    let expected = match order {
        ChannelOrder::First => "[batch, channels, height, width]",
        ChannelOrder::Last => "[batch, height, width, channels]",
    };
    let dims = match (xs.dims(), order) {
        (&[batch, channels, height, width], ChannelOrder::First)
        | (&[batch, height, width, channels], ChannelOrder::Last) => ImageDims {
            batch,
            channels,
            height,
            width,
        },
        (shape, _) => {
            return Err(Error::Rank {
                op,
                name: "xs",
                expected,
                shape: shape.to_vec(),
            });
        }
    };
    if dims.channels == 0 || dims.height == 0 || dims.width == 0 {
        return Err(Error::Shape {
            op,
            expected: format!("{expected} with every dimension but the batch at least 1"),
            got: format!("xs {:?}", xs.dims()),
        });
    }
    Ok(dims)
}

/// All arguments must have one floating-point type and lie on one device.
pub(crate) fn same_kind(op: &'static str, arguments: &[(&'static str, &Tensor)]) -> Result<()> {
    let Some(&(name, first)) = arguments.first() else {
        return Ok(());
    };
    if !first.dtype().is_float() {
        return Err(Error::DType {
            op,
            name,
            expected: "a floating-point tensor",
            dtype: first.dtype(),
            shape: first.dims().to_vec(),
        });
    }
    let same =
        |tensor: &Tensor| tensor.dtype() == first.dtype() && tensor.device().same_device(first.device());
    if arguments.iter().all(|(_, tensor)| same(tensor)) {
        return Ok(());
    }
    let arguments = arguments
        .iter()
        .map(|(name, tensor)| {
            let (dtype, device) = (tensor.dtype(), device_name(tensor.device()));
            format!("{name} {dtype:?} {:?} on {device}", tensor.dims())
        })
        .collect::<Vec<_>>()
        .join(", ");
    Err(Error::Mixed { op, arguments })
}

/// A vector argument, such as a bias, must have exactly `len` elements.
pub(crate) fn vector_len(
    op: &'static str,
    name: &'static str,
    vector: &Tensor,
    len: usize,
    why: &str,
    xs: &Tensor,
) -> Result<()> {
    if vector.dims() == [len] {
        return Ok(());
    }
    Err(Error::Shape {
        op,
        expected: format!("{name} [{len}] ({why})"),
        got: format!("{name} {:?} with xs {:?}", vector.dims(), xs.dims()),
    })
}

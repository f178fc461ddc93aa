use super::{Io, Op, Reads};
use crate::{Result, layers::PoolKind};
use d2l_kernels::pool::{self as kernel, AdaptivePool2dShape, Argmax, Pool2dShape};

/// The windows of a pooling, for a batch of one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Windows {
    Sliding(Pool2dShape),
    Adaptive(AdaptivePool2dShape),
}

impl Windows {
    fn of(self, batch: usize) -> Self {
        match self {
            Self::Sliding(shape) => Self::Sliding(Pool2dShape { batch, ..shape }),
            Self::Adaptive(shape) => Self::Adaptive(AdaptivePool2dShape { batch, ..shape }),
        }
    }
}

/// Pooling of NHWC activations.
#[derive(Debug)]
pub(crate) struct Pool2d {
    pub(crate) kind: PoolKind,
    pub(crate) windows: Windows,
    /// Elements of an output.
    pub(crate) len: usize,
    /// Whether the gradient of the ReLU before it is part of the backward pass.
    pub(crate) masks: bool,
    /// Where the maxima were; empty for averages.
    pub(crate) argmax: Vec<Argmax>,
}

impl Op for Pool2d {
    fn kind(&self) -> &'static str {
        "Pool2d"
    }

    fn reads(&self) -> Reads {
        Reads {
            inputs: false,
            output: self.masks,
        }
    }

    fn bytes(&self) -> usize {
        match self.kind {
            PoolKind::Max => self.len * size_of::<Argmax>(),
            PoolKind::Average => 0,
        }
    }

    fn prepare(&mut self, batch: usize) {
        if self.kind == PoolKind::Max {
            self.argmax = vec![0; self.len * batch];
        }
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (kind, windows) = (self.kind, self.windows.of(io.batch));
        let taken = (self.len * io.batch).min(self.argmax.len());
        let argmax = self.argmax.get_mut(..taken).unwrap_or_default();
        io.write_output(|io, ys| {
            let xs = io.input(0);
            match (kind, &windows) {
                (PoolKind::Max, Windows::Sliding(shape)) => kernel::max_forward(shape, xs, ys, argmax)?,
                (PoolKind::Max, Windows::Adaptive(shape)) => {
                    kernel::adaptive_max_forward(shape, xs, ys, argmax)?
                }
                (PoolKind::Average, Windows::Sliding(shape)) => kernel::avg_forward(shape, xs, ys)?,
                (PoolKind::Average, Windows::Adaptive(shape)) => kernel::adaptive_avg_forward(shape, xs, ys)?,
            }
            Ok(())
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (kind, windows) = (self.kind, self.windows.of(io.batch));
        let taken = (self.len * io.batch).min(self.argmax.len());
        let argmax = self.argmax.get(..taken).unwrap_or_default();
        let masks = self.masks;
        io.write_input_gradient(0, |io, dxs| {
            let (dys, mask) = (io.output_gradient(), masks.then(|| io.output()));
            match (kind, &windows) {
                (PoolKind::Max, Windows::Sliding(shape)) => {
                    kernel::max_backward(shape, dys, argmax, mask, dxs)?
                }
                (PoolKind::Max, Windows::Adaptive(shape)) => {
                    kernel::adaptive_max_backward(shape, dys, argmax, mask, dxs)?
                }
                (PoolKind::Average, Windows::Sliding(shape)) => kernel::avg_backward(shape, dys, dxs)?,
                (PoolKind::Average, Windows::Adaptive(shape)) => {
                    kernel::adaptive_avg_backward(shape, dys, dxs)?
                }
            }
            Ok(())
        })
    }

    fn can_mask(&self) -> bool {
        self.kind == PoolKind::Max
    }

    fn take_mask(&mut self) {
        self.masks = true;
    }

    fn survives_relu(&self) -> bool {
        // Its own mask asks whether the output is above 0, which ReLU does not change.
        true
    }
}

//! The kinds of nodes that a plan is made of: for each, forward and backward over the plan's buffers.

mod activation;
mod batch_norm;
mod conv2d;
mod custom;
mod dropout;
mod join;
mod linear;
mod lrn;
mod permute;
mod pool2d;

pub(super) use activation::Activation;
pub(super) use batch_norm::BatchNorm;
pub(super) use conv2d::Conv2d;
pub(super) use custom::Custom;
pub(super) use dropout::Dropout;
pub(super) use join::{Add, Concat};
pub(super) use linear::Linear;
pub(super) use lrn::LocalResponseNorm;
pub(super) use permute::Permute;
pub(super) use pool2d::{Pool2d, Windows};

use super::{ScratchNeed, io::Io, params::ParamId};
use crate::Result;

/// What a node's backward pass reads again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) inputs: bool,
    pub(super) output: bool,
}

/// What a node computes beside its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passes {
    pub(super) weight_gradient: bool,
    pub(super) input_gradient: bool,
}

/// A node.
pub(super) trait Op: Send {
    /// What it is called in a profile.
    fn kind(&self) -> &'static str;

    /// What its backward pass reads.
    fn reads(&self) -> Reads;

    /// Its parameters and buffers.
    fn params(&self) -> Vec<ParamId> {
        Vec::new()
    }

    /// Multiplications and additions of the forward pass, per example.
    fn flops(&self) -> f64 {
        0.0
    }

    /// Bytes of its own per example, beside the plan's buffers.
    fn bytes(&self) -> usize {
        0
    }

    /// What its kernels take within a pass over `batch` examples.
    fn scratch(&self, batch: usize, passes: Passes) -> ScratchNeed {
        let _ = (batch, passes);
        ScratchNeed::default()
    }

    /// Allocates what it needs for batches of up to `batch` examples.
    fn prepare(&mut self, batch: usize) {
        let _ = batch;
    }

    /// Writes the output.
    fn forward(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// Writes the gradients of inputs and parameters. The gradient of the output may be used up.
    fn backward(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// Whether the gradient of input `index` is written with [`Io::add_input_gradient`].
    fn adds_directly(&self, index: usize) -> bool {
        let _ = index;
        false
    }

    /// For a convolution followed by ReLU: leaves ReLU's gradient to the pooling that comes next. Whether it can.
    fn leave_mask_to_consumer(&mut self) -> bool {
        false
    }

    /// For max pooling: takes over the gradient of a ReLU that its input came from. Whether it can.
    fn can_mask(&self) -> bool {
        false
    }

    /// See [`Self::can_mask`].
    fn take_mask(&mut self) {}

    /// Takes the ReLU that follows into this node. Whether it can.
    fn fuse_relu(&mut self) -> bool {
        false
    }

    /// Takes the sum with one more input that follows into this node. Whether it can.
    fn fuse_add(&mut self) -> bool {
        false
    }

    /// Whether the gradient of a value that this node wrote can still be had after its output was replaced by ReLU of
    /// it.
    fn survives_relu(&self) -> bool {
        !self.reads().output
    }
}

//! The gradients of a step, as callbacks see them.

use crate::{Result, engine::Engine};
use candle_core::Tensor;

/// The gradients of the step in hand, after the last of its batches and before they are clipped. Nothing is computed or
/// copied but what is asked for.
pub struct StepGradients<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) epoch: u64,
    pub(crate) step: u64,
    pub(crate) ends_epoch: bool,
}

impl StepGradients<'_> {
    /// The epoch, from 1.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The step being made, counted over the run from 1.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Whether it is the last step of its epoch.
    pub fn ends_epoch(&self) -> bool {
        self.ends_epoch
    }

    /// The names of the parameters that have a gradient.
    pub fn names(&self) -> Vec<&str> {
        self.engine.names()
    }

    /// The gradient of a parameter, in the shape of its variable; `None` where the loss does not depend on it, it is
    /// frozen, or there is no such parameter.
    ///
    /// # Errors
    /// When the device fails.
    pub fn get(&self, name: &str) -> Result<Option<Tensor>> {
        self.engine.gradient(name)
    }

    /// The L2 norm of all gradients taken as one vector.
    ///
    /// # Errors
    /// When the device fails.
    pub fn norm(&self) -> Result<f64> {
        self.engine.norm()
    }
}

impl std::fmt::Debug for StepGradients<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepGradients")
            .field("step", &self.step)
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}

use super::{Mode, Plan};
use crate::{Error, Model, Result};
use candle_core::{Device, Tensor};
use candle_nn::ModuleT;
use std::sync::{Mutex, PoisonError};

/// A model as a module that answers through a plan: [`Mode::Infer`] with its fusions.
///
/// The plan is laid out for the first batch, and anew for one that is larger.
pub struct Inference<'m> {
    model: &'m Model,
    plan: Mutex<Option<Plan>>,
}

impl<'m> Inference<'m> {
    /// For the parameters that `model` has when its first batch comes, or at the last [`Self::refresh`].
    pub fn new(model: &'m Model) -> Self {
        Self {
            model,
            plan: Mutex::new(None),
        }
    }

    /// Takes note that the model's parameters have changed.
    ///
    /// # Errors
    /// When a parameter has gone.
    pub fn refresh(&self) -> Result<()> {
        self.lock().as_mut().map_or(Ok(()), Plan::pull)
    }

    fn run(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        if train {
            return Err(Error::msg("a plan for inference cannot train"));
        }
        let batch = xs.dims().first().copied().unwrap_or(0);
        let mut plan = self.lock();
        if plan.as_ref().is_none_or(|plan| plan.batch() < batch) {
            // The old one goes first, so that the two are never there at once.
            *plan = None;
        }
        let plan = match &mut *plan {
            Some(plan) => plan,
            none => none.insert(self.model.plan(Mode::Infer, batch)?),
        };
        let shape = [&[batch], plan.output_shape()].concat();
        plan.forward(xs, |ys| Ok(Tensor::from_slice(ys, shape, &Device::Cpu)?))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Plan>> {
        // A plan that panicked half-way has lost nothing but values that its next pass writes anew.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModuleT for Inference<'_> {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        Ok(self.run(xs, train)?)
    }
}

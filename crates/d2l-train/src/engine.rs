//! How a step is computed: through candle's autograd, which works for every module on every device, or through a
//! [`Plan`] of a network on the CPU.

use crate::{
    Batch, Clip, Error, Optimizer, Result, Task,
    loss::{Loss, scalar},
    metrics::{class_indices, to_f64},
};
use candle_core::{Device, Tensor, Var};
use d2l_kernels::optim::{scale, sum_of_squares};
use d2l_nn::{
    Model,
    ops::cross_entropy_with_gradient,
    plan::{Inference, Mode, Plan},
};
use std::{cell::Cell, rc::Rc};

/// A model that trains through a plan.
pub(crate) struct Planned<'a> {
    model: &'a Model,
    plan: Plan,
    inference: Rc<Inference<'a>>,
    /// Whether the plan has learned what the model's parameters do not show yet.
    ahead: Cell<bool>,
}

/// What came out of a planned step.
pub(crate) struct Step {
    pub(crate) loss: f64,
    /// Examples classified rightly.
    pub(crate) correct: u64,
}

impl<'a> Planned<'a> {
    pub(crate) fn new(model: &'a Model, batch: usize) -> Result<Self> {
        Ok(Self {
            model,
            plan: model.plan(Mode::Train, batch)?,
            inference: Rc::new(Inference::new(model)),
            ahead: Cell::new(false),
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Forward, loss and backward of a batch.
    pub(crate) fn step(&mut self, batch: &Batch, loss: &dyn Loss, task: Task) -> Result<Step> {
        let Self { model, plan, .. } = self;
        if batch.len > plan.batch() {
            // The data come in larger batches than was said; the plan grows once.
            plan.push()?;
            *plan = model.plan(Mode::Train, batch.len)?;
        }
        let shape = [&[batch.len], plan.output_shape()].concat();
        let mut failure = None;
        let result = plan.step(&batch.xs, model.step(), |output, gradient| {
            let value = loss_and_gradient(loss, output, &shape, &batch.ys, gradient);
            let correct = match task {
                Task::Regression => Ok(0),
                Task::Classification => correct(output, &batch.ys),
            };
            match (value, correct) {
                (Ok(loss), Ok(correct)) => Ok(Step { loss, correct }),
                (Err(error), _) | (_, Err(error)) => {
                    failure = Some(error);
                    Err(d2l_nn::Error::msg("the loss failed"))
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        model.set_step(model.step() + 1);
        Ok(result?)
    }

    /// Brings the gradients within the limits; returns their norm from before it was limited, if it was looked at.
    pub(crate) fn clip(&mut self, clip: &Clip) -> Option<f64> {
        if let Some(limit) = clip.value {
            let limit = limit as f32;
            for (_, gradient) in self.plan.gradients_mut() {
                gradient.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
            }
        }
        let limit = clip.norm?;
        let squares = self
            .plan
            .gradients()
            .map(|(_, gradient)| sum_of_squares(gradient));
        let norm = squares.sum::<f64>().sqrt();
        // PyTorch's guard against a norm of 0.
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            for (_, gradient) in self.plan.gradients_mut() {
                scale(factor as f32, gradient);
            }
        }
        Some(norm)
    }

    /// Updates the parameters.
    pub(crate) fn update(&mut self, optimizer: &mut Optimizer, learning_rate: f64) -> Result<()> {
        self.ahead.set(true);
        let mut failure = None;
        let result = self.plan.update(&mut |name, values, gradient| {
            optimizer
                .step_slice(name, values, gradient, learning_rate)
                .map_err(|error| {
                    failure = Some(error);
                    d2l_nn::Error::msg("the optimiser failed")
                })
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(result?),
        }
    }

    /// Adds the first gradient that is not finite to an error that names no parameter yet.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Error::NonFinite(mut error) = error else {
            return error;
        };
        if error.culprit.is_none() {
            let mut gradients = self.plan.gradients();
            error.culprit = gradients
                .find(|(_, gradient)| gradient.iter().any(|g| !g.is_finite()))
                .map(|(name, _)| format!("the gradient of `{name}`"));
        }
        Error::NonFinite(error)
    }

    /// Makes the model's parameters show what the plan has learned.
    pub(crate) fn push(&self) -> Result<()> {
        if self.ahead.get() {
            self.plan.push()?;
            self.ahead.set(false);
        }
        Ok(())
    }

    /// Takes over parameters that were changed from outside.
    pub(crate) fn pull(&mut self) -> Result<()> {
        self.ahead.set(false);
        Ok(self.plan.pull()?)
    }

    /// The model as it is now, for evaluation.
    pub(crate) fn inference(&self) -> Result<Rc<Inference<'a>>> {
        self.push()?;
        self.inference.refresh()?;
        Ok(Rc::clone(&self.inference))
    }
}

/// The loss of a batch, with its gradient.
fn loss_and_gradient(
    loss: &dyn Loss,
    output: &[f32],
    shape: &[usize],
    targets: &Tensor,
    gradient: &mut [f32],
) -> Result<f64> {
    if let Some(options) = loss.as_cross_entropy()
        && targets.rank() == 1
        && shape.len() == 2
    {
        return Ok(cross_entropy_with_gradient(output, targets, options, gradient)?);
    }
    let output = Var::from_slice(output, shape, &Device::Cpu)?;
    let value = scalar(loss.loss(output.as_tensor(), targets)?)?;
    match value.backward()?.get(output.as_tensor()) {
        Some(found) => gradient.copy_from_slice(&found.flatten_all()?.to_vec1::<f32>()?),
        None => gradient.fill(0.0),
    }
    to_f64(&value)
}

/// How many rows of `output` are largest at their target.
fn correct(output: &[f32], targets: &Tensor) -> Result<u64> {
    let targets: Vec<u32> = class_indices(targets)?.to_vec1()?;
    let classes = output.len() / targets.len().max(1);
    let rows = output.chunks_exact(classes.max(1)).zip(targets);
    let largest = |row: &[f32]| {
        let mut best = (0, f32::NEG_INFINITY);
        for (class, &value) in row.iter().enumerate() {
            if value > best.1 {
                best = (class, value);
            }
        }
        best.0
    };
    Ok(rows
        .filter(|(row, target)| largest(row) == *target as usize)
        .count() as u64)
}

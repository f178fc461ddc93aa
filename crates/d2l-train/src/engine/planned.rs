use super::{Engine, Share};
use crate::{
    Batch, Clip, Optimizer, Result, Run, Task,
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
    /// The gradients of a step's earlier batches while the plan computes those of the next; laid out when a step first
    /// has a second batch.
    earlier: Vec<Vec<f32>>,
}

/// What came out of a planned pass.
struct Pass {
    loss: f64,
    /// Examples classified rightly.
    correct: u64,
}

impl<'a> Planned<'a> {
    pub(crate) fn new(model: &'a Model, batch: usize) -> Result<Self> {
        Ok(Self {
            model,
            plan: model.plan(Mode::Train, batch)?,
            inference: Rc::new(Inference::new(model)),
            ahead: Cell::new(false),
            earlier: Vec::new(),
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Forward, loss and backward of a batch.
    fn pass(&mut self, batch: &Batch, loss: &dyn Loss, task: Task) -> Result<Pass> {
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
                (Ok(loss), Ok(correct)) => Ok(Pass { loss, correct }),
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

    /// Keeps the gradients, which the next pass overwrites.
    fn keep_gradients(&mut self) {
        let gradients = self.plan.gradients().map(|(_, gradient)| gradient);
        if self.earlier.is_empty() {
            self.earlier = gradients.map(<[f32]>::to_vec).collect();
            return;
        }
        for (kept, gradient) in self.earlier.iter_mut().zip(gradients) {
            kept.copy_from_slice(gradient);
        }
    }

    /// Makes the gradients `before · kept + own · gradient`.
    fn mix_gradients(&mut self, share: Share) {
        let (before, own) = (share.before as f32, share.own as f32);
        for ((_, gradient), kept) in self.plan.gradients_mut().zip(&self.earlier) {
            for (gradient, kept) in gradient.iter_mut().zip(kept) {
                *gradient = before * kept + own * *gradient;
            }
        }
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

impl Engine for Planned<'_> {
    fn backward(&mut self, run: &mut Run<'_>, loss: &dyn Loss, batch: &Batch, share: Share) -> Result<()> {
        if !share.is_first() {
            self.keep_gradients();
        }
        let pass = self.pass(batch, loss, run.options.task)?;
        if !pass.loss.is_finite() {
            // The error looks at the parameters.
            self.push()?;
        }
        run.record_value(pass.loss, pass.correct, batch)?;
        if !share.is_first() {
            self.mix_gradients(share);
        }
        Ok(())
    }

    fn names(&self) -> Vec<&str> {
        self.plan.gradients().map(|(name, _)| name).collect()
    }

    fn gradient(&self, name: &str) -> Result<Option<Tensor>> {
        let learned = self.plan.gradients().any(|(of, _)| of == name);
        Ok(learned.then(|| self.plan.gradient(name)).transpose()?)
    }

    fn norm(&self) -> Result<f64> {
        let gradients = self.plan.gradients();
        let squares = gradients.map(|(_, gradient)| sum_of_squares(gradient));
        Ok(squares.sum::<f64>().sqrt())
    }

    fn clip(&mut self, clip: &Clip) -> Result<Option<f64>> {
        if let Some(limit) = clip.value {
            let limit = limit as f32;
            for (_, gradient) in self.plan.gradients_mut() {
                gradient.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
            }
        }
        let Some(limit) = clip.norm else { return Ok(None) };
        let norm = self.norm()?;
        // PyTorch's guard against a norm of 0.
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            for (_, gradient) in self.plan.gradients_mut() {
                scale(factor as f32, gradient);
            }
        }
        Ok(Some(norm))
    }

    fn update(&mut self, optimizer: &mut Optimizer, learning_rate: f64) -> Result<()> {
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

    fn first_non_finite(&self) -> Option<String> {
        let mut gradients = self.plan.gradients();
        let bad = gradients.find(|(_, gradient)| gradient.iter().any(|g| !g.is_finite()));
        bad.map(|(name, _)| name.to_owned())
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

use super::{Engine, Share};
use crate::{
    Batch, Clip, Optimizer, Result, Run,
    loss::{Loss, scalar},
    optim::Gradients,
};
use candle_core::Tensor;
use candle_nn::ModuleT;
use d2l_nn::SupervisedModel;

/// What is run forward.
#[derive(Clone, Copy)]
pub(crate) enum Forward<'a> {
    /// A module with one output.
    Module(&'a dyn ModuleT),
    /// A network with auxiliary classifiers, whose losses count too.
    Supervised(&'a SupervisedModel),
}

/// A step through candle's autograd.
pub(crate) struct Autograd<'a> {
    forward: Forward<'a>,
    gradients: Gradients,
}

impl<'a> Autograd<'a> {
    pub(crate) fn new(forward: Forward<'a>) -> Self {
        Self {
            forward,
            gradients: Gradients::default(),
        }
    }
}

impl Forward<'_> {
    /// The output, and the loss of all that is trained.
    fn run(self, loss: &dyn Loss, batch: &Batch) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Module(model) => {
                let output = model.forward_t(&batch.xs, true)?;
                let value = scalar(loss.loss(&output, &batch.ys)?)?;
                Ok((output, value))
            }
            Self::Supervised(model) => {
                let output = model.forward_all(&batch.xs, true)?;
                let value = output.loss(&batch.ys, |output, target| Ok(loss.loss(output, target)?))?;
                Ok((output.main, scalar(value)?))
            }
        }
    }
}

impl Engine for Autograd<'_> {
    fn backward(&mut self, run: &mut Run<'_>, loss: &dyn Loss, batch: &Batch, share: Share) -> Result<()> {
        let (output, value) = self.forward.run(loss, batch)?;
        let recorded = run.record(&value, &output, batch);
        let gradients = run.optimizer.gradients(&value.backward()?)?;
        self.gradients = match share.is_first() || recorded.is_err() {
            true => gradients,
            false => self.gradients.mixed(share.before, &gradients, share.own)?,
        };
        recorded
    }

    fn names(&self) -> Vec<&str> {
        let present = self.gradients.iter().filter(|(_, gradient)| gradient.is_some());
        present.map(|(name, _)| name).collect()
    }

    fn gradient(&self, name: &str) -> Result<Option<Tensor>> {
        let found = self.gradients.iter().find(|(of, _)| *of == name);
        Ok(found.and_then(|(_, gradient)| gradient.cloned()))
    }

    fn norm(&self) -> Result<f64> {
        self.gradients.norm()
    }

    fn clip(&mut self, clip: &Clip) -> Result<Option<f64>> {
        self.gradients.clip(clip)
    }

    fn update(&mut self, optimizer: &mut Optimizer, learning_rate: f64) -> Result<()> {
        optimizer.step(&self.gradients, learning_rate)
    }

    fn first_non_finite(&self) -> Option<String> {
        self.gradients.first_non_finite().map(str::to_owned)
    }
}

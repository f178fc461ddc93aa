//! How a step is computed: through candle's autograd ([`Autograd`]), which works for every module on every device, or
//! through a plan of a network on the CPU ([`Planned`]).

mod autograd;
mod planned;
mod shares;

pub(crate) use autograd::{Autograd, Forward};
pub(crate) use planned::Planned;
pub(crate) use shares::{Share, Shares};

use crate::{Batch, Clip, Error, Optimizer, Result, Run, loss::Loss};
use candle_core::Tensor;

/// What computes a step's gradients, and holds them until its update.
pub(crate) trait Engine {
    /// Forward, loss and backward of a batch; its gradients go into those of the step's earlier batches by `share`.
    /// The loss is recorded in `run`.
    fn backward(&mut self, run: &mut Run<'_>, loss: &dyn Loss, batch: &Batch, share: Share) -> Result<()>;

    /// The names of the parameters that have a gradient.
    fn names(&self) -> Vec<&str>;

    /// The gradient of a parameter, in the order and shape of its variable.
    fn gradient(&self, name: &str) -> Result<Option<Tensor>>;

    /// The L2 norm of all gradients taken as one vector.
    fn norm(&self) -> Result<f64>;

    /// Brings the gradients within the limits; returns their norm from before it was limited, if it was looked at.
    fn clip(&mut self, clip: &Clip) -> Result<Option<f64>>;

    /// Updates the parameters.
    fn update(&mut self, optimizer: &mut Optimizer, learning_rate: f64) -> Result<()>;

    /// The name of the first parameter whose gradient is not finite.
    fn first_non_finite(&self) -> Option<String>;
}

/// Adds the first gradient that is not finite to an error that names no parameter yet.
pub(crate) fn explain(engine: &dyn Engine, error: Error) -> Error {
    let Error::NonFinite(mut error) = error else {
        return error;
    };
    if error.culprit.is_none() {
        let name = engine.first_non_finite();
        error.culprit = name.map(|name| format!("the gradient of `{name}`"));
    }
    Error::NonFinite(error)
}

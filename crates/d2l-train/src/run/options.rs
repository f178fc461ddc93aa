//! What a run is to do.

use crate::{Error, Result, schedule::Schedule};
use serde::{Deserialize, Serialize};

/// What is learned, which decides the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Values: the loss is the only metric.
    Regression,
    /// Classes, from outputs `[n, classes]`: accuracy, top k, the confusion matrix.
    Classification,
}

/// Limits on the gradients, applied in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clip {
    /// Every element is brought into `[-value, value]`.
    pub value: Option<f64>,
    /// All gradients are scaled by one factor so that their common L2 norm is at most this
    /// (PyTorch's `clip_grad_norm_`).
    pub norm: Option<f64>,
}

/// How a [`crate::Trainer`] trains.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// What is learned.
    pub task: Task,
    /// The epochs of the run, those before a resume included.
    pub epochs: u64,
    /// How the learning rate goes with time.
    pub schedule: Schedule,
    /// Limits on the gradients.
    pub clip: Clip,
    /// Batches that make one step of the optimiser: their gradients become those of one batch that holds them all, so
    /// that a step may be larger than what fits into memory. The last step of an epoch takes what is left. Hooks,
    /// schedules, checkpoints and stops count steps. Whatever looks at one batch alone still does: batch norm's
    /// statistics are of each of them.
    pub accumulate: usize,
    /// The model's name, kept in checkpoints: a checkpoint of another model is refused.
    pub model: String,
    /// After how many batches losses are read from the device; `None` for every batch on a CPU, and every 32nd
    /// elsewhere. Metrics do not depend on it; how soon a loss that is not finite is noticed does.
    pub read_every: Option<usize>,
}

impl TrainOptions {
    /// Options with a constant learning rate, a step per batch and no clipping.
    pub fn new(task: Task, epochs: u64) -> Self {
        Self {
            task,
            epochs,
            schedule: Schedule::default(),
            clip: Clip::default(),
            accumulate: 1,
            model: String::new(),
            read_every: None,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, limit) in [("value", self.clip.value), ("norm", self.clip.norm)] {
            if limit.is_some_and(|limit| limit.is_nan() || limit <= 0.0) {
                return Err(Error::Invalid(format!(
                    "the gradient clipping {name} must be above 0, got {limit:?}"
                )));
            }
        }
        if self.accumulate == 0 {
            return Err(Error::Invalid(
                "a step needs the gradients of at least 1 batch, got 0".into(),
            ));
        }
        Ok(())
    }
}

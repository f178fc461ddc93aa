//! How far a run is.

use super::Run;
use crate::metrics::TrainMetrics;

/// What an epoch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Training.
    Train,
    /// Evaluating; the number of evaluation batches done, and of all.
    Evaluate(usize, usize),
}

/// How far a run is: all that a progress bar shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What the epoch is doing.
    pub stage: Stage,
    /// The epoch, from 1.
    pub epoch: u64,
    /// The epochs of the run.
    pub epochs: u64,
    /// The batches of this epoch that are done.
    pub batch: usize,
    /// The batches of an epoch.
    pub batches: usize,
    /// The examples of this epoch that are done.
    pub examples: u64,
    /// The mean training loss of this epoch so far.
    pub loss: f64,
    /// The training accuracy of this epoch so far (classification).
    pub accuracy: Option<f64>,
    /// The learning rate.
    pub learning_rate: f64,
    /// Training examples per second, over what this process trained.
    pub examples_per_second: f64,
    /// Seconds that the rest of this epoch's batches will take; `None` before anything was measured.
    pub epoch_eta_seconds: Option<f64>,
    /// Seconds that the rest of the run's batches will take (evaluations left out).
    pub eta_seconds: Option<f64>,
}

impl Progress {
    pub(super) fn new(run: &Run<'_>, metrics: &TrainMetrics, examples_per_second: f64) -> Self {
        let size = run.size;
        let per_batch = size.examples as f64 / size.batches.max(1) as f64;
        let eta =
            |batches: f64| (examples_per_second > 0.0).then(|| batches * per_batch / examples_per_second);
        let left = size.batches.saturating_sub(run.position.batch) as f64;
        let epochs_after = run.options.epochs.saturating_sub(run.position.epoch + 1) as f64;
        Self {
            stage: run.stage,
            epoch: run.epoch(),
            epochs: run.options.epochs,
            batch: run.position.batch,
            batches: size.batches,
            examples: metrics.examples,
            loss: metrics.loss,
            accuracy: metrics.accuracy,
            learning_rate: run.last_learning_rate(),
            examples_per_second,
            epoch_eta_seconds: eta(left),
            eta_seconds: eta(left + epochs_after * size.batches as f64),
        }
    }
}

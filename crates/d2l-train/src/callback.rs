//! Everything a run does beside training: hooks around its parts.

use crate::{Flow, Outcome, Result, Run, StepGradients, metrics::Evaluation};

/// Something that happens around the fit, its epochs, its batches and its evaluations. All hooks do nothing unless
/// written.
///
/// All callbacks see every event, in the order of [`Callback::order`]; the first reason to stop that any of them
/// gives wins. An error from a hook ends the run at once with that error.
pub trait Callback {
    /// Where this callback stands among the others, smallest first; callbacks of equal order run as they were added.
    /// The orders of this crate's own callbacks are in [`order`].
    fn order(&self) -> i32 {
        order::DEFAULT
    }

    /// Before the first epoch of this call of `fit`; the run may be a resumed one.
    ///
    /// # Errors
    /// As the callback wants.
    fn before_fit(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// Before the batches of an epoch, or of what is left of it in a resumed run.
    ///
    /// # Errors
    /// As the callback wants.
    fn before_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// Before a training step; a stop leaves its batch untrained. A step has one batch, unless
    /// [`crate::TrainOptions::accumulate`] says more.
    ///
    /// # Errors
    /// As the callback wants.
    fn before_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// When the gradients of a step are there and not yet clipped.
    ///
    /// # Errors
    /// As the callback wants.
    fn after_backward(&mut self, gradients: &StepGradients<'_>) -> Result<()> {
        let _ = gradients;
        Ok(())
    }

    /// After a training step, all of whose batches are done.
    ///
    /// # Errors
    /// As the callback wants.
    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// Before the evaluation that ends an epoch.
    ///
    /// # Errors
    /// As the callback wants.
    fn before_evaluation(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// After a batch of the evaluation; a stop gives it up, and a resumed run does it again.
    ///
    /// # Errors
    /// As the callback wants.
    fn after_evaluation_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// After the evaluation, with its result.
    ///
    /// # Errors
    /// As the callback wants.
    fn after_evaluation(&mut self, run: &mut Run<'_>, evaluation: &Evaluation) -> Result<Flow> {
        let _ = (run, evaluation);
        Ok(Flow::Continue)
    }

    /// After an epoch and its evaluation; its record is the last of [`Run::history`].
    ///
    /// # Errors
    /// As the callback wants.
    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let _ = run;
        Ok(Flow::Continue)
    }

    /// When the fit is over, finished or stopped (not when it failed).
    ///
    /// # Errors
    /// As the callback wants.
    fn after_fit(&mut self, run: &mut Run<'_>, outcome: &Outcome) -> Result<()> {
        let _ = (run, outcome);
        Ok(())
    }
}

/// Where this crate's callbacks stand: what writes comes before what decides to stop, and checkpoints come last, so
/// that a checkpoint never claims what is not yet in the log.
pub mod order {
    /// Callbacks that do not say otherwise.
    pub const DEFAULT: i32 = 0;
    /// Logs: [`crate::callbacks::MetricsLog`], [`crate::callbacks::JsonLines`].
    pub const LOG: i32 = 100;
    /// Plots: [`crate::callbacks::Curves`].
    pub const PLOT: i32 = 200;
    /// Reasons to stop: [`crate::callbacks::StopFlag`], [`crate::callbacks::EarlyStopping`].
    pub const STOP: i32 = 300;
    /// [`crate::callbacks::Checkpoints`].
    pub const CHECKPOINT: i32 = 400;
    /// Progress: [`crate::callbacks::OnProgress`].
    pub const PROGRESS: i32 = 500;
}

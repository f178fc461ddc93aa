use crate::{Callback, Flow, Outcome, Progress, Result, Run, callback::order};
use std::time::{Duration, Instant};

/// Shows the run's [`Progress`] to a function, not more often than asked; always at the end of an epoch's training
/// and when the fit is over.
pub struct OnProgress<F> {
    show: F,
    interval: Duration,
    shown: Option<Instant>,
}

impl<F: FnMut(&Progress)> OnProgress<F> {
    /// Calls `show` at most once per `interval`.
    pub fn new(interval: Duration, show: F) -> Self {
        Self {
            show,
            interval,
            shown: None,
        }
    }

    fn show(&mut self, run: &mut Run<'_>, now: bool) -> Result<Flow> {
        if now || self.shown.is_none_or(|shown| shown.elapsed() >= self.interval) {
            (self.show)(&run.progress()?);
            self.shown = Some(Instant::now());
        }
        Ok(Flow::Continue)
    }
}

impl<F: FnMut(&Progress)> Callback for OnProgress<F> {
    fn order(&self) -> i32 {
        order::PROGRESS
    }

    fn before_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.show(run, true)
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let last = run.position().batch == run.batches();
        self.show(run, last)
    }

    fn after_evaluation_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.show(run, false)
    }

    fn after_fit(&mut self, run: &mut Run<'_>, _: &Outcome) -> Result<()> {
        self.show(run, true).map(|_| ())
    }
}

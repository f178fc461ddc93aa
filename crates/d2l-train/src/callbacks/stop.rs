use crate::{Callback, Flow, Result, Run, StopReason, callback::order, metrics::Metric};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Stops the run when a flag is raised, by a handler of Ctrl-C for one.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(pub Arc<AtomicBool>);

impl StopFlag {
    fn flow(&self) -> Result<Flow> {
        Ok(if self.0.load(Ordering::Relaxed) {
            Flow::Stop(StopReason::Interrupted)
        } else {
            Flow::Continue
        })
    }
}

impl Callback for StopFlag {
    fn order(&self) -> i32 {
        order::STOP
    }

    fn before_fit(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.flow()
    }

    fn after_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.flow()
    }

    fn after_evaluation_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.flow()
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        // After the last epoch there is nothing left to stop.
        if run.position().epoch < run.options().epochs {
            self.flow()
        } else {
            Ok(Flow::Continue)
        }
    }
}

/// Stops the run once it has done so many steps, those before a resume included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLimit(pub u64);

impl Callback for StepLimit {
    fn order(&self) -> i32 {
        order::STOP
    }

    fn before_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        Ok(if run.step() < self.0 {
            Flow::Continue
        } else {
            Flow::Stop(StopReason::StepLimit(self.0))
        })
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.before_batch(run)
    }
}

/// Stops the run when a metric has not improved for some epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStopping {
    /// The metric.
    pub metric: Metric,
    /// The epochs to wait for something better.
    pub patience: u64,
    /// What counts as better: a change by more than this.
    pub min_change: f64,
}

impl EarlyStopping {
    /// Looks at all epochs done, so that a resumed run needs no state of this callback.
    fn flow(&self, run: &Run<'_>) -> Flow {
        let mut best: Option<(u64, f64)> = None;
        for record in run.history() {
            if let Some(value) = self.metric.of(record)
                && best.is_none_or(|(_, best)| self.metric.better(value, best, self.min_change))
            {
                best = Some((record.epoch, value));
            }
        }
        let waited = best.map_or(0, |(epoch, _)| run.position().epoch - epoch);
        match best {
            Some((best_epoch, _)) if waited >= self.patience.max(1) => {
                Flow::Stop(StopReason::EarlyStopping {
                    metric: self.metric,
                    best_epoch,
                    patience: waited,
                })
            }
            _ => Flow::Continue,
        }
    }
}

impl Callback for EarlyStopping {
    fn order(&self) -> i32 {
        order::STOP
    }

    fn before_fit(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        Ok(self.flow(run))
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        Ok(self.flow(run))
    }
}

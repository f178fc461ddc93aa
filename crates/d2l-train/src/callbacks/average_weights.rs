use crate::{Averaging, Callback, Flow, Result, Run};

/// Averages the weights over the run ([`crate::Averages`], in [`Run::averages`]) and keeps them in the checkpoints.
/// The training itself is not changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AverageWeights(pub Averaging);

impl Callback for AverageWeights {
    fn before_fit(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.0.check()?;
        run.averages.get_or_insert_default();
        Ok(Flow::Continue)
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        if matches!(self.0, Averaging::Ema { .. }) {
            self.take(run)?;
        }
        Ok(Flow::Continue)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        // The position is behind the epoch that has just ended.
        if matches!(self.0, Averaging::Swa { start } if run.position().epoch >= start) {
            self.take(run)?;
        }
        Ok(Flow::Continue)
    }
}

impl AverageWeights {
    fn take(self, run: &mut Run<'_>) -> Result<()> {
        let params = run.store()?.clone();
        run.averages.get_or_insert_default().take(self.0, &params)
    }
}

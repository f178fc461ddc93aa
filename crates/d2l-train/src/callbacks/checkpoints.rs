use crate::{
    Callback, CheckpointFolder, Flow, Outcome, Result, Run, callback::order, checkpoint::Kind,
    metrics::Metric,
};

/// Writes checkpoints: `last` every so often and when the run ends or stops, `best` when its metric improves.
///
/// A run that fails (a loss that is not finite, a full disk) keeps the checkpoints it had.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// Where to.
    pub folder: CheckpointFolder,
    /// Write `last` after every so many epochs; 0 for never.
    pub every_epochs: u64,
    /// Write `last` after every so many steps, within epochs too; 0 for never.
    pub every_steps: u64,
    /// What the best epoch is best in; `None` for test accuracy, else test loss, else training loss, whichever the
    /// run has.
    pub best: Option<Metric>,
}

impl Checkpoints {
    /// Checkpoints after every epoch.
    pub fn new(folder: CheckpointFolder) -> Self {
        Self {
            folder,
            every_epochs: 1,
            every_steps: 0,
            best: None,
        }
    }

    fn save_last(&mut self, run: &mut Run<'_>) -> Result<()> {
        if run.saved != Some(run.position()) {
            self.folder.save(run, Kind::Last)?;
        }
        Ok(())
    }
}

impl Callback for Checkpoints {
    fn order(&self) -> i32 {
        order::CHECKPOINT
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        if self.every_steps > 0 && run.step().is_multiple_of(self.every_steps) {
            self.save_last(run)?;
        }
        Ok(Flow::Continue)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        // `best` before `last`: a run killed between the two trains the epoch again and writes both.
        if let Some(record) = run.history().last() {
            let metric = self.best.unwrap_or(Metric::natural(record));
            if metric
                .best(run.history())
                .is_some_and(|(epoch, _)| epoch == record.epoch)
            {
                self.folder.save(run, Kind::Best)?;
            }
        }
        if self.every_epochs > 0 && run.position().epoch.is_multiple_of(self.every_epochs) {
            self.save_last(run)?;
        }
        Ok(Flow::Continue)
    }

    fn after_fit(&mut self, run: &mut Run<'_>, _: &Outcome) -> Result<()> {
        self.save_last(run)
    }
}

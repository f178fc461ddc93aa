use crate::{Callback, CheckpointFolder, Flow, Result, Run, callback::order};

/// Keeps the checkpoints of the last so many epochs, as `checkpoints/epoch-0007`, besides those of
/// [`super::Checkpoints`]. Any of them can be opened, evaluated, or resumed from ([`crate::Trainer::resume`]).
#[derive(Clone, Debug)]
pub struct KeepLast {
    /// Where to.
    pub folder: CheckpointFolder,
    /// How many epochs to keep.
    pub count: usize,
}

impl Callback for KeepLast {
    /// Before the run's own checkpoints: a run killed between the two trains the epoch again and writes both.
    fn order(&self) -> i32 {
        order::CHECKPOINT - 1
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.folder.save_epoch(run, self.count)?;
        Ok(Flow::Continue)
    }
}

//! The trainer of a run, from its settings.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use d2l_train::{
    BatchSource, Clip, RunDir, Task, TrainOptions, Trainer,
    callbacks::{Checkpoints, Curves, JsonLines, MetricsLog, StopFlag},
    loss::CrossEntropy,
};

use super::screen::{EpochLines, Pipe, Screen};
use super::{Job, Parts, folder};
use crate::config::CheckpointEvery;
use crate::failure::Result;
use crate::machine::Engine;

impl Job<'_> {
    /// The trainer without a callback.
    pub(super) fn trainer<'t>(&self, parts: &'t Parts) -> Result<Trainer<'t>> {
        let plan = self.plan;
        let options = TrainOptions {
            schedule: plan.schedule.clone(),
            clip: Clip {
                norm: plan.clip_norm,
                value: plan.clip_value,
            },
            accumulate: plan.accumulate,
            model: plan.spec.name.to_owned(),
            ..TrainOptions::new(Task::Classification, plan.epochs)
        };
        let optimizer = plan.groups.optimizer(plan.method, &parts.params)?;
        let (model, loss) = (parts.model.model(), parts.loss.clone());
        let mut trainer = Trainer::new(model, &parts.params, loss, optimizer, options)?;
        if parts.model.has_heads() {
            trainer.use_auxiliaries(&parts.model)?;
        }
        if parts.engine == Engine::Plan {
            // No batch is larger than the data set, whatever was asked for.
            let batch = plan.batch_size.min(parts.train.examples()).max(1);
            trainer.use_plan(model, batch)?;
        }
        trainer
            .evaluation_loss(CrossEntropy::default())
            .random_state("dropout", model);
        Ok(trainer)
    }

    pub(super) fn add_callbacks<'t>(
        &self,
        trainer: &mut Trainer<'t>,
        run: &RunDir,
        stop: Arc<AtomicBool>,
        closed: &Arc<AtomicBool>,
    ) -> Result<()> {
        let plan = self.plan;
        let log_every = plan.log_every.unwrap_or(0);
        let mut checkpoints = Checkpoints::new(run.checkpoints());
        (checkpoints.every_epochs, checkpoints.every_steps) = match plan.checkpoint_every {
            CheckpointEvery::Epochs(n) => (n, 0),
            CheckpointEvery::Steps(n) => (0, n),
        };
        let name = folder::name(run.path());
        trainer
            .callback(MetricsLog::new(run.metrics_path(), log_every))
            .callback(Curves {
                folder: run.path().to_owned(),
                name,
            })
            .callback(StopFlag(stop))
            .callback(StopFlag(Arc::clone(closed)))
            .callback(checkpoints);
        for callback in self.extra_callbacks(run)? {
            trainer.boxed_callback(callback);
        }
        self.show_progress(trainer, closed);
        Ok(())
    }

    /// Shows how far the trainer is: JSON lines, or a bar and a line per epoch. Raises `closed` when nobody reads them.
    pub(super) fn show_progress(&self, trainer: &mut Trainer<'_>, closed: &Arc<AtomicBool>) {
        let screen = Screen::new(self.ui);
        if self.ui.json {
            let log_every = self.plan.log_every.unwrap_or(0);
            trainer.callback(JsonLines::new(Pipe::new(Arc::clone(closed)), log_every));
        } else {
            trainer.callback(EpochLines::new(screen.clone(), Arc::clone(closed)));
        }
        trainer.callback(screen.progress());
    }
}

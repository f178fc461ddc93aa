//! Runs that leave nothing behind: `--dry-run` and `--overfit-batch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use d2l_nn::plan::{Mode, PlanMemory};
use d2l_train::{
    Batch, BatchSource, Batches, Callback, Flow, Outcome, Run, StopReason, callbacks::StopFlag, order,
};
use serde_json::json;

use super::super::memory_parts;
use super::{Job, Parts};
use crate::args::Settings;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::machine::{Engine, peak_memory_bytes};
use crate::ui::{bytes, plural};

/// Steps between two looks at whether a batch is learned.
const STEPS: usize = 20;
/// How many looks there are when nobody says otherwise.
const LOOKS: usize = 100;

/// What `--overfit-batch` takes for settings that are left open.
pub(super) fn overfit_settings(settings: &mut Settings) {
    settings.epochs.get_or_insert(LOOKS);
    // "The first batch" is to be the same whatever the seed.
    settings.no_shuffle = Some(true);
}

impl Job<'_> {
    /// Says what would run, and does one step and one batch of an evaluation.
    pub(super) fn dry_run(&self) -> Result<()> {
        let parts = self.build()?;
        let ui = self.ui;
        self.introduce(&parts);
        let memory = self.memory(&parts)?;
        if let Some(memory) = memory {
            ui.fact(
                "Memory",
                format_args!("{} for a step:", bytes(memory.total(self.plan.threads))),
            );
            ui.fact("", memory_parts(&memory, self.plan.threads));
        }
        ui.fact("Run", "none: this is a dry run");
        let mut trainer = self.trainer(&parts)?;
        trainer.callback(OneEpoch);
        let step = First::new(&parts.train, self.plan.accumulate);
        let evaluation = First::new(&parts.test, 1);
        let _: Outcome = trainer.fit(&step, Some(&evaluation))?;
        let Some(record) = trainer.history().last() else {
            return Err(Failure::work("the dry run did no step"));
        };
        let peak = peak_memory_bytes();
        if ui.json {
            let mut document = self.start_record(&parts, None);
            if let Some(fields) = document.as_object_mut() {
                fields.insert("type".into(), json!("dry-run"));
                fields.insert(
                    "step_memory_bytes".into(),
                    json!(memory.map(|memory| memory.total(self.plan.threads))),
                );
                fields.insert("peak_memory_bytes".into(), json!(peak));
                fields.insert("train_loss".into(), json!(record.train_loss));
                fields.insert("test_loss".into(), json!(record.test_loss));
            }
            return ui.json_document(&document);
        }
        ui.line(format_args!("one step        loss {:.4}", record.train_loss))?;
        if let Some(loss) = record.test_loss {
            ui.line(format_args!("one test batch  loss {loss:.4}"))?;
        }
        if let Some(peak) = peak {
            ui.line(format_args!(
                "peak memory     {}, the data set's included",
                bytes(peak)
            ))?;
        }
        Ok(())
    }

    /// The memory of a planned step, with a second set of gradients where they are accumulated.
    fn memory(&self, parts: &Parts) -> Result<Option<PlanMemory>> {
        if parts.engine != Engine::Plan {
            return Ok(None);
        }
        let (plan, network) = (self.plan, &self.plan.supervised.network);
        let batch = plan.batch_size.min(parts.train.examples());
        let mut memory = network.plan_memory(&plan.input, Mode::Train, batch)?;
        if plan.accumulate > 1 {
            memory.gradients *= 2;
        }
        Ok(Some(memory))
    }

    /// Trains on the first batch until all its examples are right, and says whether that came to pass.
    pub(super) fn overfit_batch(&self) -> Result<()> {
        let parts = self.build()?;
        let stop = interrupt::watch()?;
        let closed = Arc::new(AtomicBool::new(false));
        self.introduce(&parts);
        self.ui.fact(
            "Run",
            "none: the first batch alone, to see whether it can be learned",
        );
        let mut batches = parts.train.epoch(0, 0);
        let batch = batches
            .next()
            .unwrap_or_else(|| Err("the training set is empty".into()));
        drop(batches);
        let batch = batch.map_err(|error| Failure::work(format!("the first batch: {error}")))?;
        let examples = batch.len;
        let once = Repeated { batch, times: 1 };
        let often = Repeated {
            times: STEPS * self.plan.accumulate,
            ..once.clone()
        };
        let mut trainer = self.trainer(&parts)?;
        trainer
            .callback(Learned)
            .callback(StopFlag(stop))
            .callback(StopFlag(Arc::clone(&closed)));
        self.show_progress(&mut trainer, &closed);
        let outcome = trainer.fit(&often, Some(&once))?;
        if closed.load(Ordering::SeqCst) {
            return Err(Failure::OutputClosed);
        }
        if outcome == Outcome::Stopped(StopReason::Interrupted) {
            return Err(Failure::Interrupted);
        }
        let run = trainer.run();
        let learned = is_learned(run);
        let last = run.history().last();
        let accuracy = last.and_then(|record| record.test_accuracy).unwrap_or(0.0);
        let loss = last.and_then(|record| record.test_loss).unwrap_or(f64::NAN);
        let steps = plural(run.step() as usize, "step");
        if self.ui.json {
            self.ui.json_line(&json!({
                "type": "overfit",
                "learned": learned,
                "steps": run.step(),
                "examples": examples,
                "loss": loss,
                "accuracy": accuracy,
            }))?;
        }
        if !learned {
            return Err(Failure::work(format!(
                "the batch was not learned: after {steps} {:.1} % of its {examples} examples are right, loss {loss:.4}; \
                 try another --lr, --optimizer adam, or more --epochs (of {STEPS} steps)",
                100.0 * accuracy
            )));
        }
        if !self.ui.json {
            self.ui.line(format_args!(
                "learned: all {examples} examples of the batch are right after {steps}, loss {loss:.4}"
            ))?;
        }
        Ok(())
    }
}

/// Whether all examples were right in the last evaluation.
fn is_learned(run: &Run<'_>) -> bool {
    let last = run.history().last();
    last.is_some_and(|record| record.test_accuracy == Some(1.0))
}

/// Stops once the batch is learned.
struct Learned;

impl Callback for Learned {
    fn order(&self) -> i32 {
        order::STOP
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> d2l_train::Result<Flow> {
        Ok(match is_learned(run) {
            true => Flow::Stop(StopReason::Other("the batch is learned".to_owned())),
            false => Flow::Continue,
        })
    }
}

/// Stops after the first epoch.
struct OneEpoch;

impl Callback for OneEpoch {
    fn after_epoch(&mut self, _: &mut Run<'_>) -> d2l_train::Result<Flow> {
        Ok(Flow::Stop(StopReason::Other("a dry run".to_owned())))
    }
}

/// One batch, over and over.
#[derive(Clone)]
struct Repeated {
    batch: Batch,
    times: usize,
}

impl BatchSource for Repeated {
    fn batches(&self) -> usize {
        self.times
    }

    fn examples(&self) -> usize {
        self.times * self.batch.len
    }

    fn epoch(&self, _: u64, first_batch: usize) -> Batches<'_> {
        Box::new((first_batch..self.times).map(|_| Ok(self.batch.clone())))
    }
}

/// The first batches of a source.
struct First<'a> {
    source: &'a dyn BatchSource,
    batches: usize,
}

impl<'a> First<'a> {
    fn new(source: &'a dyn BatchSource, batches: usize) -> Self {
        let batches = batches.min(source.batches());
        Self { source, batches }
    }
}

impl BatchSource for First<'_> {
    fn batches(&self) -> usize {
        self.batches
    }

    /// As many as there are at most: the last batch may be short.
    fn examples(&self) -> usize {
        let size = self.source.examples().div_ceil(self.source.batches().max(1));
        self.source.examples().min(size * self.batches)
    }

    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_> {
        let left = self.batches.saturating_sub(first_batch);
        Box::new(self.source.epoch(epoch, first_batch).take(left))
    }
}

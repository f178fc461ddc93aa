//! A run: all that changes while a model is trained, as callbacks see it and checkpoints keep it.

mod losses;
mod options;
mod progress;
mod state;
mod warning;

pub use options::{Clip, Task, TrainOptions};
pub use progress::{Progress, Stage};
pub(crate) use state::{DataSize, RunState};
pub use state::{Position, RandomState};
pub use warning::Warning;

use crate::{
    Averages, Error, NonFinite, Optimizer, Result,
    engine::Planned,
    loss::Reduction,
    metrics::{Confusion, EpochRecord, Evaluation, Pending, Running, TrainMetrics, to_f64},
    schedule::At,
};
use candle_core::Tensor;
use d2l_nn::ParamStore;
use losses::StepLoss;
use std::{collections::BTreeMap, time::Instant};

/// A run in progress.
pub struct Run<'a> {
    pub(crate) options: TrainOptions,
    pub(crate) store: ParamStore,
    pub(crate) optimizer: Optimizer,
    /// The plan that the steps run through, if they do.
    pub(crate) planned: Option<Planned<'a>>,
    pub(crate) random: Vec<(String, &'a dyn RandomState)>,
    pub(crate) reduction: Reduction,
    pub(crate) position: Position,
    pub(crate) running: Running,
    pub(crate) history: Vec<EpochRecord>,
    pub(crate) size: DataSize,
    pub(crate) stage: Stage,
    pub(crate) warnings: Vec<Warning>,
    /// Where the newest checkpoint that this process wrote was.
    pub(crate) saved: Option<Position>,
    /// Averaged weights, if a callback keeps them.
    pub(crate) averages: Option<Averages>,
    /// What a callback measured on the part of the training data held out.
    pub(crate) validation: Option<Evaluation>,
    /// The batches of the step in hand that are done. A position is always one between two steps.
    pub(crate) batches_in_hand: usize,
    pending: Vec<Pending>,
    read_every: usize,
    last_loss: Option<StepLoss>,
    confusion: Option<Confusion>,
    mark: Instant,
    /// Seconds of training by this process, with the examples trained in them: the basis of the speed shown.
    trained: (f64, u64),
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        store: &ParamStore,
        optimizer: Optimizer,
        reduction: Reduction,
        options: TrainOptions,
    ) -> Self {
        // Reading a loss from the CPU costs nothing; from another device it waits for all that was queued.
        let read_every = options
            .read_every
            .unwrap_or(if store.device().is_cpu() { 1 } else { 32 })
            .max(1);
        Self {
            options,
            store: store.clone(),
            optimizer,
            planned: None,
            random: Vec::new(),
            reduction,
            position: Position::default(),
            running: Running::default(),
            history: Vec::new(),
            size: DataSize::default(),
            stage: Stage::Train,
            warnings: Vec::new(),
            saved: None,
            averages: None,
            validation: None,
            batches_in_hand: 0,
            pending: Vec::new(),
            read_every,
            last_loss: None,
            confusion: None,
            mark: Instant::now(),
            trained: (0.0, 0),
        }
    }

    /// The options the run was made with.
    pub fn options(&self) -> &TrainOptions {
        &self.options
    }

    /// The parameters and buffers being trained, as they are now.
    ///
    /// # Errors
    /// When the model's plan has lost a parameter.
    pub fn store(&self) -> Result<&ParamStore> {
        if let Some(planned) = &self.planned {
            planned.push()?;
        }
        Ok(&self.store)
    }

    /// Takes note that a callback has changed parameters in [`Self::store`].
    ///
    /// # Errors
    /// When a parameter has gone.
    pub fn parameters_changed(&mut self) -> Result<()> {
        self.planned.as_mut().map_or(Ok(()), Planned::pull)
    }

    /// The optimiser. Under a plan its state for a convolution's weight is in the plan's order.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The optimiser's state in the order of the parameters' variables.
    pub(crate) fn optimizer_state(&self) -> Result<BTreeMap<String, Tensor>> {
        let Some(planned) = &self.planned else {
            return self.optimizer.state();
        };
        let plan = planned.plan();
        let reordered = self
            .optimizer
            .reordered(|name, values| Ok(plan.reorder(name, values, true)?));
        reordered?.state()
    }

    /// Brings an optimiser's state from the order of the variables into that of the plan, if there is one.
    pub(crate) fn adopt_optimizer_state(&mut self) -> Result<()> {
        if let Some(planned) = &self.planned {
            let plan = planned.plan();
            self.optimizer = self
                .optimizer
                .reordered(|name, values| Ok(plan.reorder(name, values, false)?))?;
        }
        Ok(())
    }

    /// The epoch being trained, from 1 (after the last epoch: one more than there are).
    pub fn epoch(&self) -> u64 {
        self.position.epoch + 1
    }

    /// Where the run is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The steps done since the run began.
    pub fn step(&self) -> u64 {
        self.position.step
    }

    /// The batches of an epoch.
    pub fn batches(&self) -> usize {
        self.size.batches
    }

    /// The learning rate of the step that comes next.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate_at(self.position.step)
    }

    /// The learning rate of the last step.
    pub fn last_learning_rate(&self) -> f64 {
        self.learning_rate_at(self.position.step.saturating_sub(1))
    }

    /// The steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.size.batches.div_ceil(self.options.accumulate.max(1)).max(1) as u64
    }

    fn learning_rate_at(&self, step: u64) -> f64 {
        let steps_per_epoch = self.steps_per_epoch();
        let at = At {
            step,
            epoch: step / steps_per_epoch,
            steps_per_epoch,
            epochs: self.options.epochs,
        };
        self.optimizer.learning_rate() * self.options.schedule.factor(at, &self.history)
    }

    /// The records of the epochs done, those before a resume too.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// What was noticed so far.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The averaged weights ([`crate::callbacks::AverageWeights`]).
    pub fn averages(&self) -> Option<&Averages> {
        self.averages.as_ref()
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// The training metrics of the epoch so far, read from the device where needed.
    ///
    /// # Errors
    /// When the device fails, or a loss read from it is not finite.
    pub fn train_metrics(&mut self) -> Result<TrainMetrics> {
        self.read_losses()?;
        Ok(self.running.metrics(self.options.task == Task::Classification))
    }

    /// What was taken for what in the last evaluation (classification).
    pub fn confusion(&self) -> Option<&Confusion> {
        self.confusion.as_ref()
    }

    /// How far the run is, for a progress bar.
    ///
    /// # Errors
    /// When the device fails, or a loss read from it is not finite.
    pub fn progress(&mut self) -> Result<Progress> {
        let metrics = self.train_metrics()?;
        let (seconds, examples) = self.trained;
        let speed = if seconds > 0.0 {
            examples as f64 / seconds
        } else {
            0.0
        };
        Ok(Progress::new(self, &metrics, speed))
    }

    pub(crate) fn start_epoch(&mut self) {
        self.stage = Stage::Train;
        self.mark = Instant::now();
    }

    /// The batch being trained, within the epoch from 0.
    pub(crate) fn batch_in_hand(&self) -> usize {
        self.position.batch + self.batches_in_hand
    }

    /// The step in hand is done, with so many examples.
    pub(crate) fn advance(&mut self, examples: usize) {
        if self.position.step == 0 {
            let silent = self.optimizer.without_gradient();
            self.warnings.extend(
                silent
                    .into_iter()
                    .map(|parameter| Warning::NoGradient { parameter }),
            );
        }
        self.position.step += 1;
        self.position.batch += std::mem::take(&mut self.batches_in_hand);
        let seconds = self.lap();
        self.trained.0 += seconds;
        self.trained.1 += examples as u64;
    }

    /// Adds the time since the mark to the epoch's seconds.
    fn lap(&mut self) -> f64 {
        let seconds = self.mark.elapsed().as_secs_f64();
        self.running.seconds += seconds;
        self.mark = Instant::now();
        seconds
    }

    /// What happened since the last lap was not training.
    pub(crate) fn leave_out(&mut self) {
        self.mark = Instant::now();
    }

    /// Ends the epoch: its record goes to the history, and the position to the next epoch.
    pub(crate) fn finish_epoch(
        &mut self,
        evaluation: Option<Evaluation>,
        evaluation_seconds: f64,
    ) -> Result<()> {
        let train = self.train_metrics()?;
        let validation = self.validation.take();
        self.history.push(EpochRecord {
            epoch: self.epoch(),
            step: self.position.step,
            train_loss: train.loss,
            train_accuracy: train.accuracy,
            test_loss: evaluation.as_ref().map(|e| e.loss),
            test_accuracy: evaluation.as_ref().and_then(Evaluation::accuracy),
            validation_loss: validation.as_ref().map(|e| e.loss),
            validation_accuracy: validation.as_ref().and_then(Evaluation::accuracy),
            examples_per_second: if train.seconds > 0.0 {
                train.examples as f64 / train.seconds
            } else {
                0.0
            },
            seconds: train.seconds + evaluation_seconds,
        });
        self.confusion = evaluation.and_then(|e| e.confusion);
        self.running = Running::default();
        self.position.epoch += 1;
        self.position.batch = 0;
        self.stage = Stage::Train;
        Ok(())
    }

    /// The error for a value that is not finite at the batch in hand.
    pub(crate) fn non_finite(&self, what: &'static str, value: f64, culprit: Option<String>) -> Error {
        let (Position { epoch, step, .. }, batch) = (self.position, self.batch_in_hand());
        Error::NonFinite(NonFinite {
            what,
            value,
            epoch: epoch + 1,
            step: step + 1,
            batch,
            culprit,
        })
    }

    /// The first parameter or buffer, in order, that holds a NaN or an infinity.
    pub(crate) fn first_non_finite_parameter(&self) -> Result<Option<String>> {
        for (name, var) in self.store()?.all() {
            if !is_finite(var.as_tensor())? {
                return Ok(Some(format!("parameter `{name}`")));
            }
        }
        Ok(None)
    }
}

/// Whether every element is finite (the elements' own sum may overflow, so it is 0 · x that is summed: 0 or NaN).
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool> {
    Ok(to_f64(&tensor.detach().affine(0.0, 0.0)?.sum_all()?)? == 0.0)
}

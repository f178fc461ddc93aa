//! The loop: fit → epoch → batch. Everything else is a [`Callback`].

use crate::{
    Batch, BatchSource, Callback, Checkpoint, Error, Flow, Optimizer, Outcome, RandomState, Result, Run,
    TrainOptions,
    engine::Planned,
    loss::{Loss, scalar},
    metrics::{EpochRecord, evaluate_with},
    run::{DataSize, Stage},
};
use candle_nn::ModuleT;
use d2l_nn::{Model, ParamStore};
use std::time::Instant;

/// Trains a model: see the [crate]'s example.
pub struct Trainer<'a> {
    model: &'a dyn ModuleT,
    loss: Box<dyn Loss + 'a>,
    callbacks: Vec<Box<dyn Callback + 'a>>,
    run: Run<'a>,
}

impl<'a> Trainer<'a> {
    /// A trainer of `model`, whose parameters are in `params`.
    ///
    /// # Errors
    /// When an option has a value that no run can work with.
    pub fn new(
        model: &'a dyn ModuleT,
        params: &ParamStore,
        loss: impl Loss + 'a,
        optimizer: Optimizer,
        options: TrainOptions,
    ) -> Result<Self> {
        options.check()?;
        let run = Run::new(params, optimizer, loss.reduction(), options);
        Ok(Self {
            model,
            loss: Box::new(loss),
            callbacks: Vec::new(),
            run,
        })
    }

    /// Computes the steps through a plan of `model`, which must be the trainer's model, instead of candle's autograd,
    /// and evaluates through one too; `batch_size` is the size of the largest training batch. Call it before
    /// [`Self::resume`].
    ///
    /// # Errors
    /// When the model cannot be planned, such as on another device than the CPU.
    pub fn use_plan(&mut self, model: &'a Model, batch_size: usize) -> Result<&mut Self> {
        self.run.planned = Some(Planned::new(model, batch_size)?);
        self.run.adopt_optimizer_state()?;
        Ok(self)
    }

    /// Adds a callback.
    pub fn callback(&mut self, callback: impl Callback + 'a) -> &mut Self {
        self.boxed_callback(Box::new(callback))
    }

    /// Adds a callback of any kind.
    pub fn boxed_callback(&mut self, callback: Box<dyn Callback + 'a>) -> &mut Self {
        self.callbacks.push(callback);
        self.callbacks.sort_by_key(|callback| callback.order());
        self
    }

    /// Keeps the state of something random in checkpoints, under a name of its own.
    pub fn random_state(&mut self, name: &str, random: &'a dyn RandomState) -> &mut Self {
        self.run.random.push((name.to_owned(), random));
        self
    }

    /// Goes to where `checkpoint` was written; the next [`Self::fit`] goes on from there.
    ///
    /// # Errors
    /// When the checkpoint is of another model or optimiser; the run may then be partly changed.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.restore(&mut self.run)
    }

    /// The run: position, history, warnings.
    pub fn run(&self) -> &Run<'a> {
        &self.run
    }

    /// The records of the epochs done.
    pub fn history(&self) -> &[EpochRecord] {
        self.run.history()
    }

    /// Trains until all epochs are done or a callback stops it, evaluating on `test` after each epoch.
    ///
    /// # Errors
    /// When the data, the model or a callback fails, or the loss is not finite.
    pub fn fit(&mut self, train: &dyn BatchSource, test: Option<&dyn BatchSource>) -> Result<Outcome> {
        let result = self.fit_epochs(train, test);
        // Whatever happened, the parameters show all that was learned.
        self.run.store()?;
        result
    }

    fn fit_epochs(&mut self, train: &dyn BatchSource, test: Option<&dyn BatchSource>) -> Result<Outcome> {
        self.run.set_size(DataSize {
            batches: train.batches(),
            examples: train.examples(),
        })?;
        let mut flow = self.fire(|callback, run| callback.before_fit(run))?;
        while !flow.stops() && self.run.position.epoch < self.run.options.epochs {
            flow = self.epoch(train, test)?;
        }
        let outcome = match flow {
            Flow::Continue => Outcome::Finished,
            Flow::Stop(reason) => Outcome::Stopped(reason),
        };
        let _ = self.fire(|callback, run| callback.after_fit(run, &outcome).map(|()| Flow::Continue))?;
        Ok(outcome)
    }

    fn epoch(&mut self, train: &dyn BatchSource, test: Option<&dyn BatchSource>) -> Result<Flow> {
        let mut flow = self.fire(|callback, run| callback.before_epoch(run))?;
        self.run.start_epoch();
        let mut batches = train.epoch(self.run.position.epoch, self.run.position.batch);
        while !flow.stops()
            && let Some(batch) = batches.next()
        {
            let batch = batch.map_err(|source| self.data_error(source))?;
            flow = self.batch(&batch)?;
            self.run.leave_out();
        }
        if flow.stops() {
            return Ok(flow);
        }
        if self.run.position.batch != self.run.size.batches {
            let message = format!(
                "it gave {} batches of {}",
                self.run.position.batch, self.run.size.batches
            );
            return Err(self.data_error(message.into()));
        }
        let flow = self.evaluate(test)?;
        if flow.stops() {
            return Ok(flow);
        }
        self.fire(|callback, run| callback.after_epoch(run))
    }

    fn batch(&mut self, batch: &Batch) -> Result<Flow> {
        let flow = self.fire(|callback, run| callback.before_batch(run))?;
        if flow.stops() {
            return Ok(flow);
        }
        match self.run.planned {
            Some(_) => self.planned_step(batch)?,
            None => self.autograd_step(batch)?,
        }
        self.run.advance(batch.len);
        self.fire(|callback, run| callback.after_batch(run))
    }

    fn autograd_step(&mut self, batch: &Batch) -> Result<()> {
        let output = self.model.forward_t(&batch.xs, true)?;
        let loss = scalar(self.loss.loss(&output, &batch.ys)?)?;
        let recorded = self.run.record(&loss, &output, batch);
        let mut gradients = self.run.optimizer.gradients(&loss.backward()?)?;
        recorded.map_err(|error| gradients.explain(error))?;
        let norm = gradients.clip(&self.run.options.clip)?;
        if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
            return Err(gradients.explain(self.run.non_finite("the gradient norm", norm, None)));
        }
        let learning_rate = self.run.learning_rate();
        self.run.optimizer.step(&gradients, learning_rate)
    }

    fn planned_step(&mut self, batch: &Batch) -> Result<()> {
        let Some(mut planned) = self.run.planned.take() else {
            return Ok(());
        };
        let result = self.step_of_plan(&mut planned, batch);
        self.run.planned = Some(planned);
        result
    }

    fn step_of_plan(&mut self, planned: &mut Planned<'a>, batch: &Batch) -> Result<()> {
        let run = &mut self.run;
        let step = planned.step(batch, self.loss.as_ref(), run.options.task)?;
        if !step.loss.is_finite() {
            // The error looks at the parameters.
            planned.push()?;
        }
        run.record_value(step.loss, step.correct, batch)
            .map_err(|error| planned.explain(error))?;
        let norm = planned.clip(&run.options.clip);
        if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
            return Err(planned.explain(run.non_finite("the gradient norm", norm, None)));
        }
        let learning_rate = run.learning_rate();
        planned.update(&mut run.optimizer, learning_rate)
    }

    /// Evaluates and ends the epoch. A stop leaves the epoch open, so that a resumed run evaluates again.
    fn evaluate(&mut self, test: Option<&dyn BatchSource>) -> Result<Flow> {
        let Some(test) = test else {
            self.run.finish_epoch(None, 0.0)?;
            return Ok(Flow::Continue);
        };
        self.run.stage = Stage::Evaluate(0, test.batches());
        let flow = self.fire(|callback, run| callback.before_evaluation(run))?;
        if flow.stops() {
            return Ok(flow);
        }
        let started = Instant::now();
        let planned = self.run.planned.as_ref().map(Planned::inference).transpose()?;
        let Self {
            model,
            loss,
            callbacks,
            run,
        } = self;
        let model = planned
            .as_deref()
            .map_or(*model, |planned| planned as &dyn ModuleT);
        let evaluation = evaluate_with(model, loss.as_ref(), run.options.task, test, &mut |done| {
            run.stage = Stage::Evaluate(done, test.batches());
            fire(callbacks, run, |callback, run| {
                callback.after_evaluation_batch(run)
            })
        })?;
        let evaluation = match evaluation {
            Ok(evaluation) => evaluation,
            Err(reason) => return Ok(Flow::Stop(reason)),
        };
        if !evaluation.loss.is_finite() {
            let culprit = self.run.first_non_finite_parameter()?;
            return Err(self.run.non_finite("the test loss", evaluation.loss, culprit));
        }
        let seconds = started.elapsed().as_secs_f64();
        let flow = self.fire(|callback, run| callback.after_evaluation(run, &evaluation))?;
        if !flow.stops() {
            self.run.finish_epoch(Some(evaluation), seconds)?;
        }
        Ok(flow)
    }

    fn data_error(&self, source: crate::BoxError) -> Error {
        Error::Data {
            epoch: self.run.epoch(),
            batch: self.run.position.batch,
            source,
        }
    }

    fn fire(
        &mut self,
        hook: impl FnMut(&mut (dyn Callback + 'a), &mut Run<'a>) -> Result<Flow>,
    ) -> Result<Flow> {
        fire(&mut self.callbacks, &mut self.run, hook)
    }
}

/// Shows an event to every callback in order; the first reason to stop wins.
fn fire<'a>(
    callbacks: &mut [Box<dyn Callback + 'a>],
    run: &mut Run<'a>,
    mut hook: impl FnMut(&mut (dyn Callback + 'a), &mut Run<'a>) -> Result<Flow>,
) -> Result<Flow> {
    let mut flow = Flow::Continue;
    for callback in callbacks {
        flow = flow.or(hook(callback.as_mut(), run)?);
    }
    Ok(flow)
}

//! The loop: fit → epoch → batch. Everything else is a [`Callback`].

use crate::{
    Batch, BatchSource, Batches, Callback, Checkpoint, Error, Flow, Optimizer, Outcome, RandomState, Result,
    Run, StepGradients, TrainOptions,
    engine::{Autograd, Engine, Forward, Planned, Shares, explain},
    loss::Loss,
    metrics::{EpochRecord, evaluate_with},
    run::{DataSize, Stage},
};
use candle_nn::ModuleT;
use d2l_nn::{Model, ParamStore, SupervisedModel};
use std::time::Instant;

/// Trains a model: see the [crate]'s example.
pub struct Trainer<'a> {
    model: &'a dyn ModuleT,
    /// The model with heads on the side, if it trains with them.
    supervised: Option<&'a SupervisedModel>,
    loss: Box<dyn Loss + 'a>,
    /// What evaluations measure instead of the loss.
    evaluation_loss: Option<Box<dyn Loss + 'a>>,
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
            supervised: None,
            loss: Box::new(loss),
            evaluation_loss: None,
            callbacks: Vec::new(),
            run,
        })
    }

    /// Computes the steps through a plan of `model`, which must be the trainer's model, instead of candle's autograd,
    /// and evaluates through one too; `batch_size` is the size of the largest training batch. Call it before
    /// [`Self::resume`].
    ///
    /// # Errors
    /// When the model cannot be planned, such as on another device than the CPU, or trains with auxiliary classifiers.
    pub fn use_plan(&mut self, model: &'a Model, batch_size: usize) -> Result<&mut Self> {
        if self.supervised.is_some() {
            return Err(no_plan_of_auxiliaries());
        }
        self.run.planned = Some(Planned::new(model, batch_size)?);
        self.run.adopt_optimizer_state()?;
        Ok(self)
    }

    /// Trains with the auxiliary classifiers of `model`, whose main network must be the trainer's model: their weighted
    /// losses are added to the training loss that is minimised and reported. Evaluations do not see them.
    ///
    /// # Errors
    /// When the steps go through a plan.
    pub fn use_auxiliaries(&mut self, model: &'a SupervisedModel) -> Result<&mut Self> {
        if self.run.planned.is_some() {
            return Err(no_plan_of_auxiliaries());
        }
        self.supervised = Some(model);
        Ok(self)
    }

    /// Measures evaluations with another loss than that of the training, such as one without label smoothing, so that
    /// runs can be compared.
    pub fn evaluation_loss(&mut self, loss: impl Loss + 'a) -> &mut Self {
        self.evaluation_loss = Some(Box::new(loss));
        self
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
            flow = self.step(batch, &mut batches)?;
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

    /// A step with `first` and, where gradients are accumulated, as many of the batches that follow as it takes.
    fn step(&mut self, first: Batch, rest: &mut Batches<'_>) -> Result<Flow> {
        let flow = self.fire(|callback, run| callback.before_batch(run))?;
        if flow.stops() {
            return Ok(flow);
        }
        let mut planned = self.run.planned.take();
        let result = match &mut planned {
            Some(planned) => self.step_through(planned, first, rest),
            None => {
                let forward = self
                    .supervised
                    .map_or(Forward::Module(self.model), Forward::Supervised);
                self.step_through(&mut Autograd::new(forward), first, rest)
            }
        };
        self.run.planned = planned;
        result?;
        self.fire(|callback, run| callback.after_batch(run))
    }

    fn step_through(&mut self, engine: &mut dyn Engine, first: Batch, rest: &mut Batches<'_>) -> Result<()> {
        let examples = self.accumulate(engine, first, rest)?;
        let run = &mut self.run;
        let gradients = StepGradients {
            engine,
            epoch: run.epoch(),
            step: run.step() + 1,
            ends_epoch: run.position.batch + run.batches_in_hand == run.size.batches,
        };
        for callback in &mut self.callbacks {
            callback.after_backward(&gradients)?;
        }
        let norm = engine.clip(&run.options.clip)?;
        if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
            return Err(explain(engine, run.non_finite("the gradient norm", norm, None)));
        }
        let learning_rate = run.learning_rate();
        engine.update(&mut run.optimizer, learning_rate)?;
        run.advance(examples);
        Ok(())
    }

    /// The gradients of a step's batches, as if they were one; returns the number of their examples.
    fn accumulate(&mut self, engine: &mut dyn Engine, first: Batch, rest: &mut Batches<'_>) -> Result<usize> {
        let mut shares = Shares::new(self.run.reduction);
        let (mut examples, mut next) = (0, Some(Ok(first)));
        self.run.batches_in_hand = 0;
        while let Some(batch) = next {
            let batch = batch.map_err(|source| self.data_error(source))?;
            // A step's only batch weighs nothing beside others.
            let weight = match self.run.options.accumulate {
                1 => 1.0,
                _ => self.loss.weight(&batch.ys, batch.len)?,
            };
            let share = shares.next(weight);
            engine
                .backward(&mut self.run, self.loss.as_ref(), &batch, share)
                .map_err(|error| explain(engine, error))?;
            examples += batch.len;
            self.run.batches_in_hand += 1;
            let more = self.run.batches_in_hand < self.run.options.accumulate;
            next = if more { rest.next() } else { None };
        }
        Ok(examples)
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
            evaluation_loss,
            callbacks,
            run,
            ..
        } = self;
        let loss = evaluation_loss.as_ref().unwrap_or(loss);
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
            batch: self.run.batch_in_hand(),
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

fn no_plan_of_auxiliaries() -> Error {
    Error::Invalid("a plan has no auxiliary classifiers: train with them through autograd".into())
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

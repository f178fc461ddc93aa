//! What the trainer adds to a step: `trainer-bench THREADS ROUNDS STEPS` trains LeNet on batches of 256 in memory,
//! round by round in turn through a bare plan and optimiser and through `d2l_train::Trainer`, and prints the shortest
//! seconds per step of both as one JSON value.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Model, ParamStore, Rng,
    ops::{CrossEntropyOptions, cross_entropy_with_gradient},
    plan::{Mode, Plan},
};
use d2l_train::{
    BatchSource, Callback, Flow, Method, Optimizer, Run, StopReason, Task, TensorSource, TrainOptions,
    Trainer, loss::CrossEntropy,
};
use serde_json::json;
use std::time::Instant;

const BATCH: usize = 256;
const CLASSES: usize = 10;
const LEARNING_RATE: f64 = 0.1;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Result<Vec<usize>, _> = words.iter().map(|word| word.parse()).collect();
    let [threads, rounds, steps] = numbers.context("not a number")?[..] else {
        bail!("usage: trainer-bench THREADS ROUNDS STEPS");
    };
    ensure!(rounds > 0 && steps > 0, "ROUNDS and STEPS must be at least 1");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let [bare, trainer] = pool.install(|| measure(rounds, steps))?;
    println!("{}", json!({ "bare_seconds": bare, "trainer_seconds": trainer }));
    Ok(())
}

/// The shortest seconds per step of the bare plan and of the trainer.
fn measure(rounds: usize, steps: usize) -> Result<[f64; 2]> {
    let data = pictures(steps)?;
    let (model, params) = lenet()?;
    let mut bare = Bare {
        plan: model.plan(Mode::Train, BATCH)?,
        optimizer: Optimizer::new(Method::sgd(LEARNING_RATE), &params)?,
        step: 0,
    };
    let (model, params) = lenet()?;
    let options = TrainOptions::new(Task::Classification, rounds as u64 + 1);
    let optimizer = Optimizer::new(Method::sgd(LEARNING_RATE), &params)?;
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options)?;
    trainer.use_plan(&model, BATCH)?;
    trainer.callback(EpochByEpoch);

    // The first round touches all memory for the first time, and does not count.
    let mut best = [f64::INFINITY; 2];
    for round in 0..=rounds {
        let mut bare = || seconds(|| bare.epoch(&data));
        let mut trainer = || seconds(|| Ok(trainer.fit(&data, None).map(|_| ())?));
        // Each comes first as often as the other.
        let times = if round % 2 == 0 {
            let first = bare()?;
            [first, trainer()?]
        } else {
            let first = trainer()?;
            [bare()?, first]
        };
        if round > 0 {
            best = [0, 1].map(|index| best[index].min(times[index] / steps as f64));
        }
    }
    Ok(best)
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn lenet() -> Result<(Model, ParamStore)> {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = d2l_models::lenet(CLASSES).build(&[1, 28, 28], &params, &Rng::new(0))?;
    Ok((model, params))
}

/// Random pictures and labels, for so many full batches in the order they lie in.
fn pictures(batches: usize) -> Result<TensorSource> {
    let examples = batches * BATCH;
    let xs = Rng::new(1).uniform(&[examples, 1, 28, 28], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let labels = (0..examples).map(|index| (index % CLASSES) as u32);
    let ys = Tensor::from_iter(labels, &Device::Cpu)?;
    Ok(TensorSource::new(xs, ys, BATCH, None)?)
}

/// No more than a step needs.
struct Bare {
    plan: Plan,
    optimizer: Optimizer,
    step: u64,
}

impl Bare {
    fn epoch(&mut self, data: &TensorSource) -> Result<()> {
        let options = CrossEntropyOptions::default();
        for batch in data.epoch(0, 0) {
            let batch = batch.map_err(|error| anyhow::anyhow!(error))?;
            let loss = self.plan.step(&batch.xs, self.step, |logits, gradient| {
                cross_entropy_with_gradient(logits, &batch.ys, &options, gradient)
            })?;
            ensure!(loss.is_finite(), "the loss is {loss}");
            self.step += 1;
            let optimizer = &mut self.optimizer;
            self.plan.update(&mut |name, values, gradient| {
                let result = optimizer.step_slice(name, values, gradient, LEARNING_RATE);
                result.map_err(|error| d2l_nn::Error::msg(error.to_string()))
            })?;
        }
        Ok(())
    }
}

/// Stops after every epoch; the next call of `fit` goes on.
struct EpochByEpoch;

impl Callback for EpochByEpoch {
    fn after_epoch(&mut self, _: &mut Run<'_>) -> d2l_train::Result<Flow> {
        Ok(Flow::Stop(StopReason::Other("one epoch".to_owned())))
    }
}

//! Linear regression, concisely (section 3.3): the layer, the loss and the optimiser of the libraries.

use super::regression_scratch::{TRUE_BIAS, TRUE_WEIGHT, synthetic_data};
use crate::{
    Chapter, Cost, Error, Expect, Lesson, Page, Result,
    numbers::{distance, scalar},
};
use candle_core::{DType, Device, Tensor};
use d2l_models::linear_regression;
use d2l_nn::{Model, Network, ParamStore, Rng};
use d2l_train::{
    BatchSource, EpochRecord, Method, Optimizer, Outcome, Task, TensorSource, TrainOptions, Trainer,
    loss::{Elementwise, Function},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "linear-regression-concise",
    chapter: Chapter::Linear,
    section: "3.3",
    title: "Linear regression, concisely",
    expected: "loss about 0.0001, the noise's variance, after three epochs; errors of w and b about 1e-3",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: data
    let (features, labels) = synthetic_data(&TRUE_WEIGHT, TRUE_BIAS, 1000, &page.rng("data"))?;
    let train = TensorSource::new(features.clone(), labels.clone(), 10, Some(page.seed()))?;
    let all = TensorSource::new(features, labels, 1000, None)?;
    // ANCHOR_END: data

    // ANCHOR: training
    let (model, params) = build(&linear_regression(1), &[2], &page.rng("weight"))?;
    let loss = Elementwise::mean(Function::Squared);
    let history = fit(&model, &params, loss, Method::sgd(0.03), 3, &train, &all)?;
    for epoch in &history {
        page.say(format_args!("epoch {}, loss {:.6}", epoch.epoch, measured(epoch)));
    }
    // ANCHOR_END: training

    // ANCHOR: errors
    let weight = parameter(&params, "output.weight")?;
    let bias = parameter(&params, "output.bias")?;
    let weight_error = distance(&weight.flatten_all()?, &Tensor::new(&TRUE_WEIGHT, &Device::Cpu)?)?;
    let bias_error = (scalar(&bias)? - f64::from(TRUE_BIAS)).abs();
    page.say(format_args!(
        "error of w: {weight_error:.2e}, error of b: {bias_error:.2e}"
    ));
    // ANCHOR_END: errors
    let expected = [
        Expect::AtMost(1e-3),
        Expect::AtMost(1.5e-4),
        Expect::AtMost(1.5e-4),
    ];
    for (record, expect) in history.iter().zip(expected) {
        page.expect(
            &format!("loss of epoch {}", record.epoch),
            expect,
            measured(record),
        );
    }
    page.expect("largest error of w", Expect::AtMost(2e-3), weight_error);
    page.expect("error of b", Expect::AtMost(2e-3), bias_error);
    Ok(())
}

/// The loss on all data after an epoch.
fn measured(record: &EpochRecord) -> f64 {
    record.test_loss.unwrap_or(f64::NAN)
}

// ANCHOR: build
/// A network for inputs of the shape `input` (without the batch), with its parameters.
///
/// # Errors
/// When the network cannot take such inputs.
pub fn build(network: &Network, input: &[usize], rng: &Rng) -> Result<(Model, ParamStore)> {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network.build(input, &params, rng)?;
    Ok((model, params))
}
// ANCHOR_END: build

/// The values of the parameter of that name.
///
/// # Errors
/// When there is none.
pub fn parameter(params: &ParamStore, name: &str) -> Result<Tensor> {
    let variable = params.get(name);
    variable
        .map(|variable| variable.as_detached_tensor())
        .ok_or_else(|| Error::Lesson(format!("the model has no parameter `{name}`")))
}

// ANCHOR: batches
/// The mini-batches of epoch `epoch` (from 0) that [`fit`] sees, for a loop of one's own.
pub fn batches(source: &TensorSource, epoch: u64) -> impl Iterator<Item = Result<(Tensor, Tensor)>> {
    let pairs = source.epoch(epoch, 0).zip(0..);
    pairs.map(move |(batch, number)| {
        let failed = |source| d2l_train::Error::Data {
            epoch: epoch + 1,
            batch: number,
            source,
        };
        let batch = batch.map_err(failed)?;
        Ok((batch.xs, batch.ys))
    })
}
// ANCHOR_END: batches

// ANCHOR: fit
/// Trains `model` to give values, and measures the loss on `test` after every epoch.
///
/// # Errors
/// When the data or the model fails, or the loss is not finite.
pub fn fit(
    model: &Model,
    params: &ParamStore,
    loss: Elementwise,
    method: Method,
    epochs: u64,
    train: &dyn BatchSource,
    test: &dyn BatchSource,
) -> Result<Vec<EpochRecord>> {
    let optimizer = Optimizer::new(method, params)?;
    let options = TrainOptions::new(Task::Regression, epochs);
    let mut trainer = Trainer::new(model, params, loss, optimizer, options)?;
    match trainer.fit(train, Some(test))? {
        Outcome::Finished => Ok(trainer.history().to_vec()),
        Outcome::Stopped(_) => Err(Error::Stopped),
    }
}
// ANCHOR_END: fit

//! Weight decay from scratch (section 4.5): more features than examples, and a penalty on large weights.

use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::Chart,
    linear::regression_scratch::{linreg, sgd, squared_loss, synthetic_data},
    numbers::scalar,
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Rng;
use d2l_train::{BatchSource, TensorSource};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "weight-decay-scratch",
    chapter: Chapter::Mlp,
    section: "4.5",
    title: "Weight decay from scratch",
    expected: "‖w‖ about 13 without decay and about 0.36 with λ = 3",
    cost: Cost::Seconds,
    run,
};

/// Features.
pub const INPUTS: usize = 200;
/// Examples per step.
pub const BATCH_SIZE: usize = 5;
/// Passes over the training data.
pub const EPOCHS: u64 = 100;
/// Of plain stochastic gradient descent.
pub const LEARNING_RATE: f64 = 0.003;

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let data = Data::new(page)?;
    for lambda in [0.0, 3.0] {
        let (weight, bias) = initial_parameters(&page.rng("weight"))?;
        let losses = train(page, &data, (&weight, &bias), lambda)?;
        report(page, lambda, &weight, losses)?;
    }
    // ANCHOR_END: training
    Ok(())
}

/// Training and test loss by epoch.
pub(super) type Losses = [Vec<(f64, f64)>; 2];

/// Draws the curves and puts the norm of the weights beside the book's.
pub(super) fn report(page: &mut Page<'_>, lambda: f64, weight: &Tensor, losses: Losses) -> Result<()> {
    let norm = scalar(&weight.sqr()?.sum_all()?.sqrt()?)?;
    page.say(format_args!("λ = {lambda}: L2 norm of w: {norm:.4}"));
    let last = losses
        .each_ref()
        .map(|curve| curve.last().map_or(f64::NAN, |point| point.1));
    let [train, test] = losses;
    let chart = Chart::new("epoch", "loss")
        .title(format!("λ = {lambda}"))
        .log_y()
        .line("train", train)
        .dashed("test", test);
    page.draw(&format!("lambda-{lambda}"), Figure::chart(chart));

    let [train, test] = last;
    page.say(format_args!(
        "λ = {lambda}: train loss {train:.2e}, test loss {test:.2e}"
    ));
    if lambda > 0.0 {
        page.expect("‖w‖ with decay", Expect::near(0.37, 0.1), norm);
        page.expect("test loss with decay", Expect::AtMost(1.0), test);
    } else {
        page.expect("‖w‖ without decay", Expect::near(13.3, 2.5), norm);
        page.expect(
            "overfitting: test loss over train loss",
            Expect::AtLeast(1e3),
            test / train,
        );
    }
    Ok(())
}

// ANCHOR: data
/// 20 examples to learn 200 weights from, and 100 to judge by.
pub struct Data {
    /// To learn from, in a new order in every epoch.
    pub train: TensorSource,
    /// To judge by.
    pub test: TensorSource,
}

impl Data {
    /// y = 0.05 + Σ 0.01·xᵢ + noise, with noise from N(0, 0.01²).
    ///
    /// # Errors
    /// When the tensors cannot be made.
    pub fn new(page: &Page<'_>) -> Result<Self> {
        let make = |name: &str, n, shuffle| -> Result<TensorSource> {
            let (features, labels) = synthetic_data(&[0.01; INPUTS], 0.05, n, &page.rng(name))?;
            Ok(TensorSource::new(features, labels, BATCH_SIZE, shuffle)?)
        };
        Ok(Self {
            train: make("train", 20, Some(page.seed()))?,
            test: make("test", 100, None)?,
        })
    }
}
// ANCHOR_END: data

// ANCHOR: parameters
/// Weights `[200, 1]` from N(0, 1), a bias of zero.
///
/// # Errors
/// When the variables cannot be made.
pub fn initial_parameters(rng: &Rng) -> Result<(Var, Var)> {
    let weight = rng
        .clone()
        .normal(&[INPUTS, 1], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let bias = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
    Ok((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?))
}
// ANCHOR_END: parameters

// ANCHOR: penalty
/// Half the squared L2 norm.
///
/// # Errors
/// When the device fails.
pub fn l2_penalty(weight: &Tensor) -> Result<Tensor> {
    Ok((weight.sqr()?.sum_all()? / 2.0)?)
}
// ANCHOR_END: penalty

// ANCHOR: train
/// Minimises half the squared error plus `lambda` times the penalty, and returns the losses without it, by epoch.
///
/// # Errors
/// When a step fails, or the watcher asks for an end.
pub fn train(
    page: &mut Page<'_>,
    data: &Data,
    (weight, bias): (&Var, &Var),
    lambda: f64,
) -> Result<[Vec<(f64, f64)>; 2]> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for epoch in 0..EPOCHS {
        for (x, y) in batches(&data.train, epoch)? {
            let loss = squared_loss(&linreg(&x, weight, bias)?, &y)?;
            // The penalty counts once for every example, as the loss does.
            let penalty = (l2_penalty(weight)? * lambda)?;
            let gradients = loss.broadcast_add(&penalty)?.sum_all()?.backward()?;
            sgd(&[weight, bias], &gradients, LEARNING_RATE, x.dim(0)?)?;
        }
        if epoch == 0 || (epoch + 1) % 5 == 0 {
            let at = (epoch + 1) as f64;
            train.push((at, mean_loss(&data.train, weight, bias)?));
            test.push((at, mean_loss(&data.test, weight, bias)?));
        }
        page.progress("training", epoch + 1, EPOCHS)?;
    }
    Ok([train, test])
}
// ANCHOR_END: train

fn mean_loss(data: &TensorSource, weight: &Tensor, bias: &Tensor) -> Result<f64> {
    let mut sum = 0.0;
    for (x, y) in batches(data, 0)? {
        sum += scalar(&squared_loss(&linreg(&x, weight, bias)?, &y)?.sum_all()?)?;
    }
    Ok(sum / data.examples() as f64)
}

fn batches(data: &TensorSource, epoch: u64) -> Result<Vec<(Tensor, Tensor)>> {
    data.epoch(epoch, 0)
        .map(|batch| {
            let batch = batch.map_err(|error| crate::Error::Lesson(error.to_string()))?;
            Ok((batch.xs, batch.ys))
        })
        .collect()
}

//! Logistic regression (after section 3.4): two classes, the sigmoid, and a loss that is right for any logit.

use super::{
    regression_concise::{batches, build, fit, parameter},
    regression_scratch::{linreg, sgd},
};
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::Chart,
    numbers::{distance, rows, scalar, values},
    preliminaries::autograd::gradient,
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_models::logistic_regression;
use d2l_nn::Rng;
use d2l_train::{
    BatchSource, Method, TensorSource,
    loss::{Elementwise, Function},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "logistic-regression",
    chapter: Chapter::Linear,
    section: "3.4",
    title: "Logistic regression",
    expected: "the weights that the classes were drawn with, about; the loss is finite for logits of 10,000",
    cost: Cost::Seconds,
    run,
};

/// The weights and the bias that the classes are drawn with.
pub const TRUE: ([f32; 2], f32) = ([2.0, -3.4], 0.5);
const EPOCHS: u64 = 10;
const BATCH_SIZE: usize = 20;
const LEARNING_RATE: f64 = 0.3;

fn run(page: &mut Page<'_>) -> Result<()> {
    any_logit(page)?;

    let (features, labels) = two_classes(2000, &page.rng("data"))?;
    let train = TensorSource::new(features.clone(), labels.clone(), BATCH_SIZE, Some(page.seed()))?;
    // ANCHOR: scratch
    let (weight, bias) = (
        Var::zeros((2, 1), DType::F32, &Device::Cpu)?,
        Var::zeros(1, DType::F32, &Device::Cpu)?,
    );
    for epoch in 0..EPOCHS {
        let (mut sum, mut right) = (0.0, 0.0);
        for batch in batches(&train, epoch) {
            let (x, y) = batch?;
            let logits = linreg(&x, &weight, &bias)?;
            let loss = binary_cross_entropy(&logits, &y)?.sum_all()?;
            sgd(&[&weight, &bias], &loss.backward()?, LEARNING_RATE, x.dim(0)?)?;
            sum += scalar(&loss)?;
            right += count_right(&logits, &y)?;
        }
        let n = train.examples() as f64;
        page.say(format_args!(
            "epoch {}, loss {:.4}, acc {:.3}",
            epoch + 1,
            sum / n,
            right / n
        ));
    }
    // ANCHOR_END: scratch
    let logits = linreg(&features, &weight, &bias)?;
    let loss = scalar(&binary_cross_entropy(&logits, &labels)?.mean_all()?)?;
    let accuracy = count_right(&logits, &labels)? / labels.elem_count() as f64;
    page.show("w", &weight);
    page.show("b", &bias);
    page.draw(
        "classes",
        Figure::chart(classes(&features, &labels, &weight, &bias)?),
    );

    // ANCHOR: concise
    let (model, params) = build(&logistic_regression(), &[2], &page.rng("weight"))?;
    params.set("output.weight", &Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?)?; // to start where we did
    let loss_function = Elementwise::mean(Function::BinaryCrossEntropy);
    fit(
        &model,
        &params,
        loss_function,
        Method::sgd(LEARNING_RATE),
        EPOCHS,
        &train,
        &train,
    )?;
    let concise = parameter(&params, "output.weight")?;
    page.show("w of d2l-models and d2l-train", &concise);
    // ANCHOR_END: concise

    let true_weight = Tensor::new(&[TRUE.0], &Device::Cpu)?.t()?;
    page.expect("loss, below that of a coin's 0.693", Expect::AtMost(0.4), loss);
    page.expect("accuracy", Expect::AtLeast(0.8), accuracy);
    page.expect(
        "largest relative error of w",
        Expect::AtMost(0.3),
        distance(&weight, &true_weight)?,
    );
    page.expect(
        "error of b",
        Expect::AtMost(0.5),
        (scalar(&bias)? - f64::from(TRUE.1)).abs(),
    );
    page.expect(
        "distance of w from the concise one",
        Expect::AtMost(1e-4),
        distance(&weight, &concise.t()?)?,
    );
    Ok(())
}

/// The loss where the plain formula is infinite or no number.
fn any_logit(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: any_logit
    let logits = Var::new(&[-1e4f32, -1e4, 0.0, 0.0, 1e4, 1e4], &Device::Cpu)?;
    let labels = Tensor::new(&[0f32, 1.0, 0.0, 1.0, 0.0, 1.0], &Device::Cpu)?;
    let plain = plain_cross_entropy(&logits, &labels)?;
    let losses = binary_cross_entropy(&logits, &labels)?;
    page.show("logits", &logits);
    page.show("the plain formula", &plain);
    page.show("the stable one", &losses);
    // ANCHOR_END: any_logit
    let expected = [0.0, 1e4, std::f32::consts::LN_2, std::f32::consts::LN_2, 1e4, 0.0];
    let off = distance(&losses, &Tensor::new(&expected, &Device::Cpu)?)?;
    page.expect(
        "loss at ±10,000 and 0: distance from the exact one",
        Expect::Exactly(0.0),
        off,
    );
    let expected = Tensor::new(&[0f32, -1.0, 0.5, -0.5, 1.0, 0.0], &Device::Cpu)?;
    let off = distance(&gradient(&losses.sum_all()?, &logits)?, &expected)?;
    page.expect(
        "its gradient: distance from sigmoid(z) - y",
        Expect::Exactly(0.0),
        off,
    );
    let broken = values(&plain)?
        .into_iter()
        .filter(|loss| !loss.is_finite())
        .count();
    page.expect(
        "values of the plain formula that are not finite",
        Expect::Exactly(4.0),
        broken as f64,
    );
    Ok(())
}

// ANCHOR: sigmoid
/// The probability of class 1 by a logit: 1 / (1 + exp(−z)).
///
/// # Errors
/// When it cannot be computed.
pub fn sigmoid(z: &Tensor) -> Result<Tensor> {
    Ok((z.neg()?.exp()? + 1.0)?.recip()?)
}
// ANCHOR_END: sigmoid

// ANCHOR: plain
/// The loss as the formula stands: −y·log σ(z) − (1 − y)·log(1 − σ(z)). Where σ(z) is rounded to 0 or 1, it is infinite
/// or no number.
///
/// # Errors
/// When the shapes differ.
pub fn plain_cross_entropy(z: &Tensor, y: &Tensor) -> Result<Tensor> {
    let p = sigmoid(z)?;
    let of_one = (y * p.log()?)?;
    let of_zero = ((1.0 - y)? * (1.0 - p)?.log()?)?;
    Ok((of_one + of_zero)?.neg()?)
}
// ANCHOR_END: plain

// ANCHOR: stable
/// The same rewritten so that nothing overflows: max(z, 0) − z·y + log(1 + exp(−|z|)).
///
/// # Shapes
/// z and y alike, y of 0 and 1
///
/// # Errors
/// When the shapes differ.
pub fn binary_cross_entropy(z: &Tensor, y: &Tensor) -> Result<Tensor> {
    let rest = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok(((z.relu()? - (z * y)?)? + rest)?)
}
// ANCHOR_END: stable

/// How many logits are on the side of their label.
fn count_right(logits: &Tensor, labels: &Tensor) -> Result<f64> {
    let ones = logits.gt(0.0)?.to_dtype(labels.dtype())?;
    scalar(&ones.eq(labels)?.to_dtype(DType::F32)?.sum_all()?)
}

// ANCHOR: data
/// `n` points from N(0, 1), each of class 1 with the probability sigmoid(x·w + b).
///
/// # Shapes
/// points `[n, 2]`, labels `[n, 1]` of 0 and 1
///
/// # Errors
/// When the tensors cannot be made.
pub fn two_classes(n: usize, rng: &Rng) -> Result<(Tensor, Tensor)> {
    let features = rng
        .split("features")
        .normal(&[n, 2], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let weight = Tensor::new(&[TRUE.0], &Device::Cpu)?.t()?;
    let probability = sigmoid(&(features.matmul(&weight)? + f64::from(TRUE.1))?)?;
    let draws = rng
        .split("classes")
        .uniform(&[n, 1], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    Ok((features, draws.lt(&probability)?.to_dtype(DType::F32)?))
}
// ANCHOR_END: data

/// The points of both classes, and the line where the probability is one half.
fn classes(features: &Tensor, labels: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Chart> {
    let points: Vec<(f64, f64)> = rows(features)?
        .iter()
        .filter_map(|row| Some((*row.first()?, *row.get(1)?)))
        .collect();
    let labels = values(labels)?;
    let of = |class: f64| {
        let chosen = points
            .iter()
            .zip(&labels)
            .filter(move |(_, label)| **label == class);
        chosen.map(|(point, _)| *point).take(300).collect::<Vec<_>>()
    };
    let (w0, w1, b) = (scalar(&weight.get(0)?)?, scalar(&weight.get(1)?)?, scalar(bias)?);
    let line = [-3.0, 3.0].map(|x| (x, -(w0 * x + b) / w1));
    let chart = Chart::new("first feature", "second feature");
    Ok(chart
        .points("class 0", of(0.0))
        .points("class 1", of(1.0))
        .line("probability 1/2", line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;

    #[test]
    fn the_stable_loss_and_its_gradient_are_pytorchs() {
        let golden = Golden::linear();
        let z = Var::new(golden.values("logits").as_slice(), &Device::Cpu).unwrap();
        let y = Tensor::new(golden.values("labels").as_slice(), &Device::Cpu).unwrap();
        let losses = binary_cross_entropy(&z, &y).unwrap();
        let slopes = gradient(&losses.sum_all().unwrap(), &z).unwrap();
        for (name, reached) in [("bce", losses), ("bce gradient", slopes)] {
            let expected = Tensor::new(golden.values(name).as_slice(), &Device::Cpu).unwrap();
            let off = distance(&reached, &expected).unwrap();
            assert!(off < 1e-12, "{name}: {off}");
        }
    }

    #[test]
    fn shapes_that_differ_are_refused() {
        let zeros = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
        assert!(binary_cross_entropy(&zeros(2), &zeros(3)).is_err());
        assert!(plain_cross_entropy(&zeros(2), &zeros(3)).is_err());
    }
}

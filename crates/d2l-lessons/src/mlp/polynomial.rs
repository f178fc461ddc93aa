//! Model selection, underfitting and overfitting (section 4.4): a polynomial from too few, enough and too many features.

use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::Chart,
    linear::regression_scratch::{data_iter, sgd},
    numbers::{scalar, values},
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::{Fan, Init, Rng};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "polynomial",
    chapter: Chapter::Mlp,
    section: "4.4",
    title: "Underfitting and overfitting",
    expected: "losses about 0.011/0.011 with 4 features, 8.4/15.6 with 2, 0.012/0.018 with all 20",
    cost: Cost::Seconds,
    run,
};

/// Features: 1, x, x²/2!, …
pub const MAX_DEGREE: usize = 20;
/// The weights of the first four; all others are zero.
pub const TRUE_WEIGHT: [f64; 4] = [5.0, 1.2, -3.4, 5.6];
const EXAMPLES: usize = 100;

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: data
    let (features, labels) = polynomial_data(2 * EXAMPLES, &page.rng("data"))?;
    page.show("features[0]", &features.get(0)?);
    page.show("labels[0]", &labels.get(0)?);
    // ANCHOR_END: data

    // ANCHOR: normal
    let normal = fit(
        page,
        "normal",
        &features.narrow(1, 0, 4)?,
        &labels,
        page.choose(400, 200),
    )?;
    // ANCHOR_END: normal
    expect_losses(page, "4 features", &normal, [(0.006, 0.02), (0.006, 0.12)]);
    let spreads = [0.1, 0.2, 0.15, 0.6];
    for (n, ((book, spread), reached)) in TRUE_WEIGHT
        .into_iter()
        .zip(spreads)
        .zip(&normal.weight)
        .enumerate()
    {
        page.expect_of_full(&format!("weight {n}"), Expect::near(book, spread), *reached);
    }

    // ANCHOR: underfitting
    let under = fit(
        page,
        "underfitting",
        &features.narrow(1, 0, 2)?,
        &labels,
        page.choose(400, 200),
    )?;
    // ANCHOR_END: underfitting
    expect_losses(page, "2 features", &under, [(2.0, 100.0), (2.0, 70.0)]);
    page.expect(
        "underfitting: how many times the loss of 4 features",
        Expect::AtLeast(10.0),
        under.train / normal.train,
    );

    // ANCHOR: overfitting
    let over = fit(page, "overfitting", &features, &labels, page.choose(1500, 100))?;
    // ANCHOR_END: overfitting
    expect_losses(page, "20 features", &over, [(0.006, 0.018), (0.007, 0.4)]);
    Ok(())
}

/// Rows of training and test loss. The bounds are what 150 draws of the data come to (`tests/golden/polynomial.py`): much
/// depends on how many of the few hundred examples are far from zero.
fn expect_losses(page: &mut Page<'_>, what: &str, fit: &Fit, bounds: [(f64, f64); 2]) {
    let losses = [("train", fit.train), ("test", fit.test)];
    for ((split, reached), (low, high)) in losses.into_iter().zip(bounds) {
        page.expect_of_full(
            &format!("{split} loss with {what}"),
            Expect::Between(low, high),
            reached,
        );
    }
}

// ANCHOR: polynomial_data
/// `n` examples of y = 5 + 1.2x − 3.4x²/2! + 5.6x³/3! + noise, with x from N(0, 1) and noise from N(0, 0.1²).
///
/// # Shapes
/// features `[n, 20]`, labels `[n, 1]`
///
/// # Errors
/// When the tensors cannot be made.
pub fn polynomial_data(n: usize, rng: &Rng) -> Result<(Tensor, Tensor)> {
    let mut rng = rng.clone();
    let x = rng.normal(&[n, 1], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let mut feature = x.ones_like()?;
    let mut features = vec![feature.clone()];
    for degree in 1..MAX_DEGREE {
        // xⁱ/i! from the one before: the factorial keeps large powers small.
        feature = ((feature * &x)? / degree as f64)?;
        features.push(feature.clone());
    }
    let features = Tensor::cat(&features, 1)?;
    let weight = Tensor::new(&TRUE_WEIGHT, &Device::Cpu)?.to_dtype(DType::F32)?;
    let weight = weight.unsqueeze(1)?;
    let noise = rng.normal(&[n, 1], 0.0, 0.1, DType::F32, &Device::Cpu)?;
    let labels = (features.narrow(1, 0, TRUE_WEIGHT.len())?.matmul(&weight)? + noise)?;
    Ok((features, labels))
}
// ANCHOR_END: polynomial_data

/// Mean squared errors at the end, and the weights.
struct Fit {
    train: f64,
    test: f64,
    weight: Vec<f64>,
}

// ANCHOR: fit
/// Fits a weight per feature to the first half of the examples and watches the loss on the second.
fn fit(page: &mut Page<'_>, name: &str, features: &Tensor, labels: &Tensor, epochs: u64) -> Result<Fit> {
    let (learning_rate, batch_size) = (0.01, 10);
    let half = |t: &Tensor, start| t.narrow(0, start, EXAMPLES)?.contiguous();
    let (train_x, train_y) = (half(features, 0)?, half(labels, 0)?);
    let (test_x, test_y) = (half(features, EXAMPLES)?, half(labels, EXAMPLES)?);
    // The bias is in the features: the first of them is always 1.
    let weight = initial_weight(features.dim(1)?, &page.rng(name))?;
    let loss =
        |x: &Tensor, y: &Tensor| -> Result<f64> { scalar(&squared_errors(x, y, &weight)?.mean_all()?) };

    let (mut train, mut test) = (Vec::new(), Vec::new());
    for epoch in 0..epochs {
        let order = page.rng(&format!("{name} {epoch}"));
        for batch in data_iter(batch_size, &train_x, &train_y, &order)? {
            let (x, y) = batch?;
            let gradients = squared_errors(&x, &y, &weight)?.sum_all()?.backward()?;
            sgd(&[&weight], &gradients, learning_rate, batch_size)?;
        }
        if epoch == 0 || (epoch + 1) % 20 == 0 {
            let at = (epoch + 1) as f64;
            train.push((at, loss(&train_x, &train_y)?));
            test.push((at, loss(&test_x, &test_y)?));
        }
        page.progress(name, epoch + 1, epochs)?;
    }
    let chart = Chart::new("epoch", "loss")
        .log_y()
        .line("train", train)
        .dashed("test", test);
    page.draw(name, Figure::chart(chart));
    let fit = Fit {
        train: loss(&train_x, &train_y)?,
        test: loss(&test_x, &test_y)?,
        weight: values(&weight)?,
    };
    let weight: Vec<String> = fit.weight.iter().map(|w| format!("{w:.3}")).collect();
    page.say(format_args!(
        "{name}: train loss {:.4}, test loss {:.4}, weight [{}]",
        fit.train,
        fit.test,
        weight.join(", ")
    ));
    Ok(fit)
}
// ANCHOR_END: fit

/// As PyTorch's linear layer starts: U(±1/√features).
fn initial_weight(features: usize, rng: &Rng) -> Result<Var> {
    let fan = Fan::of_weight(&[1, features]);
    let mut rng = rng.clone();
    let weight = Init::TorchDefault.tensor(&[features, 1], fan, &mut rng, DType::F32, &Device::Cpu)?;
    Ok(Var::from_tensor(&weight)?)
}

fn squared_errors(x: &Tensor, y: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok((x.matmul(weight)? - y)?.sqr()?)
}

//! Loss functions (after section 3.1): L2, L1 and Huber, with their gradients and likelihoods.

use crate::{
    Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result,
    figure::{Chart, Panel},
    numbers::values,
    preliminaries::autograd::gradient,
};
use candle_core::{Device, Tensor, Var};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "losses",
    chapter: Chapter::Linear,
    section: "3.1",
    title: "Loss functions and their gradients",
    expected: "gradients: L2 the error itself, L1 its sign, Huber the error cut at plus and minus delta",
    cost: Cost::Seconds,
    run,
};

/// A loss of each example, from predictions and truths.
type Loss = fn(&Tensor, &Tensor) -> Result<Tensor>;

fn run(page: &mut Page<'_>) -> Result<()> {
    let losses: [(&str, Loss); 3] = [
        ("L2", l2),
        ("L1", l1),
        ("Huber, delta 1", |y_hat, y| huber(y_hat, y, 1.0)),
    ];
    // ANCHOR: plot
    let errors: Vec<f64> = (-300..=300).map(|i| f64::from(i) * 0.01).collect();
    let panels = losses.iter().map(|(name, loss)| {
        let (values, gradients) = with_gradients(*loss, &errors)?;
        let likelihoods = values.iter().map(|value| (-value).exp()).collect();
        let curve = |ys: Vec<f64>| errors.iter().copied().zip(ys).collect::<Vec<_>>();
        let chart = Chart::new("prediction - truth", "")
            .title(*name)
            .line("loss", curve(values))
            .line("gradient", curve(gradients))
            .dashed("exp(-loss)", curve(likelihoods));
        Ok(Panel::Chart(chart))
    });
    page.draw("losses", Figure::row(panels.collect::<Result<Vec<_>>>()?));
    // ANCHOR_END: plot

    let errors = [-3.0, -0.5, 0.0, 2.0];
    let expected = [
        ([4.5, 0.125, 0.0, 2.0], [-3.0, -0.5, 0.0, 2.0]),
        ([3.0, 0.5, 0.0, 2.0], [-1.0, -1.0, 0.0, 1.0]),
        ([2.5, 0.125, 0.0, 1.5], [-1.0, -0.5, 0.0, 1.0]),
    ];
    for ((name, loss), (expected_values, expected_gradients)) in losses.into_iter().zip(expected) {
        let (values, gradients) = with_gradients(loss, &errors)?;
        page.say(format_args!(
            "{name} of {errors:?}: {values:?}, gradients {gradients:?}"
        ));
        page.expect(
            &format!("{name}: distance from the formula"),
            Expect::Exactly(0.0),
            farthest(&values, &expected_values),
        );
        page.expect(
            &format!("{name}: gradients' distance"),
            Expect::Exactly(0.0),
            farthest(&gradients, &expected_gradients),
        );
    }
    Ok(())
}

fn farthest(reached: &[f64], expected: &[f64]) -> f64 {
    let distances = reached.iter().zip(expected).map(|(a, b)| (a - b).abs());
    distances.fold(0.0, f64::max)
}

/// A loss and its gradient by the prediction, at these distances from the truth.
fn with_gradients(loss: Loss, errors: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    let y_hat = Var::new(errors, &Device::Cpu)?;
    let losses = loss(&y_hat, &y_hat.zeros_like()?)?;
    let gradients = gradient(&losses.sum_all()?, &y_hat)?;
    Ok((values(&losses)?, values(&gradients)?))
}

// ANCHOR: l2
/// Squared error: (ŷ − y)² / 2. The gradient grows with the error, so that far outliers pull hardest.
///
/// # Errors
/// When the shapes differ.
pub fn l2(y_hat: &Tensor, y: &Tensor) -> Result<Tensor> {
    Ok(((y_hat - y)?.sqr()? / 2.0)?)
}
// ANCHOR_END: l2

// ANCHOR: l1
/// Absolute error: |ŷ − y|. The gradient is 1 or −1 however small the error, and 0 where there is none.
///
/// # Errors
/// When the shapes differ.
pub fn l1(y_hat: &Tensor, y: &Tensor) -> Result<Tensor> {
    // As a sum of two, so that the gradients of both halves cancel at 0.
    let error = (y_hat - y)?;
    Ok((error.relu()? + error.neg()?.relu()?)?)
}
// ANCHOR_END: l1

// ANCHOR: huber
/// Huber's loss: L2 up to an error of `delta`, and from there on as steep as it is at `delta`.
///
/// # Errors
/// When `delta` is not above 0, or the shapes differ.
pub fn huber(y_hat: &Tensor, y: &Tensor, delta: f64) -> Result<Tensor> {
    if delta.is_nan() || delta <= 0.0 {
        return Err(Error::Lesson(format!("Huber's delta is above 0, got {delta}")));
    }
    let size = l1(y_hat, y)?;
    let beyond = ((&size - delta / 2.0)? * delta)?;
    Ok(size.le(delta)?.where_cond(&l2(y_hat, y)?, &beyond)?)
}
// ANCHOR_END: huber

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;

    #[test]
    fn losses_and_gradients_are_pytorchs() {
        let golden = Golden::linear();
        let errors = golden.values("errors");
        let losses: [(&str, Loss); 4] = [
            ("l2", l2),
            ("l1", l1),
            ("huber 1", |y_hat, y| huber(y_hat, y, 1.0)),
            ("huber 2.5", |y_hat, y| huber(y_hat, y, 2.5)),
        ];
        for (name, loss) in losses {
            let (values, gradients) = with_gradients(loss, &errors).unwrap();
            let off = farthest(&values, &golden.values(name));
            assert!(off < 1e-12, "{name}: {off}");
            let off = farthest(&gradients, &golden.values(&format!("{name} gradient")));
            assert!(off < 1e-12, "{name} gradient: {off}");
        }
    }

    #[test]
    fn shapes_and_deltas_that_make_no_sense_are_refused() {
        let (two, three) = (
            Tensor::new(&[0f32, 1.0], &Device::Cpu).unwrap(),
            Tensor::new(&[0f32; 3], &Device::Cpu).unwrap(),
        );
        assert!(l2(&two, &three).is_err() && l1(&two, &three).is_err() && huber(&two, &three, 1.0).is_err());
        for delta in [0.0, -1.0, f64::NAN] {
            assert!(huber(&two, &two, delta).is_err(), "{delta}");
        }
    }
}

//! Smoothing a noisy loss curve (after section 3.2): the exponential moving average.

use super::regression_scratch::{
    TRUE_BIAS, TRUE_WEIGHT, data_iter, initial_parameters, linreg, sgd, squared_loss, synthetic_data,
};
use crate::{Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result, figure::Chart, numbers::scalar};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "smoothed-loss",
    chapter: Chapter::Linear,
    section: "3.2",
    title: "Smoothing a noisy loss curve",
    expected: "the average of 1, 2, 3 at beta = 0.5 is 1, 5/3, 17/7; a smoothed curve moves far less from step to step",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: smoothing
    let losses = noisy_losses(page, 400)?;
    let (light, strong) = (smooth(&losses, 0.9)?, smooth(&losses, 0.98)?);
    let by_step = |losses: &[f64]| (1u32..).map(f64::from).zip(losses.to_vec()).collect::<Vec<_>>();
    let chart = Chart::new("step", "loss")
        .points("batch of one", by_step(&losses))
        .line("beta 0.9", by_step(&light))
        .line("beta 0.98", by_step(&strong))
        .log_y();
    page.draw("smoothed", Figure::chart(chart));
    // ANCHOR_END: smoothing
    let (raw, smoothed) = (movement(&losses), movement(&strong));
    page.say(format_args!(
        "mean change from step to step: {raw:.3}, smoothed {smoothed:.3}"
    ));
    page.expect(
        "movement of the smoothed curve by the raw one's",
        Expect::AtMost(0.1),
        smoothed / raw,
    );
    let expected = [1.0, 5.0 / 3.0, 17.0 / 7.0];
    for (index, (reached, expected)) in smooth(&[1.0, 2.0, 3.0], 0.5)?
        .into_iter()
        .zip(expected)
        .enumerate()
    {
        page.expect(
            &format!("average of 1, 2, 3 after {}", index + 1),
            Expect::Exactly(expected),
            reached,
        );
    }
    Ok(())
}

/// The losses of linear regression by SGD with batches of one.
fn noisy_losses(page: &mut Page<'_>, steps: usize) -> Result<Vec<f64>> {
    let (features, labels) = synthetic_data(&TRUE_WEIGHT, TRUE_BIAS, steps, &page.rng("data"))?;
    let (weight, bias) = initial_parameters(2, &page.rng("weight"))?;
    let mut losses = Vec::new();
    for batch in data_iter(1, &features, &labels, &page.rng("order"))? {
        let (x, y) = batch?;
        let loss = squared_loss(&linreg(&x, &weight, &bias)?, &y)?.sum_all()?;
        sgd(&[&weight, &bias], &loss.backward()?, 0.01, 1)?;
        losses.push(scalar(&loss)?);
    }
    Ok(losses)
}

// ANCHOR: smooth
/// The exponential moving average: each value is `beta` times the one before plus 1 − `beta` times the new one. Divided
/// by 1 − betaᵗ, because the average starts at 0 and is too small at first.
///
/// # Errors
/// When `beta` is not at least 0 and below 1.
pub fn smooth(values: &[f64], beta: f64) -> Result<Vec<f64>> {
    if !(0.0..1.0).contains(&beta) {
        return Err(Error::Lesson(format!(
            "beta is at least 0 and below 1, got {beta}"
        )));
    }
    let (mut average, mut weight) = (0.0, 0.0);
    let smoothed = values.iter().map(|value| {
        average = beta * average + (1.0 - beta) * value;
        weight = beta * weight + (1.0 - beta); // 1 − betaᵗ
        average / weight
    });
    Ok(smoothed.collect())
}
// ANCHOR_END: smooth

/// The mean distance of a value from the one before.
fn movement(values: &[f64]) -> f64 {
    let steps = values.iter().zip(values.iter().skip(1));
    steps.map(|(a, b)| (b - a).abs()).sum::<f64>() / (values.len().saturating_sub(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_beta_zero_changes_nothing() {
        for beta in [0.0, 0.3, 0.99] {
            let smoothed = smooth(&[7.0; 20], beta).unwrap();
            assert!(
                smoothed.iter().all(|value| (value - 7.0).abs() < 1e-12),
                "{beta}: {smoothed:?}"
            );
        }
        assert_eq!(smooth(&[3.0, -1.0], 0.0).unwrap(), [3.0, -1.0]);
        assert!(smooth(&[], 0.5).unwrap().is_empty());
        for beta in [-0.1, 1.0, f64::NAN] {
            assert!(smooth(&[1.0], beta).is_err(), "{beta}");
        }
    }
}

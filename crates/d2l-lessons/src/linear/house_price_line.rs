//! A line through house prices (after section 3.1): price by size, found by gradient descent on all the data at once.

use super::regression_scratch::{initial_parameters, linreg, sgd, squared_loss};
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::Chart,
    numbers::{scalar, values},
};
use candle_core::{DType, Device, Tensor};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "house-price-line",
    chapter: Chapter::Linear,
    section: "3.1",
    title: "A line through house prices",
    expected: "a house of size 7.5 costs about 22.5",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    let (sizes, prices) = houses(100, &page.rng("houses"))?;
    // ANCHOR: training
    let (steps, learning_rate) = (1000, 0.01);
    let (weight, bias) = initial_parameters(1, &page.rng("weight"))?;
    let mut losses = Vec::new();
    for step in 1..=steps {
        let loss = squared_loss(&linreg(&sizes, &weight, &bias)?, &prices)?.mean_all()?;
        sgd(&[&weight, &bias], &loss.backward()?, learning_rate, 1)?; // the mean needs no division
        losses.push((f64::from(step), scalar(&loss)?));
        if step % 200 == 0 {
            page.say(format_args!("step {step}, loss {:.4}", scalar(&loss)?));
        }
    }
    // ANCHOR_END: training

    // ANCHOR: prediction
    let price = |size: f64| -> Result<f64> {
        let size = Tensor::new(&[[size as f32]], &Device::Cpu)?;
        scalar(&linreg(&size, &weight, &bias)?)
    };
    let predicted = price(7.5)?;
    page.say(format_args!(
        "price = {:.3} size + {:.3}",
        scalar(&weight)?,
        scalar(&bias)?
    ));
    page.say(format_args!("a house of size 7.5 costs about {predicted:.2}"));
    // ANCHOR_END: prediction

    let pairs: Vec<(f64, f64)> = values(&sizes)?.into_iter().zip(values(&prices)?).collect();
    let (slope, intercept) = least_squares(&pairs);
    let line = [(0.0, price(0.0)?), (10.0, price(10.0)?)];
    let chart = Chart::new("size", "price")
        .points("houses", pairs)
        .line("line found", line);
    page.draw("line", Figure::chart(chart));
    page.draw(
        "loss",
        Figure::chart(Chart::new("step", "loss").line("", losses).log_y()),
    );
    page.expect("price of size 7.5", Expect::near(22.5, 0.5), predicted);
    page.expect(
        "the same from the best line there is",
        Expect::near(22.5, 0.5),
        slope * 7.5 + intercept,
    );
    page.expect(
        "distance of the two",
        Expect::AtMost(0.1),
        (slope * 7.5 + intercept - predicted).abs(),
    );
    Ok(())
}

// ANCHOR: houses
/// Sizes from U[0, 10) and prices of 3 × size, with noise from N(0, 1).
///
/// # Shapes
/// both `[n, 1]`
///
/// # Errors
/// When the tensors cannot be made.
pub fn houses(n: usize, rng: &Rng) -> Result<(Tensor, Tensor)> {
    let sizes = rng
        .split("sizes")
        .uniform(&[n, 1], 0.0, 10.0, DType::F32, &Device::Cpu)?;
    let noise = rng
        .split("noise")
        .normal(&[n, 1], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let prices = ((3.0 * &sizes)? + noise)?;
    Ok((sizes, prices))
}
// ANCHOR_END: houses

// ANCHOR: least_squares
/// Slope and intercept of the line with the least sum of squared errors; no line through points above each other.
pub fn least_squares(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope = covariance / variance;
    (slope, mean_y - slope * mean_x)
}
// ANCHOR_END: least_squares

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_line_by_hand() {
        // Σ(x−1)(y−1) = 3 and Σ(x−1)² = 2 around the means 1 and 1.
        assert_eq!(least_squares(&[(0.0, 0.0), (1.0, 0.0), (2.0, 3.0)]), (1.5, -0.5));
        assert!(least_squares(&[(1.0, 0.0), (1.0, 2.0)]).0.is_nan());
    }
}

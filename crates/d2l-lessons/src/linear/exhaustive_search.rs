//! Trying all weights (after section 3.1): the loss on a grid, and how gradient descent, stochastic gradient descent and
//! mini-batches get to the same place.

use super::regression_scratch::{data_iter, sgd, squared_loss};
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::{Chart, Panel},
    numbers::scalar,
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "exhaustive-search",
    chapter: Chapter::Linear,
    section: "3.1",
    title: "Exhaustive search for one weight, beside gradient descent",
    expected: "on a grid of steps of 0.1 the loss is least at the true weight, 2; descent gets there too",
    cost: Cost::Seconds,
    run,
};

/// The weight that the data is made with.
pub const TRUE_WEIGHT: f64 = 2.0;

fn run(page: &mut Page<'_>) -> Result<()> {
    let (xs, ys) = data(100, &page.rng("data"))?;
    // ANCHOR: grid
    let grid = (0..=40).map(|i| f64::from(i) * 0.1);
    let curve = grid
        .map(|weight| Ok((weight, loss(&xs, &ys, weight)?)))
        .collect::<Result<Vec<_>>>()?;
    let best = curve
        .iter()
        .copied()
        .fold((f64::NAN, f64::INFINITY), |best, point| {
            if point.1 < best.1 { point } else { best }
        });
    page.say(format_args!(
        "least loss on the grid: {:.4} at w = {:.1}",
        best.1, best.0
    ));
    // ANCHOR_END: grid
    page.expect("weight with the least loss", Expect::Exactly(TRUE_WEIGHT), best.0);

    // ANCHOR: descent
    let mut paths = Vec::new();
    for (name, batch_size, learning_rate) in [
        ("gradient descent", 100, 0.5),
        ("mini-batches of 10", 10, 0.1),
        ("SGD, batches of 1", 1, 0.02),
    ] {
        let path = descend(&xs, &ys, batch_size, learning_rate, 10, &page.rng(name))?;
        let end = path.last().map_or(f64::NAN, |(_, weight)| *weight);
        page.say(format_args!(
            "{name}: w = {end:.4} after {} steps",
            path.len() - 1
        ));
        page.expect(&format!("w by {name}"), Expect::near(TRUE_WEIGHT, 0.1), end);
        paths.push((name, path));
    }
    // ANCHOR_END: descent

    let searched = Chart::new("w", "loss")
        .title("All weights")
        .line("loss", curve)
        .points("least", [best]);
    let mut moving = Chart::new("examples seen", "w").title("Paths");
    let mut falling = Chart::new("examples seen", "loss").title("Losses").log_y();
    for (name, path) in paths {
        let losses = path
            .iter()
            .map(|(seen, weight)| Ok((*seen, loss(&xs, &ys, *weight)?)));
        falling = falling.line(name, losses.collect::<Result<Vec<_>>>()?);
        moving = moving.line(name, path);
    }
    page.draw(
        "search",
        Figure::row([searched, moving, falling].map(Panel::Chart)),
    );
    Ok(())
}

/// `n` examples of y = 2x + noise, with x from N(0, 1) and noise from N(0, 0.1²).
fn data(n: usize, rng: &Rng) -> Result<(Tensor, Tensor)> {
    let xs = rng
        .split("x")
        .normal(&[n, 1], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let noise = rng
        .split("noise")
        .normal(&[n, 1], 0.0, 0.1, DType::F32, &Device::Cpu)?;
    let ys = ((TRUE_WEIGHT * &xs)? + noise)?;
    Ok((xs, ys))
}

// ANCHOR: loss
/// The mean loss of the model y = wx on all examples.
///
/// # Errors
/// When the shapes do not fit.
pub fn loss(xs: &Tensor, ys: &Tensor, weight: f64) -> Result<f64> {
    scalar(&squared_loss(&(xs * weight)?, ys)?.mean_all()?)
}
// ANCHOR_END: loss

// ANCHOR: descend
/// Gradient descent from w = 0 in batches of `batch_size`: the weight by the number of examples seen so far.
///
/// # Errors
/// When there are no examples, or the batch size is 0.
pub fn descend(
    xs: &Tensor,
    ys: &Tensor,
    batch_size: usize,
    learning_rate: f64,
    epochs: usize,
    rng: &Rng,
) -> Result<Vec<(f64, f64)>> {
    let weight = Var::zeros((1, 1), DType::F32, &Device::Cpu)?;
    let mut path = vec![(0.0, 0.0)];
    let mut seen = 0;
    for epoch in 0..epochs {
        for batch in data_iter(batch_size, xs, ys, &rng.split(&format!("order {epoch}")))? {
            let (x, y) = batch?;
            let loss = squared_loss(&x.matmul(&weight)?, &y)?.sum_all()?;
            sgd(&[&weight], &loss.backward()?, learning_rate, x.dim(0)?)?;
            seen += x.dim(0)?;
            path.push((seen as f64, scalar(&weight)?));
        }
    }
    Ok(path)
}
// ANCHOR_END: descend

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_descent_by_hand() {
        let column = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap().unsqueeze(1).unwrap();
        let (xs, ys) = (column(&[1.0, 2.0]), column(&[2.0, 4.0]));
        assert_eq!(loss(&xs, &ys, 0.0).unwrap(), 5.0); // (2² + 4²) / 2 / 2
        let path = descend(&xs, &ys, 2, 0.1, 1, &Rng::new(0)).unwrap();
        // The mean gradient at 0 is −(1·2 + 2·4) / 2 = −5.
        assert_eq!((path.len(), path[1].0), (2, 2.0));
        assert!((path[1].1 - 0.5).abs() < 1e-6, "{path:?}");
        assert!(descend(&xs, &ys, 0, 0.1, 1, &Rng::new(0)).is_err());
    }
}

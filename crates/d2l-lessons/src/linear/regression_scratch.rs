//! Linear regression from scratch (section 3.2): data, model, loss and optimiser from tensors and `backward` alone.

use crate::{Chapter, Cost, Error, Expect, Lesson, Page, Result, figure::Chart, figure::Figure};
use candle_core::{DType, Device, Tensor, Var, backprop::GradStore};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "linear-regression-scratch",
    chapter: Chapter::Linear,
    section: "3.2",
    title: "Linear regression from scratch",
    expected: "loss about 0.043, 0.00016, 0.00005 after three epochs; errors of w and b below 1e-3",
    cost: Cost::Seconds,
    run,
};

/// The weights that the data is made with.
pub const TRUE_WEIGHT: [f32; 2] = [2.0, -3.4];
/// The bias that the data is made with.
pub const TRUE_BIAS: f32 = 4.2;

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: data
    let (features, labels) = synthetic_data(&TRUE_WEIGHT, TRUE_BIAS, 1000, &page.rng("data"))?;
    page.show("features[0]", &features.get(0)?);
    page.show("label[0]", &labels.get(0)?);
    // ANCHOR_END: data
    let (xs, ys) = (features.narrow(1, 1, 1)?.flatten_all()?, labels.flatten_all()?);
    let points = xs.to_vec1::<f32>()?.into_iter().zip(ys.to_vec1::<f32>()?);
    let points = points.map(|(x, y)| (f64::from(x), f64::from(y)));
    page.draw(
        "features-and-labels",
        Figure::chart(Chart::new("second feature", "label").points("", points)),
    );

    // ANCHOR: training
    let (learning_rate, epochs, batch_size) = (0.03, 3, 10);
    let (weight, bias) = initial_parameters(2, &page.rng("weight"))?;
    let mut losses = Vec::new();
    for epoch in 0..epochs {
        for batch in data_iter(
            batch_size,
            &features,
            &labels,
            &page.rng(&format!("order {epoch}")),
        )? {
            let (x, y) = batch?;
            let loss = squared_loss(&linreg(&x, &weight, &bias)?, &y)?;
            let gradients = loss.sum_all()?.backward()?;
            sgd(&[&weight, &bias], &gradients, learning_rate, batch_size)?;
        }
        let loss = squared_loss(&linreg(&features, &weight, &bias)?, &labels)?.mean_all()?;
        losses.push(f64::from(loss.to_scalar::<f32>()?));
        page.say(format_args!("epoch {}, loss {:.6}", epoch + 1, losses[epoch]));
    }
    // ANCHOR_END: training

    let error = (weight.flatten_all()? - Tensor::new(&TRUE_WEIGHT, &Device::Cpu)?)?.abs()?;
    page.say(format_args!("error of w: {error}"));
    let error = error.max_all()?.to_scalar::<f32>()?;
    let bias_error = (bias.as_tensor() - f64::from(TRUE_BIAS))?
        .abs()?
        .max_all()?
        .to_scalar::<f32>()?;
    page.say(format_args!("error of b: {bias_error:.2e}"));
    for (epoch, expect) in [
        Expect::near(0.043, 0.02),
        Expect::AtMost(5e-4),
        Expect::AtMost(1e-4),
    ]
    .into_iter()
    .enumerate()
    {
        page.expect(&format!("loss of epoch {}", epoch + 1), expect, losses[epoch]);
    }
    page.expect("largest error of w", Expect::AtMost(1e-3), f64::from(error));
    page.expect("error of b", Expect::AtMost(1e-3), f64::from(bias_error));
    Ok(())
}

// ANCHOR: synthetic_data
/// `n` examples of y = Xw + b + noise, with features from N(0, 1) and noise from N(0, 0.01²).
///
/// # Shapes
/// features `[n, len(w)]`, labels `[n, 1]`
///
/// # Errors
/// When the tensors cannot be made.
pub fn synthetic_data(weight: &[f32], bias: f32, n: usize, rng: &Rng) -> Result<(Tensor, Tensor)> {
    // Not splits of `rng`: they know only the seed, so that two sets of a lesson would be the same.
    let mut rng = rng.clone();
    let features = rng.normal(&[n, weight.len()], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let noise = rng.normal(&[n, 1], 0.0, 0.01, DType::F32, &Device::Cpu)?;
    let weight = Tensor::new(weight, &Device::Cpu)?.unsqueeze(1)?;
    let labels = ((features.matmul(&weight)? + f64::from(bias))? + noise)?;
    Ok((features, labels))
}
// ANCHOR_END: synthetic_data

// ANCHOR: data_iter
/// Mini-batches of `batch_size` in an order drawn from `rng`; the last one may be short.
///
/// # Errors
/// When the features have no rows, or the batch size is 0.
pub fn data_iter(
    batch_size: usize,
    features: &Tensor,
    labels: &Tensor,
    rng: &Rng,
) -> Result<impl Iterator<Item = Result<(Tensor, Tensor)>>> {
    if batch_size == 0 {
        return Err(Error::Lesson("a batch needs at least one example".into()));
    }
    let mut indices: Vec<u32> = (0..features.dim(0)? as u32).collect();
    rng.clone().shuffle(&mut indices);
    let batches: Vec<Vec<u32>> = indices.chunks(batch_size).map(<[u32]>::to_vec).collect();
    Ok(batches.into_iter().map(move |batch| {
        let rows = Tensor::new(batch, features.device())?;
        Ok((features.index_select(&rows, 0)?, labels.index_select(&rows, 0)?))
    }))
}
// ANCHOR_END: data_iter

/// Weights from N(0, 0.01²) and a bias of zero.
///
/// # Errors
/// When the variables cannot be made.
pub fn initial_parameters(inputs: usize, rng: &Rng) -> Result<(Var, Var)> {
    let weight = rng
        .clone()
        .normal(&[inputs, 1], 0.0, 0.01, DType::F32, &Device::Cpu)?;
    let bias = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
    Ok((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?))
}

// ANCHOR: model
/// The model: Xw + b.
///
/// # Errors
/// When the shapes do not fit.
pub fn linreg(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    Ok(x.matmul(weight)?.broadcast_add(bias)?)
}

/// The loss of each example: (ŷ − y)² / 2.
///
/// # Errors
/// When the shapes do not fit.
pub fn squared_loss(y_hat: &Tensor, y: &Tensor) -> Result<Tensor> {
    Ok((((y_hat - y.reshape(y_hat.shape())?)?).sqr()? / 2.0)?)
}

/// Mini-batch stochastic gradient descent, for a loss that is a sum over the batch.
///
/// # Errors
/// When a parameter cannot be set.
pub fn sgd(parameters: &[&Var], gradients: &GradStore, learning_rate: f64, batch_size: usize) -> Result<()> {
    for parameter in parameters {
        if let Some(gradient) = gradients.get(parameter) {
            let step = (gradient * (learning_rate / batch_size as f64))?;
            parameter.set(&(parameter.as_tensor() - step)?)?;
        }
    }
    Ok(())
}
// ANCHOR_END: model

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::distance;

    /// The generators of two names, as a page gives them.
    fn two() -> [Rng; 2] {
        ["train", "test"].map(|name| Rng::new(3).split(name))
    }

    #[test]
    fn sets_of_two_names_have_no_examples_in_common() {
        let [train, test] = two().map(|rng| synthetic_data(&[2.0, -3.4], 4.2, 20, &rng).unwrap());
        assert!(distance(&train.0, &test.0).unwrap() > 0.1);
        assert!(distance(&train.1, &test.1).unwrap() > 0.1);
    }

    #[test]
    fn two_epochs_have_two_orders_of_the_same_examples() {
        let xs = Tensor::arange(0f32, 10.0, &Device::Cpu)
            .unwrap()
            .unsqueeze(1)
            .unwrap();
        let [first, second] = two().map(|rng| {
            let batches = data_iter(4, &xs, &xs, &rng).unwrap();
            let batches = batches.map(|batch| batch.unwrap().0.flatten_all().unwrap().to_vec1().unwrap());
            batches.collect::<Vec<Vec<f32>>>()
        });
        assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        assert_ne!(first, second);
        for epoch in [first, second] {
            let mut all = epoch.concat();
            all.sort_by(f32::total_cmp);
            assert_eq!(all, (0..10).map(|n| n as f32).collect::<Vec<_>>());
        }
    }
}

//! A multilayer perceptron from scratch (section 4.2).

use super::activations::relu;
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result, Within,
    linear::{
        image_data::load_fashion_mnist,
        regression_scratch::sgd,
        softmax_scratch::{Learner, fit},
    },
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "mlp-scratch",
    chapter: Chapter::Mlp,
    section: "4.2",
    title: "A multilayer perceptron from scratch",
    expected: "loss 0.383, train 0.864, test 0.83 to 0.84 after ten epochs",
    cost: Cost::Minutes,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let (batch_size, learning_rate, epochs) = (256, 0.1, page.choose(10, 2));
    let (train, test) = load_fashion_mnist(page, batch_size, None)?;
    let net = Perceptron::new(&[784, 256, 10], &page.rng("net"), page.device())?;
    let learner = Learner {
        net: &|x| net.forward(x, &mut |_, hidden| Ok(hidden)),
        loss: &cross_entropy_of_logits,
        update: &|gradients, batch_size| sgd(&net.parameters(), gradients, learning_rate, batch_size),
    };
    let animator = fit(page, &learner, &train, &test, epochs)?;
    page.draw("curves", Figure::chart(animator.chart()));
    // ANCHOR_END: training
    let [loss, train, test] = animator.last()?;
    page.expect(
        "train loss below that of guessing",
        Expect::AtMost(10f64.ln()),
        loss,
    );
    if let Some(book) = d2l_models::find("mlp")?.expected {
        WITHIN.expect(page, book, [loss, train, test]);
    }
    Ok(())
}

/// Seeds differ by about 0.003 in the loss and 0.02 in the test accuracy.
pub(super) const WITHIN: Within = Within {
    train_loss: 0.01,
    train_accuracy: 0.005,
    test_accuracy: 0.04,
};

// ANCHOR: parameters
/// Fully connected layers with ReLU between them.
pub struct Perceptron {
    /// Weight `[inputs, outputs]` and bias `[outputs]` of each layer.
    pub layers: Vec<(Var, Var)>,
}

impl Perceptron {
    /// Layers from each of `sizes` to the next, with weights from N(0, 0.01²) and biases of zero.
    ///
    /// # Errors
    /// When the variables cannot be made.
    pub fn new(sizes: &[usize], rng: &Rng, device: &Device) -> Result<Self> {
        let pairs = sizes.iter().zip(sizes.iter().skip(1));
        let layer = |(n, (&inputs, &outputs)): (usize, (&usize, &usize))| {
            let mut rng = rng.split(&format!("weight {n}"));
            let weight = rng.normal(&[inputs, outputs], 0.0, 0.01, DType::F32, device)?;
            let bias = Tensor::zeros(outputs, DType::F32, device)?;
            Ok((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?))
        };
        Ok(Self {
            layers: pairs.enumerate().map(layer).collect::<Result<_>>()?,
        })
    }

    /// Weights and biases, layer by layer.
    pub fn parameters(&self) -> Vec<&Var> {
        self.layers
            .iter()
            .flat_map(|(weight, bias)| [weight, bias])
            .collect()
    }
    // ANCHOR_END: parameters

    // ANCHOR: model
    /// The logits. `after` is done to the output of each hidden layer, which it gets with the layer's number (from 0).
    ///
    /// # Shapes
    /// xs `[n, …]`, one row each → `[n, classes]`
    ///
    /// # Errors
    /// When the shapes do not fit, or `after` fails.
    pub fn forward(
        &self,
        xs: &Tensor,
        after: &mut dyn FnMut(usize, Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut xs = xs.flatten_from(1)?;
        for (n, (weight, bias)) in self.layers.iter().enumerate() {
            xs = xs.matmul(weight)?.broadcast_add(bias)?;
            if n + 1 < self.layers.len() {
                xs = after(n, relu(&xs)?)?;
            }
        }
        Ok(xs)
    }
    // ANCHOR_END: model
}

// ANCHOR: loss
/// The loss of each example from logits: log Σ exp(o) − o of the true class. The largest logit is taken away first, so
/// that no exp can overflow.
///
/// # Shapes
/// logits `[n, classes]`, y `[n]` class numbers → `[n]`
///
/// # Errors
/// When the shapes do not fit.
pub fn cross_entropy_of_logits(logits: &Tensor, y: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
    let of_truth = shifted.gather(&y.unsqueeze(1)?, 1)?;
    Ok((log_sum - of_truth)?.squeeze(1)?)
}
// ANCHOR_END: loss

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{golden::Golden, numbers::distance};

    #[test]
    fn the_loss_and_its_gradient_are_pytorchs_for_huge_logits_too() {
        let golden = Golden::mlp();
        let tensor = |name: &str| Tensor::new(golden.values(name).as_slice(), &Device::Cpu).unwrap();
        let logits = Var::from_tensor(&tensor("logits").reshape(((), 3)).unwrap()).unwrap();
        let classes = tensor("classes").to_dtype(DType::U32).unwrap();
        let loss = cross_entropy_of_logits(&logits, &classes).unwrap();
        assert!(distance(&loss, &tensor("cross-entropy")).unwrap() < 1e-14);
        let gradients = loss.sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&logits).unwrap().flatten_all().unwrap();
        assert!(distance(&gradient, &tensor("cross-entropy gradient")).unwrap() < 1e-14);
    }
}

//! Batch normalisation from scratch (section 7.5): the function, a layer around it, and LeNet with that layer.

use crate::{
    Chapter, Classifier, Cost, Error, Expect, Lesson, Page, Result, Within, shapes::print_parameters,
};
use candle_core::{DType, Tensor, Var};
use d2l_models::lenet_bn;
use d2l_nn::{
    Fan, Init, Network,
    layers::{Context, Forward, Layer, LayerSpec, ParamSpec},
};
use std::sync::Arc;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "batch-norm-scratch",
    chapter: Chapter::ModernConvolution,
    section: "7.5",
    title: "Batch normalisation from scratch",
    expected: "LeNet with batch norm: loss about 0.27, train about 0.90, test 0.71 to 0.88 after ten epochs",
    cost: Cost::Minutes,
    run,
};

/// What is added to the variance before its root is taken.
pub const EPS: f64 = 1e-5;
/// The share of the old value in a moving mean. PyTorch counts the new one's: its momentum is 1 − 0.9 = 0.1.
pub const MOMENTUM: f64 = 0.9;

fn run(page: &mut Page<'_>) -> Result<()> {
    normalised(page)?;

    // ANCHOR: training
    let book = Classifier::of_the_book("lenet-bn", page)?;
    let lenet = Classifier {
        name: "lenet-bn with a batch norm of its own",
        network: lenet_batch_norm(),
        epochs: page.choose(book.epochs, 1),
        ..book
    };
    print_parameters(page, &lenet.network, &lenet.input, 44_878)?;
    let fitted = lenet.train(page)?;
    // ANCHOR_END: training

    for name in ["norm1.gamma", "norm1.beta"] {
        let learned = fitted.params.get(name);
        let learned = learned.ok_or_else(|| Error::Lesson(format!("the network has no {name}")))?;
        page.show(name, &learned);
    }
    fitted.beside_the_book(page, "lenet-bn", WITHIN)
}

/// Seeds differ by about 0.005 in the loss and 0.1 in the test accuracy.
pub(super) const WITHIN: Within = Within {
    train_loss: 0.02,
    train_accuracy: 0.01,
    test_accuracy: 0.15,
};

/// What comes out has mean 0 and variance 1 in every channel.
fn normalised(page: &mut Page<'_>) -> Result<()> {
    let xs = page
        .rng("xs")
        .normal(&[8, 3, 5, 5], 4.0, 2.0, DType::F32, page.device())?;
    let norm = Norm::new(3, page)?;
    let ys = norm.apply(&xs, true)?;
    let mean = ys.mean((0, 2, 3))?;
    let variance = (ys.sqr()?.mean((0, 2, 3))? - mean.sqr()?)?;
    page.show("mean by channel", &mean);
    page.show("variance by channel", &variance);
    let largest = |xs: &Tensor| -> Result<f64> { Ok(f64::from(xs.abs()?.max_all()?.to_scalar::<f32>()?)) };
    page.expect("largest mean", Expect::AtMost(1e-5), largest(&mean)?);
    let from_one = largest(&(variance - 1.0)?)?;
    page.expect("largest |variance − 1|", Expect::AtMost(1e-4), from_one);
    // The moving mean has gone a tenth of the way from 0 to 4.
    let moving = norm.moving_mean.mean_all()?.to_scalar::<f32>()?;
    page.expect("moving mean", Expect::near(0.4, 0.05), f64::from(moving));
    Ok(())
}

// ANCHOR: batch_norm
/// Batch normalisation of `[batch, features]` or `[batch, channels, height, width]`.
///
/// # Shapes
/// `gamma`, `beta` and the moving values: `[features]` or `[channels]`
///
/// # Errors
/// When the shapes do not fit.
pub fn batch_norm(
    xs: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    [moving_mean, moving_var]: [&Var; 2],
    train: bool,
) -> candle_core::Result<Tensor> {
    // A row for each channel, of all that the batch has in it.
    let by_channel = xs.transpose(0, 1)?.contiguous()?;
    let rows = by_channel.flatten_from(1)?;
    let normalised = if train {
        let mean = rows.mean_keepdim(1)?;
        let centered = rows.broadcast_sub(&mean)?;
        let var = centered.sqr()?.mean_keepdim(1)?;
        move_towards(moving_mean, &mean.squeeze(1)?)?;
        move_towards(moving_var, &var.squeeze(1)?)?;
        centered.broadcast_mul(&(var + EPS)?.sqrt()?.recip()?)?
    } else {
        // A single picture has no statistics worth the name.
        let scale = (moving_var.unsqueeze(1)? + EPS)?.sqrt()?.recip()?;
        rows.broadcast_sub(&moving_mean.unsqueeze(1)?)?
            .broadcast_mul(&scale)?
    };
    normalised
        .broadcast_mul(&gamma.unsqueeze(1)?)?
        .broadcast_add(&beta.unsqueeze(1)?)?
        .reshape(by_channel.shape())?
        .transpose(0, 1)?
        .contiguous()
}

fn move_towards(moving: &Var, new: &Tensor) -> candle_core::Result<()> {
    moving.set(&((moving.as_tensor() * MOMENTUM)? + (new.detach() * (1.0 - MOMENTUM))?)?)
}
// ANCHOR_END: batch_norm

// ANCHOR: layer
/// Batch norm as a layer of a network: learned scale and shift, and moving values that are only kept.
#[derive(Debug)]
pub struct BatchNorm;

impl LayerSpec for BatchNorm {
    fn kind(&self) -> &str {
        "own BatchNorm"
    }

    fn output_shape(&self, input: &[usize]) -> d2l_nn::Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn params(&self, input: &[usize]) -> d2l_nn::Result<Vec<ParamSpec>> {
        let shape = match *input {
            [channels] | [channels, _, _] => vec![channels],
            _ => {
                return Err(d2l_nn::Error::msg(format!(
                    "expects features or a picture, got {input:?}"
                )));
            }
        };
        let fan = Fan::of_weight(&shape);
        Ok(vec![
            ParamSpec::parameter("gamma", shape.clone(), fan, Init::Constant(1.0)),
            ParamSpec::parameter("beta", shape.clone(), fan, Init::Constant(0.0)),
            ParamSpec::buffer("moving_mean", shape.clone(), 0.0),
            ParamSpec::buffer("moving_var", shape, 1.0),
        ])
    }

    fn build(&self, _: &[usize], vars: Vec<Var>, _: u64) -> d2l_nn::Result<Box<dyn Forward>> {
        let [gamma, beta, moving_mean, moving_var] = <[Var; 4]>::try_from(vars)
            .map_err(|vars| d2l_nn::Error::msg(format!("needs 4 variables, got {}", vars.len())))?;
        Ok(Box::new(Norm {
            gamma,
            beta,
            moving_mean,
            moving_var,
        }))
    }
}
// ANCHOR_END: layer

/// The layer with its variables.
struct Norm {
    gamma: Var,
    beta: Var,
    moving_mean: Var,
    moving_var: Var,
}

impl Norm {
    /// For pictures.
    fn new(channels: usize, page: &Page<'_>) -> Result<Self> {
        let (zeros, ones) = (
            Tensor::zeros(channels, DType::F32, page.device())?,
            Tensor::ones(channels, DType::F32, page.device())?,
        );
        Ok(Self {
            gamma: Var::from_tensor(&ones)?,
            beta: Var::from_tensor(&zeros)?,
            moving_mean: Var::from_tensor(&zeros)?,
            moving_var: Var::from_tensor(&ones)?,
        })
    }

    fn apply(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let moving = [&self.moving_mean, &self.moving_var];
        batch_norm(xs, &self.gamma, &self.beta, moving, train)
    }
}

impl Forward for Norm {
    fn forward(&self, xs: &Tensor, context: &Context) -> d2l_nn::Result<Tensor> {
        Ok(self.apply(xs, context.train)?)
    }
}

// ANCHOR: lenet
/// LeNet with this file's batch norm in front of every sigmoid.
pub fn lenet_batch_norm() -> Network {
    let mut network = lenet_bn(10);
    for node in &mut network.nodes {
        if matches!(node.layer, Layer::BatchNorm(_)) {
            node.layer = Layer::Custom(Arc::new(BatchNorm));
        }
    }
    network
}
// ANCHOR_END: lenet

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::distance;
    use candle_core::Device;
    use d2l_nn::{
        Rng,
        ops::{self, BatchNormOptions},
    };

    /// Output, gradients of xs, gamma and beta, and the moving mean after it.
    type Step = (Tensor, Vec<Tensor>, Tensor);

    fn step(shape: &[usize], norm: impl Fn(&[Var; 5]) -> Tensor) -> Step {
        let mut rng = Rng::new(4);
        let mut var = |shape: &[usize], mean| {
            let values = rng.normal(shape, mean, 0.5, DType::F32, &Device::Cpu);
            Var::from_tensor(&values.unwrap()).unwrap()
        };
        let channels = [shape[1]];
        let moving_var = Var::ones(shape[1], DType::F32, &Device::Cpu).unwrap();
        let vars = [
            var(shape, 2.0),
            var(&channels, 1.0),
            var(&channels, 0.0),
            var(&channels, 1.5),
            moving_var,
        ];
        let ys = norm(&vars);
        // A weighted sum: of batch norm's plain sum of squares the gradient is nearly zero.
        let weights = rng.normal(shape, 0.0, 1.0, DType::F32, &Device::Cpu).unwrap();
        let store = (&ys * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let gradients = vars[..3].iter().map(|var| store.get(var).unwrap().clone());
        let gradients = gradients.collect();
        (ys, gradients, vars[3].as_tensor().clone())
    }

    #[test]
    fn it_is_the_librarys_batch_norm_and_so_are_its_gradients() {
        for shape in [vec![6, 3], vec![4, 3, 5, 2]] {
            for train in [true, false] {
                let mine = step(&shape, |[xs, gamma, beta, mean, var]| {
                    batch_norm(xs, gamma, beta, [mean, var], train).unwrap()
                });
                let options = BatchNormOptions::default();
                let theirs = step(&shape, |[xs, gamma, beta, mean, var]| {
                    ops::batch_norm(xs, gamma, beta, mean, var, &options, train).unwrap()
                });
                assert!(distance(&mine.0, &theirs.0).unwrap() < 1e-5, "{shape:?} {train}");
                for (mine, theirs) in mine.1.iter().zip(&theirs.1) {
                    assert!(distance(mine, theirs).unwrap() < 1e-4, "{shape:?} {train}");
                }
                // PyTorch's momentum of 0.1 is the book's 0.9.
                assert!(distance(&mine.2, &theirs.2).unwrap() < 1e-6, "{shape:?} {train}");
            }
        }
    }
}

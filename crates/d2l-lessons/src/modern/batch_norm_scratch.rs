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
/// `gamma`, `beta` and the moving values as the mean: `[1, features]` or `[1, channels, 1, 1]`
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
    let normalised = if train {
        // Over everything but the channels.
        let mean = mean_by_channel(xs)?;
        let centered = xs.broadcast_sub(&mean)?;
        let var = mean_by_channel(&centered.sqr()?)?;
        move_towards(moving_mean, &mean)?;
        move_towards(moving_var, &var)?;
        centered.broadcast_div(&(var + EPS)?.sqrt()?)?
    } else {
        // A single picture has no statistics worth the name.
        let deviation = (moving_var.as_tensor() + EPS)?.sqrt()?;
        xs.broadcast_sub(moving_mean)?.broadcast_div(&deviation)?
    };
    normalised.broadcast_mul(gamma)?.broadcast_add(beta)
}

fn mean_by_channel(xs: &Tensor) -> candle_core::Result<Tensor> {
    if xs.rank() == 4 {
        xs.mean_keepdim((0, 2, 3))
    } else {
        xs.mean_keepdim(0)
    }
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
            [features] => vec![1, features],
            [channels, _, _] => vec![1, channels, 1, 1],
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
        let shape = (1, channels, 1, 1);
        let (zeros, ones) = (
            Tensor::zeros(shape, DType::F32, page.device())?,
            Tensor::ones(shape, DType::F32, page.device())?,
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

//! Batch normalisation ([Ioffe and Szegedy 2015](https://arxiv.org/abs/1502.03167)) over the channels of a matrix
//! or of images.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, Var};
use d2l_kernels::batch_norm as kernel;

use super::activation;
use super::check::{ChannelOrder, image_dims, same_kind, vector_len};
use super::layout::in_channels_last;
use super::path::{takes_kernel, widened};
use super::storage::{elements, with_elements};
use crate::{Error, Result};

const OP: &str = "batch_norm";

/// The constants of batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance before its root is taken. Default 1e-5.
    pub eps: f64,
    /// The share of the batch in an update of the running statistics, `running = (1 − momentum)·running +
    /// momentum·batch`, as in PyTorch. Default 0.1.
    pub momentum: f64,
    /// Replaces negative outputs by 0 in the same pass. Default false.
    pub relu: bool,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
            relu: false,
        }
    }
}

/// `ys = (xs − mean) / √(variance + eps) · gamma + beta` per channel.
///
/// In training mean and (biased) variance are the batch's, the gradient flows through them, and `running_mean` and
/// `running_var` move towards the batch's mean and unbiased variance, as in PyTorch. In inference (`train` false)
/// they are the running ones.
///
/// # Shapes
/// `xs` `[batch, channels]` or `[batch, channels, height, width]`, the vectors `[channels]` → as `xs`.
///
/// # Errors
/// Another rank, vectors of another length, training on a single value per channel, eps below 0, mixed data types
/// or devices.
pub fn batch_norm(
    xs: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    running_mean: &Var,
    running_var: &Var,
    options: &BatchNormOptions,
    train: bool,
) -> Result<Tensor> {
    batch_norm_in(
        ChannelOrder::First,
        xs,
        [gamma, beta],
        [running_mean, running_var],
        options,
        train,
    )
}

/// `affine` is gamma and beta, `running` is mean and variance.
pub(crate) fn batch_norm_in(
    order: ChannelOrder,
    xs: &Tensor,
    affine: [&Tensor; 2],
    running: [&Var; 2],
    options: &BatchNormOptions,
    train: bool,
) -> Result<Tensor> {
    let [gamma, beta] = affine;
    let [running_mean, running_var] = running.map(Var::as_tensor);
    let vectors = [
        ("gamma", gamma),
        ("beta", beta),
        ("running_mean", running_mean),
        ("running_var", running_var),
    ];
    let [a, b, c, d] = vectors;
    same_kind(OP, &[("xs", xs), a, b, c, d])?;
    let (values, channels) = match xs.dims() {
        &[batch, channels] => (batch, channels),
        _ if xs.rank() == 4 => {
            let dims = image_dims(OP, xs, order)?;
            (dims.batch * dims.height * dims.width, dims.channels)
        }
        shape => {
            let expected = match order {
                ChannelOrder::First => "[batch, channels] or [batch, channels, height, width]",
                ChannelOrder::Last => "[batch, channels] or [batch, height, width, channels]",
            };
            return Err(Error::Rank {
                op: OP,
                name: "xs",
                expected,
                shape: shape.to_vec(),
            });
        }
    };
    for (name, vector) in vectors {
        vector_len(OP, name, vector, channels, "one per channel", xs)?;
    }
    if options.eps.is_nan() || options.eps < 0.0 {
        return Err(Error::Options {
            op: OP,
            message: format!("eps {} must be at least 0", options.eps),
        });
    }
    if train && values == 1 {
        return Err(Error::Shape {
            op: OP,
            expected: "more than one value per channel to train on".to_string(),
            got: format!("xs {:?}", xs.dims()),
        });
    }
    // A matrix has its channels last in either order.
    let order = if xs.rank() == 2 { ChannelOrder::Last } else { order };
    let size = Size { values, channels };
    // Without height and width the channels are last either way.
    let order = if xs.rank() == 2 { ChannelOrder::Last } else { order };
    // In half precision the statistics would lose their digits.
    let [wide_xs, gamma, beta] = [widened(xs)?, widened(gamma)?, widened(beta)?];
    let statistics = if train {
        Statistics::Batch
    } else {
        Statistics::Running([widened(running_mean)?, widened(running_var)?])
    };
    let (ys, of_batch) = if takes_kernel(OP, &wide_xs)? {
        let mut of_batch = None;
        let ys = in_channels_last(order, &wide_xs, |xs| {
            let (ys, moments) = by_kernel(xs, [&gamma, &beta], statistics, size, options)?;
            of_batch = moments;
            Ok(ys)
        })?;
        (ys, of_batch)
    } else {
        by_composition(order, &wide_xs, [&gamma, &beta], statistics, options)?
    };
    if let Some(of_batch) = of_batch.filter(|_| values > 0) {
        update_running(running, of_batch, values, options.momentum)?;
    }
    Ok(ys.to_dtype(xs.dtype())?)
}

/// How many values each channel has, and how many channels there are.
#[derive(Clone, Copy)]
struct Size {
    values: usize,
    channels: usize,
}

/// What an input is normalised by: its own mean and variance, or those given, each `[channels]`.
enum Statistics {
    Batch,
    Running([Tensor; 2]),
}

/// Moves running mean and variance towards the batch's; `of_batch` is its mean and biased variance.
fn update_running(running: [&Var; 2], of_batch: [Tensor; 2], values: usize, momentum: f64) -> Result<()> {
    let unbiased = values as f64 / (values as f64 - 1.0);
    for ((running, of_batch), correction) in running.into_iter().zip(of_batch).zip([1.0, unbiased]) {
        let dtype = running.dtype();
        let old = widened(&running.as_detached_tensor())?.affine(1.0 - momentum, 0.0)?;
        let new = (old + of_batch.detach().affine(momentum * correction, 0.0)?)?;
        running.set(&new.to_dtype(dtype)?)?;
    }
    Ok(())
}

/// `xs` is `[.., channels]`. Gives the batch's mean and variance too, if it was normalised by them.
fn by_kernel(
    xs: &Tensor,
    [gamma, beta]: [&Tensor; 2],
    statistics: Statistics,
    size: Size,
    options: &BatchNormOptions,
) -> Result<(Tensor, Option<[Tensor; 2]>)> {
    let moments = Arc::new(OnceLock::new());
    let train = match &statistics {
        Statistics::Batch => true,
        Statistics::Running([mean, variance]) => {
            let _ = moments.set([mean.to_vec1()?, variance.to_vec1()?]);
            false
        }
    };
    let op = BatchNorm {
        size,
        eps: options.eps as f32,
        relu: options.relu,
        train,
        moments: moments.clone(),
    };
    let ys = xs
        .contiguous()?
        .apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?;
    let of_batch = match moments.get().filter(|_| train) {
        Some([mean, variance]) => Some([
            Tensor::from_slice(mean, size.channels, xs.device())?,
            Tensor::from_slice(variance, size.channels, xs.device())?,
        ]),
        None => None,
    };
    Ok((ys, of_batch))
}

/// The operation on the kernels: xs `[values, channels]` in memory, gamma, beta.
struct BatchNorm {
    size: Size,
    eps: f32,
    relu: bool,
    train: bool,
    /// Mean and biased variance per channel. In training the forward pass writes them, for the update of the
    /// running statistics and for the backward pass, which would otherwise read the whole input once more.
    moments: Arc<OnceLock<[Vec<f32>; 2]>>,
}

impl BatchNorm {
    fn norm<'a>(&self, gamma: &'a [f32], beta: &'a [f32]) -> kernel::BatchNorm<'a> {
        let Size { values, channels } = self.size;
        kernel::BatchNorm {
            rows: values,
            channels,
            gamma,
            beta,
            eps: self.eps,
            relu: self.relu,
        }
    }

    fn moments(&self) -> candle_core::Result<kernel::Moments<'_>> {
        match self.moments.get() {
            Some([mean, variance]) => Ok(kernel::Moments { mean, variance }),
            None => candle_core::bail!("{OP}: backward before forward"),
        }
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let xs = elements(OP, xs, xs_layout)?;
        let norm = self.norm(
            elements(OP, gamma, gamma_layout)?,
            elements(OP, beta, beta_layout)?,
        );
        let mut ys = vec![0.0; xs.len()];
        if self.train {
            let (mut mean, mut variance) = (vec![0.0; norm.channels], vec![0.0; norm.channels]);
            let moments = kernel::MomentsMut {
                mean: &mut mean,
                variance: &mut variance,
            };
            kernel::train_forward(&norm, xs, &mut ys, moments).map_err(Error::from)?;
            let _ = self.moments.set([mean, variance]);
        } else {
            kernel::infer_forward(&norm, xs, self.moments()?, &mut ys).map_err(Error::from)?;
        }
        Ok((CpuStorage::F32(ys), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let channels = self.size.channels;
        let mut dx = vec![0.0; xs.elem_count()];
        let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
        with_elements(OP, [xs, gamma, beta, dys], |[xs, gamma, beta, dys]| {
            let gradients = kernel::Gradients {
                dx: Some(&mut dx),
                dgamma: &mut dgamma,
                dbeta: &mut dbeta,
            };
            let backward = if self.train {
                kernel::train_backward
            } else {
                kernel::infer_backward
            };
            let (norm, moments) = (self.norm(gamma, beta), self.moments()?);
            Ok(backward(&norm, xs, dys, moments, gradients).map_err(Error::from)?)
        })?;
        let gradient = |of: &Tensor, elements: Vec<f32>| match of.track_op() {
            true => Tensor::from_vec(elements, of.shape(), of.device()).map(Some),
            false => Ok(None),
        };
        Ok((
            gradient(xs, dx)?,
            gradient(gamma, dgamma)?,
            gradient(beta, dbeta)?,
        ))
    }
}

/// The same from candle operations, for every device and type.
fn by_composition(
    order: ChannelOrder,
    xs: &Tensor,
    [gamma, beta]: [&Tensor; 2],
    statistics: Statistics,
    options: &BatchNormOptions,
) -> Result<(Tensor, Option<[Tensor; 2]>)> {
    let channel_dim = match order {
        ChannelOrder::First => 1,
        ChannelOrder::Last => xs.rank() - 1,
    };
    let mut per_channel = vec![1; xs.rank()];
    per_channel[channel_dim] = gamma.elem_count();
    let spread = |vector: &Tensor| vector.reshape(per_channel.as_slice());
    let (centred, variance, of_batch) = match statistics {
        Statistics::Running([mean, variance]) => {
            (xs.broadcast_sub(&spread(&mean)?)?, spread(&variance)?, None)
        }
        // An empty batch has no mean; like PyTorch, only scale and shift what is not there.
        Statistics::Batch if xs.elem_count() == 0 => (xs.clone(), spread(gamma)?.detach().ones_like()?, None),
        Statistics::Batch => {
            let others: Vec<usize> = (0..xs.rank()).filter(|&dim| dim != channel_dim).collect();
            let mean = xs.mean_keepdim(others.as_slice())?;
            let centred = xs.broadcast_sub(&mean)?;
            let variance = centred.sqr()?.mean_keepdim(others)?;
            let of_batch = [mean.flatten_all()?, variance.flatten_all()?];
            (centred, variance, Some(of_batch))
        }
    };
    let normalised = centred.broadcast_div(&(variance + options.eps)?.sqrt()?)?;
    let ys = normalised
        .broadcast_mul(&spread(gamma)?)?
        .broadcast_add(&spread(beta)?)?;
    let ys = if options.relu { activation::relu(&ys)? } else { ys };
    Ok((ys, of_batch))
}

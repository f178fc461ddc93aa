//! Batch normalisation over the rows of a `[rows][channels]` matrix, with the ReLU that often follows.
//!
//! ```text
//! training:   mean, variance = per channel, over the rows           (biased: divides by rows)
//! inference:  mean, variance = the running statistics
//! y = (x − mean)/√(variance + eps)·gamma + beta                     (then max(y, 0) with `relu`)
//! ```
//! NHWC activations are such a matrix with rows = batch·height·width.
//!
//! 1. Statistics are sums of squared deviations, never `E[x²] − E[x]²`: a piece of rows that fits the cache is read
//!    twice, for its mean and then for the deviations from it; pieces are merged in `f64` in a fixed order (Chan,
//!    Golub and LeVeque, 1979). Memory is read once for the statistics and once for y.
//! 2. The ReLU's mask is computed again in the backward pass from x, which is read anyway; y is not needed.

mod kernels;
pub mod naive;
#[cfg(test)]
mod tests;

use crate::ShapeError;
use crate::error::checked_product;
use crate::par::for_each_chunk_mut;

/// A normalisation of a `[rows][channels]` matrix.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Rows of the matrix: batch·height·width.
    pub rows: usize,
    /// Channels, the columns of the matrix.
    pub channels: usize,
    /// Factor of each channel, `[channels]`.
    pub gamma: &'a [f32],
    /// Addend of each channel, `[channels]`.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
    /// Whether a ReLU follows; its gradient is part of the backward functions then.
    pub relu: bool,
}

/// Mean and (biased) variance of each channel.
#[derive(Clone, Copy, Debug)]
pub struct Moments<'a> {
    /// `[channels]`
    pub mean: &'a [f32],
    /// `[channels]`
    pub variance: &'a [f32],
}

/// Where [`train_forward`] writes the batch's statistics, which [`train_backward`] and [`update_running`] read.
#[derive(Debug)]
pub struct MomentsMut<'a> {
    /// `[channels]`
    pub mean: &'a mut [f32],
    /// `[channels]`
    pub variance: &'a mut [f32],
}

/// Where the backward functions write; everything is overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[rows][channels]`
    pub dx: &'a mut [f32],
    /// `[channels]`
    pub dgamma: &'a mut [f32],
    /// `[channels]`
    pub dbeta: &'a mut [f32],
}

impl BatchNorm<'_> {
    fn check(&self, operation: &'static str, x: usize, other: (&str, usize)) -> Result<(), ShapeError> {
        let len = checked_product(operation, &[self.rows, self.channels])?;
        ShapeError::check_len(operation, "gamma", self.channels, self.gamma.len())?;
        ShapeError::check_len(operation, "beta", self.channels, self.beta.len())?;
        ShapeError::check_len(operation, "x", len, x)?;
        ShapeError::check_len(operation, other.0, len, other.1)
    }

    fn check_moments(
        &self,
        operation: &'static str,
        mean: &[f32],
        variance: &[f32],
    ) -> Result<(), ShapeError> {
        ShapeError::check_len(operation, "mean", self.channels, mean.len())?;
        ShapeError::check_len(operation, "variance", self.channels, variance.len())
    }

    fn check_gradients(&self, operation: &'static str, gradients: &Gradients<'_>) -> Result<(), ShapeError> {
        ShapeError::check_len(operation, "dx", self.rows * self.channels, gradients.dx.len())?;
        ShapeError::check_len(operation, "dgamma", self.channels, gradients.dgamma.len())?;
        ShapeError::check_len(operation, "dbeta", self.channels, gradients.dbeta.len())
    }

    /// 1/√(variance + eps) of each channel.
    fn inverse_deviations(&self, variance: &[f32]) -> Vec<f32> {
        variance
            .iter()
            .map(|&variance| (1.0 / (f64::from(variance) + f64::from(self.eps)).sqrt()) as f32)
            .collect()
    }
}

/// Normalises with the batch's own statistics and gives them in `moments` (NaN without rows).
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn train_forward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    y: &mut [f32],
    moments: MomentsMut<'_>,
) -> Result<(), ShapeError> {
    const NAME: &str = "batch_norm::train_forward";
    norm.check(NAME, x.len(), ("y", y.len()))?;
    let MomentsMut { mean, variance } = moments;
    norm.check_moments(NAME, mean, variance)?;
    if x.is_empty() {
        mean.fill(f32::NAN);
        variance.fill(f32::NAN);
        return Ok(());
    }
    kernels::moments(norm.channels, x, mean, variance);
    normalise(norm, x, Moments { mean, variance }, y);
    Ok(())
}

/// Moves running statistics towards a batch's: `running = (1 − momentum)·running + momentum·batch`, the variance
/// unbiased (times rows/(rows − 1)), as PyTorch.
///
/// # Errors
/// Fewer than two rows, for which there is no unbiased variance; slices whose lengths do not fit.
pub fn update_running(
    momentum: f64,
    rows: usize,
    batch: Moments<'_>,
    running_mean: &mut [f32],
    running_variance: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "batch_norm::update_running";
    if rows < 2 {
        return Err(ShapeError::new(
            NAME,
            "at least 2 values per channel",
            format!("{rows}"),
        ));
    }
    let channels = batch.mean.len();
    ShapeError::check_len(NAME, "variance", channels, batch.variance.len())?;
    ShapeError::check_len(NAME, "running_mean", channels, running_mean.len())?;
    ShapeError::check_len(NAME, "running_variance", channels, running_variance.len())?;
    let unbiased = rows as f64 / (rows - 1) as f64;
    let step = |running: &mut f32, value: f64| {
        *running = ((1.0 - momentum) * f64::from(*running) + momentum * value) as f32;
    };
    running_mean
        .iter_mut()
        .zip(batch.mean)
        .for_each(|(running, &mean)| step(running, f64::from(mean)));
    let variances = running_variance.iter_mut().zip(batch.variance);
    variances.for_each(|(running, &variance)| step(running, f64::from(variance) * unbiased));
    Ok(())
}

/// Normalises with given statistics.
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn infer_forward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    running: Moments<'_>,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "batch_norm::infer_forward";
    norm.check(NAME, x.len(), ("y", y.len()))?;
    norm.check_moments(NAME, running.mean, running.variance)?;
    normalise(norm, x, running, y);
    Ok(())
}

fn normalise(norm: &BatchNorm<'_>, x: &[f32], moments: Moments<'_>, y: &mut [f32]) {
    if y.is_empty() {
        return;
    }
    let inverse = norm.inverse_deviations(moments.variance);
    let factor: Vec<f32> = norm
        .gamma
        .iter()
        .zip(&inverse)
        .map(|(gamma, inverse)| gamma * inverse)
        .collect();
    let [mean, wide_factor, beta] = [moments.mean, &factor, norm.beta].map(kernels::widen);
    let affine = kernels::Affine {
        mean: &mean,
        factor: &wide_factor,
        beta: &beta,
        relu: norm.relu,
    };
    let chunk = kernels::rows_per_piece(norm.channels) * norm.channels;
    for_each_chunk_mut(y, chunk, |piece, y| {
        let x = &x[piece * chunk..][..y.len()];
        kernels::normalise(affine, x, y);
    });
}

/// The gradients of [`train_forward`], through the statistics too.
///
/// ```text
/// d = dy (where y > 0, with `relu`)        x̂ = (x − mean)/√(variance + eps)
/// dbeta = Σ d                              dgamma = Σ d·x̂
/// dx = gamma/√(variance + eps)·(d − dbeta/rows − x̂·dgamma/rows)
/// ```
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn train_backward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    dy: &[f32],
    moments: Moments<'_>,
    gradients: Gradients<'_>,
) -> Result<(), ShapeError> {
    backward(
        "batch_norm::train_backward",
        norm,
        x,
        dy,
        moments,
        gradients,
        true,
    )
}

/// The gradients of [`infer_forward`]: the statistics are constants.
///
/// ```text
/// dx = gamma/√(variance + eps)·d           dbeta, dgamma as in training
/// ```
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn infer_backward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    dy: &[f32],
    running: Moments<'_>,
    gradients: Gradients<'_>,
) -> Result<(), ShapeError> {
    backward(
        "batch_norm::infer_backward",
        norm,
        x,
        dy,
        running,
        gradients,
        false,
    )
}

fn backward(
    operation: &'static str,
    norm: &BatchNorm<'_>,
    x: &[f32],
    dy: &[f32],
    moments: Moments<'_>,
    gradients: Gradients<'_>,
    through_statistics: bool,
) -> Result<(), ShapeError> {
    norm.check(operation, x.len(), ("dy", dy.len()))?;
    norm.check_moments(operation, moments.mean, moments.variance)?;
    norm.check_gradients(operation, &gradients)?;
    let Gradients { dx, dgamma, dbeta } = gradients;
    if dx.is_empty() {
        dgamma.fill(0.0);
        dbeta.fill(0.0);
        return Ok(());
    }
    let inverse = norm.inverse_deviations(moments.variance);
    let factor: Vec<f32> = norm
        .gamma
        .iter()
        .zip(&inverse)
        .map(|(gamma, inverse)| gamma * inverse)
        .collect();
    let [mean, wide_factor, beta] = [moments.mean, &factor, norm.beta].map(kernels::widen);
    let affine = kernels::Affine {
        mean: &mean,
        factor: &wide_factor,
        beta: &beta,
        relu: norm.relu,
    };
    kernels::gradient_sums(affine, x, dy, dgamma, dbeta);
    dgamma
        .iter_mut()
        .zip(&inverse)
        .for_each(|(dgamma, inverse)| *dgamma *= inverse);
    // dx = factor·d + shift + slope·(x − mean)
    let per_row = if through_statistics {
        -1.0 / norm.rows as f32
    } else {
        0.0
    };
    let shift: Vec<f32> = factor
        .iter()
        .zip(&*dbeta)
        .map(|(factor, dbeta)| factor * dbeta * per_row)
        .collect();
    let slope = factor.iter().zip(&*dgamma).zip(&inverse);
    let slope: Vec<f32> = slope
        .map(|((factor, dgamma), inverse)| factor * inverse * dgamma * per_row)
        .collect();
    let [shift, slope] = [shift, slope].map(|values| kernels::widen(&values));
    let chunk = kernels::rows_per_piece(norm.channels) * norm.channels;
    for_each_chunk_mut(dx, chunk, |piece, dx| {
        let range = piece * chunk..piece * chunk + dx.len();
        kernels::input_gradient(affine, &x[range.clone()], &dy[range], &shift, &slope, dx);
    });
    Ok(())
}

//! Batch normalisation over the rows of a `[rows][channels]` matrix, with the ReLU that often follows.
//!
//! ```text
//! training:   mean, variance = per channel, over the rows           (biased: divides by rows)
//! inference:  mean, variance = the running statistics
//! y = (x − mean)/√(variance + eps)·gamma + beta                     (+ residual, in the functions `…_add`)
//! y = max(y, 0)                                                     (with `relu`)
//! ```
//! NHWC activations are such a matrix with rows = batch·height·width. The residual is what a block of a residual
//! network adds to its last normalisation: one pass over memory instead of three.
//!
//! 1. Statistics are sums of squared deviations, never `E[x²] − E[x]²`: those of a piece of rows are taken from a
//!    pivot, the mean of its first rows, and corrected by what the mean of all is away from it; pieces are merged in
//!    `f64` in a fixed order (Chan, Golub and LeVeque, 1979). Memory is read once for the statistics and once for y.
//! 2. The ReLU's mask is computed again in the backward pass from x, which is read anyway; y is not needed. Behind a
//!    residual the mask comes from y, and the masked gradient is written, because it is the residual's gradient.

mod backward;
mod columns;
mod forward;
mod kernels;
pub mod naive;
#[cfg(test)]
mod tests;
mod walk;

pub use backward::{infer_backward, infer_backward_add, train_backward, train_backward_add};
pub use forward::{infer_forward, infer_forward_add, train_forward, train_forward_add};

use crate::ShapeError;
use crate::error::checked_product;

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
    /// Whether a ReLU follows (after the residual, if there is one); its gradient is part of the backward functions
    /// then.
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
    /// `[rows][channels]`, where the input's gradient is wanted
    pub dx: Option<&'a mut [f32]>,
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
        if let Some(dx) = &gradients.dx {
            ShapeError::check_len(operation, "dx", self.rows * self.channels, dx.len())?;
        }
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

    /// gamma/√(variance + eps) of each channel.
    fn factors(&self, inverse_deviations: &[f32]) -> Vec<f32> {
        let factors = self.gamma.iter().zip(inverse_deviations);
        factors.map(|(gamma, inverse)| gamma * inverse).collect()
    }
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

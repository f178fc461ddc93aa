//! The forward functions.

use super::kernels::{self, Affine};
use super::walk::{Order, widen};
use super::{BatchNorm, Moments, MomentsMut};
use crate::ShapeError;
use crate::par::for_each_chunk_mut;

/// Normalises with the batch's own statistics and gives them in `moments` (NaN without rows).
///
/// # Shapes
/// `x`, `y`: `[rows][channels]`.
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn train_forward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    y: &mut [f32],
    moments: MomentsMut<'_>,
) -> Result<(), ShapeError> {
    train("batch_norm::train_forward", norm, x, None, y, moments)
}

/// [`train_forward`] plus a residual: `y = normalised + residual`, then the ReLU with `relu`.
///
/// # Shapes
/// `x`, `residual`, `y`: `[rows][channels]`.
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn train_forward_add(
    norm: &BatchNorm<'_>,
    x: &[f32],
    residual: &[f32],
    y: &mut [f32],
    moments: MomentsMut<'_>,
) -> Result<(), ShapeError> {
    train(
        "batch_norm::train_forward_add",
        norm,
        x,
        Some(residual),
        y,
        moments,
    )
}

/// Normalises with given statistics.
///
/// # Shapes
/// `x`, `y`: `[rows][channels]`.
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn infer_forward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    running: Moments<'_>,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    infer("batch_norm::infer_forward", norm, x, None, running, y)
}

/// [`infer_forward`] plus a residual: `y = normalised + residual`, then the ReLU with `relu`.
///
/// # Shapes
/// `x`, `residual`, `y`: `[rows][channels]`.
///
/// # Errors
/// Slices whose lengths do not fit.
pub fn infer_forward_add(
    norm: &BatchNorm<'_>,
    x: &[f32],
    residual: &[f32],
    running: Moments<'_>,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    infer(
        "batch_norm::infer_forward_add",
        norm,
        x,
        Some(residual),
        running,
        y,
    )
}

fn train(
    operation: &'static str,
    norm: &BatchNorm<'_>,
    x: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
    moments: MomentsMut<'_>,
) -> Result<(), ShapeError> {
    check(operation, norm, x, residual, y)?;
    let MomentsMut { mean, variance } = moments;
    norm.check_moments(operation, mean, variance)?;
    if x.is_empty() {
        mean.fill(f32::NAN);
        variance.fill(f32::NAN);
        return Ok(());
    }
    kernels::moments(norm.channels, x, mean, variance);
    normalise(norm, x, residual, Moments { mean, variance }, y);
    Ok(())
}

fn infer(
    operation: &'static str,
    norm: &BatchNorm<'_>,
    x: &[f32],
    residual: Option<&[f32]>,
    running: Moments<'_>,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    check(operation, norm, x, residual, y)?;
    norm.check_moments(operation, running.mean, running.variance)?;
    normalise(norm, x, residual, running, y);
    Ok(())
}

fn check(
    operation: &'static str,
    norm: &BatchNorm<'_>,
    x: &[f32],
    residual: Option<&[f32]>,
    y: &[f32],
) -> Result<(), ShapeError> {
    norm.check(operation, x.len(), ("y", y.len()))?;
    residual.map_or(Ok(()), |residual| {
        ShapeError::check_len(operation, "residual", x.len(), residual.len())
    })
}

fn normalise(norm: &BatchNorm<'_>, x: &[f32], residual: Option<&[f32]>, moments: Moments<'_>, y: &mut [f32]) {
    if y.is_empty() {
        return;
    }
    let factors = norm.factors(&norm.inverse_deviations(moments.variance));
    let [mean, factor, beta] = [moments.mean, &factors, norm.beta].map(widen);
    let affine = Affine {
        mean: &mean,
        factor: &factor,
        beta: &beta,
        relu: norm.relu,
        order: Order::new(norm.channels, x.len()),
    };
    let chunk = kernels::rows_per_piece(norm.channels) * norm.channels;
    for_each_chunk_mut(y, chunk, |piece, y| {
        let range = piece * chunk..piece * chunk + y.len();
        let residual = residual.map(|residual| &residual[range.clone()]);
        kernels::normalise(affine, &x[range], residual, y);
    });
}

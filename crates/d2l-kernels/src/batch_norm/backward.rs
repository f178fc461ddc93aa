//! The backward functions.

use super::kernels::{self, Affine};
use super::walk::{Order, widen};
use super::{BatchNorm, Gradients, Moments};
use crate::ShapeError;
use crate::par::for_each_chunk_mut;

/// The gradients of [`train_forward`](super::train_forward), through the statistics too.
///
/// ```text
/// d = dy (where y > 0, with `relu`)        x̂ = (x − mean)/√(variance + eps)
/// dbeta = Σ d                              dgamma = Σ d·x̂
/// dx = gamma/√(variance + eps)·(d − dbeta/rows − x̂·dgamma/rows)
/// ```
///
/// # Shapes
/// `x`, `dy`: `[rows][channels]`.
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
    const NAME: &str = "batch_norm::train_backward";
    backward(NAME, norm, x, Upstream::Given(dy), moments, gradients, true)
}

/// The gradients of [`train_forward_add`](super::train_forward_add). `dy` becomes the gradient of the residual: with
/// `relu` it is set to 0 where the output `y` is 0, without it stays as it is and `y` is not looked at.
///
/// # Shapes
/// `x`, `y`, `dy`: `[rows][channels]`.
///
/// # Errors
/// Slices whose lengths do not fit; nothing has changed then.
pub fn train_backward_add(
    norm: &BatchNorm<'_>,
    x: &[f32],
    y: &[f32],
    dy: &mut [f32],
    moments: Moments<'_>,
    gradients: Gradients<'_>,
) -> Result<(), ShapeError> {
    const NAME: &str = "batch_norm::train_backward_add";
    backward(
        NAME,
        norm,
        x,
        Upstream::Masked { y, dy },
        moments,
        gradients,
        true,
    )
}

/// The gradients of [`infer_forward`](super::infer_forward): the statistics are constants.
///
/// ```text
/// dx = gamma/√(variance + eps)·d           dbeta, dgamma as in training
/// ```
///
/// # Shapes
/// `x`, `dy`: `[rows][channels]`.
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
    const NAME: &str = "batch_norm::infer_backward";
    backward(NAME, norm, x, Upstream::Given(dy), running, gradients, false)
}

/// The gradients of [`infer_forward_add`](super::infer_forward_add); `dy` becomes that of the residual, as in
/// [`train_backward_add`].
///
/// # Shapes
/// `x`, `y`, `dy`: `[rows][channels]`.
///
/// # Errors
/// Slices whose lengths do not fit; nothing has changed then.
pub fn infer_backward_add(
    norm: &BatchNorm<'_>,
    x: &[f32],
    y: &[f32],
    dy: &mut [f32],
    running: Moments<'_>,
    gradients: Gradients<'_>,
) -> Result<(), ShapeError> {
    const NAME: &str = "batch_norm::infer_backward_add";
    backward(
        NAME,
        norm,
        x,
        Upstream::Masked { y, dy },
        running,
        gradients,
        false,
    )
}

/// The gradient that arrives, and what the ReLU's mask is computed from.
enum Upstream<'a> {
    /// From x.
    Given(&'a [f32]),
    /// From y, in place.
    Masked { y: &'a [f32], dy: &'a mut [f32] },
}

fn backward(
    operation: &'static str,
    norm: &BatchNorm<'_>,
    x: &[f32],
    upstream: Upstream<'_>,
    moments: Moments<'_>,
    gradients: Gradients<'_>,
    through_statistics: bool,
) -> Result<(), ShapeError> {
    let dy_len = match &upstream {
        Upstream::Given(dy) => dy.len(),
        Upstream::Masked { y, dy } => {
            ShapeError::check_len(operation, "y", x.len(), y.len())?;
            dy.len()
        }
    };
    norm.check(operation, x.len(), ("dy", dy_len))?;
    norm.check_moments(operation, moments.mean, moments.variance)?;
    norm.check_gradients(operation, &gradients)?;
    let Gradients { dx, dgamma, dbeta } = gradients;
    if x.is_empty() {
        dgamma.fill(0.0);
        dbeta.fill(0.0);
        return Ok(());
    }
    let inverse = norm.inverse_deviations(moments.variance);
    let factors = norm.factors(&inverse);
    let [mean, factor, beta] = [moments.mean, &factors, norm.beta].map(widen);
    let affine = |relu| Affine {
        mean: &mean,
        factor: &factor,
        beta: &beta,
        relu,
        order: Order::new(norm.channels, x.len()),
    };
    let (affine, dy) = match upstream {
        Upstream::Masked { y, dy } if norm.relu => {
            kernels::mask_and_gradient_sums(affine(false), x, y, dy, dgamma, dbeta);
            (affine(false), &*dy)
        }
        Upstream::Masked { dy, .. } => {
            kernels::gradient_sums(affine(false), x, dy, dgamma, dbeta);
            (affine(false), &*dy)
        }
        Upstream::Given(dy) => {
            kernels::gradient_sums(affine(norm.relu), x, dy, dgamma, dbeta);
            (affine(norm.relu), dy)
        }
    };
    dgamma
        .iter_mut()
        .zip(&inverse)
        .for_each(|(dgamma, inverse)| *dgamma *= inverse);
    let Some(dx) = dx else { return Ok(()) };
    // dx = factor·d + shift + slope·(x − mean)
    let per_row = if through_statistics {
        -1.0 / norm.rows as f32
    } else {
        0.0
    };
    let shift: Vec<f32> = factors
        .iter()
        .zip(&*dbeta)
        .map(|(factor, dbeta)| factor * dbeta * per_row)
        .collect();
    let slope = factors.iter().zip(&*dgamma).zip(&inverse);
    let slope: Vec<f32> = slope
        .map(|((factor, dgamma), inverse)| factor * inverse * dgamma * per_row)
        .collect();
    let [shift, slope] = [shift, slope].map(|values| widen(&values));
    let chunk = kernels::rows_per_piece(norm.channels) * norm.channels;
    for_each_chunk_mut(dx, chunk, |piece, dx| {
        let range = piece * chunk..piece * chunk + dx.len();
        kernels::input_gradient(affine, &x[range.clone()], &dy[range], &shift, &slope, dx);
    });
    Ok(())
}

//! Losses for regression and for independent yes-or-no labels, as means over all elements.

use candle_core::Tensor;

use super::activation::{relu, softplus};
use super::check::same_kind;
use super::path::widened;
use crate::{Error, Result};

/// Mean of `(xs − targets)²`. (The book's linear regression has half of it.)
///
/// # Errors
/// Shapes that differ, mixed data types or devices; so for every loss of this module.
pub fn mse_loss(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of("mse_loss", xs, targets, |xs, targets| Ok((xs - targets)?.sqr()?))
}

/// Mean of `|xs − targets|`. The gradient where they are equal is 0.
///
/// # Errors
/// Shapes that differ, mixed data types or devices.
pub fn l1_loss(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of("l1_loss", xs, targets, absolute_difference)
}

/// Mean of `d²/2` where `d = |xs − targets|` is at most `delta`, elsewhere of `delta · (d − delta/2)`
/// ([Huber 1964](https://doi.org/10.1214/aoms/1177703732)).
///
/// # Errors
/// A `delta` that is not above 0, shapes that differ, mixed data types or devices.
pub fn huber_loss(xs: &Tensor, targets: &Tensor, delta: f64) -> Result<Tensor> {
    if delta.is_nan() || delta <= 0.0 {
        return Err(Error::Options {
            op: "huber_loss",
            message: format!("delta {delta} must be above 0"),
        });
    }
    mean_of("huber_loss", xs, targets, |xs, targets| {
        let difference = absolute_difference(xs, targets)?;
        let near = difference.le(&difference.ones_like()?.affine(delta, 0.0)?)?;
        let far = difference.affine(delta, -0.5 * delta * delta)?;
        Ok(near.where_cond(&difference.sqr()?.affine(0.5, 0.0)?, &far)?)
    })
}

/// Mean of `−t·ln σ(x) − (1 − t)·ln(1 − σ(x))` for logits `x` and targets `t` from 0 to 1, in the form
/// `ln(1 + exp(x)) − t·x`, which does not overflow.
///
/// # Errors
/// Shapes that differ, mixed data types or devices.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of("bce_with_logits", logits, targets, |logits, targets| {
        Ok((softplus(logits)? - (targets * logits)?)?)
    })
}

/// `|xs − targets|` with the gradient 0 where they are equal (candle's absolute value has 1 there).
fn absolute_difference(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let difference = (xs - targets)?;
    Ok((relu(&difference)? + relu(&difference.neg()?)?)?)
}

fn mean_of(
    op: &'static str,
    xs: &Tensor,
    targets: &Tensor,
    loss: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    same_kind(op, &[("xs", xs), ("targets", targets)])?;
    if xs.dims() != targets.dims() {
        return Err(Error::Shape {
            op,
            expected: format!("targets {:?} like xs", xs.dims()),
            got: format!("targets {:?}", targets.dims()),
        });
    }
    Ok(loss(&widened(xs)?, &widened(targets)?)?
        .mean_all()?
        .to_dtype(xs.dtype())?)
}

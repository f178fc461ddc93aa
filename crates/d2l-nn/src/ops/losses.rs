//! Losses for regression and for independent yes-or-no labels: element by element, and as means over all elements.

use candle_core::Tensor;

use super::activation::{relu, softplus};
use super::check::same_kind;
use super::path::widened;
use crate::{Error, Result};

/// What a loss computes of an output x and its target t, element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ElementLoss {
    /// (x − t)²
    #[default]
    Squared,
    /// (x − t)² / 2, the book's loss of linear regression
    HalfSquared,
    /// |x − t|, with the gradient 0 where they are equal
    Absolute,
    /// d² / 2 where d = |x − t| is at most δ, else δ (d − δ / 2)
    /// ([Huber 1964](https://doi.org/10.1214/aoms/1177703732))
    Huber {
        /// δ
        delta: f64,
    },
    /// −t ln σ(x) − (1 − t) ln(1 − σ(x)) for logits and targets from 0 to 1, as ln(1 + exp(x)) − t x, which does not
    /// overflow
    BinaryCrossEntropy,
    /// max(0, 1 − t x) for targets −1 and 1
    Hinge,
}

/// The loss of every element.
///
/// # Shapes
/// `xs` and `targets` of one shape → that shape
///
/// # Errors
/// A δ that is not above 0, shapes that differ, mixed data types or devices.
pub fn element_losses(function: ElementLoss, xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(values_of("element_losses", function, xs, targets)?.to_dtype(xs.dtype())?)
}

/// Mean of `(xs − targets)²`. (The book's linear regression has half of it.)
///
/// # Errors
/// Shapes that differ, mixed data types or devices; so for every loss of this module.
pub fn mse_loss(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of("mse_loss", ElementLoss::Squared, xs, targets)
}

/// Mean of `|xs − targets|`. The gradient where they are equal is 0.
///
/// # Errors
/// Shapes that differ, mixed data types or devices.
pub fn l1_loss(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of("l1_loss", ElementLoss::Absolute, xs, targets)
}

/// Mean of [`ElementLoss::Huber`].
///
/// # Errors
/// A `delta` that is not above 0, shapes that differ, mixed data types or devices.
pub fn huber_loss(xs: &Tensor, targets: &Tensor, delta: f64) -> Result<Tensor> {
    mean_of("huber_loss", ElementLoss::Huber { delta }, xs, targets)
}

/// Mean of [`ElementLoss::BinaryCrossEntropy`].
///
/// # Errors
/// Shapes that differ, mixed data types or devices.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of(
        "bce_with_logits",
        ElementLoss::BinaryCrossEntropy,
        logits,
        targets,
    )
}

/// Mean of [`ElementLoss::Hinge`].
///
/// # Errors
/// Shapes that differ, mixed data types or devices.
pub fn hinge_loss(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    mean_of("hinge_loss", ElementLoss::Hinge, xs, targets)
}

/// `|xs − targets|` with the gradient 0 where they are equal (candle's absolute value has 1 there).
fn absolute_difference(xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let difference = (xs - targets)?;
    Ok((relu(&difference)? + relu(&difference.neg()?)?)?)
}

fn mean_of(op: &'static str, function: ElementLoss, xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(values_of(op, function, xs, targets)?
        .mean_all()?
        .to_dtype(xs.dtype())?)
}

/// The loss of every element, in f32 at least.
fn values_of(op: &'static str, function: ElementLoss, xs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    same_kind(op, &[("xs", xs), ("targets", targets)])?;
    if xs.dims() != targets.dims() {
        return Err(Error::Shape {
            op,
            expected: format!("targets {:?} like xs", xs.dims()),
            got: format!("targets {:?}", targets.dims()),
        });
    }
    let (xs, targets) = (&widened(xs)?, &widened(targets)?);
    Ok(match function {
        ElementLoss::Squared => (xs - targets)?.sqr()?,
        ElementLoss::HalfSquared => (xs - targets)?.sqr()?.affine(0.5, 0.0)?,
        ElementLoss::Absolute => absolute_difference(xs, targets)?,
        ElementLoss::Huber { delta } if delta.is_nan() || delta <= 0.0 => {
            let message = format!("delta {delta} must be above 0");
            return Err(Error::Options { op, message });
        }
        ElementLoss::Huber { delta } => {
            let difference = absolute_difference(xs, targets)?;
            let near = difference.le(&difference.ones_like()?.affine(delta, 0.0)?)?;
            let far = difference.affine(delta, -0.5 * delta * delta)?;
            near.where_cond(&difference.sqr()?.affine(0.5, 0.0)?, &far)?
        }
        ElementLoss::BinaryCrossEntropy => (softplus(xs)? - (targets * xs)?)?,
        ElementLoss::Hinge => relu(&(targets * xs)?.affine(-1.0, 1.0)?)?,
    })
}

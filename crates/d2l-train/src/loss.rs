//! Losses: what [`crate::Trainer`] minimises.

use candle_core::{Result, Tensor};
use d2l_nn::ops;
pub use d2l_nn::ops::{CrossEntropyOptions, Reduction};

/// A function of a model's output and the targets, with a scalar value.
///
/// Every closure `|output, target| -> candle_core::Result<Tensor>` that gives the mean over the batch is one.
pub trait Loss {
    /// The loss of a batch, a scalar that `backward` can be called on.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn loss(&self, output: &Tensor, target: &Tensor) -> Result<Tensor>;

    /// How the loss of a batch comes from those of its examples ([`Reduction::None`] cannot be trained with);
    /// metrics per example follow from it.
    fn reduction(&self) -> Reduction {
        Reduction::Mean
    }

    /// The options, if this is cross-entropy from logits: a planned step then computes value and gradient in one pass.
    fn as_cross_entropy(&self) -> Option<&CrossEntropyOptions> {
        None
    }
}

impl<F: Fn(&Tensor, &Tensor) -> Result<Tensor>> Loss for F {
    fn loss(&self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        self(output, target)
    }
}

/// Cross-entropy from logits ([`ops::cross_entropy`]): label smoothing, class weights, an index to be ignored.
///
/// # Shapes
/// output `[n, classes]`; target `[n]` class numbers or `[n, classes]` probabilities
#[derive(Clone, Debug, Default)]
pub struct CrossEntropy(pub CrossEntropyOptions);

impl Loss for CrossEntropy {
    fn loss(&self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        Ok(ops::cross_entropy(output, target, &self.0)?)
    }

    fn reduction(&self) -> Reduction {
        self.0.reduction
    }

    fn as_cross_entropy(&self) -> Option<&CrossEntropyOptions> {
        Some(&self.0)
    }
}

/// A loss that is computed element by element, from outputs and targets of the same shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elementwise {
    /// What is computed of each pair.
    pub function: Function,
    /// What becomes of the values; `Mean` is over elements, `Sum` over all of the batch.
    pub reduction: Reduction,
}

/// What an [`Elementwise`] loss computes of an output x and its target t.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Function {
    /// (x − t)²
    #[default]
    Squared,
    /// (x − t)² / 2, the book's loss of linear regression
    HalfSquared,
    /// |x − t|
    Absolute,
    /// (x − t)² / 2 where |x − t| ≤ δ, else δ (|x − t| − δ / 2)
    Huber {
        /// δ
        delta: f64,
    },
    /// −t ln σ(x) − (1 − t) ln(1 − σ(x)), without overflow
    BinaryCrossEntropy,
}

impl Elementwise {
    /// The mean of `function`.
    pub fn mean(function: Function) -> Self {
        Self {
            function,
            reduction: Reduction::Mean,
        }
    }

    /// The sum of `function`.
    pub fn sum(function: Function) -> Self {
        Self {
            function,
            reduction: Reduction::Sum,
        }
    }
}

impl Loss for Elementwise {
    fn loss(&self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        let mean = match self.function {
            Function::Squared => ops::mse_loss(output, target)?,
            Function::HalfSquared => (ops::mse_loss(output, target)? * 0.5)?,
            Function::Absolute => ops::l1_loss(output, target)?,
            Function::Huber { delta } => ops::huber_loss(output, target, delta)?,
            Function::BinaryCrossEntropy => ops::bce_with_logits(output, target)?,
        };
        match self.reduction {
            Reduction::Mean => Ok(mean),
            Reduction::Sum => mean * output.elem_count() as f64,
            Reduction::None => candle_core::bail!("an element-wise loss is a mean or a sum"),
        }
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}

/// `loss` if it is a scalar, as `backward` and the metrics need it.
pub(crate) fn scalar(loss: Tensor) -> crate::Result<Tensor> {
    if loss.rank() == 0 {
        return Ok(loss);
    }
    Err(crate::Error::Invalid(format!(
        "the loss of a batch must be a scalar, got shape {:?}",
        loss.dims()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn losses_by_hand() {
        let t = |v: &[f32]| Tensor::new(v, &Device::Cpu).unwrap();
        let (x, y) = (t(&[0.0, 3.0]), t(&[1.0, 1.0]));
        let value = |loss: Elementwise| loss.loss(&x, &y).unwrap().to_scalar::<f32>().unwrap();
        for (function, mean) in [
            (Function::Squared, 2.5),
            (Function::HalfSquared, 1.25),
            (Function::Absolute, 1.5),
            (Function::Huber { delta: 1.0 }, 1.0),
            // ln 2 and ln(1 + e³) − 3
            (
                Function::BinaryCrossEntropy,
                (std::f32::consts::LN_2 + 0.048_587_35) / 2.0,
            ),
        ] {
            assert!(
                (value(Elementwise::mean(function)) - mean).abs() < 1e-6,
                "{function:?}"
            );
            assert!(
                (value(Elementwise::sum(function)) - 2.0 * mean).abs() < 1e-6,
                "{function:?}"
            );
        }
        assert!(
            Elementwise::default().loss(&x, &t(&[1.0])).is_err(),
            "no silent broadcast"
        );
    }

    #[test]
    fn a_loss_must_be_a_scalar() {
        assert!(scalar(Tensor::new(&[1f32], &Device::Cpu).unwrap()).is_err());
    }
}

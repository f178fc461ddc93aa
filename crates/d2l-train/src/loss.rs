//! Losses: what [`crate::Trainer`] minimises.

use candle_core::{DType, Device, Result, Tensor};
use d2l_nn::ops;
pub use d2l_nn::ops::{CrossEntropyOptions, ElementLoss as Function, Reduction};

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

    /// What the batch's mean weighs beside those of the other batches of a step ([`crate::TrainOptions::accumulate`]):
    /// what it was divided by. The number of examples, unless they count differently.
    ///
    /// # Errors
    /// When the targets cannot be read.
    fn weight(&self, target: &Tensor, examples: usize) -> Result<f64> {
        let _ = target;
        Ok(examples as f64)
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

    fn weight(&self, target: &Tensor, examples: usize) -> Result<f64> {
        weight_of_labels(&self.0, target, examples)
    }

    fn reduction(&self) -> Reduction {
        self.0.reduction
    }

    fn as_cross_entropy(&self) -> Option<&CrossEntropyOptions> {
        Some(&self.0)
    }
}

/// The negative logarithm of the true class's probability, from logarithms of probabilities ([`ops::nll_loss`]).
///
/// # Shapes
/// output `[n, classes]`; target `[n]` class numbers
#[derive(Clone, Debug, Default)]
pub struct NegativeLogLikelihood(pub CrossEntropyOptions);

impl Loss for NegativeLogLikelihood {
    fn loss(&self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        Ok(ops::nll_loss(output, target, &self.0)?)
    }

    fn weight(&self, target: &Tensor, examples: usize) -> Result<f64> {
        weight_of_labels(&self.0, target, examples)
    }

    fn reduction(&self) -> Reduction {
        self.0.reduction
    }
}

/// What the mean cross-entropy of labels divides by: the weights of their classes, without the ignored one.
/// Probabilities count one per row.
fn weight_of_labels(options: &CrossEntropyOptions, target: &Tensor, examples: usize) -> Result<f64> {
    let plain = options.class_weights.is_none() && options.ignore_index.is_none();
    if plain || target.dtype().is_float() {
        return Ok(examples as f64);
    }
    // On the host first: not every device has these types.
    let host = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.flatten_all();
    let weights = options.class_weights.as_ref();
    let weights = weights
        .map(|weights| host(weights)?.to_dtype(DType::F64)?.to_vec1::<f64>())
        .transpose()?;
    let labels = host(target)?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    let counted = labels
        .into_iter()
        .filter(|&label| Some(label) != options.ignore_index);
    // A label that is no class is refused by the loss itself.
    let weight = |label: i64| match &weights {
        Some(weights) => usize::try_from(label)
            .ok()
            .and_then(|class| weights.get(class))
            .copied(),
        None => Some(1.0),
    };
    Ok(counted.filter_map(weight).sum())
}

/// A loss that is computed element by element, from outputs and targets of the same shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elementwise {
    /// What is computed of each pair.
    pub function: Function,
    /// What becomes of the values; `Mean` is over elements, `Sum` over all of the batch, `None` leaves them as they
    /// are (which cannot be trained with).
    pub reduction: Reduction,
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
        let losses = ops::element_losses(self.function, output, target)?;
        match self.reduction {
            Reduction::Mean => losses.mean_all(),
            Reduction::Sum => losses.sum_all(),
            Reduction::None => Ok(losses),
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
            (Function::Hinge, 0.5),
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
        let each = Elementwise {
            function: Function::Squared,
            reduction: Reduction::None,
        };
        assert_eq!(each.loss(&x, &y).unwrap().to_vec1::<f32>().unwrap(), [1.0, 4.0]);
        assert!(
            Elementwise::default().loss(&x, &t(&[1.0])).is_err(),
            "no silent broadcast"
        );
    }

    #[test]
    fn cross_entropy_is_nll_after_the_logarithm_of_softmax() {
        let logits = Tensor::new(&[[0.5f32, -1.0, 2.0], [0.0, 1.0, 0.0]], &Device::Cpu).unwrap();
        let labels = Tensor::new(&[2u32, 0], &Device::Cpu).unwrap();
        let logs = ops::log_softmax(&logits, 1).unwrap();
        let nll = NegativeLogLikelihood::default().loss(&logs, &labels).unwrap();
        let whole = CrossEntropy::default().loss(&logits, &labels).unwrap();
        let (nll, whole) = (nll.to_scalar::<f32>().unwrap(), whole.to_scalar::<f32>().unwrap());
        assert!((nll - whole).abs() < 1e-6, "{nll} {whole}");
        let smoothing = CrossEntropyOptions {
            label_smoothing: 0.1,
            ..CrossEntropyOptions::default()
        };
        assert!(NegativeLogLikelihood(smoothing).loss(&logs, &labels).is_err());
    }

    #[test]
    fn a_loss_must_be_a_scalar() {
        assert!(scalar(Tensor::new(&[1f32], &Device::Cpu).unwrap()).is_err());
    }
}

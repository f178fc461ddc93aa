//! Softmax cross-entropy from logits.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};
use d2l_kernels::cross_entropy as kernel;

use super::check::{same_kind, vector_len};
use super::path::{takes_kernel, widened};
use super::softmax::log_softmax;
use super::storage::{elements, with_elements};
use crate::{Error, Result};

const OP: &str = "cross_entropy";

/// How the losses of a batch's rows become the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean. For class labels with weights it divides by the sum of the weights of the labels that are not
    /// ignored, so it is NaN if there is none (as in PyTorch).
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// A vector of them, `[batch]`.
    None,
}

/// The variants of [`cross_entropy`]; each means what it means in PyTorch.
#[derive(Clone, Debug, Default)]
pub struct CrossEntropyOptions {
    /// What becomes of the rows' losses.
    pub reduction: Reduction,
    /// The share of each target that is spread evenly over all classes, 0 to 1. Default 0.
    pub label_smoothing: f64,
    /// A weight per class, `[classes]`, a constant. Default: all 1.
    pub class_weights: Option<Tensor>,
    /// Rows with this label have loss and gradient 0. Default: none. (PyTorch's default is -100.)
    pub ignore_index: Option<i64>,
}

/// `−Σ_c w_c · t_c · ln softmax(logits)_c` of each row, reduced over the batch.
///
/// # Shapes
/// `logits` `[batch, classes]`; `targets` either labels `[batch]` (u32, i64 or u8) or probabilities
/// `[batch, classes]` of the logits' type → a scalar, or `[batch]` under [`Reduction::None`].
///
/// # Errors
/// Other ranks, sizes that differ, a label that is no class, smoothing outside 0 to 1, weights of another length,
/// `ignore_index` with probabilities, mixed data types or devices. Labels are checked on the host: on a GPU this
/// waits for the device.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, options: &CrossEntropyOptions) -> Result<Tensor> {
    same_kind(OP, &[("logits", logits)])?;
    let &[batch, classes] = logits.dims() else {
        let shape = logits.dims().to_vec();
        return Err(Error::Rank {
            op: OP,
            name: "logits",
            expected: "[batch, classes]",
            shape,
        });
    };
    let smoothing = options.label_smoothing;
    if !(0.0..=1.0).contains(&smoothing) {
        let message = format!("label_smoothing {smoothing} must be from 0 to 1");
        return Err(Error::Options { op: OP, message });
    }
    if classes == 0 {
        return Err(Error::Shape {
            op: OP,
            expected: "at least one class".to_string(),
            got: format!("logits {:?}", logits.dims()),
        });
    }
    if let Some(weights) = &options.class_weights {
        vector_len(OP, "class_weights", weights, classes, "one per class", logits)?;
    }
    // In half precision the sums over classes and rows would lose their digits.
    let wide = widened(logits)?;
    let weights = match &options.class_weights {
        Some(weights) => Some(
            weights
                .detach()
                .to_dtype(wide.dtype())?
                .to_device(wide.device())?,
        ),
        None => None,
    };
    let (losses, total) = if targets.dtype().is_float() {
        same_kind(OP, &[("logits", logits), ("targets", targets)])?;
        if targets.dims() != logits.dims() || options.ignore_index.is_some() {
            return Err(Error::Shape {
                op: OP,
                expected: format!("probabilities {:?}, without ignore_index", logits.dims()),
                got: format!(
                    "targets {:?}, ignore_index {:?}",
                    targets.dims(),
                    options.ignore_index
                ),
            });
        }
        let targets = widened(targets)?.affine(1.0 - smoothing, smoothing / classes as f64)?;
        (of_probabilities(&wide, &targets, weights.as_ref())?, batch as f64)
    } else {
        let labels = Labels::read(OP, targets, [batch, classes], options)?;
        labels.losses(&wide, weights.as_ref(), smoothing)?
    };
    Ok(reduced(losses, total, options.reduction)?.to_dtype(logits.dtype())?)
}

/// `−w_c · ln p_c` of each row's class c, from logarithms of probabilities, reduced over the batch; with
/// [`super::log_softmax`] before it, it is [`cross_entropy`].
///
/// # Shapes
/// `log_probabilities` `[batch, classes]`; `targets` `[batch]` labels (u32, i64 or u8) → a scalar, or `[batch]` under
/// [`Reduction::None`].
///
/// # Errors
/// As [`cross_entropy`]; label smoothing, which has no meaning here.
pub fn nll_loss(
    log_probabilities: &Tensor,
    targets: &Tensor,
    options: &CrossEntropyOptions,
) -> Result<Tensor> {
    const OP: &str = "nll_loss";
    same_kind(OP, &[("log_probabilities", log_probabilities)])?;
    let &[batch, classes] = log_probabilities.dims() else {
        let shape = log_probabilities.dims().to_vec();
        return Err(Error::Rank {
            op: OP,
            name: "log_probabilities",
            expected: "[batch, classes]",
            shape,
        });
    };
    if options.label_smoothing != 0.0 {
        let message = "label_smoothing is for cross_entropy".to_owned();
        return Err(Error::Options { op: OP, message });
    }
    let wide = widened(log_probabilities)?;
    let weights = match &options.class_weights {
        Some(weights) => {
            vector_len(
                OP,
                "class_weights",
                weights,
                classes,
                "one per class",
                log_probabilities,
            )?;
            Some(weights.to_dtype(DType::F64)?.to_vec1()?)
        }
        None => None,
    };
    let labels = Labels::read(OP, targets, [batch, classes], options)?;
    let row_weights = labels.row_weights(weights.as_deref());
    let losses = labels.of_logarithms(&wide, None, &row_weights, 0.0)?;
    let total = row_weights.iter().sum();
    Ok(reduced(losses, total, options.reduction)?.to_dtype(log_probabilities.dtype())?)
}

/// The losses of the rows as one value; `total` is what their mean divides by.
fn reduced(losses: Tensor, total: f64, reduction: Reduction) -> Result<Tensor> {
    Ok(match reduction {
        Reduction::None => losses,
        Reduction::Sum => losses.sum_all()?,
        Reduction::Mean => (losses.sum_all()? / total)?,
    })
}

/// [`cross_entropy`] of labels for one who keeps the logits, such as [`crate::Plan::step`]: gives the mean or sum, and
/// writes its gradient, in one pass.
///
/// # Shapes
/// `logits`, `gradient`: `[batch][classes]`; `targets`: labels `[batch]` (u32, i64 or u8), on the CPU.
///
/// # Errors
/// As [`cross_entropy`]; [`Reduction::None`], which has no single value.
pub fn cross_entropy_with_gradient(
    logits: &[f32],
    targets: &Tensor,
    options: &CrossEntropyOptions,
    gradient: &mut [f32],
) -> Result<f64> {
    let batch = targets.dims().first().copied().unwrap_or(0);
    let classes = logits.len() / batch.max(1);
    let labels = Labels::read(OP, targets, [batch, classes], options)?;
    let class_weights: Option<Vec<f32>> = match &options.class_weights {
        Some(weights) => Some(weights.to_dtype(DType::F32)?.to_vec1()?),
        None => None,
    };
    let op = CrossEntropy {
        labels,
        smoothing: options.label_smoothing as f32,
        class_weights,
    };
    let loss = op.loss();
    let factor = match options.reduction {
        Reduction::Mean => 1.0 / f64::from(kernel::total_weight(&loss)?),
        Reduction::Sum => 1.0,
        Reduction::None => {
            let message = "a step needs a loss with one value: reduction Mean or Sum".to_string();
            return Err(Error::Options { op: OP, message });
        }
    };
    let mut losses = vec![0.0; batch];
    kernel::forward_backward(&loss, logits, &vec![factor as f32; batch], &mut losses, gradient)?;
    Ok(losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() * factor)
}

/// `targets` are weights of the logarithms, `[batch, classes]`.
fn of_probabilities(logits: &Tensor, targets: &Tensor, weights: Option<&Tensor>) -> Result<Tensor> {
    let mut terms = (log_softmax(logits, 1)? * targets)?;
    if let Some(weights) = weights {
        terms = terms.broadcast_mul(weights)?;
    }
    Ok(terms.sum(1)?.neg()?)
}

/// The checked class of each row, [`Labels::IGNORED`] for rows that do not count.
struct Labels {
    classes: usize,
    labels: Vec<u32>,
}

impl Labels {
    const IGNORED: u32 = u32::MAX;

    fn read(
        op: &'static str,
        targets: &Tensor,
        logits: [usize; 2],
        options: &CrossEntropyOptions,
    ) -> Result<Self> {
        let [batch, classes] = logits;
        if targets.dims() != [batch] {
            return Err(Error::Shape {
                op,
                expected: format!("labels [{batch}] or probabilities {logits:?}"),
                got: format!("targets {:?}", targets.dims()),
            });
        }
        let targets: Vec<i64> = match targets.dtype() {
            DType::I64 => targets.to_vec1()?,
            DType::U32 => targets.to_vec1::<u32>()?.into_iter().map(i64::from).collect(),
            DType::U8 => targets.to_vec1::<u8>()?.into_iter().map(i64::from).collect(),
            dtype => {
                return Err(Error::DType {
                    op,
                    name: "targets",
                    expected: "u32, i64 or u8 labels or probabilities",
                    dtype,
                    shape: targets.dims().to_vec(),
                });
            }
        };
        let mut labels = Vec::with_capacity(batch);
        for (row, target) in targets.into_iter().enumerate() {
            labels.push(match u32::try_from(target) {
                _ if options.ignore_index == Some(target) => Self::IGNORED,
                Ok(label) if (label as usize) < classes => label,
                _ => {
                    return Err(Error::Target {
                        op,
                        row,
                        target,
                        classes,
                        logits: logits.to_vec(),
                    });
                }
            });
        }
        Ok(Self { classes, labels })
    }

    /// The weight of each row's loss: its class's, 0 for a row that does not count.
    fn row_weights(&self, class_weights: Option<&[f64]>) -> Vec<f64> {
        let weight_of = |&label: &u32| match class_weights {
            _ if label == Self::IGNORED => 0.0,
            Some(weights) => weights.get(label as usize).copied().unwrap_or(0.0),
            None => 1.0,
        };
        self.labels.iter().map(weight_of).collect()
    }

    /// The loss of each row, and what their mean divides by.
    fn losses(self, logits: &Tensor, weights: Option<&Tensor>, smoothing: f64) -> Result<(Tensor, f64)> {
        let class_weights: Option<Vec<f64>> = match weights {
            Some(weights) => Some(weights.to_dtype(DType::F64)?.to_vec1()?),
            None => None,
        };
        let row_weights = self.row_weights(class_weights.as_deref());
        let total = row_weights.iter().sum();
        let losses = if takes_kernel(OP, logits)? {
            let class_weights =
                class_weights.map(|weights| weights.iter().map(|&weight| weight as f32).collect());
            let op = CrossEntropy {
                labels: self,
                smoothing: smoothing as f32,
                class_weights,
            };
            logits.contiguous()?.apply_op1(op)?
        } else {
            // From candle operations, for every device and type.
            self.of_logarithms(&log_softmax(logits, 1)?, weights, &row_weights, smoothing)?
        };
        Ok((losses, total))
    }

    /// The loss of each row from the logarithms of the probabilities, `[batch, classes]`.
    fn of_logarithms(
        &self,
        log_probabilities: &Tensor,
        weights: Option<&Tensor>,
        row_weights: &[f64],
        smoothing: f64,
    ) -> Result<Tensor> {
        let (batch, device, dtype) = (
            self.labels.len(),
            log_probabilities.device(),
            log_probabilities.dtype(),
        );
        let on_device = |values: Vec<f64>| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, batch, &Device::Cpu)?
                .to_dtype(dtype)?
                .to_device(device)?)
        };
        // An ignored row looks at class 0 with weight 0.
        let classes: Vec<u32> = self
            .labels
            .iter()
            .map(|&label| if label == Self::IGNORED { 0 } else { label })
            .collect();
        let counts: Vec<u8> = self
            .labels
            .iter()
            .map(|&label| u8::from(label != Self::IGNORED))
            .collect();
        let classes = Tensor::from_vec(classes, (batch, 1), device)?;
        let counts = Tensor::from_vec(counts, batch, device)?;

        let of_label = log_probabilities.gather(&classes, 1)?.squeeze(1)?;
        let factors = on_device(
            row_weights
                .iter()
                .map(|weight| -(1.0 - smoothing) * weight)
                .collect(),
        )?;
        let mut losses = (of_label * factors)?;
        if smoothing > 0.0 {
            let of_all = match weights {
                Some(weights) => log_probabilities.broadcast_mul(weights)?,
                None => log_probabilities.clone(),
            };
            losses = (losses - of_all.sum(1)?.affine(smoothing / self.classes as f64, 0.0)?)?;
        }
        Ok(counts.where_cond(&losses, &losses.zeros_like()?)?)
    }
}

/// The operation on the kernels: logits `[batch, classes]` to losses `[batch]`.
struct CrossEntropy {
    labels: Labels,
    smoothing: f32,
    class_weights: Option<Vec<f32>>,
}

impl CrossEntropy {
    fn loss(&self) -> kernel::CrossEntropy<'_> {
        kernel::CrossEntropy {
            classes: self.labels.classes,
            targets: &self.labels.labels,
            label_smoothing: self.smoothing,
            class_weights: self.class_weights.as_deref(),
            ignore_index: Some(Labels::IGNORED),
        }
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut losses = vec![0.0; self.labels.labels.len()];
        kernel::forward(&self.loss(), elements(OP, logits, layout)?, &mut losses).map_err(Error::from)?;
        let batch = losses.len();
        Ok((CpuStorage::F32(losses), batch.into()))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        _losses: &Tensor,
        dlosses: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let mut dlogits = vec![0.0; logits.elem_count()];
        with_elements(OP, [logits, dlosses], |[logits, dlosses]| {
            Ok(kernel::backward(&self.loss(), logits, dlosses, &mut dlogits).map_err(Error::from)?)
        })?;
        Ok(Some(Tensor::from_vec(dlogits, logits.shape(), logits.device())?))
    }
}

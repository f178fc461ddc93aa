//! Measuring a model on a data set, and its predictions.

use super::running::{Pending, Running};
use crate::{
    BatchSource, Error, Flow, Result, Task,
    loss::{Loss, scalar},
};
use candle_core::{D, DType, Tensor};
use candle_nn::ModuleT;

/// Batches whose results are kept on the device before they are read.
const READ_EVERY: usize = 32;

/// What a model does on a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss per example.
    pub loss: f64,
    /// The number of examples.
    pub examples: u64,
    /// What was taken for what (classification).
    pub confusion: Option<Confusion>,
}

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[true class][predicted class]`
    counts: Vec<u64>,
    /// How often `i` classes were thought likelier than the true one.
    ranks: Vec<u64>,
}

impl Evaluation {
    /// The part of the examples classified rightly.
    pub fn accuracy(&self) -> Option<f64> {
        self.confusion.as_ref().map(Confusion::accuracy)
    }
}

impl Confusion {
    /// An empty table.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
            ranks: vec![0; classes],
        }
    }

    /// Counts one example: its true class, the predicted one, and how many classes were thought likelier than the
    /// true one.
    ///
    /// # Errors
    /// When one of them is not below the number of classes.
    pub fn add(&mut self, truth: usize, predicted: usize, rank: usize) -> Result<()> {
        let classes = self.classes;
        if truth >= classes || predicted >= classes {
            return Err(Error::Invalid(format!(
                "class {} of a model with {classes} outputs (classes count from 0)",
                truth.max(predicted)
            )));
        }
        let cell = self.counts.get_mut(truth * classes + predicted);
        // A rank of `classes` is that of an output which is not a number: it belongs to no top k.
        for count in cell.into_iter().chain(self.ranks.get_mut(rank)) {
            *count += 1;
        }
        Ok(())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `truth` was taken for `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        if predicted >= self.classes {
            return 0;
        }
        self.counts
            .get(truth * self.classes + predicted)
            .copied()
            .unwrap_or(0)
    }

    /// The number of examples.
    pub fn examples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The part of the examples classified rightly.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        right as f64 / self.examples().max(1) as f64
    }

    /// The part of the examples whose true class is among the `k` likeliest.
    pub fn top_k(&self, k: usize) -> f64 {
        let right: u64 = self.ranks.iter().take(k).sum();
        right as f64 / self.examples().max(1) as f64
    }

    /// Per class, the part of its examples classified rightly; `None` for a class without examples.
    pub fn per_class_accuracy(&self) -> Vec<Option<f64>> {
        (0..self.classes)
            .map(|class| {
                let all: u64 = (0..self.classes)
                    .map(|predicted| self.count(class, predicted))
                    .sum();
                (all > 0).then(|| self.count(class, class) as f64 / all as f64)
            })
            .collect()
    }
}

/// Measures `model` on one pass over `source`, in evaluation mode.
///
/// # Errors
/// When the source or the model fails, a target is no class of the model's, or the loss is not finite.
pub fn evaluate(
    model: &dyn ModuleT,
    loss: &dyn Loss,
    task: Task,
    source: &dyn BatchSource,
) -> Result<Evaluation> {
    let evaluation = evaluate_with(model, loss, task, source, &mut |_| Ok(Flow::Continue))?;
    evaluation.map_err(|reason| Error::Invalid(format!("an evaluation stopped: {reason}")))
}

/// [`evaluate`] that asks `after_batch`, with the number of batches done, whether to go on; the inner error is its
/// reason not to.
pub(crate) fn evaluate_with(
    model: &dyn ModuleT,
    loss: &dyn Loss,
    task: Task,
    source: &dyn BatchSource,
    after_batch: &mut dyn FnMut(usize) -> Result<Flow>,
) -> Result<Result<Evaluation, crate::StopReason>> {
    let mut running = Running::default();
    let mut confusion = None;
    let mut pending = Vec::new();
    for (index, batch) in source.epoch(0, 0).enumerate() {
        let batch = batch.map_err(|source| Error::Data {
            epoch: 1,
            batch: index,
            source,
        })?;
        let output = model.forward_t(&batch.xs, false)?;
        let value = scalar(loss.loss(&output, &batch.ys)?)?.detach();
        let classes = (task == Task::Classification)
            .then(|| Answers::new(&output, &batch.ys))
            .transpose()?;
        let losses = Pending {
            loss: value,
            correct: None,
            examples: batch.len,
            batch: index,
            step: 0,
        };
        pending.push((losses, classes));
        if pending.len() == READ_EVERY {
            read(&mut pending, loss, &mut running, &mut confusion)?;
        }
        if let Flow::Stop(reason) = after_batch(index + 1)? {
            return Ok(Err(reason));
        }
    }
    read(&mut pending, loss, &mut running, &mut confusion)?;
    Ok(Ok(Evaluation {
        loss: running.metrics(false).loss,
        examples: running.examples,
        confusion,
    }))
}

/// What the model answered to a batch, on the device.
struct Answers {
    classes: usize,
    truth: Tensor,
    predicted: Tensor,
    rank: Tensor,
}

impl Answers {
    /// # Shapes
    /// output `[n, classes]`; targets `[n]` class numbers or `[n, classes]` probabilities
    fn new(output: &Tensor, targets: &Tensor) -> Result<Self> {
        let (_, classes) = output.dims2()?;
        let truth = class_indices(targets)?;
        let output = output.detach();
        let own = output.gather(&truth.unsqueeze(1)?, 1)?;
        // Classes that are not `≤` the true one; written so that an output which is NaN counts against the model.
        let others = output.broadcast_le(&own)?.to_dtype(DType::U32)?.sum(1)?;
        let rank = (Tensor::full(classes as u32, others.shape(), others.device())? - others)?;
        Ok(Self {
            classes,
            truth,
            predicted: output.argmax(D::Minus1)?,
            rank,
        })
    }
}

fn read(
    pending: &mut Vec<(Pending, Option<Answers>)>,
    loss: &dyn Loss,
    running: &mut Running,
    confusion: &mut Option<Confusion>,
) -> Result<()> {
    let (losses, answers): (Vec<Pending>, Vec<Option<Answers>>) = pending.drain(..).unzip();
    for ((value, _), batch) in Pending::read(&losses)?.into_iter().zip(&losses) {
        running.add(value, loss.reduction(), 0, batch.examples);
    }
    for answers in answers.into_iter().flatten() {
        let table = confusion.get_or_insert_with(|| Confusion::new(answers.classes));
        let host = |t: &Tensor| t.to_dtype(DType::U32)?.to_vec1::<u32>();
        let (truth, predicted, rank) = (
            host(&answers.truth)?,
            host(&answers.predicted)?,
            host(&answers.rank)?,
        );
        for ((truth, predicted), rank) in truth.into_iter().zip(predicted).zip(rank) {
            table.add(truth as usize, predicted as usize, rank as usize)?;
        }
    }
    Ok(())
}

/// The class numbers of targets given as numbers or, one row each, as probabilities.
pub(crate) fn class_indices(targets: &Tensor) -> Result<Tensor> {
    Ok(match targets.rank() {
        1 => targets.to_dtype(DType::U32)?,
        _ => targets.argmax(D::Minus1)?,
    })
}

/// What a classifier thinks of one example.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The likeliest class.
    pub class: usize,
    /// The probability of every class.
    pub probabilities: Vec<f32>,
}

impl Prediction {
    /// The `k` likeliest classes with their probabilities, likeliest first.
    pub fn top(&self, k: usize) -> Vec<(usize, f32)> {
        let mut classes: Vec<(usize, f32)> = self.probabilities.iter().copied().enumerate().collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        classes.truncate(k);
        classes
    }
}

/// The classes and probabilities (softmax of the model's output) of a batch, in evaluation mode.
///
/// # Shapes
/// xs `[n, …]`; the model's output `[n, classes]`
///
/// # Errors
/// When the model fails.
pub fn predict(model: &dyn ModuleT, xs: &Tensor) -> Result<Vec<Prediction>> {
    let logits = model.forward_t(xs, false)?.detach();
    let probabilities = candle_nn::ops::softmax(&logits, D::Minus1)?
        .to_dtype(DType::F32)?
        .to_vec2::<f32>()?;
    let classes = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let pairs = classes.into_iter().zip(probabilities);
    Ok(pairs
        .map(|(class, probabilities)| Prediction {
            class: class as usize,
            probabilities,
        })
        .collect())
}

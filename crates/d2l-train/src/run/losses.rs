//! The losses of a run's batches: taken note of, read from the device, refused where they are not finite.

use super::{Run, Task};
use crate::{
    Batch, Error, NonFinite, Result,
    loss::Reduction,
    metrics::{Pending, class_indices},
};
use candle_core::{D, DType, Tensor};

/// The loss of a step, from those of its batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepLoss {
    step: u64,
    loss: f64,
    examples: usize,
}

impl Run<'_> {
    /// The loss of the last step: that of its batch, or of all its batches together.
    ///
    /// # Errors
    /// When the device fails, or a loss read from it is not finite.
    pub fn last_loss(&mut self) -> Result<Option<f64>> {
        self.read_losses()?;
        Ok(self.last_loss.map(|last| last.loss))
    }

    /// Takes note of a batch's loss and right answers, and reads them from the device when it is time.
    pub(crate) fn record(&mut self, loss: &Tensor, output: &Tensor, batch: &Batch) -> Result<()> {
        let correct = match self.options.task {
            Task::Regression => None,
            Task::Classification => Some(
                output
                    .detach()
                    .argmax(D::Minus1)?
                    .eq(&class_indices(&batch.ys)?)?
                    .to_dtype(DType::F32)?
                    .sum_all()?,
            ),
        };
        self.pending.push(Pending {
            loss: loss.detach(),
            correct,
            examples: batch.len,
            batch: self.batch_in_hand(),
            step: self.position.step + 1,
        });
        if self.pending.len() >= self.read_every {
            self.read_losses()
        } else {
            Ok(())
        }
    }

    /// As [`Self::record`] for a loss that is at hand.
    pub(crate) fn record_value(&mut self, loss: f64, correct: u64, batch: &Batch) -> Result<()> {
        if !loss.is_finite() {
            return Err(self.non_finite("the training loss", loss, self.first_non_finite_parameter()?));
        }
        self.running.add(loss, self.reduction, correct, batch.len);
        self.note_loss(loss, batch.len, self.position.step + 1);
        Ok(())
    }

    /// Takes a batch's loss into that of its step.
    fn note_loss(&mut self, loss: f64, examples: usize, step: u64) {
        let earlier = self.last_loss.filter(|last| last.step == step);
        let Some(earlier) = earlier else {
            self.last_loss = Some(StepLoss { step, loss, examples });
            return;
        };
        let all = earlier.examples + examples;
        let loss = match self.reduction {
            Reduction::Sum => earlier.loss + loss,
            Reduction::Mean | Reduction::None => {
                (earlier.loss * earlier.examples as f64 + loss * examples as f64) / all as f64
            }
        };
        self.last_loss = Some(StepLoss {
            step,
            loss,
            examples: all,
        });
    }

    /// Reads the losses that are still on the device, in order, and refuses one that is not finite.
    pub(super) fn read_losses(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        for ((loss, correct), batch) in Pending::read(&pending)?.into_iter().zip(&pending) {
            if !loss.is_finite() {
                return Err(Error::NonFinite(NonFinite {
                    what: "the training loss",
                    value: loss,
                    epoch: self.epoch(),
                    step: batch.step,
                    batch: batch.batch,
                    culprit: self.first_non_finite_parameter()?,
                }));
            }
            self.running.add(loss, self.reduction, correct, batch.examples);
            self.note_loss(loss, batch.examples, batch.step);
        }
        Ok(())
    }
}

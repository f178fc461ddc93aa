//! Running means over the examples of an epoch.

use crate::{Result, loss::Reduction};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// The training metrics of the epoch so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainMetrics {
    /// The mean loss per example.
    pub loss: f64,
    /// The part of the examples classified rightly (classification).
    pub accuracy: Option<f64>,
    /// The examples seen.
    pub examples: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// Sums over the epoch's examples so far. They are kept on the host in f64 and added batch by batch in order, so that
/// they are the same however often they were read, and go through a checkpoint as exact bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    #[serde(with = "bits")]
    pub(crate) loss_sum: f64,
    pub(crate) correct: u64,
    pub(crate) examples: u64,
    #[serde(with = "bits")]
    pub(crate) seconds: f64,
}

/// A batch whose loss is still on the device.
pub(crate) struct Pending {
    pub(crate) loss: Tensor,
    pub(crate) correct: Option<Tensor>,
    pub(crate) examples: usize,
    pub(crate) batch: usize,
    pub(crate) step: u64,
}

impl Running {
    /// Adds a batch's loss, already on the host.
    pub(crate) fn add(&mut self, loss: f64, reduction: Reduction, correct: u64, examples: usize) {
        self.loss_sum += match reduction {
            Reduction::Mean | Reduction::None => loss * examples as f64,
            Reduction::Sum => loss,
        };
        self.correct += correct;
        self.examples += examples as u64;
    }

    pub(crate) fn metrics(&self, classification: bool) -> TrainMetrics {
        let examples = self.examples.max(1) as f64;
        TrainMetrics {
            loss: self.loss_sum / examples,
            accuracy: classification.then(|| self.correct as f64 / examples),
            examples: self.examples,
            seconds: self.seconds,
        }
    }
}

impl Pending {
    /// The losses and numbers of right answers of several batches, read from the device at once.
    pub(crate) fn read(batches: &[Self]) -> Result<Vec<(f64, u64)>> {
        let scalars = batches
            .iter()
            .flat_map(|b| [Some(&b.loss), b.correct.as_ref()])
            .flatten();
        // Stacked as one type, f32 unless f64 is at work: Metal has no f64, and counts need more than a half.
        let wide = batches.iter().any(|b| b.loss.dtype() == DType::F64);
        let dtype = if wide { DType::F64 } else { DType::F32 };
        let scalars: Vec<Tensor> = scalars.map(|t| t.to_dtype(dtype)).collect::<Result<_, _>>()?;
        let mut values = match scalars.is_empty() {
            true => Vec::new(),
            false => Tensor::stack(&scalars, 0)?
                .to_device(&Device::Cpu)?
                .to_dtype(DType::F64)?
                .to_vec1::<f64>()?,
        }
        .into_iter();
        let mut next = || values.next().unwrap_or(f64::NAN);
        Ok(batches
            .iter()
            .map(|b| (next(), if b.correct.is_some() { next() as u64 } else { 0 }))
            .collect())
    }
}

/// A scalar on any device as f64.
pub(crate) fn to_f64(scalar: &Tensor) -> Result<f64> {
    Ok(scalar
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?
        .to_scalar::<f64>()?)
}

/// An f64 as the hexadecimal digits of its bits: exact, and the same in every JSON library.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:016x}", value.to_bits()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16)
            .map(f64::from_bits)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_batch_weighs_what_it_holds() {
        let mut running = Running::default();
        running.add(1.0, Reduction::Mean, 2, 4);
        running.add(4.0, Reduction::Mean, 0, 1);
        let metrics = running.metrics(true);
        assert_eq!((metrics.loss, metrics.accuracy), (8.0 / 5.0, Some(0.4)));
        running.add(2.0, Reduction::Sum, 0, 5);
        assert_eq!(running.metrics(false).loss, 1.0);
    }

    #[test]
    fn sums_go_through_json_to_the_bit() {
        let running = Running {
            loss_sum: f64::from_bits(0x3fd5_5555_5555_5556),
            seconds: 0.1,
            correct: 3,
            examples: 9,
        };
        let text = serde_json::to_string(&running).unwrap();
        assert_eq!(serde_json::from_str::<Running>(&text).unwrap(), running);
    }

    #[test]
    fn pending_batches_are_read_in_order() {
        let scalar = |x: f32| Tensor::new(x, &Device::Cpu).unwrap();
        let batch = |loss, correct: Option<f32>| Pending {
            loss: scalar(loss),
            correct: correct.map(scalar),
            examples: 1,
            batch: 0,
            step: 1,
        };
        let read = |batches: &[Pending]| Pending::read(batches).unwrap();
        assert_eq!(
            read(&[batch(0.5, Some(3.)), batch(1.5, Some(4.))]),
            [(0.5, 3), (1.5, 4)]
        );
        assert_eq!(read(&[batch(0.5, None)]), [(0.5, 0)]);
        assert_eq!(read(&[]), []);
    }
}

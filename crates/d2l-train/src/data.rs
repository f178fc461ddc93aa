//! Where batches come from: the [`BatchSource`] trait, and [`TensorSource`] over tensors in memory.

use crate::{BoxError, Error, Result};
use candle_core::Tensor;
use d2l_kernels::rng::Philox;

/// A mini-batch on the model's device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs, `[len, …]`.
    pub xs: Tensor,
    /// The targets, `[len, …]`: class numbers (u32 or i64) or class probabilities for classification, values for
    /// regression.
    pub ys: Tensor,
    /// The number of examples; the last batch of an epoch may be short.
    pub len: usize,
}

/// The batches of an epoch, in order.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch, BoxError>> + 'a>;

/// A data set cut into mini-batches.
///
/// What batch `i` of epoch `e` holds must be a function of `e` and `i` alone: a run that is stopped and resumed
/// asks for the rest of the epoch it was in, and has to get the batches it would have seen.
pub trait BatchSource {
    /// The number of batches in an epoch.
    fn batches(&self) -> usize;

    /// The number of examples in an epoch.
    fn examples(&self) -> usize;

    /// The batches of epoch `epoch` (from 0), without the first `first_batch`.
    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_>;
}

/// Two tensors, cut into batches along their first dimension, in an order drawn anew for every epoch.
#[derive(Clone, Debug)]
pub struct TensorSource {
    xs: Tensor,
    ys: Tensor,
    batch_size: usize,
    shuffle: Option<u64>,
}

impl TensorSource {
    /// Batches of `batch_size` from `xs` and `ys`, whose first dimension counts the examples. `shuffle` is the seed
    /// of the order; `None` keeps the order that the tensors have.
    ///
    /// # Errors
    /// When the tensors do not hold the same number of examples, or hold none, or the batch size is 0.
    pub fn new(xs: Tensor, ys: Tensor, batch_size: usize, shuffle: Option<u64>) -> Result<Self> {
        let (inputs, targets) = (xs.dims().first(), ys.dims().first());
        if inputs != targets || inputs.is_none_or(|&n| n == 0) {
            return Err(Error::Invalid(format!(
                "a tensor source needs as many inputs as targets, and some: got shapes {:?} and {:?}",
                xs.dims(),
                ys.dims()
            )));
        }
        if batch_size == 0 {
            return Err(Error::Invalid(
                "a tensor source needs a batch size of at least 1, got 0".into(),
            ));
        }
        Ok(Self {
            xs,
            ys,
            batch_size,
            shuffle,
        })
    }

    fn batch(&self, order: Option<&[u32]>, index: usize) -> Result<Batch, BoxError> {
        let start = index * self.batch_size;
        let len = self.batch_size.min(self.examples() - start);
        let (xs, ys) = match order.and_then(|order| order.get(start..start + len)) {
            Some(rows) => {
                let rows = Tensor::new(rows, self.xs.device())?;
                (self.xs.index_select(&rows, 0)?, self.ys.index_select(&rows, 0)?)
            }
            None => (self.xs.narrow(0, start, len)?, self.ys.narrow(0, start, len)?),
        };
        Ok(Batch { xs, ys, len })
    }
}

impl BatchSource for TensorSource {
    fn batches(&self) -> usize {
        self.examples().div_ceil(self.batch_size)
    }

    fn examples(&self) -> usize {
        self.xs.dims().first().copied().unwrap_or(0)
    }

    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_> {
        let order = self.shuffle.map(|seed| {
            let mut order: Vec<u32> = (0..self.examples() as u32).collect();
            Philox::new(seed, epoch).shuffle(&mut order);
            order
        });
        Box::new((first_batch..self.batches()).map(move |index| self.batch(order.as_deref(), index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn source(shuffle: Option<u64>) -> TensorSource {
        let xs = Tensor::arange(0f32, 10., &Device::Cpu).unwrap();
        TensorSource::new(xs.reshape((10, 1)).unwrap(), (xs * 2.).unwrap(), 4, shuffle).unwrap()
    }

    fn rows(source: &TensorSource, epoch: u64, first: usize) -> Vec<Vec<f32>> {
        source
            .epoch(epoch, first)
            .map(|b| b.unwrap().ys.to_vec1().unwrap())
            .collect()
    }

    #[test]
    fn batches_in_order_with_a_short_last_one() {
        let source = source(None);
        assert_eq!((source.batches(), source.examples()), (3, 10));
        assert_eq!(rows(&source, 0, 1), [vec![8., 10., 12., 14.], vec![16., 18.]]);
        assert_eq!(source.epoch(0, 2).next().unwrap().unwrap().len, 2);
    }

    #[test]
    fn an_epochs_order_is_a_function_of_seed_and_epoch_and_holds_every_example() {
        let (a, b) = (source(Some(1)), source(Some(2)));
        assert_eq!(rows(&a, 3, 1), rows(&a, 3, 0)[1..]);
        assert_ne!(rows(&a, 3, 0), rows(&a, 4, 0));
        assert_ne!(rows(&a, 3, 0), rows(&b, 3, 0));
        let mut all: Vec<f32> = rows(&a, 3, 0).concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..10).map(|i| 2. * i as f32).collect::<Vec<_>>());
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let t = |n| Tensor::zeros(n, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(TensorSource::new(t(3), t(4), 2, None).is_err());
        assert!(TensorSource::new(t(0), t(0), 2, None).is_err());
        assert!(TensorSource::new(t(3), t(3), 0, None).is_err());
    }
}

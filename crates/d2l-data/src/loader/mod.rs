//! Batches for a training loop: shuffled by a seed, prepared ahead by worker threads, the same
//! whatever their number.
//!
//! ```text
//! order   = permutation of the examples, a pure function of (seed, epoch)
//! batch i = examples order[i·b .. (i+1)·b]
//! worker w of W prepares the batches i ≡ w (mod W) and sends them through a bounded channel;
//! the iterator takes batch i from channel i mod W, so batches come in order.
//! ```
//!
//! A dropped iterator closes the channels; each worker ends after the batch at hand and is joined.

mod augment;
mod gather;
mod order;
mod resize;
mod workers;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};
use crate::image_set::ImageSet;

pub use augment::Augment;
pub(crate) use gather::Gather;
pub(crate) use workers::HostBatch;

/// What a [`Loader`] does to a set.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Examples in a batch.
    pub batch_size: usize,
    /// The seed of the shuffle, or nothing for the set's own order.
    pub shuffle: Option<u64>,
    /// Threads that prepare batches ahead; 0 prepares each in the caller's thread when asked.
    pub workers: usize,
    /// Batches that all workers together may be ahead; at least one per worker.
    pub prefetch: usize,
    /// Leave out a last batch that is not full.
    pub drop_last: bool,
    /// Use only the first so many examples of the set.
    pub limit: Option<usize>,
    /// Resize pictures to N × N, bilinear, as PIL does: on 8-bit values, before scaling.
    pub resize: Option<usize>,
    /// Mean and standard deviation per channel: `(x − mean) / std` after scaling to 0…1.
    pub normalize: Option<Normalize>,
    /// Random changes to training pictures.
    pub augment: Augment,
}

impl Default for LoaderOptions {
    /// Batches of 256, in order, two workers four batches ahead, nothing left out or changed.
    fn default() -> Self {
        Self {
            batch_size: 256,
            shuffle: None,
            workers: 2,
            prefetch: 4,
            drop_last: false,
            limit: None,
            resize: None,
            normalize: None,
            augment: Augment::default(),
        }
    }
}

/// A normalisation after scaling to 0…1, each list one value per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalize {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Divided by, after.
    pub std: Vec<f32>,
}

/// A source of batches from an [`ImageSet`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Loader {
    gather: Arc<Gather>,
    batch_size: usize,
    shuffle: Option<u64>,
    workers: usize,
    prefetch: usize,
    drop_last: bool,
    examples: usize,
}

impl Loader {
    /// A loader over `set`.
    ///
    /// # Errors
    /// [`Error::Options`] for a batch, a size or a standard deviation of zero, a normalisation with
    /// the wrong number of channels, or an augmentation that cannot be.
    pub fn new(set: Arc<ImageSet>, options: LoaderOptions) -> Result<Self> {
        if options.batch_size == 0 {
            return Err(Error::Options("a batch of 0 examples".to_owned()));
        }
        let examples = options.limit.map_or(set.len(), |limit| limit.min(set.len()));
        Ok(Self {
            batch_size: options.batch_size,
            shuffle: options.shuffle,
            workers: options.workers,
            prefetch: options.prefetch.max(options.workers),
            drop_last: options.drop_last,
            examples,
            gather: Arc::new(Gather::new(set, options)?),
        })
    }

    /// The number of batches in an epoch.
    pub fn len(&self) -> usize {
        if self.drop_last {
            self.examples / self.batch_size
        } else {
            self.examples.div_ceil(self.batch_size)
        }
    }

    /// Whether an epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of examples that an epoch visits.
    pub fn examples(&self) -> usize {
        if self.drop_last {
            self.len() * self.batch_size
        } else {
            self.examples
        }
    }

    /// Channels, height and width of the pictures as they come out.
    pub fn shape(&self) -> [usize; 3] {
        self.gather.shape()
    }

    /// The set behind it.
    pub fn set(&self) -> &Arc<ImageSet> {
        self.gather.set()
    }

    /// The order in which epoch `epoch` visits the examples: a pure function of the seed and the
    /// epoch (and of how many examples there are), so a resumed run sees what it would have seen.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        order::order(self.examples, self.shuffle, epoch)
    }

    /// The batches of epoch `epoch` from `first_batch` on (0 for all), on `device`.
    ///
    /// Each item is a pair: pictures `[n, c, h, w]` of `f32`, each value divided by 255 as
    /// PyTorch's `ToTensor` does (candle's own reader multiplies by 1/255, which differs in the
    /// last bit), and labels `[n]` of `u32`. After an error there are no more items.
    pub fn epoch(&self, epoch: u64, first_batch: usize, device: &Device) -> Batches {
        let plan = Arc::new(Plan {
            gather: self.gather.clone(),
            order: self.order(epoch),
            batch_size: self.batch_size,
            epoch,
        });
        let first = first_batch.min(self.len());
        let source = workers::Source::start(plan, first..self.len(), self.workers, self.prefetch);
        Batches {
            source,
            next: first,
            end: self.len(),
            shape: self.shape(),
            device: device.clone(),
        }
    }
}

/// One epoch's work.
pub(crate) struct Plan {
    gather: Arc<Gather>,
    order: Vec<u32>,
    batch_size: usize,
    epoch: u64,
}

impl Plan {
    pub(crate) fn prepare(&self, batch: usize) -> Result<HostBatch> {
        let start = batch * self.batch_size;
        let end = (start + self.batch_size).min(self.order.len());
        self.gather
            .gather(self.order.get(start..end).unwrap_or_default(), self.epoch)
    }
}

/// The batches of one epoch, in order; see [`Loader::epoch`].
pub struct Batches {
    source: workers::Source,
    next: usize,
    end: usize,
    shape: [usize; 3],
    device: Device,
}

impl Batches {
    /// The number of the next batch in its epoch.
    pub fn position(&self) -> usize {
        self.next
    }

    fn range(&self) -> Range<usize> {
        self.next..self.end
    }
}

impl Iterator for Batches {
    type Item = Result<(Tensor, Tensor)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range().is_empty() {
            return None;
        }
        let batch = self.source.take(self.next);
        self.next += 1;
        let [channels, height, width] = self.shape;
        let device = &self.device;
        let tensors = batch.and_then(|HostBatch { pixels, labels }| {
            let n = labels.len();
            let xs = Tensor::from_vec(pixels, (n, channels, height, width), device)?;
            Ok((xs, Tensor::from_vec(labels, n, device)?))
        });
        if tensors.is_err() {
            self.end = self.next;
        }
        Some(tensors)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.range().len()))
    }
}

//! [`Pictures`]: a loader of d2l-data as d2l-train takes its batches.

use crate::Result;
use candle_core::{Device, Tensor};
use d2l_data::{ImageSet, Loader, LoaderOptions};
use d2l_train::{Batch, BatchSource, Batches};
use std::sync::Arc;

/// Batches of pictures and class numbers on a device, from a set of pictures in memory.
pub struct Pictures {
    loader: Loader,
    device: Device,
}

impl Pictures {
    /// Batches of `set` as `options` say.
    ///
    /// # Errors
    /// When the options make no sense for the set.
    pub fn new(set: &Arc<ImageSet>, options: LoaderOptions, device: &Device) -> Result<Self> {
        Ok(Self {
            loader: Loader::new(Arc::clone(set), options)?,
            device: device.clone(),
        })
    }

    /// The pictures that the batches are made of, with their labels' names.
    pub fn set(&self) -> &ImageSet {
        self.loader.set()
    }

    /// The mini-batches of epoch `epoch` (from 0) without the first `first`: pictures and class numbers.
    ///
    /// # Shapes
    /// pictures `[n, c, h, w]`, f32 from 0 to 1; class numbers `[n]`, u32
    pub fn iter(&self, epoch: u64, first: usize) -> impl Iterator<Item = Result<(Tensor, Tensor)>> + use<> {
        let batches = self.loader.epoch(epoch, first, &self.device);
        batches.map(|batch| Ok(batch?))
    }
}

impl BatchSource for Pictures {
    fn batches(&self) -> usize {
        self.loader.len()
    }

    fn examples(&self) -> usize {
        self.loader.examples()
    }

    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_> {
        Box::new(self.iter(epoch, first_batch).map(|batch| {
            let (xs, ys) = batch?;
            let len = ys.elem_count();
            Ok(Batch { xs, ys, len })
        }))
    }
}

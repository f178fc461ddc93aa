//! [`Pictures`]: a loader of d2l-data as d2l-train takes its batches.

use crate::Result;
use candle_core::Device;
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
}

impl BatchSource for Pictures {
    fn batches(&self) -> usize {
        self.loader.len()
    }

    fn examples(&self) -> usize {
        self.loader.examples()
    }

    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_> {
        let batches = self.loader.epoch(epoch, first_batch, &self.device);
        Box::new(batches.map(|batch| {
            let (xs, ys) = batch?;
            let len = ys.elem_count();
            Ok(Batch { xs, ys, len })
        }))
    }
}

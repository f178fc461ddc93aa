//! From 8-bit pictures to a batch of `f32`.

use std::sync::Arc;

use super::resize::Resize;
use super::{Augment, HostBatch, LoaderOptions, Normalize};
use crate::error::{Error, Result};
use crate::image_set::ImageSet;

/// Gathers examples, changes, resizes and scales them.
#[derive(Debug)]
pub(crate) struct Gather {
    set: Arc<ImageSet>,
    resize: Option<(usize, Resize)>,
    normalize: Option<Normalize>,
    augment: Augment,
}

impl Gather {
    pub(crate) fn new(set: Arc<ImageSet>, options: LoaderOptions) -> Result<Self> {
        if options.resize.is_some_and(|size| size == 0 || size > 1 << 14) {
            return Err(Error::Options(format!(
                "a resize to {} pixels",
                options.resize.unwrap_or(0)
            )));
        }
        if let Some(Normalize { mean, std }) = &options.normalize {
            let [channels, ..] = set.shape();
            if mean.len() != channels || std.len() != channels {
                return Err(Error::Options(format!(
                    "a normalisation of {} means and {} deviations for {channels} channels",
                    mean.len(),
                    std.len()
                )));
            }
            if std.iter().any(|std| !std.is_normal()) || mean.iter().any(|mean| !mean.is_finite()) {
                return Err(Error::Options(
                    "a normalisation by a deviation of zero or no number".to_owned(),
                ));
            }
        }
        options.augment.check()?;
        if u32::try_from(set.len()).is_err() {
            return Err(Error::Options("more than 2³² − 1 examples".to_owned()));
        }
        let [_, height, width] = set.shape();
        let resize = options.resize.filter(|&size| [size, size] != [height, width]);
        Ok(Self {
            resize: resize.map(|size| (size, Resize::new([height, width], [size, size]))),
            set,
            normalize: options.normalize,
            augment: options.augment,
        })
    }

    pub(crate) fn set(&self) -> &Arc<ImageSet> {
        &self.set
    }

    pub(crate) fn shape(&self) -> [usize; 3] {
        let [channels, height, width] = self.set.shape();
        self.resize
            .as_ref()
            .map_or([channels, height, width], |&(size, _)| [channels, size, size])
    }

    /// The batch of the examples at `indices`.
    pub(crate) fn gather(&self, indices: &[u32], epoch: u64) -> Result<HostBatch> {
        let from = self.set.shape();
        let to = self.shape();
        let size: usize = to.iter().product();
        let mut pixels = vec![0f32; indices.len() * size];
        let mut labels = Vec::with_capacity(indices.len());
        let mut changed = vec![
            0u8;
            if self.augment.is_none() {
                0
            } else {
                from.iter().product()
            }
        ];
        let mut resizer = self.resize.as_ref().map(|(_, resize)| Resizer::new(resize, size));
        for (&index, target) in indices.iter().zip(pixels.chunks_exact_mut(size)) {
            let Some((mut image, label)) = self.set.image(index as usize) else {
                return Err(Error::Options(format!("there is no example {index}")));
            };
            labels.push(label);
            if !self.augment.is_none() {
                self.augment.apply(epoch, index, from, image, &mut changed);
                image = &changed;
            }
            if let Some(resizer) = &mut resizer {
                image = resizer.apply(image, from);
            }
            scale(image, target);
        }
        if let Some(normalize) = &self.normalize {
            let [_, height, width] = to;
            let channels = normalize.mean.iter().zip(&normalize.std).cycle();
            for (plane, (&mean, &std)) in pixels.chunks_exact_mut(height * width).zip(channels) {
                plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
            }
        }
        Ok(HostBatch { pixels, labels })
    }
}

/// A resize with its buffers.
struct Resizer<'a> {
    resize: &'a Resize,
    narrow: Vec<u8>,
    sums: Vec<i32>,
    resized: Vec<u8>,
}

impl<'a> Resizer<'a> {
    fn new(resize: &'a Resize, size: usize) -> Self {
        let (narrow, sums) = resize.scratch_len();
        Self {
            resize,
            narrow: vec![0; narrow],
            sums: vec![0; sums],
            resized: vec![0; size],
        }
    }

    /// Resizes each channel of a picture of shape `[channels, height, width]`.
    fn apply(&mut self, image: &[u8], [channels, height, width]: [usize; 3]) -> &[u8] {
        let plane = self.resized.len() / channels;
        let planes = image
            .chunks_exact(height * width)
            .zip(self.resized.chunks_exact_mut(plane));
        for (source, target) in planes {
            self.resize
                .apply(source, target, &mut self.narrow, &mut self.sums);
        }
        &self.resized
    }
}

/// `ToTensor`: each 8-bit value divided by 255. The loop has no branch and no bound to check, so
/// it compiles to vector conversions and divisions.
fn scale(image: &[u8], target: &mut [f32]) {
    for (value, &byte) in target.iter_mut().zip(image) {
        *value = f32::from(byte) / 255.0;
    }
}

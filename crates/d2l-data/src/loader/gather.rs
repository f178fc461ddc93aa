//! From 8-bit pictures to a batch of `f32`.

use std::sync::Arc;

use fast_image_resize::images::{ImageRef, TypedImage};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::{Augment, HostBatch, LoaderOptions, Normalize};
use crate::error::{Error, Result};
use crate::image_set::ImageSet;

/// Gathers examples, changes, resizes and scales them.
#[derive(Debug)]
pub(crate) struct Gather {
    set: Arc<ImageSet>,
    resize: Option<usize>,
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
        Ok(Self {
            set,
            resize: options.resize,
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
            .map_or([channels, height, width], |size| [channels, size, size])
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
        let mut resized = vec![0u8; if from == to { 0 } else { size }];
        let mut resizer = (from != to).then(Resizer::new);
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
                resize(resizer, image, from, &mut resized, to)?;
                image = &resized;
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

/// `ToTensor`: each 8-bit value divided by 255. The loop has no branch and no bound to check, so
/// it compiles to vector conversions and divisions.
fn scale(image: &[u8], target: &mut [f32]) {
    for (value, &byte) in target.iter_mut().zip(image) {
        *value = f32::from(byte) / 255.0;
    }
}

/// PIL's bilinear resize of each channel: 8-bit fixed-point convolution with a triangle filter
/// that widens when shrinking.
fn resize(
    resizer: &mut Resizer,
    source: &[u8],
    [_, from_height, from_width]: [usize; 3],
    target: &mut [u8],
    [_, to_height, to_width]: [usize; 3],
) -> Result<()> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let failed = |error: &dyn std::fmt::Display| Error::Options(format!("cannot resize: {error}"));
    let planes = source.chunks_exact(from_height * from_width);
    for (source, target) in planes.zip(target.chunks_exact_mut(to_height * to_width)) {
        let source = ImageRef::new(
            from_width as u32,
            from_height as u32,
            source,
            fast_image_resize::PixelType::U8,
        )
        .map_err(|error| failed(&error))?;
        let mut target = TypedImage::<U8>::from_buffer(to_width as u32, to_height as u32, target)
            .map_err(|error| failed(&error))?;
        let source = source
            .typed_image::<U8>()
            .ok_or_else(|| failed(&"the picture is not 8-bit"))?;
        resizer
            .resize_typed(&source, &mut target, &options)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

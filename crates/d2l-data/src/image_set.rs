//! Labelled pictures in memory, 8 bits a channel.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::provenance::Provenance;

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What a network learns from.
    Train,
    /// What it is judged by.
    Test,
}

/// A data set: its two splits, and where it came from.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The data set's name, as in the registry.
    pub name: String,
    /// For learning.
    pub train: Arc<ImageSet>,
    /// For judging.
    pub test: Arc<ImageSet>,
    /// Where the files came from, with their digests.
    pub provenance: Provenance,
}

impl DataSet {
    /// The split asked for.
    pub fn split(&self, split: Split) -> &Arc<ImageSet> {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }

    /// The names of the classes, by label.
    pub fn class_names(&self) -> &[String] {
        self.train.class_names()
    }
}

/// Pictures of one size with a label each, kept as 8-bit values: a quarter of the memory of
/// `f32`, and what a resize must see to agree with PIL.
///
/// # Shapes
/// Pixels are `[n][c][h][w]`, row-major; labels are `[n]`, each less than the number of classes.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageSet {
    pixels: Vec<u8>,
    labels: Vec<u16>,
    channels: usize,
    height: usize,
    width: usize,
    class_names: Arc<[String]>,
}

impl ImageSet {
    /// Builds a set from pixels `[n][c][h][w]` with `shape` = `[c, h, w]`, labels `[n]` and the
    /// class names.
    ///
    /// # Errors
    /// If a dimension is zero, the lengths do not fit together, or a label has no class.
    pub fn new(
        pixels: Vec<u8>,
        labels: Vec<u16>,
        shape: [usize; 3],
        class_names: Arc<[String]>,
    ) -> Result<Self> {
        let [channels, height, width] = shape;
        let size = channels
            .checked_mul(height)
            .and_then(|size| size.checked_mul(width));
        let expected = size.and_then(|size| size.checked_mul(labels.len()));
        if size == Some(0) || expected != Some(pixels.len()) {
            return Err(Error::Options(format!(
                "{} bytes of pixels are not {} images of shape {shape:?}",
                pixels.len(),
                labels.len()
            )));
        }
        let classes = class_names.len();
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= classes) {
            let label = labels.get(index).copied().unwrap_or_default();
            return Err(Error::Options(format!(
                "example {index} has label {label} of {classes} classes"
            )));
        }
        Ok(Self {
            pixels,
            labels,
            channels,
            height,
            width,
            class_names,
        })
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The names of the classes, by label.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The labels, one per example.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// All pixels, `[n][c][h][w]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The name of a class, or its number where the label has none.
    pub fn class_name(&self, label: u32) -> String {
        let name = self.class_names.get(label as usize);
        name.cloned().unwrap_or_else(|| label.to_string())
    }

    /// The pixels `[c][h][w]` and the label of example `index`, or nothing beyond the end.
    pub fn image(&self, index: usize) -> Option<(&[u8], u32)> {
        let size = self.channels * self.height * self.width;
        let label = self.labels.get(index)?;
        let pixels = self.pixels.get(index * size..(index + 1) * size)?;
        Some((pixels, u32::from(*label)))
    }

    /// How many examples each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }

    /// A set of the examples at `indices`, in that order; for folds and samples.
    ///
    /// # Errors
    /// If an index is beyond the end.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        let mut pixels = Vec::with_capacity(indices.len() * self.channels * self.height * self.width);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let Some(((image, _), &label)) = self.image(index).zip(self.labels.get(index)) else {
                return Err(Error::Options(format!(
                    "there is no example {index} among {}",
                    self.len()
                )));
            };
            pixels.extend_from_slice(image);
            labels.push(label);
        }
        Ok(Self {
            pixels,
            labels,
            class_names: self.class_names.clone(),
            ..*self
        })
    }
}

impl std::fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageSet")
            .field("examples", &self.len())
            .field("shape", &self.shape())
            .field("classes", &self.classes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Arc<[String]> {
        (0..count).map(|class| class.to_string()).collect()
    }

    #[test]
    fn sizes_and_labels_are_checked() {
        assert!(ImageSet::new(vec![0; 8], vec![0, 1], [1, 2, 2], names(2)).is_ok());
        assert!(ImageSet::new(vec![0; 7], vec![0, 1], [1, 2, 2], names(2)).is_err());
        assert!(ImageSet::new(vec![0; 8], vec![0, 2], [1, 2, 2], names(2)).is_err());
        assert!(ImageSet::new(vec![], vec![0], [1, 0, 2], names(2)).is_err());
        assert!(ImageSet::new(vec![], vec![0], [usize::MAX, 2, 2], names(2)).is_err());
    }

    #[test]
    fn a_subset_keeps_order_and_refuses_what_is_not_there() {
        let set = ImageSet::new((0..6).collect(), vec![0, 1, 2], [1, 1, 2], names(3)).unwrap();
        let part = set.subset(&[2, 0]).unwrap();
        assert_eq!(part.pixels(), [4, 5, 0, 1]);
        assert_eq!(part.labels(), [2, 0]);
        assert_eq!(part.class_counts(), [1, 0, 1]);
        assert!(set.subset(&[3]).is_err());
        assert_eq!(set.image(1), Some((&[2u8, 3][..], 1)));
        assert_eq!(set.image(3), None);
    }
}

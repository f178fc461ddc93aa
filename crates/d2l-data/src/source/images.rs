//! Reading a data set of pictures from its place.

use std::sync::Arc;

use super::place::{Place, PlacedFile};
use crate::datasets::DatasetSpec;
use crate::error::{Error, Result};
use crate::idx::Idx;
use crate::image_set::{DataSet, ImageSet};

/// Reads and checks the four files.
pub(crate) fn read_dataset(spec: &DatasetSpec, place: &Place) -> Result<DataSet> {
    let mut contents = Vec::with_capacity(4);
    for file in place.files() {
        let idx = read_file(file)?;
        file.check(&idx.sha256)?;
        contents.push((idx, file));
    }
    let provenance = place.provenance(contents.iter().map(|(idx, _)| idx.sha256.clone()).collect());
    let class_names: Arc<[String]> = spec.class_names.iter().map(|&name| name.to_owned()).collect();
    let mut contents = contents.into_iter();
    let mut split = || match (contents.next(), contents.next()) {
        (Some(images), Some(labels)) => pair(spec, images, labels, class_names.clone()),
        _ => Err(Error::Options("a data set has four files".to_owned())),
    };
    let (train, test) = (split()?, split()?);
    Ok(DataSet {
        name: spec.name.to_owned(),
        train: Arc::new(train),
        test: Arc::new(test),
        provenance,
    })
}

fn read_file(file: &PlacedFile) -> Result<Idx> {
    let reader = file.open()?;
    let read = if file.official.role().is_some_and(|role| role.is_images()) {
        Idx::read_images(reader)
    } else {
        Idx::read_labels(reader)
    };
    read.map_err(|reason| Error::BadFile {
        path: file.path(),
        reason,
        remedy: file.remedy(),
    })
}

/// Joins images and labels after checking that they fit each other and the data set.
fn pair(
    spec: &DatasetSpec,
    (images, images_file): (Idx, &PlacedFile),
    (labels, labels_file): (Idx, &PlacedFile),
    class_names: Arc<[String]>,
) -> Result<ImageSet> {
    let [channels, height, width] = spec.shape;
    let &[count, rows, columns] = images.dimensions.as_slice() else {
        return Err(images_file.wrong("has no three dimensions".to_owned()));
    };
    if [rows, columns] != [height, width] {
        return Err(images_file.wrong(format!(
            "holds {rows}×{columns} pictures, {} has {height}×{width}",
            spec.title
        )));
    }
    if count != labels.data.len() {
        let path = images_file.path();
        let other = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(labels_file.wrong(format!(
            "holds {} labels for the {count} images of {other}",
            labels.data.len()
        )));
    }
    let classes = class_names.len();
    if let Some((example, label)) = labels
        .data
        .iter()
        .enumerate()
        .find(|&(_, &label)| usize::from(label) >= classes)
    {
        return Err(labels_file.wrong(format!(
            "example {example} has label {label}, there are {classes} classes (0 to {})",
            classes - 1
        )));
    }
    let labels = labels.data.into_iter().map(u16::from).collect();
    ImageSet::new(images.data, labels, [channels, height, width], class_names)
}

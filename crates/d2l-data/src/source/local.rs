//! Reading a data set from a directory or from the sample.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::by_role;
use crate::datasets::{DatasetSpec, FileSpec, Role, SampleSpec};
use crate::error::{Error, Result};
use crate::idx::Idx;
use crate::image_set::{DataSet, ImageSet};
use crate::provenance::{FileRecord, Provenance, SourceKind};

/// Where the four files of a data set are.
pub(crate) struct Place<'a> {
    kind: SourceKind,
    source: String,
    pub(crate) directory: Option<PathBuf>,
    files: [Content<'a>; 4],
    /// The digests the files must have, if any.
    required: Option<[&'static str; 4]>,
}

enum Content<'a> {
    Path(PathBuf),
    Embedded(&'a [u8]),
}

impl<'a> Place<'a> {
    /// Finds the files in `directory`, or in its subdirectory named after the data set.
    pub(crate) fn find_in(spec: &DatasetSpec, kind: SourceKind, directory: &Path) -> Result<Self> {
        let inner = directory.join(spec.name);
        let mut missing = Vec::new();
        let mut found = |directory: &Path| {
            missing.clear();
            let paths = spec.files.each_ref().map(|file| {
                let path = variants(file.stem)
                    .into_iter()
                    .map(|name| directory.join(name))
                    .find(|p| p.is_file());
                if path.is_none() {
                    missing.push(file.stem.to_owned());
                }
                path.unwrap_or_default()
            });
            missing.is_empty().then(|| (paths, directory.to_path_buf()))
        };
        // The subdirectory is looked at first, so that the list of what is missing is the
        // directory's own.
        let Some((paths, directory)) = found(&inner).or_else(|| found(directory)) else {
            let dataset = spec.name.to_owned();
            return Err(Error::Missing {
                dataset,
                directory: directory.to_path_buf(),
                missing,
            });
        };
        // A caller's own directory may hold anything that fits; elsewhere a file that is not the
        // official one has gone bad.
        let official = spec.files.each_ref().map(|file| file.sha256);
        Ok(Self {
            kind,
            source: describe(kind, &directory),
            directory: Some(directory),
            files: paths.map(Content::Path),
            required: (kind != SourceKind::DataDir).then_some(official),
        })
    }

    /// The sample inside this crate.
    pub(crate) fn sample(sample: &SampleSpec) -> Self {
        Self {
            kind: SourceKind::Sample,
            source: sample.source.to_owned(),
            directory: None,
            files: sample.files.map(Content::Embedded),
            required: Some(sample.sha256),
        }
    }

    /// The same place under other words.
    pub(crate) fn described(self, source: String) -> Self {
        Self { source, ..self }
    }
}

/// The names under which a file may lie, the first found being taken.
pub(crate) fn variants(stem: &str) -> [String; 4] {
    // Some archives spell it `train-images.idx3-ubyte`.
    let dotted = stem.replacen("-idx", ".idx", 1);
    [
        format!("{stem}.gz"),
        stem.to_owned(),
        format!("{dotted}.gz"),
        dotted,
    ]
}

/// A source in words.
pub(crate) fn describe(kind: SourceKind, directory: &Path) -> String {
    match kind {
        SourceKind::Cache => format!("the cache {}", directory.display()),
        SourceKind::System => format!("the system's {}", directory.display()),
        _ => directory.display().to_string(),
    }
}

/// Reads and checks the four files.
pub(crate) fn read_dataset(spec: &DatasetSpec, place: &Place<'_>) -> Result<DataSet> {
    let mut records = Vec::with_capacity(4);
    let mut contents = Vec::with_capacity(4);
    for (position, (role, file)) in by_role(&spec.files).enumerate() {
        let Some(content) = place.files.get(position) else {
            break;
        };
        let idx = read_file(spec, role, file, content, place.kind)?;
        let path = path_of(content, file);
        if let Some(required) = place.required.and_then(|all| all.get(position).copied())
            && required != idx.sha256
        {
            let reason = format!(
                "its content has SHA-256 {} where {required} is official",
                idx.sha256
            );
            return Err(Error::WrongContent {
                path,
                reason,
                remedy: remedy(spec, place.kind),
            });
        }
        records.push(FileRecord {
            name: file.stem.to_owned(),
            path: matches!(content, Content::Path(_)).then(|| path.clone()),
            official: idx.sha256 == file.sha256,
            sha256: idx.sha256.clone(),
        });
        contents.push((idx, path));
    }
    let class_names: Arc<[String]> = spec.class_names.iter().map(|&name| name.to_owned()).collect();
    let mut contents = contents.into_iter();
    let mut split = || match (contents.next(), contents.next()) {
        (Some(images), Some(labels)) => pair(spec, place.kind, images, labels, class_names.clone()),
        _ => Err(Error::Options("a data set has four files".to_owned())),
    };
    let (train, test) = (split()?, split()?);
    Ok(DataSet {
        name: spec.name.to_owned(),
        train: Arc::new(train),
        test: Arc::new(test),
        provenance: Provenance {
            kind: place.kind,
            source: place.source.clone(),
            directory: place.directory.clone(),
            files: records,
            is_sample: place.kind == SourceKind::Sample,
        },
    })
}

fn path_of(content: &Content<'_>, file: &FileSpec) -> PathBuf {
    match content {
        Content::Path(path) => path.clone(),
        Content::Embedded(_) => PathBuf::from(format!("(inside d2l-data) {}", file.stem)),
    }
}

fn read_file(
    spec: &DatasetSpec,
    role: Role,
    file: &FileSpec,
    content: &Content<'_>,
    kind: SourceKind,
) -> Result<Idx> {
    let reader: Box<dyn Read + '_> = match content {
        Content::Path(path) => Box::new(File::open(path).map_err(|error| Error::io("open", path, error))?),
        Content::Embedded(bytes) => Box::new(Cursor::new(*bytes)),
    };
    let read = if role.is_images() {
        Idx::read_images(reader)
    } else {
        Idx::read_labels(reader)
    };
    read.map_err(|reason| Error::BadFile {
        path: path_of(content, file),
        reason,
        remedy: remedy(spec, kind),
    })
}

/// Joins images and labels after checking that they fit each other and the data set.
fn pair(
    spec: &DatasetSpec,
    kind: SourceKind,
    (images, images_path): (Idx, PathBuf),
    (labels, labels_path): (Idx, PathBuf),
    class_names: Arc<[String]>,
) -> Result<ImageSet> {
    let wrong = |path: PathBuf, reason| {
        Err(Error::WrongContent {
            path,
            reason,
            remedy: remedy(spec, kind),
        })
    };
    let [channels, height, width] = spec.shape;
    let &[count, rows, columns] = images.dimensions.as_slice() else {
        return wrong(images_path, "has no three dimensions".to_owned());
    };
    if [rows, columns] != [height, width] {
        let reason = format!(
            "holds {rows}×{columns} pictures, {} has {height}×{width}",
            spec.title
        );
        return wrong(images_path, reason);
    }
    if count != labels.data.len() {
        let other = images_path.file_name().unwrap_or_default().to_string_lossy();
        let reason = format!(
            "holds {} labels for the {count} images of {other}",
            labels.data.len()
        );
        return wrong(labels_path, reason);
    }
    let classes = class_names.len();
    if let Some((example, label)) = labels
        .data
        .iter()
        .enumerate()
        .find(|&(_, &label)| usize::from(label) >= classes)
    {
        let reason = format!(
            "example {example} has label {label}, there are {classes} classes (0 to {})",
            classes - 1
        );
        return wrong(labels_path, reason);
    }
    let labels = labels.data.into_iter().map(u16::from).collect();
    ImageSet::new(images.data, labels, [channels, height, width], class_names)
}

fn remedy(spec: &DatasetSpec, kind: SourceKind) -> String {
    match kind {
        SourceKind::DataDir => {
            format!(
                "replace it with an intact copy (`d2l data fetch {}` gets one into the cache)",
                spec.name
            )
        }
        SourceKind::System => format!(
            "install its package again, or `d2l data fetch {}` for a copy in the cache, which comes first",
            spec.name
        ),
        SourceKind::Sample => "build d2l-data again from an intact checkout".to_owned(),
        SourceKind::Cache | SourceKind::Hub | SourceKind::Host => {
            format!("remove it, or fetch it again with `d2l data fetch {}`", spec.name)
        }
    }
}

//! The official files of a data set of any kind, as sources and fetching see them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::datasets::{DatasetSpec, FileSpec, Role, TableFile};
use crate::digest::Sha256;
use crate::idx::Idx;

/// The most bytes a table may have, compressed or not.
pub(crate) const MAX_TABLE_BYTES: u64 = 64 << 20;

/// One official file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfficialFile {
    /// Its name, without `.gz`.
    pub(crate) name: &'static str,
    /// SHA-256 of its uncompressed content.
    pub(crate) sha256: &'static str,
    /// A little more than its largest form, so that a wrong file is found too long, not cut to fit.
    pub(crate) limit: u64,
    pub(crate) form: Form,
}

/// What is in an official file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// IDX; hosts have it as the gzip file of this SHA-256.
    Idx { role: Role, gzip_sha256: &'static str },
    /// CSV, on hosts as it is; `other_names` are names under which people have it.
    Csv { other_names: &'static [&'static str] },
}

impl OfficialFile {
    pub(crate) fn of_images(spec: &DatasetSpec, role: Role, file: &FileSpec) -> Self {
        let [_, height, width] = spec.shape;
        let plain = if role.is_images() {
            16 + file.examples * height * width
        } else {
            8 + file.examples
        };
        Self {
            name: file.stem,
            sha256: file.sha256,
            limit: file.gzip_bytes.max(plain as u64) + (64 << 10),
            form: Form::Idx {
                role,
                gzip_sha256: file.gzip_sha256,
            },
        }
    }

    pub(crate) fn of_table(file: &TableFile) -> Self {
        Self {
            name: file.name,
            sha256: file.sha256,
            limit: file.bytes + (64 << 10),
            form: Form::Csv {
                other_names: file.other_names,
            },
        }
    }

    /// What it holds, where the data set is of pictures.
    pub(crate) fn role(&self) -> Option<Role> {
        match self.form {
            Form::Idx { role, .. } => Some(role),
            Form::Csv { .. } => None,
        }
    }

    /// The names under which it may lie in a directory, the first found being taken.
    pub(crate) fn variants(&self) -> Vec<String> {
        match self.form {
            Form::Idx { .. } => {
                // Some archives spell it `train-images.idx3-ubyte`.
                let dotted = self.name.replacen("-idx", ".idx", 1);
                [self.name, &dotted]
                    .iter()
                    .flat_map(|name| [format!("{name}.gz"), (*name).to_owned()])
                    .collect()
            }
            Form::Csv { other_names } => std::iter::once(&self.name)
                .chain(other_names)
                .flat_map(|name| [(*name).to_owned(), format!("{name}.gz")])
                .collect(),
        }
    }

    /// Its name on a host of the original files.
    pub(crate) fn remote_name(&self) -> String {
        match self.form {
            Form::Idx { .. } => format!("{}.gz", self.name),
            Form::Csv { .. } => self.name.to_owned(),
        }
    }

    /// Whether a file of this SHA-256, as it lies there, is known to have the official content.
    pub(crate) fn is_known(&self, sha256: &str) -> bool {
        let packed = match self.form {
            Form::Idx { gzip_sha256, .. } => Some(gzip_sha256),
            Form::Csv { .. } => None,
        };
        sha256 == self.sha256 || Some(sha256) == packed
    }

    /// Whether a file on disk has the official content.
    pub(crate) fn check(&self, path: &Path) -> Result<(), String> {
        let reader = File::open(path).map_err(|error| error.to_string())?;
        let found = match self.form {
            Form::Idx { role, .. } if role.is_images() => Idx::read_images(reader).map(|idx| idx.sha256),
            Form::Idx { .. } => Idx::read_labels(reader).map(|idx| idx.sha256),
            Form::Csv { .. } => read_table(reader).map(|bytes| sha256(&bytes)).map_err(Into::into),
        };
        let found = found.map_err(|error| error.to_string())?;
        if found == self.sha256 {
            return Ok(());
        }
        Err(format!(
            "its content is not the official one (SHA-256 {found}, expected {})",
            self.sha256
        ))
    }
}

/// The bytes of a table, unpacked if they are gzip; no more than [`MAX_TABLE_BYTES`].
pub(crate) fn read_table(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let bytes = read_bounded(reader)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return read_bounded(MultiGzDecoder::new(bytes.as_slice()));
    }
    Ok(bytes)
}

fn read_bounded(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_TABLE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TABLE_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!(
                "it has more than the {} MiB that a table may have",
                MAX_TABLE_BYTES >> 20
            ),
        ));
    }
    Ok(bytes)
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

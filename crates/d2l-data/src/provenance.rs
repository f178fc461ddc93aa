//! Where data came from.

use std::path::PathBuf;

use crate::digest::Sha256;

/// The kind of place a data set was taken from, in the order they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A directory that the caller named.
    DataDir,
    /// The user's cache.
    Cache,
    /// A system-wide package under `/usr/share/datasets`.
    System,
    /// The Hugging Face Hub.
    Hub,
    /// A host of the original files, or a mirror of it.
    Host,
    /// The sample inside this crate.
    Sample,
    /// The whole data set inside this crate.
    Inside,
}

/// One file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileRecord {
    /// Its name in the data set, without `.gz`.
    pub name: String,
    /// Where it was read, unless it is inside this crate.
    pub path: Option<PathBuf>,
    /// SHA-256 of the uncompressed content, in hexadecimal.
    pub sha256: String,
    /// Whether that is the digest of the data set's official file.
    pub official: bool,
}

/// Where a data set came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// The kind of place.
    pub kind: SourceKind,
    /// The place in words.
    pub source: String,
    /// The directory, unless it is inside this crate.
    pub directory: Option<PathBuf>,
    /// Each file with its digest.
    pub files: Vec<FileRecord>,
    /// Whether this is only the sample inside the crate: figures from it are not the data set's.
    pub is_sample: bool,
}

impl Provenance {
    /// Whether every file is the data set's official one.
    pub fn is_official(&self) -> bool {
        !self.is_sample && self.files.iter().all(|file| file.official)
    }

    /// A short digest of the whole data set: the first 16 hexadecimal digits of the SHA-256 over
    /// the digests of its files. It depends on the content alone, not on place or compression.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            hash.update(file.sha256.as_bytes());
            hash.update(b"\n");
        }
        hash.finish().chars().take(16).collect()
    }

    /// What a user should be told about this data, where there is something.
    pub fn warning(&self) -> Option<String> {
        if self.is_sample {
            return Some(format!(
                "{}. Figures from it are not comparable with the full data set's; fetch that with \
                 `cargo xtask fetch-data` or `d2l data fetch`, or name a directory with --data-dir",
                self.source
            ));
        }
        let changed: Vec<&str> = self
            .files
            .iter()
            .filter(|file| !file.official)
            .map(|file| file.name.as_str())
            .collect();
        if changed.is_empty() {
            return None;
        }
        Some(format!(
            "not the official files (by SHA-256): {}",
            changed.join(", ")
        ))
    }
}

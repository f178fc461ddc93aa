//! The files of a data set in a directory, or inside this crate.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use crate::datasets::DatasetEntry;
use crate::error::{Error, Result};
use crate::official::OfficialFile;
use crate::provenance::{FileRecord, Provenance, SourceKind};

/// Where the files of a data set are.
pub(crate) struct Place {
    pub(crate) kind: SourceKind,
    source: String,
    directory: Option<PathBuf>,
    files: Vec<PlacedFile>,
}

/// One file of a data set at its place.
pub(crate) struct PlacedFile {
    pub(crate) official: OfficialFile,
    content: Content,
    /// The digest its content must have, if any.
    required: Option<&'static str>,
    remedy: String,
}

enum Content {
    Path(PathBuf),
    Inside(&'static [u8]),
}

impl Place {
    /// Finds the files in `directory`, or in its subdirectory named after the data set.
    pub(crate) fn find_in(entry: DatasetEntry<'_>, kind: SourceKind, directory: &Path) -> Result<Self> {
        let official = entry.official_files();
        let inner = directory.join(entry.name());
        // The subdirectory is looked at first, so that the list of what is missing is the
        // directory's own.
        let found = look_in(&official, &inner).map(|paths| (paths, inner));
        let found =
            found.or_else(|_| look_in(&official, directory).map(|paths| (paths, directory.to_path_buf())));
        let (paths, directory) = found.map_err(|missing| Error::Missing {
            dataset: entry.name().to_owned(),
            directory: directory.to_path_buf(),
            missing,
        })?;
        // A caller's own directory may hold anything that fits; elsewhere a file that is not the
        // official one has gone bad.
        let files = official
            .into_iter()
            .zip(paths)
            .map(|(official, path)| PlacedFile {
                required: (kind != SourceKind::DataDir).then_some(official.sha256),
                official,
                content: Content::Path(path),
                remedy: remedy(entry, kind),
            });
        Ok(Self {
            kind,
            source: describe(kind, &directory),
            files: files.collect(),
            directory: Some(directory),
        })
    }

    /// What is inside this crate, if anything is.
    pub(crate) fn inside(entry: DatasetEntry<'_>) -> Option<Self> {
        let inside = entry.inside()?;
        let kind = kind_inside(inside.whole);
        let contents = inside.files.into_iter().zip(inside.sha256);
        let files = entry.official_files().into_iter().zip(contents);
        Some(Self {
            kind,
            source: inside.source,
            directory: None,
            files: files
                .map(|(official, (bytes, sha256))| PlacedFile {
                    official,
                    content: Content::Inside(bytes),
                    required: Some(sha256),
                    remedy: remedy(entry, kind),
                })
                .collect(),
        })
    }

    /// The same place under other words.
    pub(crate) fn described(self, source: String) -> Self {
        Self { source, ..self }
    }

    /// The directory, unless it is inside this crate.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The files, in the order of the data set's official ones.
    pub(crate) fn files(&self) -> &[PlacedFile] {
        &self.files
    }

    /// Where the files were read, with the digests found.
    pub(crate) fn provenance(&self, sha256: Vec<String>) -> Provenance {
        let records = self.files.iter().zip(sha256).map(|(file, sha256)| FileRecord {
            name: file.official.name.to_owned(),
            path: matches!(file.content, Content::Path(_)).then(|| file.path()),
            official: sha256 == file.official.sha256,
            sha256,
        });
        Provenance {
            kind: self.kind,
            source: self.source.clone(),
            directory: self.directory.clone(),
            files: records.collect(),
            is_sample: self.kind == SourceKind::Sample,
        }
    }
}

impl PlacedFile {
    /// Where it is, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.content {
            Content::Path(path) => path.clone(),
            Content::Inside(_) => PathBuf::from(format!("(inside d2l-data) {}", self.official.name)),
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match &self.content {
            Content::Path(path) => {
                Box::new(File::open(path).map_err(|error| Error::io("open", path, error))?)
            }
            Content::Inside(bytes) => Box::new(Cursor::new(*bytes)),
        })
    }

    /// Refuses content whose digest is not the one it must have at its place.
    pub(crate) fn check(&self, sha256: &str) -> Result<()> {
        match self.required {
            Some(required) if required != sha256 => Err(self.wrong(format!(
                "its content has SHA-256 {sha256} where {required} is official"
            ))),
            _ => Ok(()),
        }
    }

    /// What to do about a file that is not what it should be.
    pub(crate) fn remedy(&self) -> String {
        self.remedy.clone()
    }

    /// The error for content that does not fit.
    pub(crate) fn wrong(&self, reason: String) -> Error {
        Error::WrongContent {
            path: self.path(),
            reason,
            remedy: self.remedy(),
        }
    }
}

/// The files in a directory, or the names of those that are missing.
fn look_in(official: &[OfficialFile], directory: &Path) -> std::result::Result<Vec<PathBuf>, Vec<String>> {
    let found = official.iter().map(|file| {
        let mut paths = file.variants().into_iter().map(|name| directory.join(name));
        paths
            .find(|path| path.is_file())
            .ok_or_else(|| file.name.to_owned())
    });
    let (paths, missing): (Vec<_>, Vec<_>) = found.partition(std::result::Result::is_ok);
    if missing.is_empty() {
        Ok(paths.into_iter().filter_map(std::result::Result::ok).collect())
    } else {
        Err(missing.into_iter().filter_map(std::result::Result::err).collect())
    }
}

/// The kind of what is inside this crate.
pub(crate) fn kind_inside(whole: bool) -> SourceKind {
    if whole {
        SourceKind::Inside
    } else {
        SourceKind::Sample
    }
}

/// A source in words.
pub(crate) fn describe(kind: SourceKind, directory: &Path) -> String {
    match kind {
        SourceKind::Cache => format!("the cache {}", directory.display()),
        SourceKind::System => format!("the system's {}", directory.display()),
        _ => directory.display().to_string(),
    }
}

fn remedy(entry: DatasetEntry<'_>, kind: SourceKind) -> String {
    let name = entry.name();
    match kind {
        SourceKind::DataDir => {
            format!("replace it with an intact copy (`d2l data fetch {name}` gets one into the cache)")
        }
        SourceKind::System => format!(
            "install its package again, or `d2l data fetch {name}` for a copy in the cache, which comes first"
        ),
        SourceKind::Sample | SourceKind::Inside => "build d2l-data again from an intact checkout".to_owned(),
        SourceKind::Cache | SourceKind::Hub | SourceKind::Host => {
            format!("remove it, or fetch it again with `d2l data fetch {name}`")
        }
    }
}

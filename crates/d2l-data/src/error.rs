//! What can go wrong, and what to do about it. Every message names the file or the host, what is
//! wrong with it and the remedy.

use std::path::{Path, PathBuf};

use crate::idx::IdxError;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No data set has this name.
    #[error(
        "unknown data set `{name}`{}; known: {}",
        nearest.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default(),
        known.join(", ")
    )]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// The known name most like it, where one is near.
        nearest: Option<&'static str>,
        /// All known names.
        known: Vec<&'static str>,
    },

    /// A table where pictures are needed.
    #[error("{name} is a table, not a data set of pictures; those are: {}", known.join(", "))]
    NotPictures {
        /// The table's name.
        name: &'static str,
        /// The names of all data sets of pictures.
        known: Vec<&'static str>,
    },

    /// A CSV file cannot be read or does not hold what it should.
    #[error("{file}{}{}: {reason}", line.map(|n| format!(", line {n}")).unwrap_or_default(),
        column.as_ref().map(|name| format!(", column `{name}`")).unwrap_or_default())]
    Csv {
        /// The file.
        file: String,
        /// The line, from 1, where one is to blame.
        line: Option<u64>,
        /// The column's name, where one is to blame.
        column: Option<String>,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// A file is not the IDX file it should be.
    #[error("{}: {reason}; {remedy}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        reason: IdxError,
        /// What to do.
        remedy: String,
    },

    /// A file reads well but does not fit its data set or its partner file.
    #[error("{}: {reason}; {remedy}", path.display())]
    WrongContent {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// The file system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried, as in "cannot ACTION PATH".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },

    /// A directory given by the caller lacks files of the data set.
    #[error(
        "{}: no complete {dataset} here, missing {}; expected the files, plain or .gz, in this directory \
         or in a subdirectory `{dataset}`",
        directory.display(), missing.join(", ")
    )]
    Missing {
        /// The data set's name.
        dataset: String,
        /// Where they were looked for.
        directory: PathBuf,
        /// The names of the missing files.
        missing: Vec<String>,
    },

    /// No source could give the data set.
    #[error("{dataset} could not be had from any source:\n{}\n{remedy}", .tried.join("\n"))]
    NoSource {
        /// The data set's name.
        dataset: String,
        /// One line per source: where, and why not.
        tried: Vec<String>,
        /// What to do.
        remedy: String,
    },

    /// The caller asked to stop ([`Progress::cancelled`](crate::Progress::cancelled)).
    #[error("stopped on request")]
    Cancelled,

    /// A combination of options that makes no sense.
    #[error("{0}")]
    Options(String),

    /// A worker of the loader ended without handing in its batch.
    #[error("a loader worker died while preparing batch {batch}: {reason}")]
    Worker {
        /// The batch's number in its epoch, from 0.
        batch: usize,
        /// What the worker said last.
        reason: String,
    },

    /// A tensor could not be made on the device.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, error: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_path_buf(),
            error,
        }
    }
}

//! What can go wrong in a run, as values.

use std::path::PathBuf;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A network operation failed.
    #[error(transparent)]
    Nn(#[from] d2l_nn::Error),
    /// The data source failed, or gave another number of batches than it announced.
    #[error("the data source failed in epoch {epoch} at batch {batch}")]
    Data {
        /// The epoch, from 1.
        epoch: u64,
        /// The batch within the epoch, from 0.
        batch: usize,
        /// What the source said.
        #[source]
        source: BoxError,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The loss, a gradient or a parameter is NaN or infinite.
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
    /// A checkpoint is missing, damaged or of another run.
    #[error("checkpoint {}: {fault}", path.display())]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: CheckpointFault,
    },
    /// A run folder cannot be used.
    #[error("run folder {}: {fault}", path.display())]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// Why it cannot be used.
        fault: RunFolderFault,
    },
    /// A text file of a run (config.toml, metrics.jsonl) does not say what it should.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A value that no run can work with.
    #[error("{0}")]
    Invalid(String),
    /// A name that is not known.
    #[error("unknown {kind} `{name}`{}; known: {}", nearest.map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default(), known.join(", "))]
    UnknownName {
        /// What the name was to be of.
        kind: &'static str,
        /// The name given.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
        /// The known name most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// A plot could not be drawn.
    #[error("cannot draw {}: {message}", path.display())]
    Plot {
        /// The file it was for.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A callback written outside this crate failed.
    #[error("a callback failed")]
    Callback(#[source] BoxError),
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as data sources and callbacks give it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Training went to NaN or infinity, and where that was first seen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} is {value} in epoch {epoch}, batch {batch} (step {step}){}", culprit.as_ref().map(|c| format!("; first not finite: {c}")).unwrap_or_default())]
pub struct NonFinite {
    /// What was looked at: `the training loss`, `the gradient norm`, …
    pub what: &'static str,
    /// Its value.
    pub value: f64,
    /// The epoch, from 1.
    pub epoch: u64,
    /// The step, counted over the run from 1.
    pub step: u64,
    /// The batch within the epoch, from 0.
    pub batch: usize,
    /// The first parameter, or else gradient, that is not finite, by name.
    pub culprit: Option<String>,
}

/// What is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// One of its files is not there.
    #[error("{file} is missing")]
    MissingFile {
        /// The file's name.
        file: &'static str,
    },
    /// A file is shorter or longer than when it was written.
    #[error("{file} has {found} bytes, {expected} were written (truncated or replaced)")]
    Length {
        /// The file's name.
        file: &'static str,
        /// The bytes written.
        expected: u64,
        /// The bytes there now.
        found: u64,
    },
    /// A file's content is not what was written.
    #[error("{file} was changed after it was written (its SHA-256 differs)")]
    Edited {
        /// The file's name.
        file: &'static str,
    },
    /// A file cannot be understood.
    #[error("{file} cannot be read: {message}")]
    Unreadable {
        /// The file's name.
        file: &'static str,
        /// Why.
        message: String,
    },
    /// It is of another version of the format.
    #[error("it has format version {found}, this build reads version {supported}")]
    Version {
        /// The version in the checkpoint.
        found: u64,
        /// The version this build reads.
        supported: u64,
    },
    /// It belongs to something else: another model, optimiser or data set.
    #[error("it was written with {what} {saved}, this run has {here}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What the checkpoint says.
        saved: String,
        /// What the run has.
        here: String,
    },
    /// Its tensors do not fit the model's.
    #[error("its tensors do not fit the model: {}", differences.join("; "))]
    Tensors {
        /// The first differences, each with the tensor's name.
        differences: Vec<String>,
    },
}

/// Why a run folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderFault {
    /// Another process has it.
    #[error("another process is training in it")]
    InUse,
    /// It holds a run already.
    #[error("it holds a run already (overwrite it, resume it, or choose another name)")]
    Exists,
    /// It holds something that is not a run, so nothing in it will be replaced.
    #[error("it holds files that are not of a run; nothing in it was touched")]
    NotARun,
    /// There is no run in it.
    #[error("there is no run here (no config.toml)")]
    Missing,
}

impl Error {
    /// Wraps an I/O error with what was done to which path; for `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The error for a name that is not in `known`, with the nearest one.
    pub(crate) fn unknown(kind: &'static str, name: &str, known: &[&'static str]) -> Self {
        Self::UnknownName {
            kind,
            name: name.to_owned(),
            known: known.to_vec(),
            nearest: nearest(name, known),
        }
    }
}

/// The name in `known` with the smallest edit distance to `name`, if that is at most a third of its length.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|&candidate| (edit_distance(name, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= candidate.len().div_ceil(3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row of the table at a time.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let up = *cell;
            left = (up + 1).min(left + 1).min(diagonal + usize::from(x != *y));
            diagonal = up;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        for (a, b, distance) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("adam", "adamw", 1),
            ("sgd", "sgd", 0),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_and_the_nearest() {
        let message = Error::unknown("optimiser", "adm", &["sgd", "adam"]).to_string();
        assert_eq!(
            message,
            "unknown optimiser `adm` (did you mean `adam`?); known: sgd, adam"
        );
        assert!(
            !Error::unknown("optimiser", "zzzzzz", &["sgd"])
                .to_string()
                .contains("did you mean")
        );
    }
}

//! What can go wrong in a lesson.

use std::path::PathBuf;

/// The result of a lesson's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a lesson could not be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A layer or an operation of d2l-nn failed.
    #[error(transparent)]
    Network(#[from] d2l_nn::Error),
    /// A network could not be described.
    #[error(transparent)]
    Model(#[from] d2l_models::ModelError),
    /// The registry has no such network.
    #[error(transparent)]
    UnknownModel(#[from] d2l_models::UnknownModel),
    /// The data could not be had.
    #[error(transparent)]
    Data(#[from] d2l_data::Error),
    /// Training failed.
    #[error(transparent)]
    Training(#[from] d2l_train::Error),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Whoever watches asked for an end.
    #[error("stopped")]
    Stopped,
    /// The lesson itself noticed that something is not as it should be.
    #[error("{0}")]
    Lesson(String),
}

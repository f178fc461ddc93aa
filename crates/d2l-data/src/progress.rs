//! How a caller hears what is being done. This crate prints nothing itself.

use std::fmt;
use std::path::PathBuf;

/// A step of finding or fetching data. Its [`Display`](fmt::Display) form is a line for a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A source does not have the data set, or what it has cannot be used.
    Skipped {
        /// The source in words.
        source: String,
        /// Why.
        reason: String,
        /// Whether something was there but broken, which a user should know.
        broken: bool,
    },
    /// The data set is taken from here.
    Found {
        /// The source in words.
        source: String,
    },
    /// A download begins.
    Start {
        /// The file's name.
        file: String,
        /// The address.
        from: String,
    },
    /// Bytes have arrived.
    Bytes {
        /// The file's name.
        file: String,
        /// So far.
        received: u64,
        /// In all, where the server said so.
        total: Option<u64>,
    },
    /// A file arrived, its size and digest are right, and it is in the cache.
    Stored {
        /// The file's name.
        file: String,
        /// Where it is now.
        path: PathBuf,
    },
    /// A download failed; nothing of it is left.
    Failed {
        /// The file's name.
        file: String,
        /// The address.
        from: String,
        /// Why.
        reason: String,
    },
    /// Something a user should be told.
    Warning(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { source, reason, .. } => write!(f, "{source}: {reason}"),
            Self::Found { source } => write!(f, "data from {source}"),
            Self::Start { file, from } => write!(f, "fetching {file} from {from}"),
            Self::Bytes {
                file,
                received,
                total: Some(total),
            } => {
                write!(f, "{file}: {received} of {total} bytes")
            }
            Self::Bytes {
                file,
                received,
                total: None,
            } => write!(f, "{file}: {received} bytes"),
            Self::Stored { file, path } => write!(f, "{file}: checked, in {}", path.display()),
            Self::Failed { file, from, reason } => write!(f, "{file} from {from}: {reason}"),
            Self::Warning(text) => write!(f, "warning: {text}"),
        }
    }
}

/// Somebody who listens. A closure `Fn(&Event)` is one; [`Silent`] hears nothing.
pub trait Progress: Sync {
    /// Called for every step, from the thread that does the work.
    fn event(&self, event: &Event);

    /// Asked often during a download; true stops it, leaving nothing behind.
    fn cancelled(&self) -> bool {
        false
    }
}

impl<F: Fn(&Event) + Sync> Progress for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: &Event) {}
}

//! Stopping as a value.

use crate::metrics::Metric;
use std::fmt;

/// Whether a run goes on.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop at the end of what is being done (this batch, this epoch).
    Stop(StopReason),
}

impl Flow {
    /// Whether this is a stop.
    pub fn stops(&self) -> bool {
        matches!(self, Self::Stop(_))
    }

    /// This one if it stops, or else `next`: the first reason wins.
    pub fn or(self, next: Self) -> Self {
        if self.stops() { self } else { next }
    }
}

/// Why a run stopped before its last epoch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StopReason {
    /// Somebody asked it to: Ctrl-C, a [`crate::callbacks::StopFlag`].
    Interrupted,
    /// A metric got no better for too long.
    EarlyStopping {
        /// The metric.
        metric: Metric,
        /// The epoch with its best value, from 1.
        best_epoch: u64,
        /// The epochs since then.
        patience: u64,
    },
    /// It has done the steps it was to do.
    StepLimit(u64),
    /// A reason of a callback written outside this crate.
    Other(String),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::EarlyStopping {
                metric,
                best_epoch,
                patience,
            } => {
                write!(
                    f,
                    "{} was best in epoch {best_epoch} and got no better for {patience} epochs",
                    metric.name()
                )
            }
            Self::StepLimit(steps) => write!(f, "{steps} steps are done"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// It stopped before, and can be resumed.
    Stopped(StopReason),
}

//! The callbacks of this crate.

mod checkpoints;
mod curves;
mod json_lines;
mod metrics_log;
mod progress;
mod stop;

pub use checkpoints::Checkpoints;
pub use curves::Curves;
pub use json_lines::JsonLines;
pub use metrics_log::MetricsLog;
pub use progress::OnProgress;
pub use stop::{EarlyStopping, StepLimit, StopFlag};

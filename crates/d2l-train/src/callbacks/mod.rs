//! The callbacks of this crate.

mod average_weights;
mod checkpoints;
mod csv_log;
mod curves;
mod json_lines;
mod keep_last;
mod metrics_log;
mod progress;
mod stop;
mod tensorboard;

pub use average_weights::AverageWeights;
pub use checkpoints::Checkpoints;
pub use csv_log::CsvLog;
pub use curves::Curves;
pub use json_lines::JsonLines;
pub use keep_last::KeepLast;
pub use metrics_log::MetricsLog;
pub use progress::OnProgress;
pub use stop::{EarlyStopping, StepLimit, StopFlag};
pub use tensorboard::TensorBoard;

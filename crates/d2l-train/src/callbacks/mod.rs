//! The callbacks of this crate.

mod average_weights;
mod checkpoints;
mod csv_log;
mod curves;
mod json_lines;
mod keep_last;
mod metrics_log;
mod on_epoch;
mod progress;
mod stop;
mod tensorboard;
mod validation;

pub use average_weights::AverageWeights;
pub use checkpoints::Checkpoints;
pub use csv_log::CsvLog;
pub use curves::Curves;
pub use json_lines::JsonLines;
pub use keep_last::KeepLast;
pub use metrics_log::MetricsLog;
pub use on_epoch::OnEpoch;
pub use progress::OnProgress;
pub use stop::{EarlyStopping, StepLimit, StopFlag};
pub use tensorboard::TensorBoard;
pub use validation::Validation;

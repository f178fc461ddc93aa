//! What a run measures: the records of its steps and epochs, running means, and evaluations.

mod evaluation;
mod record;
mod regression;
mod running;
mod scores;

pub use evaluation::{Confusion, Evaluation, Prediction, evaluate, predict};
pub(crate) use evaluation::{class_indices, evaluate_with};
pub use record::{EpochRecord, Metric, Record, StepRecord, read_records};
pub use regression::RegressionMetrics;
pub use running::TrainMetrics;
pub(crate) use running::{Pending, Running, to_f64};
pub use scores::ClassScores;

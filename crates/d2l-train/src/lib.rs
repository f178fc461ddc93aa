#![doc = include_str!("../README.md")]

mod atomic;
mod averages;
mod callback;
pub mod callbacks;
mod checkpoint;
mod data;
mod engine;
mod error;
mod flow;
pub mod loss;
mod lr_finder;
pub mod metrics;
pub mod optim;
pub mod plot;
mod run;
mod run_dir;
pub mod schedule;
mod step_gradients;
pub mod tensorboard;
mod trainer;

pub use averages::{Averages, Averaging};
pub use callback::{Callback, order};
pub use checkpoint::{Checkpoint, CheckpointFolder, Fallback, Kind as CheckpointKind};
pub use data::{Batch, BatchSource, Batches, TensorSource};
pub use error::{BoxError, CheckpointFault, Error, NonFinite, Result, RunFolderFault};
pub use flow::{Flow, Outcome, StopReason};
pub use loss::Loss;
pub use lr_finder::{LrCurve, LrFinder, LrPoint};
pub use metrics::{EpochRecord, Evaluation, evaluate, predict};
pub use optim::{Method, Optimizer};
pub use run::{Clip, Position, Progress, RandomState, Run, Stage, Task, TrainOptions, Warning};
pub use run_dir::{RunDir, RunFiles};
pub use schedule::Schedule;
pub use step_gradients::StepGradients;
pub use trainer::Trainer;

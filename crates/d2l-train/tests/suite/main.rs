//! Whole runs. One binary, because linking takes longer than running.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod accumulate;
mod auxiliaries;
mod checkpoints;
mod common;
mod fit;
mod golden_steps;
mod gradients;
mod logs;
mod plan;
mod resume;
mod validation;

//! Tests of the differentiable operations.

// Clippy's setting for tests covers functions with #[test] only, not what they call.
#![allow(clippy::unwrap_used)]

mod agreement;
mod common;
mod errors;
mod finite_differences;
mod golden;
mod layout_of_inputs;
mod max_pool_of_candle;
mod special_values;
mod state;

#![doc = include_str!("../README.md")]

mod lenet;
mod mlp;
mod registry;
mod softmax;

pub use lenet::lenet;
pub use mlp::{Mlp, mlp};
pub use registry::{
    Expected, ModelError, ModelOptions, ModelSpec, REGISTRY, Settings, Task, UnknownModel, find,
};
pub use softmax::softmax_regression;

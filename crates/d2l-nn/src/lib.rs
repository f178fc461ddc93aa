#![doc = include_str!("../README.md")]

pub mod error;
mod init;
pub mod layers;
mod network;
pub mod ops;
mod params;
pub mod plan;
mod rng;

pub use error::{Error, Result};
pub use init::{Fan, Init};
pub use network::{
    Head, LayerSummary, Model, Network, Node, Summary, Supervised, SupervisedModel, SupervisedOutput,
};
pub use params::{ParamKind, ParamStore, TensorName};
pub use plan::Plan;
pub use rng::Rng;

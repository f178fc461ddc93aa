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
pub use network::{LayerSummary, Model, Network, Node, Summary};
pub use params::{ParamKind, ParamStore};
pub use plan::Plan;
pub use rng::Rng;

//! CPU kernels for neural networks on plain `f32` slices: no tensor type, no autograd, no state.
//!
//! * Activations are NHWC: `x[((n * height + row) * width + column) * channels + channel]`. Convolution weights
//!   are HWIO: `weight[kernel_row][kernel_column][in_channel / groups][out_channel]`. Linear weights are
//!   `weight[out_feature][in_feature]`. [`layout`] converts to and from NCHW and OIHW.
//! * Every function checks the lengths of its slices once and returns a [`ShapeError`] where they do not fit.
//!   It overwrites its output unless it says otherwise.
//! * The instruction set is chosen once at run time ([`arch`]). Work runs on rayon's current pool in pieces that
//!   depend on the shapes alone ([`par`]), so the results have the same bits for any number of threads.
//! * Each algorithm has a twin in a `naive` module that follows the definition and accumulates in `f64`. Tests and
//!   benchmarks call both.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

pub mod activation;
pub mod arch;
pub mod batch_norm;
#[cfg(test)]
mod checks;
pub mod concat;
pub mod conv2d;
pub mod cross_entropy;
pub mod dropout;
pub mod elementwise;
mod error;
pub mod layout;
pub mod linear;
pub mod lrn;
pub mod matmul;
pub mod memory;
pub mod optim;
pub mod par;
mod pieces;
pub mod pool;
mod reduce;
pub mod rng;
mod scratch;
#[cfg(test)]
mod testing;
mod tile;

pub use error::ShapeError;
pub use scratch::ScratchNeed;

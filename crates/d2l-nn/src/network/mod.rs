//! A network as a value: named layers, from which shapes, parameters and costs follow before anything is allocated,
//! and which [`Network::build`] turns into a module.

mod display;
mod model;
mod place;
mod summary;
mod supervised;

pub use model::Model;
pub use summary::{LayerSummary, Summary};
pub use supervised::{Head, Supervised, SupervisedModel, SupervisedOutput};

use crate::{
    Init, ParamStore, Result, Rng,
    layers::Layer,
    plan::{Blueprint, Mode, PlanMemory},
};
pub(crate) use place::Placed;
use place::place;

/// A layer with its name in the network.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique among its neighbours, without a dot; its parameters are called `name.weight`, `name.bias` and so on,
    /// and those of layers inside it `name.inner.weight`.
    pub name: String,
    /// What it does.
    pub layer: Layer,
}

/// A network as a description: no tensor is in it.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::ModuleT;
/// use d2l_nn::{Network, ParamStore, Rng, layers::{Activation, Flatten, Linear}};
/// # fn main() -> d2l_nn::Result<()> {
/// let network = Network::new("mlp")
///     .add("flatten", Flatten)
///     .add("hidden", Linear::new(256))
///     .add("relu", Activation::Relu)
///     .add("output", Linear::new(10));
/// assert_eq!(network.output_shape(&[1, 28, 28])?, [10]);
/// assert_eq!(network.summary(&[1, 28, 28])?.parameters, 203_530);
///
/// let params = ParamStore::new(DType::F32, &Device::Cpu);
/// let model = network.build(&[1, 28, 28], &params, &Rng::new(0))?;
/// let logits = model.forward_t(&Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?, false)?;
/// assert_eq!(logits.dims(), [2, 10]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    /// What the network is called.
    pub name: String,
    /// The layers, first to last.
    pub nodes: Vec<Node>,
}

impl Network {
    /// A network without layers: the identity.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: Vec::new(),
        }
    }

    /// The network with one more layer at its end.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, layer: impl Into<Layer>) -> Self {
        self.nodes.push(Node {
            name: name.into(),
            layer: layer.into(),
        });
        self
    }

    /// The network with `init` for the weights of all convolutional and fully connected layers, those inside blocks
    /// too; biases keep theirs.
    #[must_use]
    pub fn weight_init(mut self, init: Init) -> Self {
        self.set_weight_init(init);
        self
    }

    fn set_weight_init(&mut self, init: Init) {
        for node in &mut self.nodes {
            match &mut node.layer {
                Layer::Conv2d(layer) => layer.weight_init = init,
                Layer::Linear(layer) => layer.weight_init = init,
                layer => layer
                    .children_mut()
                    .into_iter()
                    .for_each(|child| child.set_weight_init(init)),
            }
        }
    }

    /// The shape that leaves the network when `input` (one example, without the batch) enters.
    ///
    /// # Errors
    /// Names the first layer that the shape reaching it does not fit.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(place(self, input, "")?
            .pop()
            .map_or_else(|| input.to_vec(), |last| last.output))
    }

    /// Shapes, parameters and costs of every layer, without allocating any of them.
    ///
    /// # Errors
    /// As [`Self::output_shape`].
    pub fn summary(&self, input: &[usize]) -> Result<Summary> {
        Summary::new(self, input)
    }

    /// The memory that a [`crate::Plan`] of the network takes for batches of `batch` examples, without allocating any.
    /// A layer of the user's own counts with what goes in and comes out.
    ///
    /// # Errors
    /// As [`Self::output_shape`].
    pub fn plan_memory(&self, input: &[usize], mode: Mode, batch: usize) -> Result<PlanMemory> {
        Blueprint {
            placed: &place(self, input, "")?,
            input,
            mode,
            seed: 0,
            find: &|_| None,
        }
        .memory(batch)
    }

    /// Creates the parameters in `params` (those already there under the same name are used as they are) and
    /// returns the network as a module. What a parameter starts with depends on the seed of `rng` and its name.
    ///
    /// # Errors
    /// As [`Self::output_shape`], before any parameter is created; or when the device cannot hold them.
    pub fn build(&self, input: &[usize], params: &ParamStore, rng: &Rng) -> Result<Model> {
        Model::build(self, input, params, rng)
    }
}

#[cfg(test)]
mod tests;

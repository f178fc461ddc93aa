//! A network as a value: named layers, from which shapes, parameters and costs follow before anything is allocated,
//! and which [`Network::build`] turns into a module.

mod model;
mod summary;

pub use model::Model;
pub use summary::{LayerSummary, Summary};

use crate::{
    Error, Init, ParamStore, Result, Rng,
    layers::{Activation, Layer, ParamSpec},
    rng::hash_name,
};
use candle_core::Var;
use std::collections::HashSet;

/// A layer with its name in the network.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique in the network; its parameters are called `name.weight`, `name.bias` and so on.
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

/// A node with the shape that reaches it, the shape that leaves it, and what it needs.
struct Placed<'a> {
    node: &'a Node,
    input: Vec<usize>,
    output: Vec<usize>,
    params: Vec<ParamSpec>,
}

impl Network {
    /// A network without layers: the identity.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), nodes: Vec::new() }
    }

    /// The network with one more layer at its end.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, layer: impl Into<Layer>) -> Self {
        self.nodes.push(Node { name: name.into(), layer: layer.into() });
        self
    }

    /// The network with `init` for the weights of all convolutional and fully connected layers; biases keep theirs.
    #[must_use]
    pub fn weight_init(mut self, init: Init) -> Self {
        for node in &mut self.nodes {
            match &mut node.layer {
                Layer::Conv2d(layer) => layer.weight_init = init,
                Layer::Linear(layer) => layer.weight_init = init,
                _ => {}
            }
        }
        self
    }

    /// The shape that leaves the network when `input` (one example, without the batch) enters.
    ///
    /// # Errors
    /// Names the first layer that the shape reaching it does not fit.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.place(input)?.pop().map_or_else(|| input.to_vec(), |last| last.output))
    }

    /// Shapes, parameters and costs of every layer, without allocating any of them.
    ///
    /// # Errors
    /// As [`Self::output_shape`].
    pub fn summary(&self, input: &[usize]) -> Result<Summary> {
        Summary::new(self, input)
    }

    /// Creates the parameters in `params` (those already there under the same name are used as they are) and
    /// returns the network as a module. What a parameter starts with depends on the seed of `rng` and its name.
    ///
    /// # Errors
    /// As [`Self::output_shape`], before any parameter is created; or when the device cannot hold them.
    pub fn build(&self, input: &[usize], params: &ParamStore, rng: &Rng) -> Result<Model> {
        let placed = self.place(input)?;
        let mut model = Model::new(input);
        let mut rest = placed.iter().peekable();
        while let Some(at) = rest.next() {
            let vars = create(at, params, rng)?;
            let key = rng.seed() ^ hash_name(&at.node.name);
            let relu = rest.next_if(|next| {
                let is_relu = matches!(next.node.layer, Layer::Activation(Activation::Relu));
                is_relu && matches!(at.node.layer, Layer::Conv2d(_))
            });
            let forward = match &at.node.layer {
                Layer::Conv2d(layer) => layer.build_with(vars, relu.is_some()),
                layer => layer.spec().build(&at.input, vars, key),
            };
            let last = relu.unwrap_or(at);
            model.push(&last.node.name, forward.map_err(|e| e.in_layer(&at.node.name))?);
        }
        Ok(model)
    }

    fn place(&self, input: &[usize]) -> Result<Vec<Placed<'_>>> {
        let mut shape = input.to_vec();
        let mut names = HashSet::new();
        let mut before = "the input".to_owned();
        let mut placed = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            if !names.insert(node.name.as_str()) {
                return Err(Error::msg("another layer has the same name").in_layer(&node.name));
            }
            let spec = node.layer.spec();
            let fit = spec.output_shape(&shape).and_then(|output| Ok((output, spec.params(&shape)?)));
            let (output, params) = fit.map_err(|e| e.in_layer_after(&node.name, &before))?;
            before = format!("`{}`", node.name);
            placed.push(Placed { node, input: std::mem::replace(&mut shape, output.clone()), output, params });
        }
        Ok(placed)
    }
}

fn create(at: &Placed<'_>, store: &ParamStore, rng: &Rng) -> Result<Vec<Var>> {
    let create = |spec: &ParamSpec| {
        let name = format!("{}.{}", at.node.name, spec.name);
        store.get_or_init(&name, &spec.shape, spec.fan, spec.init, spec.kind, rng)
    };
    at.params.iter().map(create).collect()
}

#[cfg(test)]
mod tests;

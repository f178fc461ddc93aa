//! Layers as descriptions: their hyper-parameters, the shapes they produce, the parameters they need, and the module
//! that they become. One file per kind; [`Layer`] lists them and [`LayerSpec`] is what a user's own layer implements.

mod activation;
mod batch_norm;
mod conv2d;
mod dropout;
mod linear;
mod local_response_norm;
mod pool2d;
mod reshape;

pub use activation::Activation;
pub use batch_norm::BatchNorm;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use pool2d::{AdaptivePool2d, Pool2d, PoolKind};
pub use reshape::Flatten;

use crate::{Fan, Init, Network, ParamKind, Result};
use candle_core::{Tensor, Var};
use std::{fmt::Debug, sync::Arc};

/// One parameter or buffer of a layer, before it exists.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Its name within the layer, such as `weight`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The fans that its initialiser may look at (a bias has those of its layer's weight).
    pub fan: Fan,
    /// How it is filled.
    pub init: Init,
    /// Whether an optimiser learns it.
    pub kind: ParamKind,
}

impl ParamSpec {
    /// A learned parameter.
    pub fn parameter(name: &'static str, shape: Vec<usize>, fan: Fan, init: Init) -> Self {
        Self {
            name,
            shape,
            fan,
            init,
            kind: ParamKind::Parameter,
        }
    }

    /// A buffer filled with one value.
    pub fn buffer(name: &'static str, shape: Vec<usize>, value: f64) -> Self {
        let fan = Fan::of_weight(&shape);
        Self {
            name,
            shape,
            fan,
            init: Init::Constant(value),
            kind: ParamKind::Buffer,
        }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// How a four-dimensional activation lies between the layers of a built network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFormat {
    /// `[batch, channels, height, width]`, as candle and the outside world have it.
    ChannelsFirst,
    /// `[batch, height, width, channels]`, which the CPU kernels are fastest on.
    ChannelsLast,
    /// The layer treats every element alike and takes either.
    Any,
}

/// What a forward pass knows besides its input.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Whether this is training (dropout draws, batch norm uses the batch's statistics) or inference.
    pub train: bool,
    /// The number of training passes made before this one: with a layer's own key it determines what dropout drops.
    pub step: u64,
}

/// A layer that has its parameters.
pub trait Forward: Send + Sync {
    /// Applies the layer to a batch.
    ///
    /// # Errors
    /// When the input does not have the shape that the layer was built for.
    fn forward(&self, xs: &Tensor, context: &Context) -> Result<Tensor>;

    /// How a four-dimensional input has to lie, and how the output then lies.
    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::ChannelsFirst
    }
}

/// A layer as a description. Implement it to put a layer of your own into a [`crate::Network`] as
/// [`Layer::Custom`].
///
/// Shapes are those of one example, without the batch: `[features]` or `[channels, height, width]`. Errors say what
/// is wrong in a few words; the network adds the layer's name.
pub trait LayerSpec: Debug + Send + Sync {
    /// The kind, as a summary shows it: `Conv2d`.
    fn kind(&self) -> &str;

    /// The hyper-parameters in a few words, as the printed tree of a network shows them: `6, 5×5, padding 2`.
    fn details(&self) -> String {
        String::new()
    }

    /// The shape that comes out when `input` goes in.
    ///
    /// # Errors
    /// When no such input fits.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>>;

    /// The parameters and buffers for that input, in the order in which they are created and saved.
    ///
    /// # Errors
    /// When no such input fits.
    fn params(&self, input: &[usize]) -> Result<Vec<ParamSpec>> {
        let _ = input;
        Ok(Vec::new())
    }

    /// Multiply-adds for one example.
    ///
    /// # Errors
    /// When no such input fits.
    fn multiply_adds(&self, input: &[usize]) -> Result<u64> {
        let _ = input;
        Ok(0)
    }

    /// The layer with its parameters: `vars` holds them in the order of [`Self::params`]; `key` is the layer's own
    /// random key, drawn from the network's seed and the layer's name.
    ///
    /// # Errors
    /// When the layer cannot be built.
    fn build(&self, input: &[usize], vars: Vec<Var>, key: u64) -> Result<Box<dyn Forward>>;
}

/// A layer of a network.
#[derive(Clone, Debug)]
pub enum Layer {
    /// Convolution over height and width.
    Conv2d(Conv2d),
    /// Affine map of the last dimension.
    Linear(Linear),
    /// Max or average pooling over a sliding window.
    Pool2d(Pool2d),
    /// Max or average pooling to a given output size.
    AdaptivePool2d(AdaptivePool2d),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// Dropout.
    Dropout(Dropout),
    /// An element-wise function.
    Activation(Activation),
    /// Joins all dimensions but the batch.
    Flatten(Flatten),
    /// Local response normalisation.
    LocalResponseNorm(LocalResponseNorm),
    /// Layers one after another under a common name.
    Sequence(Network),
    /// Two paths whose outputs are added.
    Residual(Residual),
    /// Paths side by side whose outputs are joined along the channels; a path without layers passes its input on.
    Branches(Vec<Network>),
    /// A layer of the user's.
    Custom(Arc<dyn LayerSpec>),
}

/// `main(x) + shortcut(x)` (He et al. 2015, the book's section 7.6).
#[derive(Clone, Debug)]
pub struct Residual {
    /// The path with the block's layers.
    pub main: Network,
    /// The other path: no layers, or what brings the input to the main path's output shape.
    pub shortcut: Network,
}

impl Layer {
    /// The description of a layer that is not made of others; `None` for one that is.
    pub fn spec(&self) -> Option<&dyn LayerSpec> {
        Some(match self {
            Self::Conv2d(layer) => layer,
            Self::Linear(layer) => layer,
            Self::Pool2d(layer) => layer,
            Self::AdaptivePool2d(layer) => layer,
            Self::BatchNorm(layer) => layer,
            Self::Dropout(layer) => layer,
            Self::Activation(layer) => layer,
            Self::Flatten(layer) => layer,
            Self::LocalResponseNorm(layer) => layer,
            Self::Custom(layer) => layer.as_ref(),
            Self::Sequence(_) | Self::Residual(_) | Self::Branches(_) => return None,
        })
    }

    /// The networks inside a layer that is made of others.
    pub fn children(&self) -> Vec<&Network> {
        match self {
            Self::Sequence(network) => vec![network],
            Self::Residual(Residual { main, shortcut }) => vec![main, shortcut],
            Self::Branches(branches) => branches.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// As [`Self::children`], to change them.
    pub fn children_mut(&mut self) -> Vec<&mut Network> {
        match self {
            Self::Sequence(network) => vec![network],
            Self::Residual(Residual { main, shortcut }) => vec![main, shortcut],
            Self::Branches(branches) => branches.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// The kind, as a summary shows it.
    pub fn kind(&self) -> &str {
        match self {
            Self::Sequence(_) => "Sequence",
            Self::Residual(_) => "Residual",
            Self::Branches(_) => "Branches",
            layer => layer.spec().map_or("", LayerSpec::kind),
        }
    }
}

macro_rules! layer_from {
    ($($kind:ident),*) => { $(
        impl From<$kind> for Layer {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        }
    )* };
}
layer_from!(
    Conv2d,
    Linear,
    Pool2d,
    AdaptivePool2d,
    BatchNorm,
    Dropout,
    Activation,
    Flatten,
    LocalResponseNorm,
    Residual
);

impl From<Network> for Layer {
    fn from(network: Network) -> Self {
        Self::Sequence(network)
    }
}

/// `[channels, height, width]` of an input, or an error that says what came instead.
pub(crate) fn channels_height_width(input: &[usize]) -> Result<(usize, usize, usize)> {
    match *input {
        [channels, height, width] => Ok((channels, height, width)),
        _ => Err(crate::Error::msg(format!(
            "expects [channels, height, width], got {input:?}"
        ))),
    }
}

/// `3×5`: a size on both axes.
pub(crate) fn by([height, width]: [usize; 2]) -> String {
    format!("{height}×{width}")
}

/// `2` if both axes have the same, else as [`by`].
pub(crate) fn both([height, width]: [usize; 2]) -> String {
    if height == width {
        height.to_string()
    } else {
        by([height, width])
    }
}

/// The variables of a layer as a fixed-size array.
pub(crate) fn take_vars<const N: usize>(vars: Vec<Var>) -> Result<[Var; N]> {
    let got = vars.len();
    vars.try_into()
        .map_err(|_| crate::Error::msg(format!("needs {N} variables, got {got}")))
}

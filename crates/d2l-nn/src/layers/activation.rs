//! Element-wise functions as layers.

use super::{Context, Forward, LayerSpec, MemoryFormat};
use crate::{Result, ops};
use candle_core::{Tensor, Var};

/// An element-wise function (the book's section 4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)
    Tanh,
    /// x·Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016)
    Gelu,
    /// x·sigmoid(x) (Ramachandran et al. 2017)
    Silu,
    /// x where positive, slope·x elsewhere
    LeakyRelu {
        /// The slope left of zero.
        slope: f64,
    },
}

impl LayerSpec for Activation {
    fn kind(&self) -> &str {
        match self {
            Self::Relu => "ReLU",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Gelu => "GELU",
            Self::Silu => "SiLU",
            Self::LeakyRelu { .. } => "LeakyReLU",
        }
    }

    fn details(&self) -> String {
        match self {
            Self::LeakyRelu { slope } => format!("slope {slope}"),
            _ => String::new(),
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(*self))
    }
}

impl Forward for Activation {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        match *self {
            Self::Relu => ops::relu(xs),
            Self::Sigmoid => ops::sigmoid(xs),
            Self::Tanh => ops::tanh(xs),
            Self::Gelu => ops::gelu(xs),
            Self::Silu => ops::silu(xs),
            Self::LeakyRelu { slope } => ops::leaky_relu(xs, slope),
        }
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::Any
    }
}

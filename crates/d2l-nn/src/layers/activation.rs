//! Element-wise functions as layers.

use super::{Context, Forward, LayerSpec, MemoryFormat};
use crate::{Error, Result, ops};
use candle_core::{Tensor, Var};
use std::{fmt, str::FromStr};

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

/// The names of [`Activation`]'s `FromStr`; `leaky-relu` has the slope 0.01.
const NAMES: [(&str, Activation); 6] = [
    ("relu", Activation::Relu),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("gelu", Activation::Gelu),
    ("silu", Activation::Silu),
    ("leaky-relu", Activation::LeakyRelu { slope: 0.01 }),
];

impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, activation)| activation).ok_or_else(|| {
            let known = NAMES.map(|(name, _)| name).join(", ");
            Error::msg(format!("there is no activation `{name}`; there are {known}"))
        })
    }
}

/// The name that `FromStr` knows; a leaky ReLU's slope is not in it.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |other: &Self| std::mem::discriminant(other) == std::mem::discriminant(self);
        let name = NAMES.iter().find(|(_, activation)| same(activation));
        f.write_str(name.map_or("", |(name, _)| name))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (name, activation) in NAMES {
            assert_eq!(name.parse::<Activation>().unwrap(), activation);
            assert_eq!(activation.to_string(), name);
        }
        let message = "relo".parse::<Activation>().unwrap_err().to_string();
        assert!(
            message.contains("`relo`") && message.contains("relu, sigmoid"),
            "{message}"
        );
    }
}

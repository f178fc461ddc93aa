//! The fully connected layer.

use super::{Context, Forward, LayerSpec, MemoryFormat, ParamSpec, take_vars};
use crate::{Error, Fan, Init, Result, ops};
use candle_core::{Tensor, Var};

/// `y = x·Wᵀ + b` over the last dimension (the book's section 3.3).
#[derive(Clone, Debug)]
pub struct Linear {
    /// Size of the output's last dimension.
    pub out_features: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// How the weight `[out_features, in_features]` starts.
    pub weight_init: Init,
    /// How the bias `[out_features]` starts.
    pub bias_init: Init,
}

impl Linear {
    /// With a bias, and PyTorch's initialisers.
    pub fn new(out_features: usize) -> Self {
        Self {
            out_features,
            bias: true,
            weight_init: Init::TorchDefault,
            bias_init: Init::TorchDefault,
        }
    }
}

fn in_features(input: &[usize]) -> Result<usize> {
    match *input {
        [.., features] if features > 0 => Ok(features),
        _ => Err(Error::msg(format!(
            "expects [features] with at least one feature, got {input:?}"
        ))),
    }
}

impl LayerSpec for Linear {
    fn kind(&self) -> &str {
        "Linear"
    }

    fn details(&self) -> String {
        let bias = if self.bias { "" } else { ", no bias" };
        format!("{}{bias}", self.out_features)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        in_features(input)?;
        let mut shape = input.to_vec();
        if let Some(last) = shape.last_mut() {
            *last = self.out_features;
        }
        Ok(shape)
    }

    fn params(&self, input: &[usize]) -> Result<Vec<ParamSpec>> {
        let shape = vec![self.out_features, in_features(input)?];
        let fan = Fan::of_weight(&shape);
        let mut params = vec![ParamSpec::parameter("weight", shape, fan, self.weight_init)];
        if self.bias {
            params.push(ParamSpec::parameter(
                "bias",
                vec![self.out_features],
                fan,
                self.bias_init,
            ));
        }
        Ok(params)
    }

    fn multiply_adds(&self, input: &[usize]) -> Result<u64> {
        in_features(input)?;
        Ok(input.iter().product::<usize>() as u64 * self.out_features as u64)
    }

    fn build(&self, _: &[usize], vars: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(if self.bias {
            let [weight, bias] = take_vars(vars)?;
            Box::new(BuiltLinear {
                weight,
                bias: Some(bias),
            })
        } else {
            let [weight] = take_vars(vars)?;
            Box::new(BuiltLinear { weight, bias: None })
        })
    }
}

struct BuiltLinear {
    /// `[out_features, in_features]`
    weight: Var,
    /// `[out_features]`
    bias: Option<Var>,
}

impl Forward for BuiltLinear {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        ops::linear(
            xs,
            self.weight.as_tensor(),
            self.bias.as_ref().map(Var::as_tensor),
        )
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::ChannelsFirst
    }
}

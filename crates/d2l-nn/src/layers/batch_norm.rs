//! Batch normalisation.

use super::{Context, Forward, LayerSpec, MemoryFormat, ParamSpec, take_vars};
use crate::{Error, Fan, Init, Result, ops, ops::BatchNormOptions};
use candle_core::{Tensor, Var};

/// Normalises each channel by the mean and variance of the batch in training, by their running means in inference,
/// then scales and shifts it (Ioffe & Szegedy 2015, the book's section 7.5).
#[derive(Clone, Debug, Default)]
pub struct BatchNorm {
    /// The constant under the root and the momentum of the running means.
    pub options: BatchNormOptions,
}

fn channels(input: &[usize]) -> Result<usize> {
    match *input {
        [channels] | [channels, _, _] if channels > 0 => Ok(channels),
        _ => Err(Error::msg(format!(
            "expects [features] or [channels, height, width], got {input:?}"
        ))),
    }
}

impl LayerSpec for BatchNorm {
    fn kind(&self) -> &str {
        "BatchNorm"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        channels(input)?;
        Ok(input.to_vec())
    }

    fn params(&self, input: &[usize]) -> Result<Vec<ParamSpec>> {
        let shape = vec![channels(input)?];
        let fan = Fan::of_weight(&shape);
        Ok(vec![
            ParamSpec::parameter("weight", shape.clone(), fan, Init::Constant(1.0)),
            ParamSpec::parameter("bias", shape.clone(), fan, Init::Constant(0.0)),
            ParamSpec::buffer("running_mean", shape.clone(), 0.0),
            ParamSpec::buffer("running_var", shape, 1.0),
        ])
    }

    fn build(&self, input: &[usize], vars: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        let [weight, bias, running_mean, running_var] = take_vars(vars)?;
        let spatial = input.len() == 3;
        Ok(Box::new(BuiltBatchNorm {
            weight,
            bias,
            running_mean,
            running_var,
            spatial,
            options: self.options,
        }))
    }
}

/// All variables are `[channels]`.
struct BuiltBatchNorm {
    weight: Var,
    bias: Var,
    running_mean: Var,
    running_var: Var,
    spatial: bool,
    options: BatchNormOptions,
}

impl Forward for BuiltBatchNorm {
    fn forward(&self, xs: &Tensor, context: &Context) -> Result<Tensor> {
        let batch_norm = if self.spatial {
            ops::nhwc::batch_norm
        } else {
            ops::batch_norm
        };
        batch_norm(
            xs,
            self.weight.as_tensor(),
            self.bias.as_tensor(),
            &self.running_mean,
            &self.running_var,
            &self.options,
            context.train,
        )
    }

    fn memory_format(&self) -> MemoryFormat {
        if self.spatial {
            MemoryFormat::ChannelsLast
        } else {
            MemoryFormat::Any
        }
    }
}

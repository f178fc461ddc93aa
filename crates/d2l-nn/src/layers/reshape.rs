//! Layers that only change the shape.

use super::{Context, Forward, LayerSpec};
use crate::Result;
use candle_core::{Tensor, Var};

/// Joins all dimensions but the batch, channels first, as PyTorch's `nn.Flatten`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl LayerSpec for Flatten {
    fn kind(&self) -> &str {
        "Flatten"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![input.iter().product()])
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(*self))
    }
}

impl Forward for Flatten {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        let features: usize = xs.dims().iter().skip(1).product();
        Ok(xs.reshape((xs.dim(0)?, features))?)
    }
}

//! Local response normalisation.

use super::{Context, Forward, LayerSpec, MemoryFormat, channels_height_width};
use crate::{Error, Result, ops};
use candle_core::{Tensor, Var};

/// `x / (k + α/size · Σ x²)^β`, the sum over `size` neighbouring channels (Krizhevsky et al. 2012, section 3.3; α is
/// divided by `size` as in PyTorch). The default is the paper's: 5 channels, β 0.75, k 2, and α 5e-4, which is the
/// paper's 1e-4 on the undivided sum.
#[derive(Clone, Debug)]
pub struct LocalResponseNorm {
    /// Number of channels that are summed over.
    pub size: usize,
    /// Factor on the sum.
    pub alpha: f64,
    /// Exponent.
    pub beta: f64,
    /// Added to the sum.
    pub k: f64,
}

impl Default for LocalResponseNorm {
    fn default() -> Self {
        Self {
            size: 5,
            alpha: 5e-4,
            beta: 0.75,
            k: 2.0,
        }
    }
}

impl LayerSpec for LocalResponseNorm {
    fn kind(&self) -> &str {
        "LocalResponseNorm"
    }

    fn details(&self) -> String {
        format!(
            "over {}, α {}, β {}, k {}",
            self.size, self.alpha, self.beta, self.k
        )
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        channels_height_width(input)?;
        if self.size == 0 {
            return Err(Error::msg(
                "the number of channels to sum over has to be at least 1",
            ));
        }
        Ok(input.to_vec())
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(self.clone()))
    }
}

impl Forward for LocalResponseNorm {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        ops::nhwc::local_response_norm(xs, self.size, self.alpha, self.beta, self.k)
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::ChannelsLast
    }
}

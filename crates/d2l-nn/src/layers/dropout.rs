//! Dropout.

use super::{Context, Forward, LayerSpec, MemoryFormat};
use crate::{Error, Result, ops};
use candle_core::{Tensor, Var};

/// In training sets each element to zero with probability `p` and divides the others by 1 − p; does nothing in
/// inference (Srivastava et al. 2014, the book's section 4.6).
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Probability of dropping an element, in [0, 1].
    pub p: f64,
}

impl LayerSpec for Dropout {
    fn kind(&self) -> &str {
        "Dropout"
    }

    fn details(&self) -> String {
        self.p.to_string()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        if !(0.0..=1.0).contains(&self.p) {
            return Err(Error::msg(format!(
                "the probability has to be in [0, 1], got {}",
                self.p
            )));
        }
        Ok(input.to_vec())
    }

    fn build(&self, _: &[usize], _: Vec<Var>, key: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(BuiltDropout { p: self.p, key }))
    }
}

struct BuiltDropout {
    p: f64,
    /// With the step, the place in the generator's sequence that this layer draws from.
    key: u64,
}

impl Forward for BuiltDropout {
    fn forward(&self, xs: &Tensor, context: &Context) -> Result<Tensor> {
        ops::dropout(xs, self.p, (self.key, context.step), context.train)
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::Any
    }
}

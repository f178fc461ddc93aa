use super::{Io, Op, ParamId, Reads};
use crate::{Result, layers::Forward, ops::storage::with_elements};
use candle_core::{Device, Tensor, Var};
use std::sync::Arc;

/// A user's own layer: runs through candle, with an autograd graph of its own.
pub(crate) struct Custom {
    /// Shapes of an example as the layer wants it, and as it gives it.
    pub(crate) input: Vec<usize>,
    pub(crate) output: Vec<usize>,
    /// The layer with its variables; absent in a plan that is only counted.
    pub(crate) layer: Option<(Arc<dyn Forward>, Vec<Var>)>,
    pub(crate) params: Vec<ParamId>,
    /// Input and output of the last forward pass.
    pub(crate) kept: Option<(Var, Tensor)>,
}

impl Op for Custom {
    fn kind(&self) -> &'static str {
        "Custom"
    }

    fn reads(&self) -> Reads {
        Reads::default()
    }

    fn params(&self) -> Vec<ParamId> {
        self.params.clone()
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let Some((layer, _)) = &self.layer else {
            return Err(crate::Error::msg("the layer was not built"));
        };
        let shape = [&[io.batch], self.input.as_slice()].concat();
        let xs = Var::from_vec(io.input(0).to_vec(), shape, &Device::Cpu)?;
        let ys = layer.forward(xs.as_tensor(), &io.context)?;
        let expected = [&[io.batch], self.output.as_slice()].concat();
        if ys.dims() != expected {
            return Err(crate::Error::msg(format!(
                "gave {:?} where its description says {expected:?}",
                ys.dims()
            )));
        }
        io.write_output(|_, out| {
            with_elements("custom layer", [&ys], |[ys]| {
                out.copy_from_slice(ys);
                Ok(())
            })?;
            Ok(())
        })?;
        self.kept = io.context.train.then_some((xs, ys));
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (Some((xs, ys)), Some((_, vars))) = (self.kept.take(), &self.layer) else {
            return Err(crate::Error::msg("backward before forward"));
        };
        let dys = Tensor::from_slice(io.output_gradient(), ys.shape(), &Device::Cpu)?;
        let store = (&ys * dys)?.sum_all()?.backward()?;
        let copy = |of: &Tensor, target: &mut [f32]| {
            let Some(found) = store.get(of) else {
                target.fill(0.0);
                return Ok(());
            };
            Ok(with_elements("custom layer", [found], |[found]| {
                target.copy_from_slice(found);
                Ok(())
            })?)
        };
        for (var, id) in vars.iter().zip(&self.params) {
            io.write_param_gradient(*id, |_, gradient| copy(var.as_tensor(), gradient))?;
        }
        io.write_input_gradient(0, |_, dxs| copy(xs.as_tensor(), dxs))
    }
}

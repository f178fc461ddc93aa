use super::{Io, Op, ParamId, Passes, Reads, ScratchNeed};
use crate::Result;
use d2l_kernels::linear as kernel;

/// `ys = xs·weightᵀ + bias`, with the ReLU that follows.
#[derive(Debug)]
pub(crate) struct Linear {
    /// Rows of an example: 1 for `[features]`.
    pub(crate) rows: usize,
    pub(crate) in_features: usize,
    pub(crate) out_features: usize,
    pub(crate) weight: ParamId,
    pub(crate) bias: Option<ParamId>,
    pub(crate) relu: bool,
}

impl Op for Linear {
    fn kind(&self) -> &'static str {
        "Linear"
    }

    fn reads(&self) -> Reads {
        Reads {
            inputs: true,
            output: self.relu,
        }
    }

    fn params(&self) -> Vec<ParamId> {
        std::iter::once(self.weight).chain(self.bias).collect()
    }

    fn flops(&self) -> f64 {
        2.0 * (self.rows * self.in_features) as f64 * self.out_features as f64
    }

    fn scratch(&self, batch: usize, passes: Passes) -> ScratchNeed {
        let trains = passes.weight_gradient || passes.input_gradient;
        let rows = batch.saturating_mul(self.rows);
        kernel::scratch(rows, self.in_features, self.out_features, trains)
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let rows = io.batch * self.rows;
        io.write_output(|io, ys| {
            let (weight, bias) = (
                io.param(self.weight)?,
                self.bias.map(|id| io.param(id)).transpose()?,
            );
            let (xs, bias) = (io.input(0), bias.as_deref());
            let (i, o) = (self.in_features, self.out_features);
            Ok(kernel::forward(rows, i, o, xs, &weight, bias, self.relu, ys)?)
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (rows, i, o) = (io.batch * self.rows, self.in_features, self.out_features);
        if self.relu {
            super::activation::mask_by_output(io)?;
        }
        if let Some(bias) = self.bias {
            io.write_param_gradient(bias, |io, dbias| {
                Ok(kernel::grad_bias(rows, o, io.output_gradient(), dbias)?)
            })?;
        }
        io.write_param_gradient(self.weight, |io, dweight| {
            let (xs, dys) = (io.input(0), io.output_gradient());
            Ok(kernel::grad_weight(rows, i, o, xs, dys, dweight)?)
        })?;
        io.write_input_gradient(0, |io, dxs| {
            let weight = io.param(self.weight)?;
            Ok(kernel::grad_input(
                rows,
                i,
                o,
                io.output_gradient(),
                &weight,
                dxs,
            )?)
        })
    }

    fn fuse_relu(&mut self) -> bool {
        self.relu = true;
        true
    }

    fn survives_relu(&self) -> bool {
        true
    }
}

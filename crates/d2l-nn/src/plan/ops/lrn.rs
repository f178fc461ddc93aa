use super::{Io, Op, Reads};
use crate::Result;
use d2l_kernels::lrn as kernel;

/// Local response normalisation over the channels of NHWC activations.
#[derive(Debug)]
pub(crate) struct LocalResponseNorm {
    /// Rows of an example.
    pub(crate) norm: kernel::LocalResponseNorm,
}

impl LocalResponseNorm {
    fn norm(&self, batch: usize) -> kernel::LocalResponseNorm {
        kernel::LocalResponseNorm {
            rows: self.norm.rows * batch,
            ..self.norm
        }
    }
}

impl Op for LocalResponseNorm {
    fn kind(&self) -> &'static str {
        "LocalResponseNorm"
    }

    fn reads(&self) -> Reads {
        Reads {
            inputs: true,
            output: false,
        }
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let norm = self.norm(io.batch);
        io.write_output(|io, ys| Ok(kernel::forward(&norm, io.input(0), ys)?))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let norm = self.norm(io.batch);
        io.write_input_gradient(0, |io, dxs| {
            Ok(kernel::backward(&norm, io.input(0), io.output_gradient(), dxs)?)
        })
    }
}

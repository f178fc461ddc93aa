use super::{Io, Op, Reads};
use crate::Result;
use d2l_kernels::dropout as kernel;

/// Dropout in training; its mask is drawn again in the backward pass.
#[derive(Debug)]
pub(crate) struct Dropout {
    pub(crate) p: f32,
    pub(crate) key: u64,
}

impl Op for Dropout {
    fn kind(&self) -> &'static str {
        "Dropout"
    }

    fn reads(&self) -> Reads {
        Reads::default()
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (p, key) = (self.p, self.key);
        io.write_output(|io, ys| Ok(kernel::forward(p, key, io.context.step, io.input(0), ys)?))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (p, key) = (self.p, self.key);
        io.write_input_gradient(0, |io, dxs| {
            Ok(kernel::backward(
                p,
                key,
                io.context.step,
                io.output_gradient(),
                dxs,
            )?)
        })
    }
}

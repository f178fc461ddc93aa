use super::{Io, Op, Reads};
use crate::Result;
use d2l_kernels::activation::{self as kernel, Function, Saved};

/// An element-wise function.
#[derive(Debug)]
pub(crate) struct Activation {
    pub(crate) function: Function,
    /// Whether output and input are one buffer.
    pub(crate) in_place: bool,
}

impl Op for Activation {
    fn kind(&self) -> &'static str {
        "Activation"
    }

    fn reads(&self) -> Reads {
        let output = self.function.saved() == Saved::Output;
        Reads {
            inputs: !output,
            output,
        }
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (function, in_place) = (self.function, self.in_place);
        io.write_output(|io, ys| {
            if in_place {
                kernel::forward_in_place(function, ys);
                return Ok(());
            }
            Ok(kernel::forward(function, io.input(0), ys)?)
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let function = self.function;
        if self.in_place {
            return io.change_output_gradient(|io, gradient| {
                Ok(kernel::backward_in_place(function, io.output(), gradient)?)
            });
        }
        io.write_input_gradient(0, |io, dxs| {
            let saved = match function.saved() {
                Saved::Output => io.output(),
                Saved::Input => io.input(0),
            };
            Ok(kernel::backward(function, saved, io.output_gradient(), dxs)?)
        })
    }

    fn survives_relu(&self) -> bool {
        self.function == Function::Relu || !self.reads().output
    }
}

/// The gradient of a ReLU that was computed with a node: the output's gradient where the output is above 0.
pub(crate) fn mask_by_output(io: &mut Io<'_>) -> Result<()> {
    io.change_output_gradient(|io, dys| Ok(kernel::backward_in_place(Function::Relu, io.output(), dys)?))
}

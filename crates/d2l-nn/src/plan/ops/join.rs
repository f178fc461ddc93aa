use super::{Io, Op, Reads};
use crate::Result;
use d2l_kernels::{concat, elementwise};

/// The sum of two inputs, with the ReLU that follows.
#[derive(Debug)]
pub(crate) struct Add {
    pub(crate) relu: bool,
    /// Whether output and first input are one buffer.
    pub(crate) in_place: bool,
}

impl Op for Add {
    fn kind(&self) -> &'static str {
        "Add"
    }

    fn reads(&self) -> Reads {
        Reads {
            inputs: false,
            output: self.relu,
        }
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (relu, in_place) = (self.relu, self.in_place);
        io.write_output(|io, ys| {
            match (in_place, relu) {
                (true, false) => elementwise::add_assign(ys, io.input(1))?,
                (true, true) => elementwise::add_relu_assign(ys, io.input(1))?,
                (false, false) => elementwise::add(io.input(0), io.input(1), ys)?,
                (false, true) => elementwise::add_relu(io.input(0), io.input(1), ys)?,
            }
            Ok(())
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if self.relu {
            super::activation::mask_by_output(io)?;
        }
        let first = usize::from(self.in_place);
        (first..2).try_for_each(|index| pass_on(io, index))
    }

    fn adds_directly(&self, _: usize) -> bool {
        true
    }

    fn fuse_relu(&mut self) -> bool {
        self.relu = true;
        true
    }

    fn survives_relu(&self) -> bool {
        true
    }
}

/// The gradient of an input that was added: that of the output.
pub(super) fn pass_on(io: &mut Io<'_>, index: usize) -> Result<()> {
    io.add_input_gradient(index, |io, dxs, add| {
        if add {
            return Ok(elementwise::add_assign(dxs, io.output_gradient())?);
        }
        dxs.copy_from_slice(io.output_gradient());
        Ok(())
    })
}

/// Inputs joined along the channels of `[area][channels]` activations.
#[derive(Debug)]
pub(crate) struct Concat {
    /// height · width
    pub(crate) area: usize,
    /// Channels of each input.
    pub(crate) channels: Vec<usize>,
}

impl Op for Concat {
    fn kind(&self) -> &'static str {
        "Concat"
    }

    fn reads(&self) -> Reads {
        Reads::default()
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let rows = self.area * io.batch;
        io.write_output(|io, ys| {
            let parts = self.channels.iter().enumerate();
            let parts: Vec<_> = parts
                .map(|(index, &channels)| (io.input(index), channels))
                .collect();
            Ok(concat::join(rows, &parts, ys)?)
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (rows, total) = (self.area * io.batch, self.channels.iter().sum());
        let mut offset = 0;
        for (index, &channels) in self.channels.iter().enumerate() {
            io.add_input_gradient(index, |io, dxs, add| {
                let dys = io.output_gradient();
                Ok(concat::split_one(rows, total, offset, channels, dys, dxs, add)?)
            })?;
            offset += channels;
        }
        Ok(())
    }

    fn adds_directly(&self, _: usize) -> bool {
        true
    }
}

//! What a node of a plan reads and writes while it runs.

use super::{
    memory::{BufferId, Memory},
    params::{ParamId, Params},
};
use crate::{Result, layers::Context};
use d2l_kernels::elementwise;
use std::ops::Deref;

/// One input or the output of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    /// f32s per example.
    pub(super) len: usize,
    /// Where the values are; `None` for the batch itself.
    pub(super) values: Option<BufferId>,
    /// Where the gradient is; `None` where none is needed.
    pub(super) gradient: Option<BufferId>,
    /// Whether other nodes have written parts of the gradient, to which this one's is to be added.
    pub(super) adds: bool,
    /// Where this one's part is written, unless the node can add by itself.
    pub(super) addend: Option<BufferId>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Wiring {
    pub(super) inputs: Vec<Wire>,
    pub(super) output: Wire,
}

/// A node's access to buffers and parameters. What it writes is taken out of the plan for the time of a closure, which
/// can read everything else.
pub(super) struct Io<'a> {
    pub(super) wiring: &'a Wiring,
    pub(super) memory: &'a mut Memory,
    pub(super) params: &'a mut Params,
    /// The batch as it came in, channels first.
    pub(super) xs: &'a [f32],
    /// Examples in the batch.
    pub(super) batch: usize,
    pub(super) context: Context,
}

impl Io<'_> {
    /// The values of input `index`.
    pub(super) fn input(&self, index: usize) -> &[f32] {
        self.wiring.inputs.get(index).map_or(&[], |wire| self.read(wire))
    }

    /// The values of the output.
    pub(super) fn output(&self) -> &[f32] {
        self.read(&self.wiring.output)
    }

    fn read(&self, wire: &Wire) -> &[f32] {
        match wire.values {
            Some(buffer) => self.memory.get(buffer, wire.len * self.batch),
            None => self.xs,
        }
    }

    /// The gradient of the output.
    pub(super) fn output_gradient(&self) -> &[f32] {
        let wire = &self.wiring.output;
        let gradient = |buffer| self.memory.get(buffer, wire.len * self.batch);
        wire.gradient.map_or(&[], gradient)
    }

    /// Whether input `index` needs a gradient.
    pub(super) fn wants_gradient(&self, index: usize) -> bool {
        self.wiring
            .inputs
            .get(index)
            .is_some_and(|wire| wire.gradient.is_some())
    }

    /// The values of a parameter.
    pub(super) fn param(&self, id: ParamId) -> Result<impl Deref<Target = [f32]> + '_> {
        self.params.values(id)
    }

    /// Lets `write` write the output.
    pub(super) fn write_output<R>(
        &mut self,
        write: impl FnOnce(&Self, &mut [f32]) -> Result<R>,
    ) -> Result<R> {
        let wire = self.wiring.output;
        self.write_buffer(wire.values, wire.len, write)
    }

    /// Lets `change` change the gradient of the output in place.
    pub(super) fn change_output_gradient<R>(
        &mut self,
        change: impl FnOnce(&Self, &mut [f32]) -> Result<R>,
    ) -> Result<R> {
        let wire = self.wiring.output;
        self.write_buffer(wire.gradient, wire.len, change)
    }

    /// The buffer of the output's gradient, longer where the batch is not a full one;
    /// [`Self::put_output_gradient`] brings it back.
    pub(super) fn take_output_gradient(&mut self) -> Vec<f32> {
        let gradient = self.wiring.output.gradient;
        gradient.map_or_else(Vec::new, |buffer| self.memory.take(buffer))
    }

    /// See [`Self::take_output_gradient`].
    pub(super) fn put_output_gradient(&mut self, slot: Vec<f32>) {
        if let Some(buffer) = self.wiring.output.gradient {
            self.memory.put(buffer, slot);
        }
    }

    /// Lets `write` write the gradient of input `index`, and adds it to what others have written, if any. Does nothing
    /// where none is needed.
    pub(super) fn write_input_gradient(
        &mut self,
        index: usize,
        write: impl FnOnce(&Self, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let Some(&wire) = self.wiring.inputs.get(index) else {
            return Ok(());
        };
        let Some(gradient) = wire.gradient else {
            return Ok(());
        };
        let Some(addend) = wire.addend else {
            return self.write_buffer(Some(gradient), wire.len, write);
        };
        self.write_buffer(Some(addend), wire.len, write)?;
        self.write_buffer(Some(gradient), wire.len, |io, gradient| {
            Ok(elementwise::add_assign(
                gradient,
                io.memory.get(addend, wire.len * io.batch),
            )?)
        })
    }

    /// As [`Self::write_input_gradient`] for a `write` that can add by itself where its last argument says so.
    pub(super) fn add_input_gradient(
        &mut self,
        index: usize,
        write: impl FnOnce(&Self, &mut [f32], bool) -> Result<()>,
    ) -> Result<()> {
        let Some(&wire) = self.wiring.inputs.get(index) else {
            return Ok(());
        };
        let Some(gradient) = wire.gradient else {
            return Ok(());
        };
        self.write_buffer(Some(gradient), wire.len, |io, dx| write(io, dx, wire.adds))
    }

    /// Lets `write` write the gradient of a parameter, if it is learned.
    pub(super) fn write_param_gradient(
        &mut self,
        id: ParamId,
        write: impl FnOnce(&Self, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let Some(mut gradient) = self.params.take_gradient(id) else {
            return Ok(());
        };
        let result = write(self, &mut gradient);
        self.params.put_gradient(id, gradient);
        result
    }

    fn write_buffer<R>(
        &mut self,
        buffer: Option<BufferId>,
        len: usize,
        write: impl FnOnce(&Self, &mut [f32]) -> Result<R>,
    ) -> Result<R> {
        let Some(buffer) = buffer else {
            return write(self, &mut []);
        };
        let mut slot = self.memory.take(buffer);
        let len = (len * self.batch).min(slot.len());
        let result = write(self, slot.get_mut(..len).unwrap_or_default());
        self.memory.put(buffer, slot);
        result
    }
}

//! The planned step: a network that runs forward and backward over buffers laid out once.
//!
//! candle's autograd allocates every activation and every gradient anew in each step, and adds gradients up one
//! element after the other. For a network built from a description all shapes are known before the first batch, so a
//! [`Plan`] lays out activations, gradients and scratch beforehand, lets buffers that are never needed at the same time
//! share memory, and runs each layer in place over them, with the kernels of `d2l-kernels` and the fusions that pay.
//! Parameters that the kernels can use as they are stay where they are; convolution weights have a working copy.
//!
//! It is no second autograd: a network is a list of operations, each with a forward and a backward over buffers; a layer
//! of the user's own runs through candle for that node. Both paths give the same gradients.

mod graph;
mod inference;
mod io;
mod layers;
mod memory;
mod ops;
mod params;
mod wiring;

pub use d2l_kernels::ScratchNeed;
pub use graph::Mode;
pub use inference::Inference;

use crate::{Error, ParamKind, ParamStore, Result, layers::Context, network::Placed};
use candle_core::{DType, Tensor};
use graph::{FindLayer, Graph};
use io::{Io, Wiring};
use memory::Memory;
use params::Params;
use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

/// A network over buffers that were laid out once, for f32 on the CPU. [`crate::Model::plan`] makes one.
///
/// A plan's convolution weights are copies: [`Self::pull`] reads them anew from the model's parameters, and
/// [`Self::push`] writes what [`Self::update`] has made of them back.
///
/// A plan runs on the threads of rayon's current pool; the results do not depend on their number.
pub struct Plan {
    mode: Mode,
    batch: usize,
    input: Vec<usize>,
    output_shape: Vec<usize>,
    nodes: Vec<Planned>,
    memory: Memory,
    params: Params,
    store: ParamStore,
    bytes: PlanMemory,
    /// Where the output is: that of the last node, or the batch itself.
    output: io::Wire,
    profiles: bool,
}

/// A node with its connections and the time it took.
struct Planned {
    path: String,
    op: Box<dyn ops::Op>,
    wiring: Wiring,
    /// Whether any gradient goes through it.
    backward: bool,
    seconds: [f64; 2],
}

/// The memory that a step of a plan takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanMemory {
    /// Parameters and buffers of the model.
    pub parameters: u64,
    /// Working copies of convolution weights.
    pub copies: u64,
    /// Gradients of the parameters.
    pub gradients: u64,
    /// Activations and their gradients.
    pub activations: u64,
    /// A batch, which is the caller's.
    pub input: u64,
    /// What the kernels use within a node, and keep for the next.
    pub scratch: ScratchNeed,
}

impl PlanMemory {
    /// All of it, with that many threads at work.
    pub fn total(&self, threads: usize) -> u64 {
        let scratch = self.scratch.bytes(threads);
        [self.copies, self.gradients, self.activations, self.input, scratch]
            .into_iter()
            .fold(self.parameters, u64::saturating_add)
    }
}

/// How long a node of a plan took.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTime {
    /// The name of the (first) layer that the node computes.
    pub layer: String,
    /// What it is.
    pub kind: &'static str,
    /// Seconds of the last forward and backward pass.
    pub seconds: [f64; 2],
    /// Floating-point operations of the forward and the backward pass for the plan's batch.
    pub flops: [f64; 2],
    /// Bytes of the node's inputs and output.
    pub bytes: u64,
}

/// Changes a parameter: its name, its values, its gradient.
pub type Update<'a> = dyn FnMut(&str, &mut [f32], &[f32]) -> Result<()> + 'a;

/// What a plan is made from.
pub(crate) struct Blueprint<'a> {
    pub(crate) placed: &'a [Placed<'a>],
    pub(crate) input: &'a [usize],
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) find: FindLayer<'a>,
}

impl Blueprint<'_> {
    fn graph(&self) -> Result<Graph> {
        Graph::new(self.placed, self.input, self.mode, self.seed, self.find)
    }

    /// What a plan for `batch` examples would take, if every parameter is learned.
    pub(crate) fn memory(&self, batch: usize) -> Result<PlanMemory> {
        let (mut elements, mut learned) = (HashMap::new(), HashSet::new());
        for at in self.placed {
            at.walk(&mut |at| {
                for param in &at.params {
                    let name = format!("{}.{}", at.path, param.name);
                    elements.insert(name.clone(), param.elements());
                    if param.kind == ParamKind::Parameter {
                        learned.insert(name);
                    }
                }
                Ok(())
            })?;
        }
        let wired = wiring::wire(self.graph()?, self.mode, &|name| learned.contains(name));
        Ok(wired.bytes(batch, &elements))
    }

    /// Refuses a model that has no plan, before anything is laid out.
    pub(crate) fn check(&self, store: &ParamStore) -> Result<()> {
        self.wired(store).map(|_| ())
    }

    /// The graph with its buffers, for the parameters in `store`.
    fn wired(&self, store: &ParamStore) -> Result<wiring::Wired> {
        if store.dtype() != DType::F32 || !store.device().is_cpu() {
            return Err(Error::msg(format!(
                "a plan runs f32 on the CPU, the model is {:?} on {:?}",
                store.dtype(),
                store.device().location()
            )));
        }
        let learned: HashSet<String> = store.trainable().into_iter().map(|(name, _)| name).collect();
        let wired = wiring::wire(self.graph()?, self.mode, &|name| learned.contains(name));
        wired.params.check(&wired.learned)?;
        Ok(wired)
    }

    /// A plan for batches of up to `batch` examples with the parameters in `store`.
    pub(crate) fn plan(&self, batch: usize, store: &ParamStore) -> Result<Plan> {
        if batch == 0 {
            return Err(Error::msg("a plan needs a batch of at least one example"));
        }
        let wired = self.wired(store)?;
        let elements = store
            .all()
            .into_iter()
            .map(|(name, var)| (name, var.elem_count()));
        let bytes = wired.bytes(batch, &elements.collect());
        let wiring::Wired {
            mut nodes,
            layout,
            params,
            learned,
            output,
            output_shape,
            ..
        } = wired;
        for node in &mut nodes {
            node.op.prepare(batch);
        }
        // Before the buffers, which can have the memory that making the copies frees.
        let params = Params::new(params, store, |id| learned.contains(&id))?;
        Ok(Plan {
            mode: self.mode,
            batch,
            input: self.input.to_vec(),
            output_shape,
            nodes,
            memory: Memory::new(layout, batch),
            params,
            store: store.clone(),
            bytes,
            output,
            profiles: false,
        })
    }
}

impl Plan {
    /// The largest batch that it was laid out for.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The shape of an example of the output.
    pub fn output_shape(&self) -> &[usize] {
        &self.output_shape
    }

    /// The memory it takes.
    pub fn memory(&self) -> PlanMemory {
        self.bytes
    }

    /// Runs the network forward; `read` gets the output, `[batch, …]` in row-major order.
    ///
    /// # Errors
    /// A batch of another shape than the plan's, or of more examples.
    pub fn forward<R>(&mut self, xs: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
        self.with_batch(xs, |plan, xs, batch| {
            plan.run_forward(xs, batch, 0)?;
            read(plan.output(xs, batch))
        })
    }

    /// A training pass: forward, `loss`, backward. `loss` gets the output and writes its gradient, both `[batch, …]`
    /// in row-major order. Afterwards the gradients of all learned parameters are there.
    ///
    /// `step`, the number of training passes made before, is where dropout draws from; see [`crate::Model::step`].
    ///
    /// # Errors
    /// A batch of another shape than the plan's, or of more examples; a plan for inference; errors of `loss`.
    pub fn step<R>(
        &mut self,
        xs: &Tensor,
        step: u64,
        loss: impl FnOnce(&[f32], &mut [f32]) -> Result<R>,
    ) -> Result<R> {
        if self.mode != Mode::Train {
            return Err(Error::msg("a plan for inference cannot train"));
        }
        self.with_batch(xs, |plan, xs, batch| {
            plan.run_forward(xs, batch, step)?;
            let (wire, len) = (plan.output, plan.output.len * batch);
            let Some(buffer) = wire.gradient else {
                return loss(plan.output(xs, batch), &mut vec![0.0; len]);
            };
            let mut slot = plan.memory.take(buffer);
            let result = loss(plan.output(xs, batch), slot.get_mut(..len).unwrap_or_default());
            plan.memory.put(buffer, slot);
            let result = result?;
            plan.run_backward(xs, batch, step)?;
            Ok(result)
        })
    }

    /// The names of the learned parameters with their gradients, in the plan's own order of elements.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.params.gradients()
    }

    /// As [`Self::gradients`], to be scaled or clipped.
    pub fn gradients_mut(&mut self) -> impl Iterator<Item = (&str, &mut [f32])> {
        self.params.gradients_mut()
    }

    /// The gradient of the parameter `name`, in the order and shape of its variable.
    ///
    /// # Errors
    /// When there is no such learned parameter.
    pub fn gradient(&self, name: &str) -> Result<Tensor> {
        let unknown = || Error::msg(format!("the plan learns no parameter `{name}`"));
        let values = self.params.gradient(name).ok_or_else(unknown)?;
        let values = self.params.reorder(name, values, true)?;
        let var = self.store.get(name).ok_or_else(unknown)?;
        Ok(Tensor::from_vec(values, var.shape(), &candle_core::Device::Cpu)?)
    }

    /// Shows `update` every learned parameter: its name, its values to be changed, and its gradient. Values and
    /// gradient are in the same order, which is not that of the variable for a convolution's weight:
    /// [`Self::reorder`].
    ///
    /// # Errors
    /// Those of `update`.
    pub fn update(&mut self, update: &mut Update<'_>) -> Result<()> {
        self.params.update(update)
    }

    /// Brings values that belong to the parameter `name` element by element, such as an optimiser's, from the plan's
    /// order into the variable's (`to_variable`) or back.
    ///
    /// # Errors
    /// When the number of values is not the parameter's.
    pub fn reorder(&self, name: &str, values: &[f32], to_variable: bool) -> Result<Vec<f32>> {
        self.params.reorder(name, values, to_variable)
    }

    /// Reads the working copies anew, after the model's parameters were changed from outside.
    ///
    /// # Errors
    /// When a parameter has gone.
    pub fn pull(&mut self) -> Result<()> {
        self.params.pull(&self.store)
    }

    /// Writes the working copies to the model's parameters.
    ///
    /// # Errors
    /// When a parameter has gone.
    pub fn push(&self) -> Result<()> {
        self.params.push()
    }

    /// Measures the time of every node from here on, or no longer.
    pub fn set_profiling(&mut self, profiles: bool) {
        self.profiles = profiles;
    }

    /// How long each node took in the last pass; all zero unless [`Self::set_profiling`].
    pub fn profile(&self) -> Vec<NodeTime> {
        let node = |node: &Planned| {
            let wires = node.wiring.inputs.iter().chain([&node.wiring.output]);
            let forward = node.op.flops() * self.batch as f64;
            // A product has two gradients, of which the first layer needs one.
            let products = node
                .wiring
                .inputs
                .iter()
                .filter(|wire| wire.gradient.is_some())
                .count()
                + 1;
            NodeTime {
                layer: node.path.clone(),
                kind: node.op.kind(),
                seconds: node.seconds,
                flops: [forward, forward * products as f64],
                bytes: wires.map(|wire| 4 * (wire.len * self.batch) as u64).sum(),
            }
        };
        self.nodes.iter().map(node).collect()
    }

    fn output<'a>(&'a self, xs: &'a [f32], batch: usize) -> &'a [f32] {
        match self.output.values {
            Some(buffer) => self.memory.get(buffer, self.output.len * batch),
            None => xs,
        }
    }

    /// Calls `run` with the elements of a batch that fits.
    fn with_batch<R>(
        &mut self,
        xs: &Tensor,
        run: impl FnOnce(&mut Self, &[f32], usize) -> Result<R>,
    ) -> Result<R> {
        let (batch, example) = match xs.dims() {
            [batch, example @ ..] => (*batch, example),
            [] => (0, &[][..]),
        };
        if example != self.input || batch == 0 || batch > self.batch {
            return Err(Error::msg(format!(
                "the plan is for batches of 1 to {} examples of {:?}, got {:?}",
                self.batch,
                self.input,
                xs.dims()
            )));
        }
        let mut result = None;
        crate::ops::storage::with_elements("plan", [xs], |[xs]| {
            result = Some(run(self, xs, batch));
            Ok(())
        })?;
        result.unwrap_or_else(|| Err(Error::msg("the plan did not run")))
    }

    fn run_forward(&mut self, xs: &[f32], batch: usize, step: u64) -> Result<()> {
        let train = self.mode == Mode::Train;
        self.run(xs, batch, Context { train, step }, 0)
    }

    fn run_backward(&mut self, xs: &[f32], batch: usize, step: u64) -> Result<()> {
        self.run(xs, batch, Context { train: true, step }, 1)
    }

    /// Runs all nodes, forward (`pass` 0) or backward (1).
    fn run(&mut self, xs: &[f32], batch: usize, context: Context, pass: usize) -> Result<()> {
        let Self {
            nodes,
            memory,
            params,
            profiles,
            ..
        } = self;
        let mut run = |node: &mut Planned| {
            let start = profiles.then(Instant::now);
            let mut io = Io {
                wiring: &node.wiring,
                memory,
                params,
                xs,
                batch,
                context,
            };
            let result = match pass {
                0 => node.op.forward(&mut io),
                _ => node.op.backward(&mut io),
            };
            if let Some(start) = start {
                node.seconds[pass] = start.elapsed().as_secs_f64();
            }
            result.map_err(|error| error.in_layer(&node.path))
        };
        match pass {
            0 => nodes.iter_mut().try_for_each(&mut run),
            _ => nodes
                .iter_mut()
                .rev()
                .filter(|node| node.backward)
                .try_for_each(&mut run),
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("mode", &self.mode)
            .field("batch", &self.batch)
            .field("input", &self.input)
            .field("memory", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! A network with its parameters.

use crate::{
    Error, Result,
    layers::{Context, Forward, MemoryFormat},
    ops,
};
use candle_core::Tensor;
use candle_nn::ModuleT;
use std::sync::atomic::{AtomicU64, Ordering};

/// A built network: candle's `ModuleT` over `[batch, …]` inputs.
///
/// The only state beside the parameters is the number of training passes made, which determines what dropout drops;
/// a checkpoint holds it.
pub struct Model {
    input: Vec<usize>,
    layers: Vec<(String, Box<dyn Forward>)>,
    step: AtomicU64,
}

impl Model {
    pub(super) fn new(input: &[usize]) -> Self {
        Self { input: input.to_vec(), layers: Vec::new(), step: AtomicU64::new(0) }
    }

    pub(super) fn push(&mut self, name: &str, layer: Box<dyn Forward>) {
        self.layers.push((name.to_owned(), layer));
    }

    /// The shape of one example that the model was built for.
    pub fn input_shape(&self) -> &[usize] {
        &self.input
    }

    /// The number of training passes made so far.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// Goes to where the model was after that many training passes, as far as randomness is concerned.
    pub fn set_step(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// A forward pass that shows each layer's output to `visit`, channels first. A ReLU that follows a convolution
    /// is computed with it, so the pair is shown once, under the ReLU's name.
    ///
    /// # Errors
    /// When the batch does not have the shape that the model was built for.
    pub fn forward_with(
        &self,
        xs: &Tensor,
        train: bool,
        visit: &mut dyn FnMut(&str, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.run(xs, train, |name, ys, format| visit(name, &channels_first(ys, format)?))
    }

    fn run(
        &self,
        xs: &Tensor,
        train: bool,
        mut after: impl FnMut(&str, &Tensor, MemoryFormat) -> Result<()>,
    ) -> Result<Tensor> {
        if xs.dims().get(1..) != Some(self.input.as_slice()) {
            let (input, got) = (&self.input, xs.dims());
            return Err(Error::msg(format!("the model was built for batches of {input:?}, got {got:?}")));
        }
        let step = if train { self.step.fetch_add(1, Ordering::Relaxed) } else { self.step() };
        let context = Context { train, step };
        let (mut xs, mut format) = (xs.clone(), MemoryFormat::ChannelsFirst);
        for (name, layer) in &self.layers {
            match layer.memory_format() {
                MemoryFormat::ChannelsFirst if format == MemoryFormat::ChannelsLast => {
                    xs = channels_first(&xs, format)?;
                    format = MemoryFormat::ChannelsFirst;
                }
                MemoryFormat::ChannelsLast if format == MemoryFormat::ChannelsFirst => {
                    xs = ops::to_nhwc(&xs).map_err(|e| e.in_layer(name))?;
                    format = MemoryFormat::ChannelsLast;
                }
                _ => {}
            }
            xs = layer.forward(&xs, &context).map_err(|e| e.in_layer(name))?;
            after(name, &xs, format)?;
        }
        channels_first(&xs, format)
    }
}

fn channels_first(xs: &Tensor, format: MemoryFormat) -> Result<Tensor> {
    if format == MemoryFormat::ChannelsLast && xs.rank() == 4 { ops::to_nchw(xs) } else { Ok(xs.clone()) }
}

impl ModuleT for Model {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        Ok(self.run(xs, train, |_, _, _| Ok(()))?)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layers: Vec<&str> = self.layers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Model").field("input", &self.input).field("layers", &layers).finish_non_exhaustive()
    }
}

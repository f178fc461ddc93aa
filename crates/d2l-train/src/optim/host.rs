//! Updates in place on f32 parameters in main memory.

use super::Method;
use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor};
use d2l_kernels::{
    ShapeError,
    optim::{self, AdamState, RmsPropState},
};
use std::cell::RefCell;

/// Updates `parameter` and its state, in the order of [`Method::slots`].
pub(super) fn update(
    method: &Method,
    step: u64,
    parameter: &Tensor,
    gradient: &Tensor,
    slots: &mut [Vec<f32>],
) -> Result<()> {
    let slots = RefCell::new(slots);
    parameter.inplace_op2(gradient, &Update { method, step, slots })
}

/// As [`update`] for elements that are at hand.
pub(super) fn update_slice(
    method: &Method,
    step: u64,
    parameters: &mut [f32],
    gradient: &[f32],
    slots: &mut [Vec<f32>],
) -> std::result::Result<(), ShapeError> {
    let slots = RefCell::new(slots);
    Update { method, step, slots }.run(parameters, gradient)
}

/// candle gives an in-place operation one tensor to change; the state is changed through the operation itself.
struct Update<'a> {
    method: &'a Method,
    step: u64,
    slots: RefCell<&'a mut [Vec<f32>]>,
}

impl Update<'_> {
    fn run(&self, parameters: &mut [f32], gradient: &[f32]) -> std::result::Result<(), ShapeError> {
        let mut slots = self.slots.borrow_mut();
        let mut slots = slots.iter_mut().map(Vec::as_mut_slice);
        // A buffer that is not there is an empty slice, which the kernel refuses by its length.
        let mut needed = || slots.next().unwrap_or_default();
        match self.method {
            Method::Sgd(o) => optim::sgd(o, self.step, parameters, gradient, slots.next()),
            Method::Adam { options: o, .. } => {
                let state = AdamState {
                    mean: needed(),
                    mean_square: needed(),
                    max_mean_square: slots.next(),
                };
                optim::adam(o, self.step, parameters, gradient, state)
            }
            Method::RmsProp(o) => {
                let state = RmsPropState {
                    mean_square: needed(),
                    mean: o.centered.then(&mut needed),
                    momentum: (o.momentum != 0.0).then(needed),
                };
                optim::rms_prop(o, parameters, gradient, state)
            }
            Method::Adagrad { options: o, .. } => {
                optim::adagrad(o, self.step, parameters, gradient, needed())
            }
            Method::Adadelta(o) => optim::adadelta(o, parameters, gradient, needed(), needed()),
        }
    }
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        parameter_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let (CpuStorage::F32(parameters), CpuStorage::F32(gradient)) = (parameter, gradient) else {
            candle_core::bail!("optimizer-step: parameter and gradient must be f32");
        };
        let (Some((p0, p1)), Some((g0, g1))) = (
            parameter_layout.contiguous_offsets(),
            gradient_layout.contiguous_offsets(),
        ) else {
            candle_core::bail!("optimizer-step: parameter and gradient must be contiguous");
        };
        let (Some(parameters), Some(gradient)) = (parameters.get_mut(p0..p1), gradient.get(g0..g1)) else {
            candle_core::bail!("optimizer-step: a layout reaches beyond its storage");
        };
        self.run(parameters, gradient).map_err(candle_core::Error::wrap)
    }
}

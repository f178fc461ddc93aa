//! Dropout ([Srivastava et al. 2014](https://jmlr.org/papers/v15/srivastava14a.html)) with a mask that is a value.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};
use d2l_kernels::dropout as kernel;

use super::check::same_kind;
use super::path::takes_kernel;
use super::storage::{elements, with_elements};
use crate::{Error, Result};

const OP: &str = "dropout";

/// In training sets each element to 0 with probability `p` and multiplies the others by `1 / (1 − p)`; in inference
/// gives `xs` itself.
///
/// Whether element `i`, counted in row-major order, is dropped is a function of `draw` = (key, counter), `i` and
/// `p` alone: the same on every device, for every type, in forward and backward, for any number of threads. Who
/// calls this in a training loop keeps the key and advances the counter.
///
/// # Errors
/// `p` outside 0 to 1, no floating-point type.
pub fn dropout(xs: &Tensor, p: f64, draw: (u64, u64), train: bool) -> Result<Tensor> {
    same_kind(OP, &[("xs", xs)])?;
    if !(0.0..=1.0).contains(&p) {
        let message = format!("probability {p} must be from 0 to 1, for xs {:?}", xs.dims());
        return Err(Error::Options { op: OP, message });
    }
    if !train || p == 0.0 {
        return Ok(xs.clone());
    }
    let op = Dropout { p: p as f32, draw };
    if takes_kernel(OP, xs)? {
        return Ok(xs.contiguous()?.apply_op1(op)?);
    }
    let factors = op.apply(&vec![1.0; xs.elem_count()])?;
    let factors = Tensor::from_vec(factors, xs.shape(), &Device::Cpu)?;
    Ok((xs * factors.to_dtype(xs.dtype())?.to_device(xs.device())?)?)
}

struct Dropout {
    p: f32,
    draw: (u64, u64),
}

impl Dropout {
    /// `source` times its mask. The gradient is the same function: the mask is drawn again, not kept.
    fn apply(&self, source: &[f32]) -> Result<Vec<f32>> {
        let (key, counter) = self.draw;
        let mut target = vec![0.0; source.len()];
        kernel::forward(self.p, key, counter, source, &mut target)?;
        Ok(target)
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let ys = self.apply(elements(OP, xs, layout)?)?;
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, dys: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let dxs = with_elements(OP, [dys], |[dys]| Ok(self.apply(dys)?))?;
        Ok(Some(Tensor::from_vec(dxs, xs.shape(), xs.device())?))
    }
}

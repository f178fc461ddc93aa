//! The fully connected layer: a matrix product with bias and, on request, ReLU fused.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};
use d2l_kernels::linear as kernel;

use super::activation::{self, relu_gradient};
use super::check::{same_kind, vector_len};
use super::path::{is_half_on_cpu, takes_kernel};
use super::storage::{elements, with_elements};
use crate::{Error, Result};

const OP: &str = "linear";

/// `ys = xs · weightᵀ + bias`.
///
/// # Shapes
/// `xs` `[.., in_features]`, `weight` `[out_features, in_features]`, `bias` `[out_features]` →
/// `[.., out_features]`.
///
/// # Errors
/// Wrong ranks, features that do not match, a bias of another length, mixed data types or devices.
pub fn linear(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    linear_in(xs, weight, bias, false)
}

/// [`linear`] followed by [`relu`](super::relu), in one pass over the output.
///
/// # Errors
/// As [`linear`].
pub fn linear_relu(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    linear_in(xs, weight, bias, true)
}

fn linear_in(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    match bias {
        Some(bias) => same_kind(OP, &[("xs", xs), ("weight", weight), ("bias", bias)])?,
        None => same_kind(OP, &[("xs", xs), ("weight", weight)])?,
    }
    let &[out_features, in_features] = weight.dims() else {
        let shape = weight.dims().to_vec();
        return Err(Error::Rank {
            op: OP,
            name: "weight",
            expected: "[out_features, in_features]",
            shape,
        });
    };
    let Some((&last, batch_dims)) = xs.dims().split_last() else {
        return Err(Error::Rank {
            op: OP,
            name: "xs",
            expected: "[.., in_features]",
            shape: Vec::new(),
        });
    };
    if last != in_features {
        return Err(Error::Shape {
            op: OP,
            expected: format!("xs [.., {in_features}] for weight {:?}", weight.dims()),
            got: format!("xs {:?}", xs.dims()),
        });
    }
    if let Some(bias) = bias {
        vector_len(OP, "bias", bias, out_features, "one per output feature", xs)?;
    }
    if is_half_on_cpu(xs) {
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F32);
        let bias = bias.map(wide).transpose()?;
        let ys = linear_in(&wide(xs)?, &wide(weight)?, bias.as_ref(), relu)?;
        return Ok(ys.to_dtype(xs.dtype())?);
    }
    let batch = batch_dims.iter().product();
    let rows = xs.reshape((batch, in_features))?;
    let ys = if takes_kernel(OP, xs)? {
        let op = Linear {
            batch,
            in_features,
            out_features,
            relu,
        };
        let (rows, weight) = (rows.contiguous()?, weight.contiguous()?);
        match bias {
            Some(bias) => rows.apply_op3(&weight, &bias.contiguous()?, op)?,
            None => rows.apply_op2(&weight, op)?,
        }
    } else {
        by_composition(&rows, weight, bias, relu)?
    };
    let mut shape = batch_dims.to_vec();
    shape.push(out_features);
    Ok(ys.reshape(shape)?)
}

/// The operation on the kernels, on `[batch, in_features]`.
struct Linear {
    batch: usize,
    in_features: usize,
    out_features: usize,
    relu: bool,
}

/// Gradients of input, weight and bias; `None` for an argument that no variable leads to.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl Linear {
    fn forward(
        &self,
        xs: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let &Self {
            batch,
            in_features,
            out_features,
            relu,
        } = self;
        let mut ys = vec![0.0; batch * out_features];
        kernel::forward(batch, in_features, out_features, xs, weight, bias, relu, &mut ys)
            .map_err(Error::from)?;
        Ok((CpuStorage::F32(ys), (batch, out_features).into()))
    }

    fn backward(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<Gradients> {
        let masked;
        let dys = if self.relu {
            masked = relu_gradient(ys, dys)?;
            &masked
        } else {
            dys
        };
        let &Self {
            batch,
            in_features,
            out_features,
            ..
        } = self;
        let gradient_of = |tensor: &Tensor, run: &dyn Fn(&mut [f32]) -> Result<(), Error>| {
            if !tensor.track_op() {
                return Ok(None);
            }
            let mut gradient = vec![0.0; tensor.elem_count()];
            run(&mut gradient)?;
            Tensor::from_vec(gradient, tensor.shape(), tensor.device()).map(Some)
        };
        with_elements(OP, [xs, weight, dys], |[x, w, dy]| {
            let dxs = gradient_of(xs, &|dx| {
                Ok(kernel::grad_input(batch, in_features, out_features, dy, w, dx)?)
            })?;
            let dweight = gradient_of(weight, &|dw| {
                Ok(kernel::grad_weight(batch, in_features, out_features, x, dy, dw)?)
            })?;
            let dbias = match bias {
                Some(bias) => gradient_of(bias, &|db| Ok(kernel::grad_bias(batch, out_features, dy, db)?))?,
                None => None,
            };
            Ok((dxs, dweight, dbias))
        })
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(
            elements(OP, xs, xs_layout)?,
            elements(OP, weight, weight_layout)?,
            None,
        )
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (dxs, dweight, _) = self.backward(xs, weight, None, ys, dys)?;
        Ok((dxs, dweight))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let bias = elements(OP, bias, bias_layout)?;
        self.forward(
            elements(OP, xs, xs_layout)?,
            elements(OP, weight, weight_layout)?,
            Some(bias),
        )
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<Gradients> {
        self.backward(xs, weight, Some(bias), ys, dys)
    }
}

/// The same from candle operations, for every device and type; `xs` is `[batch, in_features]`.
fn by_composition(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let mut ys = xs.matmul(&weight.t()?)?;
    if let Some(bias) = bias {
        ys = ys.broadcast_add(bias)?;
    }
    if relu { activation::relu(&ys) } else { Ok(ys) }
}

//! Element-wise activations. Any shape goes in, the same shape comes out.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use d2l_kernels::activation::{self as kernel, Function, Saved};

use super::check::same_kind;
use super::path::{is_half_on_cpu, takes_kernel};
use super::storage::{elements, with_elements};
use crate::{Error, Result};

/// Which activation, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Activation {
    Relu,
    LeakyRelu { negative_slope: f64 },
    Sigmoid,
    Tanh,
    Gelu,
    GeluTanh,
    Silu,
    Elu { alpha: f64 },
    Softplus,
}

/// `max(x, 0)`; NaN stays NaN, the gradient at 0 is 0. (candle's own gives 0 for NaN and the gradient 1 at 0.)
///
/// # Errors
/// `xs` has no floating-point type; so for every function of this module.
pub fn relu(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::Relu, xs)
}

/// `x` where positive, else `negative_slope · x`.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn leaky_relu(xs: &Tensor, negative_slope: f64) -> Result<Tensor> {
    apply(Activation::LeakyRelu { negative_slope }, xs)
}

/// `1 / (1 + exp(−x))`.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn sigmoid(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::Sigmoid, xs)
}

/// The hyperbolic tangent.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn tanh(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::Tanh, xs)
}

/// `x · Φ(x)` with the normal distribution's Φ, by the error function
/// ([Hendrycks and Gimpel 2016](https://arxiv.org/abs/1606.08415)).
///
/// # Errors
/// `xs` has no floating-point type.
pub fn gelu(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::Gelu, xs)
}

/// GELU with Φ approximated by `(1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2`.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn gelu_tanh(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::GeluTanh, xs)
}

/// `x · sigmoid(x)`, also called swish.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn silu(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::Silu, xs)
}

/// `x` where positive, else `alpha · (exp(x) − 1)`.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn elu(xs: &Tensor, alpha: f64) -> Result<Tensor> {
    apply(Activation::Elu { alpha }, xs)
}

/// `ln(1 + exp(x))`.
///
/// # Errors
/// `xs` has no floating-point type.
pub fn softplus(xs: &Tensor) -> Result<Tensor> {
    apply(Activation::Softplus, xs)
}

/// The gradient before a ReLU from its output and the gradient after it, for kernels with a fused ReLU.
pub(crate) fn relu_gradient(ys: &Tensor, dys: &Tensor) -> candle_core::Result<Tensor> {
    gradient("relu", Function::Relu, ys, dys)
}

fn gradient(
    op: &'static str,
    function: Function,
    saved: &Tensor,
    dys: &Tensor,
) -> candle_core::Result<Tensor> {
    let mut dxs = vec![0.0; saved.elem_count()];
    with_elements(op, [saved, dys], |[saved, dys]| {
        Ok(kernel::backward(function, saved, dys, &mut dxs).map_err(Error::from)?)
    })?;
    Tensor::from_vec(dxs, saved.shape(), saved.device())
}

impl Activation {
    fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Elu { .. } => "elu",
            Self::Softplus => "softplus",
        }
    }

    fn function(self) -> Function {
        match self {
            Self::Relu => Function::Relu,
            Self::LeakyRelu { negative_slope } => Function::LeakyRelu {
                negative_slope: negative_slope as f32,
            },
            Self::Sigmoid => Function::Sigmoid,
            Self::Tanh => Function::Tanh,
            Self::Gelu => Function::Gelu,
            Self::GeluTanh => Function::GeluTanh,
            Self::Silu => Function::Silu,
            Self::Elu { alpha } => Function::Elu { alpha: alpha as f32 },
            Self::Softplus => Function::Softplus {
                beta: 1.0,
                threshold: 20.0,
            },
        }
    }
}

fn apply(activation: Activation, xs: &Tensor) -> Result<Tensor> {
    let op = activation.name();
    same_kind(op, &[("xs", xs)])?;
    if is_half_on_cpu(xs) {
        return Ok(apply(activation, &xs.to_dtype(DType::F32)?)?.to_dtype(xs.dtype())?);
    }
    if takes_kernel(op, xs)? {
        Ok(xs.contiguous()?.apply_op1(ByKernel { activation })?)
    } else {
        by_composition(activation, xs)
    }
}

struct ByKernel {
    activation: Activation,
}

impl CustomOp1 for ByKernel {
    fn name(&self) -> &'static str {
        self.activation.name()
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let xs = elements(self.activation.name(), xs, layout)?;
        let mut ys = vec![0.0; xs.len()];
        kernel::forward(self.activation.function(), xs, &mut ys).map_err(Error::from)?;
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(&self, xs: &Tensor, ys: &Tensor, dys: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let function = self.activation.function();
        let saved = match function.saved() {
            Saved::Input => xs,
            Saved::Output => ys,
        };
        gradient(self.activation.name(), function, saved, dys).map(Some)
    }
}

/// The formulas in candle operations. Each is arranged so that neither it nor its gradient overflows.
fn by_composition(activation: Activation, xs: &Tensor) -> Result<Tensor> {
    let zeros = || xs.zeros_like();
    Ok(match activation {
        // By "not above 0" rather than by a maximum, so that NaN stays NaN.
        Activation::Relu => xs.le(&zeros()?)?.where_cond(&zeros()?, xs)?,
        Activation::LeakyRelu { negative_slope } => xs
            .gt(&zeros()?)?
            .where_cond(xs, &xs.affine(negative_slope, 0.0)?)?,
        Activation::Sigmoid => logistic(xs)?,
        Activation::Tanh => xs.tanh()?,
        Activation::Gelu => {
            let twice_phi = (xs.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()? + 1.0)?;
            (xs.affine(0.5, 0.0)? * twice_phi)?
        }
        Activation::GeluTanh => {
            let cubed = (xs.sqr()? * xs)?;
            let inner =
                (xs + cubed.affine(0.044715, 0.0)?)?.affine((2.0 / std::f64::consts::PI).sqrt(), 0.0)?;
            (xs.affine(0.5, 0.0)? * (inner.tanh()? + 1.0)?)?
        }
        Activation::Silu => (xs * logistic(xs)?)?,
        Activation::Elu { alpha } => {
            let is_positive = xs.gt(&zeros()?)?;
            let negative = is_positive.where_cond(&zeros()?, xs)?;
            is_positive.where_cond(xs, &negative.exp()?.affine(alpha, -alpha)?)?
        }
        Activation::Softplus => {
            // max(x, 0) + ln(1 + exp(−|x|)). At 0 the parts have the gradients 1 and −1/2, as |x| has 1 in candle.
            let positive = xs.lt(&zeros()?)?.where_cond(&zeros()?, xs)?;
            (positive + (xs.abs()?.neg()?.exp()? + 1.0)?.log()?)?
        }
    })
}

/// With z = exp(−|x|): 1 / (1 + z) where x ≥ 0, else z / (1 + z).
fn logistic(xs: &Tensor) -> Result<Tensor> {
    let z = xs.abs()?.neg()?.exp()?;
    let numerator = xs.ge(&xs.zeros_like()?)?.where_cond(&z.ones_like()?, &z)?;
    Ok((numerator / (z + 1.0)?)?)
}

//! Element-wise activations and their gradients.
//!
//! Exponentials are polynomials that the compiler vectorises at every level (`activation/vector.rs`). Largest relative
//! errors against `f64`, over all finite f32 whose result is above 1e-36, the same at every level but for the last
//! digit (`errors_over_the_whole_range` measures and bounds them):
//!
//! | function | error |
//! |---|---|
//! | exp (inside the others and softmax) | 8e-8 |
//! | elu | 8e-8 |
//! | sigmoid | 1.3e-7 |
//! | tanh, silu | 1.6e-7 |
//! | softplus | 2.1e-7 |
//! | gelu | 3.6e-6 (at x near −12; from −4 up 1e-6) |
//! | gelu, tanh form | 1e-5 (at x near −9, where y is 1e-36; from −3 up 1e-6) |
//!
//! NaN gives NaN everywhere, and the gradient of a ReLU at NaN passes, as in PyTorch.

pub mod naive;
#[cfg(test)]
mod tests;
pub(crate) mod vector;

use crate::ShapeError;
use crate::arch::Simd;
use crate::par::for_each_chunk_mut;
use crate::pieces::per_level;

/// Elements per piece: 64 KiB of floats, as most functions cost several times their memory traffic.
const PIECE: usize = 1 << 14;

/// Elements that stay in the first-level cache between the copy and the function.
const BLOCK: usize = 1024;

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `max(x, 0)`
    Relu,
    /// `x` above 0, `negative_slope·x` below.
    LeakyRelu {
        /// Usually 0.01.
        negative_slope: f32,
    },
    /// `1/(1 + exp(−x))`
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x·Φ(x)`, with Φ the normal distribution function.
    Gelu,
    /// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, an approximation of [`Function::Gelu`].
    GeluTanh,
    /// `x/(1 + exp(−x))`, also known as swish.
    Silu,
    /// `x` above 0, `alpha·(exp(x) − 1)` below.
    Elu {
        /// Usually 1.
        alpha: f32,
    },
    /// `ln(1 + exp(beta·x))/beta`, but `x` itself where `beta·x` is above `threshold`.
    Softplus {
        /// Usually 1.
        beta: f32,
        /// Usually 20.
        threshold: f32,
    },
}

/// Which of its two tensors a function's gradient is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The function's input x.
    Input,
    /// The function's output y.
    Output,
}

impl Function {
    /// What [`backward`] wants: the output for relu, sigmoid and tanh (the input need not be kept), the input for
    /// the others.
    pub fn saved(self) -> Saved {
        match self {
            Self::Relu | Self::Sigmoid | Self::Tanh => Saved::Output,
            _ => Saved::Input,
        }
    }
}

/// `y = function(x)`.
///
/// # Errors
/// Slices of different lengths.
pub fn forward(function: Function, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    ShapeError::check_len("activation::forward", "y", x.len(), y.len())?;
    for_each_chunk_mut(y, PIECE, |piece, y| {
        let x = &x[piece * PIECE..][..y.len()];
        for (x, y) in x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)) {
            y.copy_from_slice(x);
            apply(function, y);
        }
    });
    Ok(())
}

/// `x = function(x)`.
pub fn forward_in_place(function: Function, x: &mut [f32]) {
    for_each_chunk_mut(x, PIECE, |_, x| apply(function, x));
}

/// `dx = dy·function'(x)`, with `saved` the x or the y of the forward pass, as [`Function::saved`] says.
///
/// # Errors
/// Slices of different lengths.
pub fn backward(function: Function, saved: &[f32], dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "activation::backward";
    ShapeError::check_len(NAME, "saved", dy.len(), saved.len())?;
    ShapeError::check_len(NAME, "dx", dy.len(), dx.len())?;
    for_each_chunk_mut(dx, PIECE, |piece, dx| {
        let range = piece * PIECE..piece * PIECE + dx.len();
        let sources = saved[range.clone()].chunks(BLOCK).zip(dy[range].chunks(BLOCK));
        for (dx, (saved, dy)) in dx.chunks_mut(BLOCK).zip(sources) {
            dx.copy_from_slice(dy);
            chain(function, saved, dx);
        }
    });
    Ok(())
}

/// `gradient = gradient·function'(x)`: [`backward`] with dy and dx in one buffer.
///
/// # Errors
/// Slices of different lengths.
pub fn backward_in_place(function: Function, saved: &[f32], gradient: &mut [f32]) -> Result<(), ShapeError> {
    ShapeError::check_len(
        "activation::backward_in_place",
        "saved",
        gradient.len(),
        saved.len(),
    )?;
    for_each_chunk_mut(gradient, PIECE, |piece, gradient| {
        chain(function, &saved[piece * PIECE..][..gradient.len()], gradient);
    });
    Ok(())
}

#[inline(always)]
fn map(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for value in values {
        *value = f(*value);
    }
}

per_level! {
    fn apply<'a>(function: Function, values: &'a mut [f32]) {
        match function {
            Function::Relu => map(values, |x| if x <= 0.0 { 0.0 } else { x }),
            Function::LeakyRelu { negative_slope } => map(values, |x| if x > 0.0 { x } else { x * negative_slope }),
            Function::Sigmoid => map(values, vector::sigmoid::<S>),
            Function::Tanh => map(values, vector::tanh::<S>),
            Function::Gelu => map(values, |x| x * vector::normal_distribution::<S>(x).0),
            Function::GeluTanh => map(values, |x| x * vector::sigmoid::<S>(2.0 * gelu_tanh_argument::<S>(x).0)),
            Function::Silu => map(values, |x| x * vector::sigmoid::<S>(x)),
            Function::Elu { alpha } => map(values, |x| if x > 0.0 { x } else { alpha * vector::exp_m1::<S>(x) }),
            Function::Softplus { beta, threshold } => {
                map(values, |x| if x * beta > threshold { x } else { vector::softplus::<S>(x * beta) / beta });
            }
        }
    }
}

#[inline(always)]
fn map_chain(saved: &[f32], gradient: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for (gradient, &saved) in gradient.iter_mut().zip(saved) {
        *gradient = f(saved, *gradient);
    }
}

per_level! {
    fn chain<'a>(function: Function, saved: &'a [f32], gradient: &'a mut [f32]) {
        match function {
            Function::Relu => map_chain(saved, gradient, |y, g| if y <= 0.0 { 0.0 } else { g }),
            Function::LeakyRelu { negative_slope } => {
                map_chain(saved, gradient, |x, g| if x > 0.0 { g } else { g * negative_slope });
            }
            Function::Sigmoid => map_chain(saved, gradient, |y, g| g * (1.0 - y) * y),
            Function::Tanh => map_chain(saved, gradient, |y, g| g * S::mul_add(-y, y, 1.0)),
            Function::Gelu => map_chain(saved, gradient, |x, g| {
                let (distribution, density) = vector::normal_distribution::<S>(x);
                g * S::mul_add(x, density, distribution)
            }),
            Function::GeluTanh => map_chain(saved, gradient, |x, g| {
                let (argument, slope) = gelu_tanh_argument::<S>(x);
                let share = vector::sigmoid::<S>(2.0 * argument);
                g * S::mul_add(2.0 * x * slope, share * (1.0 - share), share)
            }),
            Function::Silu => map_chain(saved, gradient, |x, g| {
                let share = vector::sigmoid::<S>(x);
                g * share * S::mul_add(x, 1.0 - share, 1.0)
            }),
            Function::Elu { alpha } => {
                map_chain(saved, gradient, |x, g| if x > 0.0 { g } else { g * alpha * vector::exp::<S>(x) });
            }
            Function::Softplus { beta, threshold } => map_chain(saved, gradient, |x, g| {
                if x * beta > threshold { g } else { g * vector::sigmoid::<S>(x * beta) }
            }),
        }
    }
}

/// `u = √(2/π)·(x + 0.044715·x³)` and its derivative.
#[inline(always)]
fn gelu_tanh_argument<S: Simd>(x: f32) -> (f32, f32) {
    const ROOT: f32 = 0.797_884_6;
    const CUBE: f32 = 0.044_715;
    let square = x * x;
    (
        ROOT * x * S::mul_add(CUBE, square, 1.0),
        ROOT * S::mul_add(3.0 * CUBE, square, 1.0),
    )
}

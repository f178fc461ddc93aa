//! The activations as defined, in `f64`, with the platform's mathematical library: for tests and as the baseline of
//! benchmarks.

use super::Function;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `function(x)`.
pub fn forward(function: Function, x: f64) -> f64 {
    match function {
        Function::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        Function::LeakyRelu { negative_slope } => {
            if x > 0.0 {
                x
            } else {
                x * f64::from(negative_slope)
            }
        }
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => x.tanh(),
        Function::Gelu => x * 0.5 * erfc(-x * FRAC_1_SQRT_2),
        Function::GeluTanh => x * sigmoid(2.0 * (2.0 / PI).sqrt() * (x + 0.044715 * x * x * x)),
        Function::Silu => x * sigmoid(x),
        Function::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Function::Softplus { beta, threshold } => {
            let scaled = x * f64::from(beta);
            if scaled > f64::from(threshold) {
                x
            } else {
                (scaled.max(0.0) + (-scaled.abs()).exp().ln_1p()) / f64::from(beta)
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The complementary error function: its series near 0, its continued fraction elsewhere; relative error 1e-13.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        // erf x = 2/√π · e^(−x²) · Σ 2ⁿ·x^(2n + 1)/(1·3·5···(2n + 1))
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum;
    }
    // erfc x = e^(−x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …))))
    let fraction = (1..200)
        .rev()
        .fold(x, |fraction, n| x + f64::from(n) / 2.0 / fraction);
    (-x * x).exp() / PI.sqrt() / fraction
}

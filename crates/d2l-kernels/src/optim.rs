//! In-place optimiser updates with PyTorch's formulas.
//!
//! One function per optimiser updates one parameter and its state buffers, all flat slices of the same length. The
//! caller owns the buffers (zeros before the first step, unless said otherwise) and the step count, so they can go
//! into a checkpoint. Hyper-parameters are `f64`, as in PyTorch; what depends on the step alone is computed in
//! `f64`, what touches an element in `f32`.
//!
//! `step` counts from 1: the number of the update being made.

pub mod naive;
mod options;
#[cfg(test)]
mod tests;

pub use options::{AdadeltaOptions, AdagradOptions, AdamOptions, RmsPropOptions, SgdOptions};

use crate::pieces::{ELEMENTS, for_each_chunks_mut, per_level};
use crate::{ShapeError, par::for_each_chunk_mut};

/// The buffers of one Adam step.
#[derive(Debug)]
pub struct AdamState<'a> {
    /// Mean gradient.
    pub mean: &'a mut [f32],
    /// Mean squared gradient.
    pub mean_square: &'a mut [f32],
    /// Largest mean squared gradient so far: present for AMSGrad, which divides by it.
    pub max_mean_square: Option<&'a mut [f32]>,
}

/// The buffers of one RMSprop step.
#[derive(Debug)]
pub struct RmsPropState<'a> {
    /// Mean squared gradient.
    pub mean_square: &'a mut [f32],
    /// Mean gradient, for the centred form only.
    pub mean: Option<&'a mut [f32]>,
    /// Needed where momentum is not 0.
    pub momentum: Option<&'a mut [f32]>,
}

/// The lengths of a state buffer and its parameter agree; an absent buffer passes if it is not `needed`.
fn check_state(
    operation: &'static str,
    name: &str,
    len: usize,
    state: Option<&mut [f32]>,
    needed: bool,
) -> Result<(), ShapeError> {
    match state {
        Some(state) => ShapeError::check_len(operation, name, len, state.len()),
        None if needed => Err(ShapeError::new(operation, format!("a {name} buffer"), "none")),
        None => Ok(()),
    }
}

fn check_step(operation: &'static str, step: u64) -> Result<(), ShapeError> {
    if step > 0 {
        Ok(())
    } else {
        Err(ShapeError::new(operation, "a step that counts from 1", "step 0"))
    }
}

/// ```text
/// g = gradient + weight_decay·p
/// b = g in step 1, momentum·b + (1 − dampening)·g later        (momentum ≠ 0)
/// g = g + momentum·b if nesterov, else b                       (momentum ≠ 0)
/// p = p − learning_rate·g
/// ```
///
/// # Errors
/// Lengths that differ, no momentum buffer where momentum is not 0, step 0.
pub fn sgd(
    options: &SgdOptions,
    step: u64,
    parameters: &mut [f32],
    gradient: &[f32],
    momentum: Option<&mut [f32]>,
) -> Result<(), ShapeError> {
    const NAME: &str = "optim::sgd";
    let len = parameters.len();
    ShapeError::check_len(NAME, "gradient", len, gradient.len())?;
    check_step(NAME, step)?;
    let mut momentum = momentum;
    check_state(
        NAME,
        "momentum",
        len,
        momentum.as_deref_mut(),
        options.momentum != 0.0,
    )?;
    let buffer = momentum.filter(|_| options.momentum != 0.0).unwrap_or_default();
    let scalars = SgdScalars {
        learning_rate: options.learning_rate as f32,
        momentum: options.momentum as f32,
        fresh: if step == 1 {
            1.0
        } else {
            (1.0 - options.dampening) as f32
        },
        weight_decay: options.weight_decay as f32,
        nesterov: options.nesterov,
        first: step == 1,
    };
    for_each_chunks_mut([parameters, buffer], ELEMENTS, |start, [parameters, buffer]| {
        let gradient = &gradient[start..start + parameters.len()];
        if buffer.is_empty() {
            sgd_plain(scalars, parameters, gradient);
        } else {
            sgd_momentum(scalars, parameters, gradient, buffer);
        }
    });
    Ok(())
}

#[derive(Clone, Copy)]
struct SgdScalars {
    learning_rate: f32,
    momentum: f32,
    fresh: f32,
    weight_decay: f32,
    nesterov: bool,
    first: bool,
}

per_level! {
    fn sgd_plain<'a>(scalars: SgdScalars, parameters: &'a mut [f32], gradient: &'a [f32]) {
        for (p, &g) in parameters.iter_mut().zip(gradient) {
            let g = S::mul_add(scalars.weight_decay, *p, g);
            *p = S::mul_add(-scalars.learning_rate, g, *p);
        }
    }
}

per_level! {
    fn sgd_momentum<'a>(
        scalars: SgdScalars, parameters: &'a mut [f32], gradient: &'a [f32], buffer: &'a mut [f32]
    ) {
        // What an uninitialised buffer held must not matter in step 1, be it NaN.
        if scalars.first {
            buffer.fill(0.0);
        }
        for ((p, &g), b) in parameters.iter_mut().zip(gradient).zip(buffer) {
            let g = S::mul_add(scalars.weight_decay, *p, g);
            *b = S::mul_add(scalars.momentum, *b, scalars.fresh * g);
            let g = if scalars.nesterov { S::mul_add(scalars.momentum, *b, g) } else { *b };
            *p = S::mul_add(-scalars.learning_rate, g, *p);
        }
    }
}

/// ```text
/// p = p·(1 − learning_rate·weight_decay)         AdamW        g = gradient + weight_decay·p         Adam
/// m = m + (1 − beta1)·(g − m)                    v = beta2·v + (1 − beta2)·g²
/// w = v, or max(w, v) for AMSGrad
/// p = p − learning_rate/(1 − beta1^step) · m / (√w/√(1 − beta2^step) + eps)
/// ```
///
/// # Errors
/// Lengths that differ, step 0.
pub fn adam(
    options: &AdamOptions,
    step: u64,
    parameters: &mut [f32],
    gradient: &[f32],
    state: AdamState<'_>,
) -> Result<(), ShapeError> {
    const NAME: &str = "optim::adam";
    let len = parameters.len();
    ShapeError::check_len(NAME, "gradient", len, gradient.len())?;
    check_step(NAME, step)?;
    let AdamState {
        mean,
        mean_square,
        mut max_mean_square,
    } = state;
    ShapeError::check_len(NAME, "mean", len, mean.len())?;
    ShapeError::check_len(NAME, "mean_square", len, mean_square.len())?;
    check_state(
        NAME,
        "max_mean_square",
        len,
        max_mean_square.as_deref_mut(),
        false,
    )?;
    let (decoupled, l2) = match options.decoupled_weight_decay {
        true => (options.learning_rate * options.weight_decay, 0.0),
        false => (0.0, options.weight_decay),
    };
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let scalars = AdamScalars {
        keep: (1.0 - decoupled) as f32,
        weight_decay: l2 as f32,
        fresh1: (1.0 - options.beta1) as f32,
        beta2: options.beta2 as f32,
        fresh2: (1.0 - options.beta2) as f32,
        step_size: (options.learning_rate / correction(options.beta1)) as f32,
        root_correction: correction(options.beta2).sqrt() as f32,
        eps: options.eps as f32,
    };
    let slices = [parameters, mean, mean_square, max_mean_square.unwrap_or_default()];
    for_each_chunks_mut(
        slices,
        ELEMENTS,
        |start, [parameters, mean, mean_square, max_mean_square]| {
            let gradient = &gradient[start..start + parameters.len()];
            if max_mean_square.is_empty() {
                adam_plain(scalars, parameters, gradient, mean, mean_square);
            } else {
                adam_amsgrad(scalars, parameters, gradient, mean, mean_square, max_mean_square);
            }
        },
    );
    Ok(())
}

#[derive(Clone, Copy)]
struct AdamScalars {
    keep: f32,
    weight_decay: f32,
    fresh1: f32,
    beta2: f32,
    fresh2: f32,
    step_size: f32,
    root_correction: f32,
    eps: f32,
}

/// One element; `divisor` turns the mean square into the one to divide by.
#[inline(always)]
fn adam_element<S: crate::arch::Simd>(
    c: AdamScalars,
    p: &mut f32,
    g: f32,
    m: &mut f32,
    v: &mut f32,
    divisor: impl FnOnce(f32) -> f32,
) {
    let decayed = *p * c.keep;
    let g = S::mul_add(c.weight_decay, decayed, g);
    *m = S::mul_add(c.fresh1, g - *m, *m);
    *v = S::mul_add(c.fresh2 * g, g, c.beta2 * *v);
    let denominator = divisor(*v).sqrt() / c.root_correction + c.eps;
    *p = S::mul_add(-c.step_size, *m / denominator, decayed);
}

per_level! {
    fn adam_plain<'a>(
        scalars: AdamScalars, parameters: &'a mut [f32], gradient: &'a [f32], mean: &'a mut [f32],
        mean_square: &'a mut [f32],
    ) {
        for (((p, &g), m), v) in parameters.iter_mut().zip(gradient).zip(mean).zip(mean_square) {
            adam_element::<S>(scalars, p, g, m, v, |v| v);
        }
    }
}

per_level! {
    fn adam_amsgrad<'a>(
        scalars: AdamScalars, parameters: &'a mut [f32], gradient: &'a [f32], mean: &'a mut [f32],
        mean_square: &'a mut [f32], max_mean_square: &'a mut [f32],
    ) {
        let state = mean.iter_mut().zip(mean_square).zip(max_mean_square);
        for ((p, &g), ((m, v), w)) in parameters.iter_mut().zip(gradient).zip(state) {
            adam_element::<S>(scalars, p, g, m, v, |v| {
                // NaN wins, as in torch.maximum.
                *w = if (*w >= v) | w.is_nan() { *w } else { v };
                *w
            });
        }
    }
}

/// ```text
/// g = gradient + weight_decay·p                 s = alpha·s + (1 − alpha)·g²
/// centred: a = a + (1 − alpha)·(g − a), d = √(s − a²) + eps;  else d = √s + eps
/// b = momentum·b + g/d, p = p − learning_rate·b               (momentum ≠ 0)
/// p = p − learning_rate·g/d                                   (else)
/// ```
///
/// # Errors
/// Lengths that differ, a missing buffer.
pub fn rms_prop(
    options: &RmsPropOptions,
    parameters: &mut [f32],
    gradient: &[f32],
    state: RmsPropState<'_>,
) -> Result<(), ShapeError> {
    const NAME: &str = "optim::rms_prop";
    let len = parameters.len();
    ShapeError::check_len(NAME, "gradient", len, gradient.len())?;
    let RmsPropState {
        mean_square,
        mut mean,
        mut momentum,
    } = state;
    ShapeError::check_len(NAME, "mean_square", len, mean_square.len())?;
    check_state(NAME, "mean", len, mean.as_deref_mut(), options.centered)?;
    check_state(
        NAME,
        "momentum",
        len,
        momentum.as_deref_mut(),
        options.momentum != 0.0,
    )?;
    let mean = mean.filter(|_| options.centered).unwrap_or_default();
    let momentum = momentum.filter(|_| options.momentum != 0.0).unwrap_or_default();
    let options = *options;
    for_each_chunks_mut(
        [parameters, mean_square, mean, momentum],
        ELEMENTS,
        |start, [p, s, mean, momentum]| {
            let gradient = &gradient[start..start + p.len()];
            rms_prop_piece(options, p, gradient, s, mean, momentum);
        },
    );
    Ok(())
}

per_level! {
    fn rms_prop_piece<'a>(
        options: RmsPropOptions, parameters: &'a mut [f32], gradient: &'a [f32], mean_square: &'a mut [f32],
        mean: &'a mut [f32], momentum: &'a mut [f32],
    ) {
        let (alpha, fresh) = (options.alpha as f32, (1.0 - options.alpha) as f32);
        let (learning_rate, eps) = (options.learning_rate as f32, options.eps as f32);
        let (weight_decay, factor) = (options.weight_decay as f32, options.momentum as f32);
        // A block's updates sit in the first-level cache between the three loops.
        const BLOCK: usize = 256;
        let mut updates = [0.0; BLOCK];
        for start in (0..parameters.len()).step_by(BLOCK) {
            let block = start..(start + BLOCK).min(parameters.len());
            let updates = &mut updates[..block.len()];
            let parameters = &mut parameters[block.clone()];
            let gradient = &gradient[block.clone()];
            let mean_square = &mut mean_square[block.clone()];
            if mean.is_empty() {
                for (((u, &p), &g), s) in updates.iter_mut().zip(&*parameters).zip(gradient).zip(mean_square) {
                    let g = S::mul_add(weight_decay, p, g);
                    *s = S::mul_add(fresh * g, g, alpha * *s);
                    *u = g / (s.sqrt() + eps);
                }
            } else {
                let state = mean_square.iter_mut().zip(&mut mean[block.clone()]);
                for (((u, &p), &g), (s, a)) in updates.iter_mut().zip(&*parameters).zip(gradient).zip(state) {
                    let g = S::mul_add(weight_decay, p, g);
                    *s = S::mul_add(fresh * g, g, alpha * *s);
                    *a = S::mul_add(fresh, g - *a, *a);
                    *u = g / (S::mul_add(-*a, *a, *s).sqrt() + eps);
                }
            }
            if !momentum.is_empty() {
                for (u, b) in updates.iter_mut().zip(&mut momentum[block]) {
                    *b = S::mul_add(factor, *b, *u);
                    *u = *b;
                }
            }
            for (p, &u) in parameters.iter_mut().zip(&*updates) {
                *p = S::mul_add(-learning_rate, u, *p);
            }
        }
    }
}

/// ```text
/// g = gradient + weight_decay·p                 s = s + g²
/// p = p − learning_rate/(1 + (step − 1)·learning_rate_decay) · g/(√s + eps)
/// ```
///
/// # Errors
/// Lengths that differ, step 0.
pub fn adagrad(
    options: &AdagradOptions,
    step: u64,
    parameters: &mut [f32],
    gradient: &[f32],
    sum_of_squares: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "optim::adagrad";
    let len = parameters.len();
    ShapeError::check_len(NAME, "gradient", len, gradient.len())?;
    ShapeError::check_len(NAME, "sum_of_squares", len, sum_of_squares.len())?;
    check_step(NAME, step)?;
    let rate = options.learning_rate / (1.0 + (step - 1) as f64 * options.learning_rate_decay);
    let (rate, weight_decay, eps) = (rate as f32, options.weight_decay as f32, options.eps as f32);
    for_each_chunks_mut([parameters, sum_of_squares], ELEMENTS, |start, [p, s]| {
        let gradient = &gradient[start..start + p.len()];
        adagrad_piece(rate, weight_decay, eps, p, gradient, s);
    });
    Ok(())
}

per_level! {
    fn adagrad_piece<'a>(
        rate: f32, weight_decay: f32, eps: f32, parameters: &'a mut [f32], gradient: &'a [f32], sums: &'a mut [f32]
    ) {
        for ((p, &g), s) in parameters.iter_mut().zip(gradient).zip(sums) {
            let g = S::mul_add(weight_decay, *p, g);
            *s = S::mul_add(g, g, *s);
            *p = S::mul_add(-rate, g / (s.sqrt() + eps), *p);
        }
    }
}

/// ```text
/// g = gradient + weight_decay·p                 s = rho·s + (1 − rho)·g²
/// d = √(u + eps)/√(s + eps)·g                   u = rho·u + (1 − rho)·d²
/// p = p − learning_rate·d
/// ```
/// with s = `mean_square` and u = `mean_square_update`.
///
/// # Errors
/// Lengths that differ.
pub fn adadelta(
    options: &AdadeltaOptions,
    parameters: &mut [f32],
    gradient: &[f32],
    mean_square: &mut [f32],
    mean_square_update: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "optim::adadelta";
    let len = parameters.len();
    ShapeError::check_len(NAME, "gradient", len, gradient.len())?;
    ShapeError::check_len(NAME, "mean_square", len, mean_square.len())?;
    ShapeError::check_len(NAME, "mean_square_update", len, mean_square_update.len())?;
    let options = *options;
    for_each_chunks_mut(
        [parameters, mean_square, mean_square_update],
        ELEMENTS,
        |start, [p, s, u]| {
            let gradient = &gradient[start..start + p.len()];
            adadelta_piece(options, p, gradient, s, u);
        },
    );
    Ok(())
}

per_level! {
    fn adadelta_piece<'a>(
        options: AdadeltaOptions, parameters: &'a mut [f32], gradient: &'a [f32], squares: &'a mut [f32],
        updates: &'a mut [f32],
    ) {
        let (learning_rate, weight_decay) = (options.learning_rate as f32, options.weight_decay as f32);
        let (rho, fresh, eps) = (options.rho as f32, (1.0 - options.rho) as f32, options.eps as f32);
        for (((p, &g), s), u) in parameters.iter_mut().zip(gradient).zip(squares).zip(updates) {
            let g = S::mul_add(weight_decay, *p, g);
            *s = S::mul_add(fresh * g, g, rho * *s);
            let delta = (*u + eps).sqrt() / (*s + eps).sqrt() * g;
            *u = S::mul_add(fresh * delta, delta, rho * *u);
            *p = S::mul_add(-learning_rate, delta, *p);
        }
    }
}

/// `Σ gradient²` in `f64`, in fixed pieces: what clipping by the global norm needs.
pub fn sum_of_squares(gradient: &[f32]) -> f64 {
    let mut pieces = vec![0f64; gradient.len().div_ceil(ELEMENTS)];
    for_each_chunk_mut(&mut pieces, 1, |piece, sum| {
        let start = piece * ELEMENTS;
        sum.fill(sum_of_squares_piece(
            &gradient[start..(start + ELEMENTS).min(gradient.len())],
        ));
    });
    pieces.iter().sum()
}

per_level! {
    fn sum_of_squares_piece<'a>(gradient: &'a [f32]) -> f64 {
        const LANES: usize = 32;
        let mut sums = [0f64; LANES];
        let blocks = gradient.chunks_exact(LANES);
        let rest: f64 = blocks.remainder().iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        for block in blocks {
            for (sum, &g) in sums.iter_mut().zip(block) {
                *sum += f64::from(g) * f64::from(g);
            }
        }
        rest + sums.iter().sum::<f64>()
    }
}

/// Multiplies every element by `factor`: the second half of clipping.
pub fn scale(factor: f32, gradient: &mut [f32]) {
    for_each_chunk_mut(gradient, ELEMENTS, |_, gradient| scale_piece(factor, gradient));
}

per_level! {
    fn scale_piece<'a>(factor: f32, gradient: &'a mut [f32]) {
        for g in gradient {
            *g *= factor;
        }
    }
}

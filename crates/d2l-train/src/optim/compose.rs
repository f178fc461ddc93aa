//! The same updates as candle operations, for every device and data type.

use super::Method;
use candle_core::{Result, Tensor};

/// The parameter after the update; the state, in the order of [`Method::slots`], is replaced by what follows it.
pub(super) fn update(
    method: &Method,
    step: u64,
    p: &Tensor,
    gradient: &Tensor,
    slots: &mut [Tensor],
) -> Result<Tensor> {
    let g = gradient.detach();
    let decayed = |weight_decay: f64| {
        if weight_decay == 0.0 {
            Ok(g.clone())
        } else {
            &g + (p * weight_decay)?
        }
    };
    // decay·old + (1 − decay)·new
    let mix = |old: &Tensor, new: &Tensor, decay: f64| (old * decay)? + (new * (1.0 - decay))?;
    match (method, slots) {
        (Method::Sgd(o), slots) => {
            let g = decayed(o.weight_decay)?;
            let g = match slots {
                [momentum] => {
                    if step == 1 {
                        *momentum = g.clone();
                    } else {
                        *momentum = ((&*momentum * o.momentum)? + (&g * (1.0 - o.dampening))?)?;
                    }
                    if o.nesterov {
                        (g + (&*momentum * o.momentum)?)?
                    } else {
                        momentum.clone()
                    }
                }
                _ => g,
            };
            p - (g * o.learning_rate)?
        }
        (Method::Adam { options: o, .. }, [mean, mean_square, largest @ ..]) => {
            let decoupled = o.decoupled_weight_decay;
            let g = decayed(if decoupled { 0.0 } else { o.weight_decay })?;
            let p = if decoupled {
                (p * (1.0 - o.learning_rate * o.weight_decay))?
            } else {
                p.clone()
            };
            *mean = mix(mean, &g, o.beta1)?;
            *mean_square = mix(mean_square, &g.sqr()?, o.beta2)?;
            let square = match largest {
                [largest] => {
                    *largest = largest.maximum(&*mean_square)?;
                    largest
                }
                _ => mean_square,
            };
            let correction = |beta: f64| 1.0 - beta.powf(step as f64);
            let root = ((square.sqrt()? / correction(o.beta2).sqrt())? + o.eps)?;
            p - ((&*mean / root)? * (o.learning_rate / correction(o.beta1)))?
        }
        (Method::RmsProp(o), [mean_square, rest @ ..]) => {
            let g = decayed(o.weight_decay)?;
            *mean_square = mix(mean_square, &g.sqr()?, o.alpha)?;
            let mut rest = rest.iter_mut();
            let square = match if o.centered { rest.next() } else { None } {
                Some(mean) => {
                    *mean = mix(mean, &g, o.alpha)?;
                    (&*mean_square - mean.sqr()?)?
                }
                None => mean_square.clone(),
            };
            let g = (g / (square.sqrt()? + o.eps)?)?;
            let g = match rest.next() {
                Some(momentum) => {
                    *momentum = ((&*momentum * o.momentum)? + g)?;
                    momentum.clone()
                }
                None => g,
            };
            p - (g * o.learning_rate)?
        }
        (Method::Adagrad { options: o, .. }, [sum]) => {
            let g = decayed(o.weight_decay)?;
            *sum = (&*sum + g.sqr()?)?;
            let learning_rate = o.learning_rate / (1.0 + (step as f64 - 1.0) * o.learning_rate_decay);
            p - ((g / (sum.sqrt()? + o.eps)?)? * learning_rate)?
        }
        (Method::Adadelta(o), [mean_square, mean_square_update]) => {
            let g = decayed(o.weight_decay)?;
            *mean_square = mix(mean_square, &g.sqr()?, o.rho)?;
            let root = |t: &Tensor| (t + o.eps)?.sqrt();
            let change = ((root(mean_square_update)? / root(mean_square)?)? * g)?;
            *mean_square_update = mix(mean_square_update, &change.sqr()?, o.rho)?;
            p - (change * o.learning_rate)?
        }
        (method, slots) => candle_core::bail!("{}: {} state buffers do not fit", method.name(), slots.len()),
    }
}

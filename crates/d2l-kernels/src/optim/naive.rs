//! The updates as PyTorch's documentation writes them, one element at a time in `f64`: for tests and as the baseline
//! of benchmarks.

use super::{AdadeltaOptions, AdagradOptions, AdamOptions, RmsPropOptions, SgdOptions};

/// One parameter: its value, and up to three numbers of state that start at 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Element {
    /// The parameter.
    pub parameter: f64,
    /// In the order in which the update's documentation names them.
    pub state: [f64; 3],
}

/// [`super::sgd`]; state: momentum.
pub fn sgd(options: &SgdOptions, step: u64, element: &mut Element, gradient: f64) {
    let mut g = gradient + options.weight_decay * element.parameter;
    if options.momentum != 0.0 {
        let buffer = &mut element.state[0];
        *buffer = if step == 1 {
            g
        } else {
            options.momentum * *buffer + (1.0 - options.dampening) * g
        };
        g = if options.nesterov {
            g + options.momentum * *buffer
        } else {
            *buffer
        };
    }
    element.parameter -= options.learning_rate * g;
}

/// [`super::adam`]; state: mean, mean square, largest mean square.
pub fn adam(options: &AdamOptions, amsgrad: bool, step: u64, element: &mut Element, gradient: f64) {
    let AdamOptions {
        learning_rate,
        beta1,
        beta2,
        eps,
        weight_decay,
        decoupled_weight_decay,
    } = *options;
    let mut g = gradient;
    if decoupled_weight_decay {
        element.parameter -= learning_rate * weight_decay * element.parameter;
    } else {
        g += weight_decay * element.parameter;
    }
    let [mean, mean_square, largest] = &mut element.state;
    *mean = beta1 * *mean + (1.0 - beta1) * g;
    *mean_square = beta2 * *mean_square + (1.0 - beta2) * g * g;
    *largest = largest.max(*mean_square);
    let mean = *mean / (1.0 - beta1.powf(step as f64));
    let square = if amsgrad { *largest } else { *mean_square } / (1.0 - beta2.powf(step as f64));
    element.parameter -= learning_rate * mean / (square.sqrt() + eps);
}

/// [`super::rms_prop`]; state: mean square, mean, momentum.
pub fn rms_prop(options: &RmsPropOptions, element: &mut Element, gradient: f64) {
    let g = gradient + options.weight_decay * element.parameter;
    let [mean_square, mean, momentum] = &mut element.state;
    *mean_square = options.alpha * *mean_square + (1.0 - options.alpha) * g * g;
    *mean = options.alpha * *mean + (1.0 - options.alpha) * g;
    let centre = if options.centered { *mean * *mean } else { 0.0 };
    *momentum = options.momentum * *momentum + g / ((*mean_square - centre).sqrt() + options.eps);
    element.parameter -= options.learning_rate * *momentum;
}

/// [`super::adagrad`]; state: sum of squares.
pub fn adagrad(options: &AdagradOptions, step: u64, element: &mut Element, gradient: f64) {
    let g = gradient + options.weight_decay * element.parameter;
    element.state[0] += g * g;
    let rate = options.learning_rate / (1.0 + (step - 1) as f64 * options.learning_rate_decay);
    element.parameter -= rate * g / (element.state[0].sqrt() + options.eps);
}

/// [`super::adadelta`]; state: mean square, mean squared update.
pub fn adadelta(options: &AdadeltaOptions, element: &mut Element, gradient: f64) {
    let g = gradient + options.weight_decay * element.parameter;
    let [square, update, _] = &mut element.state;
    *square = options.rho * *square + (1.0 - options.rho) * g * g;
    let delta = (*update + options.eps).sqrt() / (*square + options.eps).sqrt() * g;
    *update = options.rho * *update + (1.0 - options.rho) * delta * delta;
    element.parameter -= options.learning_rate * delta;
}

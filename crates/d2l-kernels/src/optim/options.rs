//! Hyper-parameters, named and with defaults as in PyTorch.

/// Stochastic gradient descent, `torch.optim.SGD`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    /// Step size.
    pub learning_rate: f64,
    /// Factor of the momentum buffer; 0 needs no buffer.
    pub momentum: f64,
    /// The gradient enters the momentum buffer times 1 − `dampening`, except in the first step.
    pub dampening: f64,
    /// L2 penalty: `weight_decay`·parameter is added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
        }
    }
}

/// Adam and AdamW, `torch.optim.Adam` and `torch.optim.AdamW`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Strength of the decay; what it does is up to `decoupled_weight_decay`.
    pub weight_decay: f64,
    /// `true`: AdamW, parameters shrink by 1 − `learning_rate`·`weight_decay`. `false`: Adam, an L2 penalty that
    /// is added to the gradient.
    pub decoupled_weight_decay: bool,
}

impl AdamOptions {
    /// `torch.optim.Adam`'s defaults.
    pub const ADAM: Self = Self {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        decoupled_weight_decay: false,
    };

    /// `torch.optim.AdamW`'s defaults.
    pub const ADAMW: Self = Self {
        weight_decay: 1e-2,
        decoupled_weight_decay: true,
        ..Self::ADAM
    };
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self::ADAM
    }
}

/// RMSprop, `torch.optim.RMSprop`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropOptions {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the mean squared gradient.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Factor of the momentum buffer; 0 needs no buffer.
    pub momentum: f64,
    /// Divide by the estimated standard deviation of the gradient instead of its root mean square; needs a buffer
    /// for the mean gradient.
    pub centered: bool,
}

impl Default for RmsPropOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

/// Adagrad, `torch.optim.Adagrad`. Its `initial_accumulator_value` is what the caller fills the buffer with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdagradOptions {
    /// Step size.
    pub learning_rate: f64,
    /// The step size is divided by 1 + (step − 1)·`learning_rate_decay`.
    pub learning_rate_decay: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Added to the denominator.
    pub eps: f64,
}

impl Default for AdagradOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            learning_rate_decay: 0.0,
            weight_decay: 0.0,
            eps: 1e-10,
        }
    }
}

/// Adadelta, `torch.optim.Adadelta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdadeltaOptions {
    /// Factor of the update.
    pub learning_rate: f64,
    /// Decay of both means.
    pub rho: f64,
    /// Added under both roots.
    pub eps: f64,
    /// L2 penalty.
    pub weight_decay: f64,
}

impl Default for AdadeltaOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1.0,
            rho: 0.9,
            eps: 1e-6,
            weight_decay: 0.0,
        }
    }
}

//! The methods, with PyTorch's names and defaults.

use crate::{Error, Result};
pub use d2l_kernels::optim::{AdadeltaOptions, AdagradOptions, AdamOptions, RmsPropOptions, SgdOptions};
use std::str::FromStr;

/// How parameters are updated from their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Stochastic gradient descent: momentum, dampening, Nesterov.
    Sgd(SgdOptions),
    /// Adam (`weight_decay` is an L2 penalty), or AdamW (`decoupled_weight_decay`).
    Adam {
        /// Its values.
        options: AdamOptions,
        /// Divide by the largest mean squared gradient so far.
        amsgrad: bool,
    },
    /// RMSprop.
    RmsProp(RmsPropOptions),
    /// Adagrad.
    Adagrad {
        /// Its values.
        options: AdagradOptions,
        /// What the sums of squares start from.
        initial_accumulator: f64,
    },
    /// Adadelta.
    Adadelta(AdadeltaOptions),
}

impl Method {
    /// The names that [`str::parse`] takes.
    pub const NAMES: &'static [&'static str] = &["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"];

    /// Plain SGD.
    pub fn sgd(learning_rate: f64) -> Self {
        Self::Sgd(SgdOptions {
            learning_rate,
            ..SgdOptions::default()
        })
    }

    /// Adam with PyTorch's defaults.
    pub fn adam(learning_rate: f64) -> Self {
        Self::Adam {
            options: AdamOptions {
                learning_rate,
                ..AdamOptions::ADAM
            },
            amsgrad: false,
        }
    }

    /// AdamW with PyTorch's defaults (weight decay 0.01).
    pub fn adamw(learning_rate: f64) -> Self {
        Self::Adam {
            options: AdamOptions {
                learning_rate,
                ..AdamOptions::ADAMW
            },
            amsgrad: false,
        }
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam { options, .. } if options.decoupled_weight_decay => "adamw",
            Self::Adam { .. } => "adam",
            Self::RmsProp(_) => "rmsprop",
            Self::Adagrad { .. } => "adagrad",
            Self::Adadelta(_) => "adadelta",
        }
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f64 {
        *{ *self }.common().0
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> f64 {
        *{ *self }.common().1
    }

    /// The same method with another learning rate.
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Self {
        *self.common().0 = learning_rate;
        self
    }

    /// The same method with another weight decay.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        *self.common().1 = weight_decay;
        self
    }

    /// The same method with momentum.
    ///
    /// # Errors
    /// When the method has none (only SGD and RMSprop do), or `nesterov` is asked of another than SGD.
    pub fn with_momentum(mut self, momentum: f64, nesterov: bool) -> Result<Self> {
        match &mut self {
            Self::Sgd(options) => (options.momentum, options.nesterov) = (momentum, nesterov),
            Self::RmsProp(options) if !nesterov => options.momentum = momentum,
            other => {
                let what = if nesterov { "Nesterov momentum" } else { "momentum" };
                return Err(Error::Invalid(format!(
                    "the optimiser {} has no {what}",
                    other.name()
                )));
            }
        }
        Ok(self)
    }

    /// Learning rate and weight decay, which all methods have.
    fn common(&mut self) -> (&mut f64, &mut f64) {
        match self {
            Self::Sgd(o) => (&mut o.learning_rate, &mut o.weight_decay),
            Self::Adam { options: o, .. } => (&mut o.learning_rate, &mut o.weight_decay),
            Self::RmsProp(o) => (&mut o.learning_rate, &mut o.weight_decay),
            Self::Adagrad { options: o, .. } => (&mut o.learning_rate, &mut o.weight_decay),
            Self::Adadelta(o) => (&mut o.learning_rate, &mut o.weight_decay),
        }
    }

    /// The state buffers of a parameter: PyTorch's name, and what they start from.
    pub(super) fn slots(&self) -> Vec<(&'static str, f64)> {
        let zero = |names: &[(&'static str, bool)]| {
            names
                .iter()
                .filter(|(_, used)| *used)
                .map(|&(name, _)| (name, 0.0))
                .collect()
        };
        match *self {
            Self::Sgd(o) => zero(&[("momentum_buffer", o.momentum != 0.0)]),
            Self::Adam { amsgrad, .. } => zero(&[
                ("exp_avg", true),
                ("exp_avg_sq", true),
                ("max_exp_avg_sq", amsgrad),
            ]),
            Self::RmsProp(o) => zero(&[
                ("square_avg", true),
                ("grad_avg", o.centered),
                ("momentum_buffer", o.momentum != 0.0),
            ]),
            Self::Adagrad {
                initial_accumulator, ..
            } => vec![("sum", initial_accumulator)],
            Self::Adadelta(_) => zero(&[("square_avg", true), ("acc_delta", true)]),
        }
    }

    /// Refuses values that no training can work with; the rules are PyTorch's.
    pub(super) fn check(&self) -> Result<()> {
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let share = |value: f64| (0.0..1.0).contains(&value);
        let mut rules = vec![
            (
                "learning rate",
                self.learning_rate(),
                not_negative(self.learning_rate()),
            ),
            {
                let decay = self.weight_decay();
                ("weight decay", decay, not_negative(decay))
            },
        ];
        match *self {
            Self::Sgd(o) => {
                let fits = !o.nesterov || (o.momentum > 0.0 && o.dampening == 0.0);
                rules.push(("momentum", o.momentum, not_negative(o.momentum)));
                rules.push((
                    "momentum (Nesterov needs one, and no dampening)",
                    o.momentum,
                    fits,
                ));
                rules.push(("dampening", o.dampening, o.dampening.is_finite()));
            }
            Self::Adam { options: o, .. } => {
                rules.extend([
                    ("beta1", o.beta1, share(o.beta1)),
                    ("beta2", o.beta2, share(o.beta2)),
                ]);
                rules.push(("epsilon", o.eps, not_negative(o.eps)));
            }
            Self::RmsProp(o) => {
                rules.extend([
                    ("alpha", o.alpha, not_negative(o.alpha)),
                    ("epsilon", o.eps, not_negative(o.eps)),
                ]);
                rules.push(("momentum", o.momentum, not_negative(o.momentum)));
            }
            Self::Adagrad {
                options: o,
                initial_accumulator,
            } => {
                rules.push((
                    "learning rate decay",
                    o.learning_rate_decay,
                    not_negative(o.learning_rate_decay),
                ));
                rules.push((
                    "initial accumulator",
                    initial_accumulator,
                    not_negative(initial_accumulator),
                ));
                rules.push(("epsilon", o.eps, not_negative(o.eps)));
            }
            Self::Adadelta(o) => {
                rules.extend([
                    ("rho", o.rho, (0.0..=1.0).contains(&o.rho)),
                    ("epsilon", o.eps, not_negative(o.eps)),
                ]);
            }
        }
        match rules.into_iter().find(|(_, _, good)| !good) {
            None => Ok(()),
            Some((what, value, _)) => Err(Error::Invalid(format!(
                "the optimiser {} cannot work with {what} {value}",
                self.name()
            ))),
        }
    }
}

/// A method by its name, with PyTorch's defaults.
impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "sgd" => Self::Sgd(SgdOptions::default()),
            "adam" => Self::adam(AdamOptions::ADAM.learning_rate),
            "adamw" => Self::adamw(AdamOptions::ADAMW.learning_rate),
            "rmsprop" => Self::RmsProp(RmsPropOptions::default()),
            "adagrad" => Self::Adagrad {
                options: AdagradOptions::default(),
                initial_accumulator: 0.0,
            },
            "adadelta" => Self::Adadelta(AdadeltaOptions::default()),
            other => return Err(Error::unknown("optimiser", other, Self::NAMES)),
        })
    }
}

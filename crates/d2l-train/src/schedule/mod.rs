//! Learning-rate schedules: pure functions of the position in the run and what was measured before it, so that a
//! resumed run goes on exactly and a schedule has no state to be saved.

mod plateau;
#[cfg(test)]
mod tests;
mod text;

pub use plateau::Plateau;

use crate::metrics::EpochRecord;
use serde::{Deserialize, Serialize};

/// How the learning rate goes with time: the base rate times [`Schedule::factor`].
///
/// Written as text (for a command line or a configuration) it is a shape, then its values:
/// `constant`, `step:every=3,gamma=0.1`, `multi-step:milestones=30+60,gamma=0.1`, `exponential:gamma=0.95`,
/// `cosine:warmup=5,floor=0.01`, `polynomial:power=2,per=step`, `one-cycle:pct-start=0.3,div-factor=25`,
/// `plateau:metric=test_loss,gamma=0.1,patience=10`.
///
/// ```
/// use d2l_train::schedule::{At, Schedule};
/// let schedule: Schedule = "step:every=2,gamma=0.5".parse()?;
/// let factor = |epoch| {
///     let at = At { step: epoch * 100, epoch, steps_per_epoch: 100, epochs: 5 };
///     schedule.factor(at, &[])
/// };
/// assert_eq!([0, 1, 2, 3, 4].map(factor), [1.0, 1.0, 0.5, 0.5, 0.25]);
/// # Ok::<(), d2l_train::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The curve.
    pub shape: Shape,
    /// What its time counts.
    pub per: Per,
    /// A linear climb before it.
    pub warmup: Warmup,
}

/// What a schedule's time counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Epochs: the rate is constant within one.
    #[default]
    Epoch,
    /// Optimiser steps.
    Step,
}

/// A linear climb of the factor from `start` to 1 over `length` epochs or steps, before the shape begins.
/// (PyTorch's `LinearLR`; the book's warm-up with `start` 0.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Warmup {
    /// How long, in the schedule's unit.
    pub length: u64,
    /// The first factor.
    pub start: f64,
}

/// The curve of a schedule over its time t = 0, 1, 2, …
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Shape {
    /// 1.
    #[default]
    Constant,
    /// γ^⌊t / every⌋.
    Step {
        /// The length of a stair.
        every: u64,
        /// The factor of a stair.
        gamma: f64,
    },
    /// γ^(number of milestones ≤ t).
    MultiStep {
        /// Where the stairs begin.
        milestones: Vec<u64>,
        /// The factor of a stair.
        gamma: f64,
    },
    /// γ^t.
    Exponential {
        /// The factor of one epoch or step.
        gamma: f64,
    },
    /// From 1 to `floor` along half a cosine: floor + (1 − floor) · (1 + cos(π t / span)) / 2, then `floor`.
    Cosine {
        /// How long the fall takes; `None` for the rest of the run.
        span: Option<u64>,
        /// The last factor.
        floor: f64,
    },
    /// From 1 to 0 along (1 − t / span)^power, then 0.
    Polynomial {
        /// How long the fall takes; `None` for the rest of the run.
        span: Option<u64>,
        /// The exponent; 1 is a straight line.
        power: f64,
    },
    /// Up from 1 / `div_factor` to 1 and down to 1 / (`div_factor` · `final_div_factor`), for the rest of the run:
    /// the base rate is the highest one (PyTorch's `OneCycleLR` of two phases, without its cycle of the momentum;
    /// [Smith & Topin 2017](https://arxiv.org/abs/1708.07120)).
    OneCycle {
        /// The part of the run that goes up.
        pct_start: f64,
        /// The highest rate over the first one.
        div_factor: f64,
        /// The first rate over the last one.
        final_div_factor: f64,
        /// Along half a cosine or a straight line.
        anneal: Anneal,
    },
    /// Down by a factor whenever a metric has not improved for some epochs.
    Plateau(Plateau),
}

/// How a [`Shape::OneCycle`] goes up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anneal {
    /// Along half a cosine.
    #[default]
    Cos,
    /// Along a straight line.
    Linear,
}

impl Anneal {
    /// From `from` at 0 to `to` at 1.
    fn between(self, from: f64, to: f64, done: f64) -> f64 {
        match self {
            Self::Cos => to + (from - to) * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0,
            Self::Linear => from + (to - from) * done,
        }
    }
}

/// A place in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Optimiser steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Epochs in the run.
    pub epochs: u64,
}

impl Schedule {
    /// The names of the shapes, as [`str::parse`] takes them.
    pub const NAMES: &'static [&'static str] = &[
        "constant",
        "step",
        "multi-step",
        "exponential",
        "cosine",
        "polynomial",
        "one-cycle",
        "plateau",
    ];

    /// What the base learning rate is multiplied by at `at`, after the epochs of `history` (those that came later
    /// do not count; only [`Shape::Plateau`] looks at it).
    pub fn factor(&self, at: At, history: &[EpochRecord]) -> f64 {
        let (t, whole) = match self.per {
            Per::Epoch => (at.epoch, at.epochs),
            Per::Step => (at.step, at.epochs * at.steps_per_epoch),
        };
        let Warmup { length, start } = self.warmup;
        if t < length {
            return start + (1.0 - start) * t as f64 / length as f64;
        }
        let t = t - length;
        // How far along the fall is, in 0..=1.
        let done = |span: Option<u64>| {
            let span = span.unwrap_or(whole.saturating_sub(length)).max(1);
            t.min(span) as f64 / span as f64
        };
        match &self.shape {
            Shape::Constant => 1.0,
            Shape::Step { every, gamma } => gamma.powf((t / every.max(&1)) as f64),
            Shape::MultiStep { milestones, gamma } => {
                gamma.powf(milestones.iter().filter(|&&m| m <= t).count() as f64)
            }
            Shape::Exponential { gamma } => gamma.powf(t as f64),
            Shape::Cosine { span, floor } => {
                floor + (1.0 - floor) * (1.0 + (std::f64::consts::PI * done(*span)).cos()) / 2.0
            }
            Shape::Polynomial { span, power } => (1.0 - done(*span)).powf(*power),
            Shape::OneCycle {
                pct_start,
                div_factor,
                final_div_factor,
                anneal,
            } => {
                let last = whole.saturating_sub(length).max(1) as f64;
                let t = (t as f64).min(last - 1.0);
                let (first, peak) = (1.0 / div_factor, pct_start * last - 1.0);
                if t <= peak {
                    anneal.between(first, 1.0, if peak > 0.0 { t / peak } else { 1.0 })
                } else {
                    let down = last - 1.0 - peak;
                    anneal.between(1.0, first / final_div_factor, (t - peak) / down)
                }
            }
            Shape::Plateau(plateau) => {
                let known = history.partition_point(|record| record.epoch <= at.epoch);
                plateau.factor(history.get(..known).unwrap_or(history))
            }
        }
    }
}

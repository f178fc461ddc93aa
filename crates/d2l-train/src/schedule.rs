//! Learning-rate schedules: pure functions of the position in the run, so that a resumed run goes on exactly.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How the learning rate goes with time: the base rate times [`Schedule::factor`].
///
/// Written as text (for a command line or a configuration) it is a shape, then its values:
/// `constant`, `step:every=3,gamma=0.1`, `multi-step:milestones=30+60,gamma=0.1`, `exponential:gamma=0.95`,
/// `cosine:warmup=5,floor=0.01`, `polynomial:power=2,per=step`.
///
/// ```
/// use d2l_train::schedule::{At, Schedule};
/// let schedule: Schedule = "step:every=2,gamma=0.5".parse()?;
/// let factor = |epoch| schedule.factor(At { step: epoch * 100, epoch, steps_per_epoch: 100, epochs: 5 });
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
    ];

    /// What the base learning rate is multiplied by at `at`.
    pub fn factor(&self, at: At) -> f64 {
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
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, values) = text.split_once(':').unwrap_or((text, ""));
        let shape = match name.trim() {
            "constant" => Shape::Constant,
            "step" => Shape::Step { every: 1, gamma: 0.1 },
            "multi-step" => Shape::MultiStep {
                milestones: Vec::new(),
                gamma: 0.1,
            },
            "exponential" => Shape::Exponential { gamma: 0.95 },
            "cosine" => Shape::Cosine {
                span: None,
                floor: 0.0,
            },
            "polynomial" => Shape::Polynomial {
                span: None,
                power: 1.0,
            },
            other => return Err(Error::unknown("schedule", other, Self::NAMES)),
        };
        let mut schedule = Self {
            shape,
            ..Self::default()
        };
        for pair in values.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Error::Invalid(format!(
                    "schedule `{text}`: `{pair}` is not of the form key=value"
                ))
            })?;
            schedule
                .set(key.trim(), value.trim())
                .map_err(|message| Error::Invalid(format!("schedule `{text}`: {message}")))?;
        }
        match &schedule.shape {
            Shape::MultiStep { milestones, .. } if milestones.is_empty() => Err(Error::Invalid(format!(
                "schedule `{text}`: milestones=… is missing, such as milestones=30+60"
            ))),
            _ => Ok(schedule),
        }
    }
}

impl Schedule {
    /// Sets one value by its name in the text form.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match (key, &mut self.shape) {
            ("per", _) => {
                self.per = match value {
                    "epoch" => Per::Epoch,
                    "step" => Per::Step,
                    _ => return Err(format!("per={value} is neither `epoch` nor `step`")),
                };
            }
            ("warmup", _) => self.warmup.length = number(key, value, 0..=u64::MAX)?,
            ("warmup-start", _) => self.warmup.start = number(key, value, 0.0..=1.0)?,
            ("every", Shape::Step { every, .. }) => *every = number(key, value, 1..=u64::MAX)?,
            (
                "gamma",
                Shape::Step { gamma, .. } | Shape::MultiStep { gamma, .. } | Shape::Exponential { gamma },
            ) => {
                *gamma = number(key, value, 0.0..=f64::MAX)?;
            }
            ("milestones", Shape::MultiStep { milestones, .. }) => {
                *milestones = value
                    .split('+')
                    .map(|m| number(key, m, 0..=u64::MAX))
                    .collect::<Result<_, _>>()?;
            }
            ("span", Shape::Cosine { span, .. } | Shape::Polynomial { span, .. }) => {
                *span = Some(number(key, value, 1..=u64::MAX)?);
            }
            ("floor", Shape::Cosine { floor, .. }) => *floor = number(key, value, 0.0..=1.0)?,
            ("power", Shape::Polynomial { power, .. }) => *power = number(key, value, 0.0..=f64::MAX)?,
            _ => return Err(format!("it has no value `{key}`")),
        }
        Ok(())
    }
}

fn number<T>(key: &str, text: &str, range: std::ops::RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Debug,
{
    match text.parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(_) => Err(format!("{key}={text} is not in {range:?}")),
        Err(_) => Err(format!("{key}={text} is not a number of the kind it takes")),
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = Vec::new();
        let name = match &self.shape {
            Shape::Constant => "constant",
            Shape::Step { every, gamma } => {
                values.extend([format!("every={every}"), format!("gamma={gamma}")]);
                "step"
            }
            Shape::MultiStep { milestones, gamma } => {
                let milestones: Vec<String> = milestones.iter().map(u64::to_string).collect();
                values.extend([
                    format!("milestones={}", milestones.join("+")),
                    format!("gamma={gamma}"),
                ]);
                "multi-step"
            }
            Shape::Exponential { gamma } => {
                values.push(format!("gamma={gamma}"));
                "exponential"
            }
            Shape::Cosine { span, floor } => {
                values.extend(span.map(|span| format!("span={span}")));
                values.push(format!("floor={floor}"));
                "cosine"
            }
            Shape::Polynomial { span, power } => {
                values.extend(span.map(|span| format!("span={span}")));
                values.push(format!("power={power}"));
                "polynomial"
            }
        };
        if self.per == Per::Step {
            values.push("per=step".into());
        }
        if self.warmup != Warmup::default() {
            values.push(format!("warmup={}", self.warmup.length));
            values.push(format!("warmup-start={}", self.warmup.start));
        }
        write!(f, "{name}")?;
        if values.is_empty() {
            Ok(())
        } else {
            write!(f, ":{}", values.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn rates(schedule: &Schedule) -> Vec<f64> {
        let at = |epoch| At {
            step: epoch * 7,
            epoch,
            steps_per_epoch: 7,
            epochs: 12,
        };
        (0..12).map(|epoch| 0.5 * schedule.factor(at(epoch))).collect()
    }

    #[test]
    fn rates_are_those_of_pytorch() {
        let golden: BTreeMap<String, Vec<f64>> =
            serde_json::from_str(include_str!("../tests/golden/schedules.json")).unwrap();
        assert_eq!(golden.len(), 9);
        for (text, expected) in golden {
            for (got, want) in rates(&text.parse().unwrap()).into_iter().zip(expected) {
                assert!((got - want).abs() < 1e-12, "{text}: {got} for {want}");
            }
        }
    }

    #[test]
    fn per_step_counts_steps_and_the_span_is_the_run() {
        let schedule: Schedule = "polynomial:per=step".parse().unwrap();
        let factor = |step| {
            schedule.factor(At {
                step,
                epoch: step / 10,
                steps_per_epoch: 10,
                epochs: 2,
            })
        };
        assert_eq!([0, 5, 10, 20, 25].map(factor), [1.0, 0.75, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn text_goes_both_ways_and_mistakes_are_named() {
        for text in [
            "constant",
            "step:every=3,gamma=0.5",
            "multi-step:milestones=2+7,gamma=0.1,per=step",
            "exponential:gamma=0.8",
            "cosine:span=9,floor=0.1,warmup=2,warmup-start=0.5",
            "polynomial:power=2",
        ] {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.to_string(), text);
            let toml = toml::to_string(&schedule).unwrap();
            assert_eq!(toml::from_str::<Schedule>(&toml).unwrap(), schedule);
        }
        for (text, part) in [
            ("cosin", "did you mean `cosine`"),
            ("step:gamma", "not of the form"),
            ("step:power=2", "no value `power`"),
            ("step:every=0", "every=0 is not in"),
            ("step:every=x", "not a number"),
            ("multi-step", "milestones"),
            ("constant:per=year", "neither"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

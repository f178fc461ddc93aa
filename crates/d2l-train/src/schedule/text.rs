//! Schedules as text, for command lines and configurations.

use super::{Anneal, Per, Plateau, Schedule, Shape, Warmup};
use crate::{Error, Result};
use std::{fmt, str::FromStr};

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
            "one-cycle" => Shape::OneCycle {
                pct_start: 0.3,
                div_factor: 25.0,
                final_div_factor: 1e4,
                anneal: Anneal::Cos,
            },
            "plateau" => Shape::Plateau(Plateau::default()),
            other => return Err(Error::unknown("schedule", other, Self::NAMES)),
        };
        let mut schedule = Self {
            per: shape.natural_unit(),
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
            Shape::Plateau(_) if schedule.per == Per::Step => Err(Error::Invalid(format!(
                "schedule `{text}`: a plateau is one of epochs, not of steps"
            ))),
            _ => Ok(schedule),
        }
    }
}

impl Shape {
    /// What the shape's time counts when nobody says otherwise.
    fn natural_unit(&self) -> Per {
        match self {
            Self::OneCycle { .. } => Per::Step,
            _ => Per::Epoch,
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
            ("pct-start", Shape::OneCycle { pct_start, .. }) => *pct_start = number(key, value, 0.0..=1.0)?,
            ("div-factor", Shape::OneCycle { div_factor, .. }) => {
                *div_factor = number(key, value, 1.0..=f64::MAX)?;
            }
            ("final-div-factor", Shape::OneCycle { final_div_factor, .. }) => {
                *final_div_factor = number(key, value, 1.0..=f64::MAX)?;
            }
            ("anneal", Shape::OneCycle { anneal, .. }) => {
                *anneal = match value {
                    "cos" => Anneal::Cos,
                    "linear" => Anneal::Linear,
                    _ => return Err(format!("anneal={value} is neither `cos` nor `linear`")),
                };
            }
            ("metric", Shape::Plateau(plateau)) => {
                plateau.metric = Some(value.parse().map_err(|error: Error| error.to_string())?);
            }
            ("gamma", Shape::Plateau(plateau)) => plateau.gamma = number(key, value, 0.0..=1.0)?,
            ("patience", Shape::Plateau(plateau)) => plateau.patience = number(key, value, 0..=u64::MAX)?,
            ("threshold", Shape::Plateau(plateau)) => plateau.threshold = number(key, value, 0.0..=1.0)?,
            ("cooldown", Shape::Plateau(plateau)) => plateau.cooldown = number(key, value, 0..=u64::MAX)?,
            ("floor", Shape::Plateau(plateau)) => plateau.floor = number(key, value, 0.0..=1.0)?,
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
            Shape::OneCycle {
                pct_start,
                div_factor,
                final_div_factor,
                anneal,
            } => {
                values.push(format!("pct-start={pct_start}"));
                values.push(format!("div-factor={div_factor}"));
                values.push(format!("final-div-factor={final_div_factor}"));
                if *anneal == Anneal::Linear {
                    values.push("anneal=linear".into());
                }
                "one-cycle"
            }
            Shape::Plateau(plateau) => {
                values.extend(plateau.metric.map(|metric| format!("metric={}", metric.name())));
                values.push(format!("gamma={}", plateau.gamma));
                values.push(format!("patience={}", plateau.patience));
                values.push(format!("threshold={}", plateau.threshold));
                values.push(format!("cooldown={}", plateau.cooldown));
                values.push(format!("floor={}", plateau.floor));
                "plateau"
            }
        };
        if self.per != self.shape.natural_unit() {
            let unit = match self.per {
                Per::Epoch => "epoch",
                Per::Step => "step",
            };
            values.push(format!("per={unit}"));
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

//! The figures as lines, geometric means and JSON.

use super::Listing;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// The shortest times of one case, in seconds; infinite where it was not measured.
pub(super) struct Measurement {
    listing: Listing,
    /// Of each of our variants.
    pub(super) ours: Vec<f64>,
    /// Of each of PyTorch's variants.
    pub(super) torch: Vec<f64>,
}

impl Measurement {
    pub(super) fn new(listing: &Listing) -> Self {
        Self {
            ours: vec![f64::INFINITY; listing.variants.len()],
            torch: vec![f64::INFINITY; listing.torch_variants.len()],
            listing: listing.clone(),
        }
    }

    /// The time of PyTorch's better variant, if it was measured.
    fn best_torch(&self) -> Option<f64> {
        self.torch
            .iter()
            .copied()
            .reduce(f64::min)
            .filter(|time| time.is_finite())
    }

    fn rate(&self, seconds: f64) -> f64 {
        self.listing.work / seconds * 1e-9
    }

    fn to_json(&self) -> Value {
        let times = |names: &[String], times: &[f64]| -> serde_json::Map<String, Value> {
            names
                .iter()
                .cloned()
                .zip(times.iter().map(|&time| json!(time)))
                .collect()
        };
        json!({
            "case": self.listing.case,
            "work": self.listing.work,
            "unit": self.listing.unit,
            "ours_seconds": times(&self.listing.variants, &self.ours),
            "torch_seconds": times(&self.listing.torch_variants, &self.torch),
        })
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listing {
            label,
            unit,
            variants,
            torch_variants,
            ..
        } = &self.listing;
        let (networks, pass) = (self.listing.text("networks"), self.listing.text("pass"));
        write!(f, "{networks:28} {label:30} {pass:11}")?;
        let torch = self.best_torch();
        for (variant, &time) in variants.iter().zip(&self.ours) {
            write!(f, " {variant} {:6.1}", self.rate(time))?;
            if let Some(torch) = torch {
                write!(f, " ({:5.2}x)", torch / time)?;
            }
        }
        if torch.is_some() {
            write!(f, "  torch")?;
            for (variant, &time) in torch_variants.iter().zip(&self.torch) {
                write!(f, " {variant} {:6.1}", self.rate(time))?;
            }
        }
        write!(f, " G{unit}/s")
    }
}

/// All figures of a run.
pub(super) struct Report {
    threads: usize,
    rounds: usize,
    seconds: f64,
    measurements: Vec<Measurement>,
}

impl Report {
    pub(super) fn new(threads: usize, rounds: usize, seconds: f64) -> Self {
        Self {
            threads,
            rounds,
            seconds,
            measurements: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }

    /// Our speed as a multiple of PyTorch's, per group and pass.
    fn ratios(&self) -> BTreeMap<(&str, &str), Vec<f64>> {
        let mut ratios: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for measurement in &self.measurements {
            let Some(torch) = measurement.best_torch() else {
                continue;
            };
            for (group, time) in measurement.listing.groups.iter().zip(&measurement.ours) {
                for pass in [measurement.listing.text("pass"), "all passes"] {
                    ratios
                        .entry((group.as_str(), pass))
                        .or_default()
                        .push(torch / time);
                }
            }
        }
        ratios
    }

    /// Geometric means of our speed as a multiple of PyTorch's.
    pub(super) fn means(&self) -> String {
        let header = "Our speed as a multiple of PyTorch's better layout, geometric means";
        let lines = self.ratios().into_iter().map(|((group, pass), ratios)| {
            format!(
                "{group:44} {pass:12} {:5.2}  ({} layers)",
                geometric_mean(&ratios),
                ratios.len()
            )
        });
        std::iter::once(header.to_owned())
            .chain(lines)
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub(super) fn to_json(&self) -> Value {
        let means: Vec<Value> = self
            .ratios()
            .into_iter()
            .map(|((group, pass), ratios)| {
                json!({ "group": group, "pass": pass, "ratio": geometric_mean(&ratios), "layers": ratios.len() })
            })
            .collect();
        json!({
            "threads": self.threads,
            "rounds": self.rounds,
            "seconds_per_measurement": self.seconds,
            "means": means,
            "cases": self.measurements.iter().map(Measurement::to_json).collect::<Vec<_>>(),
        })
    }
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(group: &str, ours: f64, torch: [f64; 2]) -> Measurement {
        let listing = Listing {
            case: json!({ "networks": "net", "pass": "forward" }),
            work: 2e9,
            unit: "FLOP".into(),
            variants: vec!["auto".into()],
            torch_variants: vec!["nchw".into(), "channels_last".into()],
            groups: vec![group.into()],
            label: "layer".into(),
        };
        Measurement {
            ours: vec![ours],
            torch: torch.to_vec(),
            listing,
        }
    }

    #[test]
    fn the_better_layout_counts() {
        let line = measurement("conv", 0.5, [2.0, 1.0]).to_string();
        assert!(line.contains("auto    4.0 ( 2.00x)"), "{line}");
    }

    #[test]
    fn means_are_geometric_and_skip_what_was_not_compared() {
        let mut report = Report::new(2, 1, 0.1);
        report.push(measurement("conv", 1.0, [4.0, 9.0]));
        report.push(measurement("conv", 1.0, [1.0, 9.0]));
        report.push(measurement("conv", 1.0, [f64::INFINITY; 2]));
        assert!(report.means().contains(" 2.00  (2 layers)"), "{}", report.means());
    }
}

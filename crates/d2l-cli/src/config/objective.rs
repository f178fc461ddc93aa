//! What a run minimises: cross-entropy, with label smoothing or class weights where asked for.

use std::fmt;
use std::str::FromStr;

use candle_core::{Device, Tensor};
use d2l_data::{DatasetSpec, ImageSet};
use d2l_train::loss::{CrossEntropy, CrossEntropyOptions};

use super::Faults;
use crate::args::Settings;
use crate::failure::{Failure, Result};

/// The training loss. Evaluations measure plain cross-entropy, so that runs can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Objective {
    pub(crate) label_smoothing: Option<f64>,
    pub(crate) class_weights: Option<ClassWeights>,
}

/// What the examples of each class weigh.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClassWeights {
    /// So much that every class counts as much as every other: examples / (classes · examples of the class).
    Balanced,
    /// This, by label.
    Given(Vec<f64>),
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "balanced" {
            return Ok(Self::Balanced);
        }
        let weight = |word: &str| match word.trim().parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight >= 0.0 => Ok(weight),
            _ => Err(format!(
                "expected `balanced` or numbers of at least 0, one per class, got `{word}`"
            )),
        };
        let weights = text.split(',').map(weight).collect::<Result<Vec<f64>, _>>()?;
        if weights.iter().all(|&weight| weight == 0.0) {
            return Err("one class has to have a weight above 0".to_owned());
        }
        Ok(Self::Given(weights))
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::Given(weights) => {
                let words: Vec<String> = weights.iter().map(f64::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl Objective {
    pub(super) fn resolve(
        settings: &Settings,
        dataset: Option<&DatasetSpec>,
        faults: &mut Faults<'_>,
    ) -> Self {
        let label_smoothing = settings.label_smoothing;
        if let Some(share) = label_smoothing.filter(|share| !(0.0..=1.0).contains(share)) {
            faults.add(
                "label-smoothing",
                format!("has to be a number from 0 to 1, got {share}"),
            );
        }
        let weights = settings.class_weights.as_deref().map(str::parse::<ClassWeights>);
        let class_weights = weights.and_then(|weights| faults.take("class-weights", weights));
        if let (Some(ClassWeights::Given(weights)), Some(dataset)) = (&class_weights, dataset)
            && weights.len() != dataset.class_names.len()
        {
            let (name, classes) = (dataset.name, dataset.class_names.len());
            faults.add(
                "class-weights",
                format!("{name} has {classes} classes, got {} weights", weights.len()),
            );
        }
        Self {
            label_smoothing,
            class_weights,
        }
    }

    pub(super) fn into_settings(self, settings: Settings) -> Settings {
        Settings {
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.map(|weights| weights.to_string()),
            ..settings
        }
    }

    /// The loss; weights that balance the classes are those of the first `limit` examples of `train`.
    pub(crate) fn loss(
        &self,
        train: &ImageSet,
        limit: Option<usize>,
        device: &Device,
    ) -> Result<CrossEntropy> {
        let weights = match &self.class_weights {
            None => None,
            Some(ClassWeights::Given(weights)) => Some(weights.clone()),
            Some(ClassWeights::Balanced) => {
                let labels = train.labels();
                let used = labels.get(..limit.unwrap_or(labels.len())).unwrap_or(labels);
                Some(balanced(used, train.class_names())?)
            }
        };
        let tensor = |weights: Vec<f64>| {
            let weights: Vec<f32> = weights.into_iter().map(|weight| weight as f32).collect();
            Tensor::new(weights, device)
        };
        Ok(CrossEntropy(CrossEntropyOptions {
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            class_weights: weights.map(tensor).transpose()?,
            ..CrossEntropyOptions::default()
        }))
    }
}

/// Weights under which every class counts the same, with a mean of 1 over the examples.
fn balanced(labels: &[u16], classes: &[String]) -> Result<Vec<f64>> {
    let mut counts = vec![0_u64; classes.len()];
    for &label in labels {
        if let Some(count) = counts.get_mut(usize::from(label)) {
            *count += 1;
        }
    }
    if let Some((name, _)) = classes.iter().zip(&counts).find(|(_, count)| **count == 0) {
        return Err(Failure::usage(format!(
            "--class-weights balanced: no training example is of the class `{name}`; \
             use more of them (--train-limit), or give the weights as numbers"
        )));
    }
    let whole = labels.len() as f64 / classes.len() as f64;
    Ok(counts.into_iter().map(|count| whole / count as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_and_written() {
        let parse = |text: &str| text.parse::<ClassWeights>();
        for text in ["balanced", "1,0.5,2"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse(" 1, 2 "), Ok(ClassWeights::Given(vec![1.0, 2.0])));
        for bad in ["", "1,,2", "-1,2", "NaN", "inf,1", "0,0", "Balanced"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    /// scikit-learn's compute_class_weight("balanced") of [0, 0, 0, 1, 2, 2] is [2/3, 2, 1].
    #[test]
    fn balanced_classes_have_the_same_total() {
        let names: Vec<String> = ["shirt", "coat", "bag"].map(str::to_owned).into();
        let weights = balanced(&[0, 0, 0, 1, 2, 2], &names).unwrap();
        for (got, want) in weights.iter().zip([2.0 / 3.0, 2.0, 1.0]) {
            assert!((got - want).abs() < 1e-15, "{weights:?}");
        }
        let Err(Failure::Usage(messages)) = balanced(&[0, 2], &names) else {
            panic!("a class without examples has no weight")
        };
        assert!(messages[0].contains("`coat`"), "{messages:?}");
    }
}

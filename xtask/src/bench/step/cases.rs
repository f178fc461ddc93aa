//! The networks, at the sizes that training them is usually measured at.

use anyhow::{Result, bail};
use clap::ValueEnum;

/// A network and the batch it is measured with: one input channel, square pictures, ten classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Case {
    /// As `d2l bench` and `torch_step.py` call it.
    pub(super) network: &'static str,
    /// As the table calls it.
    pub(super) label: &'static str,
    pub(super) batch: usize,
    pub(super) size: usize,
    /// `--width` of `d2l bench`.
    pub(super) width: Option<f64>,
    /// The number that both sides' definitions must have.
    pub(super) parameters: u64,
}

/// What is measured of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Task {
    /// Forward, mean cross-entropy, backward, SGD
    Train,
    /// Forward in evaluation mode
    Infer,
}

impl Task {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Infer => "infer",
        }
    }
}

const fn case(
    network: &'static str,
    label: &'static str,
    [batch, size]: [usize; 2],
    width: Option<f64>,
    parameters: u64,
) -> Case {
    Case {
        network,
        label,
        batch,
        size,
        width,
        parameters,
    }
}

pub(super) const CASES: [Case; 9] = [
    case("softmax", "softmax regression", [256, 28], None, 7_850),
    case("mlp", "MLP", [256, 28], None, 203_530),
    case("lenet", "LeNet", [256, 28], None, 61_706),
    case("alexnet", "AlexNet", [32, 224], None, 46_764_746),
    case("vgg11", "VGG-11/4", [32, 224], Some(0.25), 43_093_322),
    case("nin", "NiN", [32, 224], None, 1_992_166),
    case("googlenet", "GoogLeNet", [32, 96], None, 5_977_530),
    case("resnet18", "ResNet-18", [32, 96], None, 11_178_378),
    case("densenet", "DenseNet", [32, 96], None, 758_226),
];

/// The cases of those names, in the table's order; all of them for none.
pub(super) fn chosen(names: &[String]) -> Result<Vec<Case>> {
    let known: Vec<&str> = CASES.iter().map(|case| case.network).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "--models: unknown network `{name}`: expected some of {}",
            known.join(", ")
        );
    }
    let chosen = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.network);
    Ok(CASES.iter().filter(chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_cases_and_an_unknown_one_is_refused() {
        let networks = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            chosen(&names).map(|cases| cases.iter().map(|case| case.network).collect::<Vec<_>>())
        };
        assert_eq!(networks(&["lenet", "mlp"]).unwrap(), ["mlp", "lenet"]);
        assert_eq!(networks(&[]).unwrap().len(), 9);
        let error = networks(&["lenet5"]).unwrap_err().to_string();
        assert!(
            error.contains("`lenet5`") && error.contains("resnet18"),
            "{error}"
        );
    }
}

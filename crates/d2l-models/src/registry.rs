//! What a model of the registry is, and how it is found; [`list`] has the models.

mod list;

pub use list::REGISTRY;

use d2l_nn::{Head, Network, Supervised, layers::Activation};

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of several classes; the outputs are logits.
    Classification,
    /// One of two classes; the output is a number whose sign says which.
    BinaryClassification,
    /// Numbers.
    Regression,
}

/// How the book trains a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Passes over the training data.
    pub epochs: usize,
    /// Examples per step.
    pub batch_size: usize,
    /// Learning rate of plain stochastic gradient descent.
    pub learning_rate: f64,
}

/// What the book reports after the last epoch of training with its [`Settings`] on its data (one unseeded run of its
/// PyTorch edition; the test accuracy is noisy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Running mean of the training loss over the epoch.
    pub train_loss: f64,
    /// Running training accuracy over the epoch.
    pub train_accuracy: f64,
    /// Accuracy on the test data.
    pub test_accuracy: f64,
}

/// What can be chosen about a network beside its input. `None` leaves the model's own choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOptions {
    /// Number of classes.
    pub classes: Option<usize>,
    /// Factor on the channels, or on the hidden layers' sizes.
    pub width: Option<f64>,
    /// Probability of dropout.
    pub dropout: Option<f64>,
    /// Sizes of the hidden fully connected layers.
    pub hidden: Option<Vec<usize>>,
    /// What follows the hidden layers.
    pub activation: Option<Activation>,
    /// Local response normalisation.
    pub local_response_norm: Option<bool>,
}

/// Why a network cannot be described.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ModelError {
    /// The model does not have that option.
    #[error("{model} has no {option} to choose")]
    NoSuchOption {
        /// The model's name.
        model: &'static str,
        /// The option's name.
        option: &'static str,
    },
    /// The option's value means nothing.
    #[error("{option} has to be {expected}, got {got}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What came.
        got: String,
    },
}

/// A model of the registry.
#[derive(Debug)]
pub struct ModelSpec {
    /// Its name on the command line.
    pub name: &'static str,
    /// Other names that find it.
    pub aliases: &'static [&'static str],
    /// What it is, in a few words.
    pub about: &'static str,
    /// The paper it comes from.
    pub reference: &'static str,
    /// The book's section.
    pub section: &'static str,
    /// What it predicts.
    pub task: Task,
    /// The book's input for it: `[channels, height, width]`.
    pub input: &'static [usize],
    /// The book's number of classes, or of outputs.
    pub classes: usize,
    /// How the book trains it.
    pub settings: Settings,
    /// What the book reports.
    pub expected: Option<Expected>,
    describe: Describe,
    heads: Option<DescribeHeads>,
}

type DescribeHeads = fn(&ModelSpec, &ModelOptions) -> Vec<Head>;
type Describe = fn(&ModelSpec, &ModelOptions) -> Result<Network, ModelError>;

impl ModelSpec {
    /// The network's description.
    ///
    /// # Errors
    /// When an option does not apply to the model or its value means nothing.
    pub fn network(&self, options: &ModelOptions) -> Result<Network, ModelError> {
        if options.classes == Some(0) {
            return Err(bad("classes", "at least 1", 0));
        }
        if let Some(p) = options.dropout
            && !(0.0..1.0).contains(&p)
        {
            return Err(bad("dropout", "in [0, 1)", p));
        }
        if let Some(width) = options.width
            && !(width > 0.0 && width <= 1024.0)
        {
            return Err(bad("width", "above 0 and at most 1024", width));
        }
        if let Some(hidden) = &options.hidden
            && hidden.iter().any(|n| !(1..=1 << 24).contains(n))
        {
            return Err(bad("hidden", "sizes of 1 to 16777216", format!("{hidden:?}")));
        }
        (self.describe)(self, options)
    }

    /// The network with the auxiliary classifiers of its paper ([`Supervised`]).
    ///
    /// # Errors
    /// As [`Self::network`], or when the model has none.
    pub fn supervised(&self, options: &ModelOptions) -> Result<Supervised, ModelError> {
        let network = self.network(options)?;
        let heads = self.heads.ok_or(ModelError::NoSuchOption {
            model: self.name,
            option: "aux",
        })?;
        Ok(Supervised {
            network,
            heads: heads(self, options),
        })
    }

    fn outputs(&self, options: &ModelOptions) -> usize {
        options.classes.unwrap_or(self.classes)
    }

    /// Refuses every option that was given and is not in `has`.
    fn only(&self, options: &ModelOptions, has: &[&str]) -> Result<(), ModelError> {
        let given = [
            ("width", options.width.is_some()),
            ("dropout", options.dropout.is_some()),
            ("hidden", options.hidden.is_some()),
            ("activation", options.activation.is_some()),
            ("local-response-norm", options.local_response_norm.is_some()),
        ];
        match given
            .into_iter()
            .find(|(option, given)| *given && !has.contains(option))
        {
            Some((option, _)) => Err(ModelError::NoSuchOption {
                model: self.name,
                option,
            }),
            None => Ok(()),
        }
    }
}

fn bad(option: &'static str, expected: &'static str, got: impl ToString) -> ModelError {
    ModelError::BadOption {
        option,
        expected,
        got: got.to_string(),
    }
}

/// No model has that name.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("there is no model `{name}`{}; the models are: {}", .nearest.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default(), known())]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
    /// The model whose name is nearest, if one is near.
    pub nearest: Option<&'static str>,
}

fn known() -> String {
    REGISTRY
        .iter()
        .map(|spec| spec.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The model of that name or alias; case and `_` for `-` do not matter.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<&'static ModelSpec, UnknownModel> {
    let wanted = name.to_lowercase().replace('_', "-");
    let has = |spec: &&ModelSpec| spec.name == wanted || spec.aliases.contains(&wanted.as_str());
    REGISTRY.iter().find(has).ok_or_else(|| {
        let distance = |spec: &ModelSpec| strsim::damerau_levenshtein(spec.name, &wanted);
        let nearest = REGISTRY
            .iter()
            .min_by_key(|spec| distance(spec))
            .filter(|spec| distance(spec) <= 2);
        UnknownModel {
            name: name.to_owned(),
            nearest: nearest.map(|spec| spec.name),
        }
    })
}

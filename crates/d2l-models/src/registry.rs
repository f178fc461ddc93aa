//! The one list of models.

use crate::{
    AlexNet, DenseNet, Mlp, VGG11, VGG13, VGG16, VGG19, Vgg, VggStage, alexnet, densenet, googlenet, lenet,
    lenet_bn, mlp, nin, resnet, softmax_regression, vgg,
};
use d2l_nn::Network;

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of several classes; the outputs are logits.
    Classification,
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
    /// Factor on the hidden widths.
    pub width: Option<f64>,
    /// Probability of dropout.
    pub dropout: Option<f64>,
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
    describe: fn(&ModelSpec, &ModelOptions) -> Result<Network, ModelError>,
}

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
        (self.describe)(self, options)
    }

    fn outputs(&self, options: &ModelOptions) -> usize {
        options.classes.unwrap_or(self.classes)
    }

    /// Refuses every option that was given and is not in `has`.
    fn only(&self, options: &ModelOptions, has: &[&str]) -> Result<(), ModelError> {
        let given = [
            ("width", options.width.is_some()),
            ("dropout", options.dropout.is_some()),
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

/// Every model, in the book's order.
pub static REGISTRY: &[ModelSpec] = &[
    ModelSpec {
        name: "softmax",
        aliases: &["softmax-regression"],
        about: "softmax regression: one fully connected layer",
        reference: "-",
        section: "3.7",
        task: Task::Classification,
        input: &[1, 28, 28],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 0.1,
        },
        expected: Some(Expected {
            train_loss: 0.448,
            train_accuracy: 0.848,
            test_accuracy: 0.83,
        }),
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(softmax_regression(spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "mlp",
        aliases: &[],
        about: "multilayer perceptron: one hidden layer of 256, ReLU",
        reference: "-",
        section: "4.3",
        task: Task::Classification,
        input: &[1, 28, 28],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 0.1,
        },
        expected: Some(Expected {
            train_loss: 0.383,
            train_accuracy: 0.864,
            test_accuracy: 0.835,
        }),
        describe: |spec, options| {
            let mut choice = Mlp::default();
            if let Some(width) = options.width {
                choice
                    .hidden
                    .iter_mut()
                    .for_each(|n| *n = ((*n as f64 * width).round() as usize).max(1));
            }
            if let Some(p) = options.dropout {
                choice.dropout = vec![p; choice.hidden.len()];
            }
            Ok(mlp(&choice, spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "lenet",
        aliases: &["lenet5", "lenet-5"],
        about: "LeNet: two convolutions with sigmoid and average pooling, three fully connected layers",
        reference: "LeCun et al. 1998, Gradient-based learning applied to document recognition",
        section: "6.6",
        task: Task::Classification,
        input: &[1, 28, 28],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 0.9,
        },
        expected: Some(Expected {
            train_loss: 0.469,
            train_accuracy: 0.823,
            test_accuracy: 0.779,
        }),
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(lenet(spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "lenet-bn",
        aliases: &["lenet-batchnorm"],
        about: "LeNet with batch norm before every sigmoid",
        reference: "Ioffe & Szegedy 2015, Batch normalization",
        section: "7.5",
        task: Task::Classification,
        input: &[1, 28, 28],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 1.0,
        },
        expected: Some(Expected {
            train_loss: 0.27,
            train_accuracy: 0.90,
            test_accuracy: 0.76,
        }),
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(lenet_bn(spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "alexnet",
        aliases: &[],
        about: "AlexNet: five convolutions with overlapping max pooling, dropout",
        reference: "Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks",
        section: "7.1",
        task: Task::Classification,
        input: &[1, 224, 224],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.01,
        },
        expected: Some(Expected {
            train_loss: 0.331,
            train_accuracy: 0.878,
            test_accuracy: 0.883,
        }),
        describe: |spec, options| {
            spec.only(options, &["dropout"])?;
            let default = AlexNet::default();
            let dropout = options.dropout.unwrap_or(default.dropout);
            Ok(alexnet(&AlexNet { dropout, ..default }, spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "vgg11",
        aliases: &["vgg-11"],
        about: "VGG-11: stages of 3×3 convolutions, the book's quarter of the channels",
        reference: "Simonyan & Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
        section: "7.2",
        task: Task::Classification,
        input: &[1, 224, 224],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.05,
        },
        expected: Some(Expected {
            train_loss: 0.178,
            train_accuracy: 0.935,
            test_accuracy: 0.920,
        }),
        describe: |spec, options| describe_vgg(spec, options, &VGG11, 0.25),
    },
    ModelSpec {
        name: "vgg13",
        aliases: &["vgg-13"],
        about: "VGG-13: stages of 3×3 convolutions",
        reference: "Simonyan & Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
        section: "7.2",
        task: Task::Classification,
        input: &[1, 224, 224],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.05,
        },
        expected: None,
        describe: |spec, options| describe_vgg(spec, options, &VGG13, 1.0),
    },
    ModelSpec {
        name: "vgg16",
        aliases: &["vgg-16"],
        about: "VGG-16: stages of 3×3 convolutions",
        reference: "Simonyan & Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
        section: "7.2",
        task: Task::Classification,
        input: &[1, 224, 224],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.05,
        },
        expected: None,
        describe: |spec, options| describe_vgg(spec, options, &VGG16, 1.0),
    },
    ModelSpec {
        name: "vgg19",
        aliases: &["vgg-19"],
        about: "VGG-19: stages of 3×3 convolutions",
        reference: "Simonyan & Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
        section: "7.2",
        task: Task::Classification,
        input: &[1, 224, 224],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.05,
        },
        expected: None,
        describe: |spec, options| describe_vgg(spec, options, &VGG19, 1.0),
    },
    ModelSpec {
        name: "nin",
        aliases: &["network-in-network"],
        about: "network in network: 1×1 convolutions and global average pooling",
        reference: "Lin et al. 2013, Network in network",
        section: "7.3",
        task: Task::Classification,
        input: &[1, 224, 224],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.1,
        },
        expected: Some(Expected {
            train_loss: 0.563,
            train_accuracy: 0.786,
            test_accuracy: 0.790,
        }),
        describe: |spec, options| {
            spec.only(options, &["dropout"])?;
            Ok(nin(options.dropout.unwrap_or(0.5), spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "googlenet",
        aliases: &["inception"],
        about: "GoogLeNet: nine Inception blocks",
        reference: "Szegedy et al. 2014, Going deeper with convolutions",
        section: "7.4",
        task: Task::Classification,
        input: &[1, 96, 96],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.1,
        },
        expected: Some(Expected {
            train_loss: 0.262,
            train_accuracy: 0.900,
            test_accuracy: 0.886,
        }),
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(googlenet(spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "resnet18",
        aliases: &["resnet-18", "resnet"],
        about: "ResNet-18: residual blocks of two 3×3 convolutions",
        reference: "He et al. 2015, Deep residual learning for image recognition",
        section: "7.6",
        task: Task::Classification,
        input: &[1, 96, 96],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 0.05,
        },
        expected: Some(Expected {
            train_loss: 0.012,
            train_accuracy: 0.997,
            test_accuracy: 0.893,
        }),
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(resnet(spec.name, [2, 2, 2, 2], spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "resnet34",
        aliases: &["resnet-34"],
        about: "ResNet-34: residual blocks of two 3×3 convolutions",
        reference: "He et al. 2015, Deep residual learning for image recognition",
        section: "7.6",
        task: Task::Classification,
        input: &[1, 96, 96],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 0.05,
        },
        expected: None,
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(resnet(spec.name, [3, 4, 6, 3], spec.outputs(options)))
        },
    },
    ModelSpec {
        name: "densenet",
        aliases: &[],
        about: "DenseNet: four dense blocks of four convolutions, growth rate 32",
        reference: "Huang et al. 2016, Densely connected convolutional networks",
        section: "7.7",
        task: Task::Classification,
        input: &[1, 96, 96],
        classes: 10,
        settings: Settings {
            epochs: 10,
            batch_size: 256,
            learning_rate: 0.1,
        },
        expected: Some(Expected {
            train_loss: 0.140,
            train_accuracy: 0.948,
            test_accuracy: 0.885,
        }),
        describe: |spec, options| {
            spec.only(options, &[])?;
            Ok(densenet(&DenseNet::default(), spec.outputs(options)))
        },
    },
];

fn describe_vgg(
    spec: &ModelSpec,
    options: &ModelOptions,
    stages: &[VggStage],
    width: f64,
) -> Result<Network, ModelError> {
    let choice = Vgg {
        stages: stages.to_vec(),
        width: options.width.unwrap_or(width),
        dropout: options.dropout.unwrap_or(0.5),
    };
    Ok(vgg(spec.name, &choice, spec.outputs(options)))
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

//! The one list of models, in the book's order.

use super::{Describe, Expected, ModelError, ModelOptions, ModelSpec, Settings, Task, bad};
use crate::{
    AlexNet, DenseNet, GoogLeNet, Mlp, Nin, ResNet, VGG11, VGG13, VGG16, VGG19, Vgg, VggStage, alexnet,
    densenet, googlenet, googlenet_with_auxiliaries, lenet, lenet_bn, linear_regression, logistic_regression,
    mlp, nin, perceptron, resnet, scaled, softmax_regression, vgg,
};
use d2l_nn::Network;

/// Every model, in the book's order.
pub static REGISTRY: &[ModelSpec] = &[
    ModelSpec {
        about: "linear regression: one fully connected layer",
        reference: "-",
        task: Task::Regression,
        input: &[2],
        classes: 1,
        ..book("linear", "3.1", (3, 10, 0.03), |spec, options| {
            spec.only(options, &[])?;
            Ok(linear_regression(spec.outputs(options)))
        })
    },
    ModelSpec {
        aliases: &["logistic-regression"],
        about: "logistic regression: one fully connected layer, the logit of the second of two classes",
        reference: "-",
        task: Task::BinaryClassification,
        input: &[2],
        classes: 2,
        ..book("logistic", "3.4", (3, 10, 0.03), |spec, options| {
            spec.only(options, &[])?;
            two_classes(options)?;
            Ok(logistic_regression())
        })
    },
    ModelSpec {
        aliases: &["softmax-regression"],
        about: "softmax regression: one fully connected layer",
        reference: "-",
        input: &[1, 28, 28],
        expected: reports(0.448, 0.848, 0.83),
        ..book("softmax", "3.7", (10, 256, 0.1), |spec, options| {
            spec.only(options, &[])?;
            Ok(softmax_regression(spec.outputs(options)))
        })
    },
    ModelSpec {
        about: "perceptron: one fully connected layer whose sign is the class",
        reference: "Rosenblatt 1958, The perceptron: a probabilistic model for information storage and organization in the brain",
        task: Task::BinaryClassification,
        input: &[2],
        classes: 2,
        ..book("perceptron", "4.1", (10, 1, 1.0), |spec, options| {
            spec.only(options, &[])?;
            two_classes(options)?;
            Ok(perceptron())
        })
    },
    ModelSpec {
        about: "multilayer perceptron: one hidden layer of 256, ReLU",
        reference: "-",
        input: &[1, 28, 28],
        expected: reports(0.383, 0.864, 0.835),
        ..book("mlp", "4.3", (10, 256, 0.1), |spec, options| {
            spec.only(options, &["width", "dropout", "hidden", "activation"])?;
            let mut choice = Mlp::default();
            choice.hidden = options.hidden.clone().unwrap_or(choice.hidden);
            choice.activation = options.activation.unwrap_or(choice.activation);
            for size in &mut choice.hidden {
                *size = scaled(*size, options.width.unwrap_or(1.0));
            }
            if let Some(p) = options.dropout {
                choice.dropout = vec![p; choice.hidden.len()];
            }
            Ok(mlp(&choice, spec.outputs(options)))
        })
    },
    ModelSpec {
        aliases: &["lenet5", "lenet-5"],
        about: "LeNet: two convolutions with sigmoid and average pooling, three fully connected layers",
        reference: "LeCun et al. 1998, Gradient-based learning applied to document recognition",
        input: &[1, 28, 28],
        expected: reports(0.469, 0.823, 0.779),
        ..book("lenet", "6.6", (10, 256, 0.9), |spec, options| {
            spec.only(options, &[])?;
            Ok(lenet(spec.outputs(options)))
        })
    },
    ModelSpec {
        aliases: &["lenet-batchnorm"],
        about: "LeNet with batch norm before every sigmoid",
        reference: "Ioffe & Szegedy 2015, Batch normalization: accelerating deep network training",
        input: &[1, 28, 28],
        expected: reports(0.27, 0.90, 0.76),
        ..book("lenet-bn", "7.5", (10, 256, 1.0), |spec, options| {
            spec.only(options, &[])?;
            Ok(lenet_bn(spec.outputs(options)))
        })
    },
    ModelSpec {
        about: "AlexNet: five convolutions with overlapping max pooling, dropout",
        reference: "Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks",
        input: &[1, 224, 224],
        expected: reports(0.331, 0.878, 0.883),
        ..book("alexnet", "7.1", (10, 128, 0.01), |spec, options| {
            spec.only(options, &["width", "dropout", "hidden", "local-response-norm"])?;
            let default = AlexNet::default();
            let width = options.width.unwrap_or(1.0);
            let choice = AlexNet {
                channels: default.channels.map(|channels| scaled(channels, width)),
                hidden: two_hidden(options)?.unwrap_or(default.hidden),
                dropout: options.dropout.unwrap_or(default.dropout),
                local_response_norm: options.local_response_norm.unwrap_or(false),
                ..default
            };
            Ok(alexnet(&choice, spec.outputs(options)))
        })
    },
    ModelSpec {
        aliases: &["vgg-11"],
        about: "VGG-11: stages of 3×3 convolutions, the book's quarter of the channels",
        expected: reports(0.178, 0.935, 0.920),
        ..vgg_spec("vgg11", |spec, options| describe_vgg(spec, options, &VGG11, 0.25))
    },
    ModelSpec {
        aliases: &["vgg-13"],
        about: "VGG-13: stages of 3×3 convolutions",
        ..vgg_spec("vgg13", |spec, options| describe_vgg(spec, options, &VGG13, 1.0))
    },
    ModelSpec {
        aliases: &["vgg-16"],
        about: "VGG-16: stages of 3×3 convolutions",
        ..vgg_spec("vgg16", |spec, options| describe_vgg(spec, options, &VGG16, 1.0))
    },
    ModelSpec {
        aliases: &["vgg-19"],
        about: "VGG-19: stages of 3×3 convolutions",
        ..vgg_spec("vgg19", |spec, options| describe_vgg(spec, options, &VGG19, 1.0))
    },
    ModelSpec {
        aliases: &["network-in-network"],
        about: "network in network: 1×1 convolutions and global average pooling",
        reference: "Lin et al. 2013, Network in network",
        input: &[1, 224, 224],
        expected: reports(0.563, 0.786, 0.790),
        ..book("nin", "7.3", (10, 128, 0.1), |spec, options| {
            spec.only(options, &["width", "dropout"])?;
            let choice = Nin {
                width: options.width.unwrap_or(1.0),
                dropout: options.dropout.unwrap_or(0.5),
            };
            Ok(nin(&choice, spec.outputs(options)))
        })
    },
    ModelSpec {
        aliases: &["inception"],
        about: "GoogLeNet: nine Inception blocks",
        reference: "Szegedy et al. 2014, Going deeper with convolutions",
        input: &[1, 96, 96],
        expected: reports(0.262, 0.900, 0.886),
        heads: Some(|spec, options| {
            googlenet_with_auxiliaries(&googlenet_choice(options), spec.outputs(options)).heads
        }),
        ..book("googlenet", "7.4", (10, 128, 0.1), |spec, options| {
            spec.only(options, &["width"])?;
            Ok(googlenet(&googlenet_choice(options), spec.outputs(options)))
        })
    },
    ModelSpec {
        aliases: &["resnet-18", "resnet"],
        about: "ResNet-18: residual blocks of two 3×3 convolutions",
        expected: reports(0.012, 0.997, 0.893),
        ..resnet_spec("resnet18", |spec, options| {
            describe_resnet(spec, options, ResNet::book([2, 2, 2, 2]))
        })
    },
    ModelSpec {
        aliases: &["resnet-34"],
        about: "ResNet-34: residual blocks of two 3×3 convolutions",
        ..resnet_spec("resnet34", |spec, options| {
            describe_resnet(spec, options, ResNet::book([3, 4, 6, 3]))
        })
    },
    ModelSpec {
        aliases: &["resnet-50"],
        about: "ResNet-50: residual blocks of 1×1, 3×3 and 1×1 convolutions",
        ..resnet_spec("resnet50", |spec, options| {
            describe_resnet(spec, options, ResNet::deep([3, 4, 6, 3]))
        })
    },
    ModelSpec {
        aliases: &["resnet-101"],
        about: "ResNet-101: residual blocks of 1×1, 3×3 and 1×1 convolutions",
        ..resnet_spec("resnet101", |spec, options| {
            describe_resnet(spec, options, ResNet::deep([3, 4, 23, 3]))
        })
    },
    ModelSpec {
        aliases: &["resnet-152"],
        about: "ResNet-152: residual blocks of 1×1, 3×3 and 1×1 convolutions",
        ..resnet_spec("resnet152", |spec, options| {
            describe_resnet(spec, options, ResNet::deep([3, 8, 36, 3]))
        })
    },
    ModelSpec {
        about: "DenseNet: four dense blocks of four convolutions, growth rate 32",
        reference: "Huang et al. 2016, Densely connected convolutional networks",
        input: &[1, 96, 96],
        expected: reports(0.140, 0.948, 0.885),
        ..book("densenet", "7.7", (10, 256, 0.1), |spec, options| {
            spec.only(options, &["width"])?;
            let choice = DenseNet::default().widened(options.width.unwrap_or(1.0));
            Ok(densenet(&choice, spec.outputs(options)))
        })
    },
];

fn googlenet_choice(options: &ModelOptions) -> GoogLeNet {
    GoogLeNet {
        width: options.width.unwrap_or(1.0),
        ..GoogLeNet::default()
    }
}

/// What most models of the book have in common: a classifier of ten classes, trained with that many epochs, examples
/// per step and that learning rate.
const fn book(
    name: &'static str,
    section: &'static str,
    (epochs, batch_size, learning_rate): (usize, usize, f64),
    describe: Describe,
) -> ModelSpec {
    ModelSpec {
        name,
        aliases: &[],
        about: "",
        reference: "",
        section,
        task: Task::Classification,
        input: &[],
        classes: 10,
        settings: Settings {
            epochs,
            batch_size,
            learning_rate,
        },
        expected: None,
        describe,
        heads: None,
    }
}

const fn reports(train_loss: f64, train_accuracy: f64, test_accuracy: f64) -> Option<Expected> {
    Some(Expected {
        train_loss,
        train_accuracy,
        test_accuracy,
    })
}

const fn vgg_spec(name: &'static str, describe: Describe) -> ModelSpec {
    ModelSpec {
        reference: "Simonyan & Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
        input: &[1, 224, 224],
        ..book(name, "7.2", (10, 128, 0.05), describe)
    }
}

const fn resnet_spec(name: &'static str, describe: Describe) -> ModelSpec {
    ModelSpec {
        reference: "He et al. 2015, Deep residual learning for image recognition",
        input: &[1, 96, 96],
        ..book(name, "7.6", (10, 256, 0.05), describe)
    }
}

fn describe_vgg(
    spec: &ModelSpec,
    options: &ModelOptions,
    stages: &[VggStage],
    width: f64,
) -> Result<Network, ModelError> {
    spec.only(options, &["width", "dropout", "hidden"])?;
    let default = Vgg::new(stages);
    let choice = Vgg {
        width: options.width.unwrap_or(width),
        hidden: two_hidden(options)?.unwrap_or(default.hidden),
        dropout: options.dropout.unwrap_or(default.dropout),
        ..default
    };
    Ok(vgg(spec.name, &choice, spec.outputs(options)))
}

fn describe_resnet(spec: &ModelSpec, options: &ModelOptions, book: ResNet) -> Result<Network, ModelError> {
    spec.only(options, &["width"])?;
    let width = options.width.unwrap_or(book.width);
    Ok(resnet(
        spec.name,
        &ResNet { width, ..book },
        spec.outputs(options),
    ))
}

/// The sizes of the two hidden layers of AlexNet and VGG, where they were chosen.
fn two_hidden(options: &ModelOptions) -> Result<Option<[usize; 2]>, ModelError> {
    let Some(hidden) = &options.hidden else {
        return Ok(None);
    };
    let two = hidden.as_slice().try_into().map(Some);
    two.map_err(|_| bad("hidden", "two sizes for this network", format!("{hidden:?}")))
}

/// Refuses any other number of classes than two.
fn two_classes(options: &ModelOptions) -> Result<(), ModelError> {
    match options.classes {
        None | Some(2) => Ok(()),
        Some(other) => Err(bad("classes", "2 for this model", other)),
    }
}

#![doc = include_str!("../README.md")]

mod alexnet;
mod densenet;
mod googlenet;
mod layout;
mod lenet;
mod linear;
mod mlp;
mod nin;
mod registry;
mod resnet;
mod vgg;

pub use alexnet::{AlexNet, alexnet};
pub use densenet::{DenseNet, densenet};
pub use googlenet::{GoogLeNet, googlenet, googlenet_with_auxiliaries};
pub use layout::{Layout, load_weights, save_weights};
pub use lenet::{lenet, lenet_bn};
pub use linear::{linear_regression, logistic_regression, perceptron, softmax_regression};
pub use mlp::{Mlp, mlp};
pub use nin::{Nin, nin};
pub use registry::{
    Expected, ModelError, ModelOptions, ModelSpec, REGISTRY, Settings, Task, UnknownModel, find,
};
pub use resnet::{ResNet, resnet};
pub use vgg::{VGG11, VGG13, VGG16, VGG19, Vgg, VggStage, vgg};

/// `channels` times `width`, at least one.
fn scaled(channels: usize, width: f64) -> usize {
    ((channels as f64 * width).round() as usize).max(1)
}

#![doc = include_str!("../README.md")]

mod alexnet;
mod densenet;
mod googlenet;
mod lenet;
mod mlp;
mod nin;
mod registry;
mod resnet;
mod softmax;
mod vgg;

pub use alexnet::{AlexNet, alexnet};
pub use densenet::{DenseNet, densenet};
pub use googlenet::googlenet;
pub use lenet::{lenet, lenet_bn};
pub use mlp::{Mlp, mlp};
pub use nin::nin;
pub use registry::{
    Expected, ModelError, ModelOptions, ModelSpec, REGISTRY, Settings, Task, UnknownModel, find,
};
pub use resnet::resnet;
pub use softmax::softmax_regression;
pub use vgg::{VGG11, VGG13, VGG16, VGG19, Vgg, VggStage, vgg};

use crate::{alexnet::classifier, scaled};
use d2l_nn::{
    Init, Network,
    layers::{Activation, Conv2d, Pool2d},
};

/// A stage: that many 3×3 convolutions of that many channels, then 2×2 max pooling.
pub type VggStage = (usize, usize);

/// VGG-11 (configuration A of the paper), the one that the book trains.
pub const VGG11: [VggStage; 5] = [(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)];
/// VGG-13 (configuration B).
pub const VGG13: [VggStage; 5] = [(2, 64), (2, 128), (2, 256), (2, 512), (2, 512)];
/// VGG-16 (configuration D).
pub const VGG16: [VggStage; 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];
/// VGG-19 (configuration E).
pub const VGG19: [VggStage; 5] = [(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)];

/// What a VGG network is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Vgg {
    /// The stages.
    pub stages: Vec<VggStage>,
    /// Factor on the convolutions' channels.
    pub width: f64,
    /// Sizes of the two hidden fully connected layers.
    pub hidden: [usize; 2],
    /// Probability of dropout behind the two hidden fully connected layers.
    pub dropout: f64,
}

impl Vgg {
    /// The paper's network of those stages.
    pub fn new(stages: &[VggStage]) -> Self {
        Self {
            stages: stages.to_vec(),
            width: 1.0,
            hidden: [4096; 2],
            dropout: 0.5,
        }
    }
}

/// VGG (Simonyan & Zisserman 2014, the book's section 7.2): stages of 3×3 convolutions that halve the picture, then
/// three fully connected layers with dropout.
///
/// Weights start Xavier-uniform. VGG-11 with 1×224×224 and 10 classes has 128,806,154 parameters, 43,093,322 at the
/// book's width of a quarter.
pub fn vgg(name: &str, options: &Vgg, classes: usize) -> Network {
    let mut network = Network::new(name);
    for (i, &(convolutions, channels)) in options.stages.iter().enumerate() {
        let channels = scaled(channels, options.width);
        let mut stage = Network::new("stage");
        for n in 1..=convolutions {
            stage = stage
                .add(format!("conv{n}"), Conv2d::new(channels, 3).padding(1))
                .add(format!("relu{n}"), Activation::Relu);
        }
        network = network.add(format!("stage{}", i + 1), stage.add("pool", Pool2d::max(2, 2)));
    }
    classifier(
        network,
        ["relu1", "relu2"],
        options.hidden,
        options.dropout,
        classes,
    )
    .weight_init(Init::XavierUniform)
}

use crate::resnet::stem;
use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, BatchNorm, Conv2d, Flatten, Layer, Linear, Pool2d, PoolKind},
};

/// What a DenseNet is made of. The default is the book's: four dense blocks of four convolutions, growth rate 32.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseNet {
    /// Convolutions in each dense block.
    pub blocks: Vec<usize>,
    /// Channels that each convolution adds.
    pub growth: usize,
}

impl Default for DenseNet {
    fn default() -> Self {
        Self {
            blocks: vec![4; 4],
            growth: 32,
        }
    }
}

/// DenseNet (Huang et al. 2016, the book's section 7.7): in a dense block every convolution sees the outputs of all
/// before it; between blocks a transition halves channels and picture.
///
/// Weights start Xavier-uniform. With 1×96×96 and 10 classes it has 758,226 parameters.
pub fn densenet(options: &DenseNet, classes: usize) -> Network {
    let mut channels = 64;
    let mut network = Network::new("densenet").add("stem", stem());
    for (i, &convolutions) in options.blocks.iter().enumerate() {
        let mut block = Network::new("block");
        for n in 1..=convolutions {
            let grown = normed("grown", Conv2d::new(options.growth, 3).padding(1));
            block = block.add(
                format!("dense{n}"),
                Layer::Branches(vec![Network::new("same"), grown]),
            );
        }
        channels += convolutions * options.growth;
        network = network.add(format!("block{}", i + 1), block);
        if i + 1 < options.blocks.len() {
            channels /= 2;
            let transition =
                normed("transition", Conv2d::new(channels, 1)).add("pool", Pool2d::average(2, 2));
            network = network.add(format!("transition{}", i + 1), transition);
        }
    }
    network
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add(
            "pool",
            AdaptivePool2d {
                kind: PoolKind::Average,
                output: [1, 1],
            },
        )
        .add("flatten", Flatten)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

fn normed(name: &str, conv: Conv2d) -> Network {
    Network::new(name)
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("conv", conv)
}

use crate::{resnet::stem, scaled};
use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, BatchNorm, Conv2d, Flatten, Layer, Linear, Pool2d},
};

/// What a DenseNet is made of. The default is the book's: four dense blocks of four convolutions, growth rate 32.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseNet {
    /// Convolutions in each dense block.
    pub blocks: Vec<usize>,
    /// Channels that each convolution adds.
    pub growth: usize,
    /// Channels of the stem.
    pub stem: usize,
    /// As in the paper's DenseNet-BC (and torchvision): before each 3×3 convolution a 1×1 convolution to four times
    /// the growth rate, and no biases in convolutions.
    pub bottleneck: bool,
}

impl DenseNet {
    /// The paper's DenseNet-BC with growth rate 32: `[6, 12, 24, 16]` is DenseNet-121.
    pub fn deep(blocks: &[usize]) -> Self {
        Self {
            blocks: blocks.to_vec(),
            bottleneck: true,
            ..Self::default()
        }
    }

    /// The same with `factor` times the channels.
    pub fn widened(self, factor: f64) -> Self {
        Self {
            growth: scaled(self.growth, factor),
            stem: scaled(self.stem, factor),
            ..self
        }
    }
}

impl Default for DenseNet {
    fn default() -> Self {
        Self {
            blocks: vec![4; 4],
            growth: 32,
            stem: 64,
            bottleneck: false,
        }
    }
}

/// DenseNet (Huang et al. 2016, the book's section 7.7): in a dense block every convolution sees the outputs of all
/// before it; between blocks a transition halves channels and picture.
///
/// Weights start Xavier-uniform. The book's with 1×96×96 and 10 classes has 758,226 parameters; DenseNet-121 with 3
/// channels and 1000 classes 7,978,856.
pub fn densenet(options: &DenseNet, classes: usize) -> Network {
    let bias = !options.bottleneck;
    let mut channels = options.stem;
    let mut network = Network::new("densenet").add("stem", stem(channels, bias));
    for (i, &convolutions) in options.blocks.iter().enumerate() {
        let mut block = Network::new("block");
        for n in 1..=convolutions {
            block = block.add(
                format!("dense{n}"),
                Layer::Branches(vec![Network::new("same"), grown(options)]),
            );
        }
        channels += convolutions * options.growth;
        network = network.add(format!("block{}", i + 1), block);
        if i + 1 < options.blocks.len() {
            channels /= 2;
            let conv = Conv2d::new(channels, 1);
            let transition = normed(Network::new("transition"), "", Conv2d { bias, ..conv });
            network = network.add(
                format!("transition{}", i + 1),
                transition.add("pool", Pool2d::average(2, 2)),
            );
        }
    }
    network
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("pool", AdaptivePool2d::global_average())
        .add("flatten", Flatten)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

/// What a dense block adds to its channels.
fn grown(options: &DenseNet) -> Network {
    let (network, conv) = (Network::new("grown"), Conv2d::new(options.growth, 3).padding(1));
    if options.bottleneck {
        let narrow = Conv2d::new(4 * options.growth, 1).without_bias();
        return normed(normed(network, "1", narrow), "2", conv.without_bias());
    }
    normed(network, "", conv)
}

/// Batch norm, ReLU and then the convolution.
fn normed(network: Network, number: &str, conv: Conv2d) -> Network {
    network
        .add(format!("norm{number}"), BatchNorm::default())
        .add(format!("relu{number}"), Activation::Relu)
        .add(format!("conv{number}"), conv)
}

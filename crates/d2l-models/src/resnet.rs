use crate::scaled;
use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, BatchNorm, Conv2d, Flatten, Linear, Pool2d, Residual},
};

/// What a ResNet is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResNet {
    /// Residual blocks in each of the four stages.
    pub blocks: [usize; 4],
    /// Blocks of 1×1, 3×3 and 1×1 convolutions, the last with four times the channels, instead of two 3×3
    /// convolutions: what the deep ones have.
    pub bottleneck: bool,
    /// As in the paper (and torchvision): convolutions without bias, and batch norm behind the shortcut's
    /// convolution. The book's convolutions have biases and its shortcuts no norm.
    pub paper: bool,
    /// Factor on the channels.
    pub width: f64,
}

impl ResNet {
    /// The book's, of blocks with two 3×3 convolutions: `[2, 2, 2, 2]` is ResNet-18, `[3, 4, 6, 3]` ResNet-34.
    pub fn book(blocks: [usize; 4]) -> Self {
        Self {
            blocks,
            bottleneck: false,
            paper: false,
            width: 1.0,
        }
    }

    /// The paper's, of bottleneck blocks: `[3, 4, 6, 3]` is ResNet-50, `[3, 4, 23, 3]` ResNet-101, `[3, 8, 36, 3]`
    /// ResNet-152. The 3×3 convolution has the stride, as in torchvision.
    pub fn deep(blocks: [usize; 4]) -> Self {
        Self {
            bottleneck: true,
            paper: true,
            ..Self::book(blocks)
        }
    }
}

/// ResNet (He et al. 2015, the book's section 7.6): four stages of residual blocks behind the stem, then global average
/// pooling. A 1×1 convolution brings the shortcut to a stage's new shape.
///
/// Weights start Xavier-uniform. The book's ResNet-18 with 1×96×96 and 10 classes has 11,178,378 parameters; the
/// paper's ResNet-50 with 3 channels and 1000 classes 25,557,032.
pub fn resnet(name: &str, options: &ResNet, classes: usize) -> Network {
    let stem_channels = scaled(64, options.width);
    let mut network = Network::new(name).add("stem", stem(stem_channels, !options.paper));
    for (i, (&count, channels)) in options.blocks.iter().zip([64, 128, 256, 512]).enumerate() {
        let channels = scaled(channels, options.width);
        let mut stage = Network::new("stage");
        for n in 1..=count {
            // A stage's first block brings its shape; the stem has left the first stage's to plain blocks already.
            let stride = if n == 1 && i > 0 { 2 } else { 1 };
            let reshape = n == 1 && (i > 0 || options.bottleneck);
            stage = stage
                .add(format!("block{n}"), block(options, channels, stride, reshape))
                .add(format!("relu{n}"), Activation::Relu);
        }
        network = network.add(format!("stage{}", i + 1), stage);
    }
    network
        .add("pool", AdaptivePool2d::global_average())
        .add("flatten", Flatten)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

/// What ResNet and DenseNet begin with: 7×7 convolution, batch norm, ReLU, max pooling.
pub(crate) fn stem(channels: usize, bias: bool) -> Network {
    let conv = Conv2d::new(channels, 7).stride(2).padding(3);
    Network::new("stem")
        .add("conv", Conv2d { bias, ..conv })
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("pool", Pool2d::max(3, 2).padding(1))
}

fn block(options: &ResNet, channels: usize, stride: usize, reshape: bool) -> Residual {
    let bias = !options.paper;
    let conv3x3 = |stride| Conv2d {
        bias,
        ..Conv2d::new(channels, 3).padding(1).stride(stride)
    };
    let conv1x1 = |channels, stride| Conv2d {
        bias,
        ..Conv2d::new(channels, 1).stride(stride)
    };
    let (convs, out_channels) = if options.bottleneck {
        let wide = 4 * channels;
        (
            vec![conv1x1(channels, 1), conv3x3(stride), conv1x1(wide, 1)],
            wide,
        )
    } else {
        (vec![conv3x3(stride), conv3x3(1)], channels)
    };
    let (mut main, last) = (Network::new("main"), convs.len());
    for (n, conv) in (1..).zip(convs) {
        main = main
            .add(format!("conv{n}"), conv)
            .add(format!("norm{n}"), BatchNorm::default());
        if n < last {
            main = main.add(format!("relu{n}"), Activation::Relu);
        }
    }
    let mut shortcut = Network::new("shortcut");
    if reshape {
        shortcut = shortcut.add("conv", conv1x1(out_channels, stride));
        if options.paper {
            shortcut = shortcut.add("norm", BatchNorm::default());
        }
    }
    Residual { main, shortcut }
}

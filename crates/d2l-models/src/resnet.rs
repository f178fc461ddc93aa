use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, BatchNorm, Conv2d, Flatten, Linear, Pool2d, PoolKind, Residual},
};

/// ResNet (He et al. 2015, the book's section 7.6) of residual blocks with two 3×3 convolutions: `blocks` many in each
/// of the four stages, `[2, 2, 2, 2]` for ResNet-18 and `[3, 4, 6, 3]` for ResNet-34. As in the book, a 1×1
/// convolution without batch norm brings the shortcut to a stage's new shape.
///
/// Weights start Xavier-uniform. ResNet-18 with 1×96×96 and 10 classes has 11,178,378 parameters.
pub fn resnet(name: &str, blocks: [usize; 4], classes: usize) -> Network {
    let mut network = Network::new(name).add("stem", stem());
    for (i, (count, channels)) in blocks.into_iter().zip([64, 128, 256, 512]).enumerate() {
        let mut stage = Network::new("stage");
        for n in 1..=count {
            let halve = n == 1 && i > 0;
            stage = stage
                .add(format!("block{n}"), block(channels, halve))
                .add(format!("relu{n}"), Activation::Relu);
        }
        network = network.add(format!("stage{}", i + 1), stage);
    }
    network
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

/// What the book's ResNet and DenseNet begin with: 7×7 convolution, batch norm, ReLU, max pooling.
pub(crate) fn stem() -> Network {
    Network::new("stem")
        .add("conv", Conv2d::new(64, 7).stride(2).padding(3))
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("pool", Pool2d::max(3, 2).padding(1))
}

fn block(channels: usize, halve: bool) -> Residual {
    let stride = if halve { 2 } else { 1 };
    let main = Network::new("main")
        .add("conv1", Conv2d::new(channels, 3).padding(1).stride(stride))
        .add("norm1", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("conv2", Conv2d::new(channels, 3).padding(1))
        .add("norm2", BatchNorm::default());
    let same = Network::new("shortcut");
    let shortcut = if halve {
        same.add("conv", Conv2d::new(channels, 1).stride(stride))
    } else {
        same
    };
    Residual { main, shortcut }
}

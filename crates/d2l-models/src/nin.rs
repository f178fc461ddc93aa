use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, Conv2d, Dropout, Flatten, Pool2d, PoolKind},
};

/// Network in network (Lin et al. 2013, the book's section 7.3): blocks of one convolution and two 1×1 convolutions;
/// the last block has a channel per class, and global average pooling makes them the logits.
///
/// Weights start Xavier-uniform. With 1×224×224 and 10 classes it has 1,992,166 parameters.
pub fn nin(dropout: f64, classes: usize) -> Network {
    Network::new("nin")
        .add("block1", block(Conv2d::new(96, 11).stride(4)))
        .add("pool1", Pool2d::max(3, 2))
        .add("block2", block(Conv2d::new(256, 5).padding(2)))
        .add("pool2", Pool2d::max(3, 2))
        .add("block3", block(Conv2d::new(384, 3).padding(1)))
        .add("pool3", Pool2d::max(3, 2))
        .add("dropout", Dropout { p: dropout })
        .add("block4", block(Conv2d::new(classes, 3).padding(1)))
        .add(
            "pool4",
            AdaptivePool2d {
                kind: PoolKind::Average,
                output: [1, 1],
            },
        )
        .add("flatten", Flatten)
        .weight_init(Init::XavierUniform)
}

fn block(first: Conv2d) -> Network {
    let channels = first.out_channels;
    Network::new("block")
        .add("conv1", first)
        .add("relu1", Activation::Relu)
        .add("conv2", Conv2d::new(channels, 1))
        .add("relu2", Activation::Relu)
        .add("conv3", Conv2d::new(channels, 1))
        .add("relu3", Activation::Relu)
}

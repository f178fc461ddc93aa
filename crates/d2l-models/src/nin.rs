use crate::scaled;
use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, Conv2d, Dropout, Flatten, Pool2d},
};

/// What can be chosen about NiN. The default is the book's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nin {
    /// Factor on the channels.
    pub width: f64,
    /// Probability of dropout before the last block.
    pub dropout: f64,
}

impl Default for Nin {
    fn default() -> Self {
        Self {
            width: 1.0,
            dropout: 0.5,
        }
    }
}

/// Network in network (Lin et al. 2013, the book's section 7.3): blocks of one convolution and two 1×1 convolutions;
/// the last block has a channel per class, and global average pooling makes them the logits.
///
/// Weights start Xavier-uniform. With 1×224×224 and 10 classes it has 1,992,166 parameters.
pub fn nin(options: &Nin, classes: usize) -> Network {
    let wide = |channels| scaled(channels, options.width);
    Network::new("nin")
        .add("block1", block(Conv2d::new(wide(96), 11).stride(4)))
        .add("pool1", Pool2d::max(3, 2))
        .add("block2", block(Conv2d::new(wide(256), 5).padding(2)))
        .add("pool2", Pool2d::max(3, 2))
        .add("block3", block(Conv2d::new(wide(384), 3).padding(1)))
        .add("pool3", Pool2d::max(3, 2))
        .add("dropout", Dropout { p: options.dropout })
        .add("block4", block(Conv2d::new(classes, 3).padding(1)))
        .add("pool4", AdaptivePool2d::global_average())
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

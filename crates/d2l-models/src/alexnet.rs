use d2l_nn::{
    Init, Network,
    layers::{Activation, Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, Pool2d},
};

/// What can be chosen about AlexNet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlexNet {
    /// Probability of dropout behind the two hidden fully connected layers.
    pub dropout: f64,
    /// Local response normalisation behind the first two convolutions, as in the paper; the book leaves it out.
    pub local_response_norm: bool,
}

impl Default for AlexNet {
    fn default() -> Self {
        Self {
            dropout: 0.5,
            local_response_norm: false,
        }
    }
}

/// AlexNet (Krizhevsky et al. 2012, the book's section 7.1): five convolutions with overlapping max pooling, then three
/// fully connected layers with dropout. The book's version is for one channel and has half the paper's two towers.
///
/// Weights start Xavier-uniform. With 1×224×224 and 10 classes it has 46,764,746 parameters.
pub fn alexnet(options: &AlexNet, classes: usize) -> Network {
    let norm = |network: Network, name: &str| match options.local_response_norm {
        true => network.add(name, LocalResponseNorm::default()),
        false => network,
    };
    let network = Network::new("alexnet")
        .add("conv1", Conv2d::new(96, 11).stride(4).padding(1))
        .add("relu1", Activation::Relu);
    let network = norm(network, "norm1")
        .add("pool1", Pool2d::max(3, 2))
        .add("conv2", Conv2d::new(256, 5).padding(2))
        .add("relu2", Activation::Relu);
    norm(network, "norm2")
        .add("pool2", Pool2d::max(3, 2))
        .add("conv3", Conv2d::new(384, 3).padding(1))
        .add("relu3", Activation::Relu)
        .add("conv4", Conv2d::new(384, 3).padding(1))
        .add("relu4", Activation::Relu)
        .add("conv5", Conv2d::new(256, 3).padding(1))
        .add("relu5", Activation::Relu)
        .add("pool3", Pool2d::max(3, 2))
        .add("flatten", Flatten)
        .add("linear1", Linear::new(4096))
        .add("relu6", Activation::Relu)
        .add("dropout1", Dropout { p: options.dropout })
        .add("linear2", Linear::new(4096))
        .add("relu7", Activation::Relu)
        .add("dropout2", Dropout { p: options.dropout })
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

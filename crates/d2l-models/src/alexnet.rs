use d2l_nn::{
    Init, Network,
    layers::{Activation, Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, Pool2d},
};

/// What can be chosen about AlexNet. The default is the book's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlexNet {
    /// Channels of the five convolutions.
    pub channels: [usize; 5],
    /// Padding of the first convolution.
    pub padding: usize,
    /// Sizes of the two hidden fully connected layers.
    pub hidden: [usize; 2],
    /// Probability of dropout behind the two hidden fully connected layers.
    pub dropout: f64,
    /// Local response normalisation behind the first two convolutions, as in the paper; the book leaves it out.
    pub local_response_norm: bool,
}

impl AlexNet {
    /// The single tower of "One weird trick for parallelizing convolutional neural networks" (Krizhevsky 2014), whose
    /// weights torchvision has; for pictures of 224×224.
    pub fn one_tower() -> Self {
        Self {
            channels: [64, 192, 384, 256, 256],
            padding: 2,
            ..Self::default()
        }
    }
}

impl Default for AlexNet {
    fn default() -> Self {
        Self {
            channels: [96, 256, 384, 384, 256],
            padding: 1,
            hidden: [4096; 2],
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
    let [first, second, third, fourth, fifth] = options.channels;
    let network = Network::new("alexnet")
        .add("conv1", Conv2d::new(first, 11).stride(4).padding(options.padding))
        .add("relu1", Activation::Relu);
    let network = norm(network, "norm1")
        .add("pool1", Pool2d::max(3, 2))
        .add("conv2", Conv2d::new(second, 5).padding(2))
        .add("relu2", Activation::Relu);
    let network = norm(network, "norm2")
        .add("pool2", Pool2d::max(3, 2))
        .add("conv3", Conv2d::new(third, 3).padding(1))
        .add("relu3", Activation::Relu)
        .add("conv4", Conv2d::new(fourth, 3).padding(1))
        .add("relu4", Activation::Relu)
        .add("conv5", Conv2d::new(fifth, 3).padding(1))
        .add("relu5", Activation::Relu)
        .add("pool3", Pool2d::max(3, 2));
    classifier(
        network,
        ["relu6", "relu7"],
        options.hidden,
        options.dropout,
        classes,
    )
    .weight_init(Init::XavierUniform)
}

/// What AlexNet and VGG end with: two hidden fully connected layers with dropout, then the logits.
pub(crate) fn classifier(
    network: Network,
    relus: [&str; 2],
    hidden: [usize; 2],
    dropout: f64,
    classes: usize,
) -> Network {
    network
        .add("flatten", Flatten)
        .add("linear1", Linear::new(hidden[0]))
        .add(relus[0], Activation::Relu)
        .add("dropout1", Dropout { p: dropout })
        .add("linear2", Linear::new(hidden[1]))
        .add(relus[1], Activation::Relu)
        .add("dropout2", Dropout { p: dropout })
        .add("output", Linear::new(classes))
}

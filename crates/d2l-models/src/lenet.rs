use d2l_nn::{
    Init, Network,
    layers::{Activation, BatchNorm, Conv2d, Flatten, Linear, Pool2d},
};

/// LeNet (LeCun et al. 1998, the book's section 6.6): two convolutions with sigmoid and average pooling, then three
/// fully connected layers. The book leaves out the original's Gaussian output layer.
///
/// Weights start Xavier-uniform. Input of at least 12×12 pixels; with 1×28×28 and 10 classes it has 61,706 parameters.
pub fn lenet(classes: usize) -> Network {
    Network::new("lenet")
        .add("conv1", Conv2d::new(6, 5).padding(2))
        .add("sigmoid1", Activation::Sigmoid)
        .add("pool1", Pool2d::average(2, 2))
        .add("conv2", Conv2d::new(16, 5))
        .add("sigmoid2", Activation::Sigmoid)
        .add("pool2", Pool2d::average(2, 2))
        .add("flatten", Flatten)
        .add("linear1", Linear::new(120))
        .add("sigmoid3", Activation::Sigmoid)
        .add("linear2", Linear::new(84))
        .add("sigmoid4", Activation::Sigmoid)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

/// LeNet with batch norm before every sigmoid (the book's section 7.5). Unlike [`lenet`], its first convolution does
/// not pad.
///
/// Weights start Xavier-uniform. Input of at least 16×16 pixels; with 1×28×28 and 10 classes it has 44,878 parameters.
pub fn lenet_bn(classes: usize) -> Network {
    Network::new("lenet-bn")
        .add("conv1", Conv2d::new(6, 5))
        .add("norm1", BatchNorm::default())
        .add("sigmoid1", Activation::Sigmoid)
        .add("pool1", Pool2d::average(2, 2))
        .add("conv2", Conv2d::new(16, 5))
        .add("norm2", BatchNorm::default())
        .add("sigmoid2", Activation::Sigmoid)
        .add("pool2", Pool2d::average(2, 2))
        .add("flatten", Flatten)
        .add("linear1", Linear::new(120))
        .add("norm3", BatchNorm::default())
        .add("sigmoid3", Activation::Sigmoid)
        .add("linear2", Linear::new(84))
        .add("norm4", BatchNorm::default())
        .add("sigmoid4", Activation::Sigmoid)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

use d2l_nn::{
    Init, Network,
    layers::{Flatten, Linear},
};

/// Softmax regression (the book's section 3.7): one fully connected layer, whose outputs are the logits.
///
/// Weights start from N(0, 0.01²). Any input shape; with 1×28×28 and 10 classes it has 7,850 parameters.
pub fn softmax_regression(classes: usize) -> Network {
    Network::new("softmax")
        .add("flatten", Flatten)
        .add("output", Linear::new(classes))
        .weight_init(Init::normal(0.01))
}

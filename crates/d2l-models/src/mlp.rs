use d2l_nn::{
    Init, Network,
    layers::{Activation, Dropout, Flatten, Linear},
};

/// What a multilayer perceptron is made of. The default is the book's: one hidden layer of 256, ReLU, no dropout.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// What follows each hidden layer.
    pub activation: Activation,
    /// Probability of dropout after each hidden layer's activation; none where there are fewer than layers.
    pub dropout: Vec<f64>,
}

impl Default for Mlp {
    fn default() -> Self {
        Self {
            hidden: vec![256],
            activation: Activation::Relu,
            dropout: Vec::new(),
        }
    }
}

/// A multilayer perceptron (the book's sections 4.3 and 4.6): fully connected layers `hidden1`, `hidden2`, …, each
/// with its activation and, where given, dropout; then `output` with the logits.
///
/// Weights start from N(0, 0.01²). Any input shape; with 1×28×28, one hidden layer of 256 and 10 classes it has
/// 203,530 parameters.
pub fn mlp(options: &Mlp, classes: usize) -> Network {
    let mut network = Network::new("mlp").add("flatten", Flatten);
    for (i, &width) in options.hidden.iter().enumerate() {
        let n = i + 1;
        network = network
            .add(format!("hidden{n}"), Linear::new(width))
            .add(format!("activation{n}"), options.activation);
        if let Some(&p) = options.dropout.get(i) {
            network = network.add(format!("dropout{n}"), Dropout { p });
        }
    }
    network
        .add("output", Linear::new(classes))
        .weight_init(Init::normal(0.01))
}

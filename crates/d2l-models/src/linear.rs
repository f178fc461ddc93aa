use d2l_nn::{
    Init, Network,
    layers::{Flatten, Linear},
};

/// Linear regression (the book's sections 3.1 to 3.3): one fully connected layer, whose outputs are the predictions.
///
/// Weights start from N(0, 0.01²), biases at 0. Any input shape; with 2 features and 1 output it has 3 parameters.
pub fn linear_regression(outputs: usize) -> Network {
    one_layer("linear", outputs, Init::normal(0.01), Init::Constant(0.0))
}

/// Logistic regression: one fully connected layer with one output, the logit of the second of two classes; its
/// sigmoid is the probability. Train it with `ops::bce_with_logits`.
///
/// Weights start from N(0, 0.01²), biases at 0. Any input shape; with 2 features it has 3 parameters.
pub fn logistic_regression() -> Network {
    one_layer("logistic", 1, Init::normal(0.01), Init::Constant(0.0))
}

/// Softmax regression (the book's section 3.7): one fully connected layer, whose outputs are the logits.
///
/// Weights start from N(0, 0.01²). Any input shape; with 1×28×28 and 10 classes it has 7,850 parameters.
pub fn softmax_regression(classes: usize) -> Network {
    one_layer("softmax", classes, Init::normal(0.01), Init::TorchDefault)
}

/// The perceptron (Rosenblatt 1958): one fully connected layer with one output, whose sign is the class.
///
/// Its learning rule, w ← w + y·x for every example with y·(w·x + b) ≤ 0 and y = ±1, is a step of SGD with learning
/// rate 1 on the loss max(0, −y·(w·x + b)). Everything starts at 0. Any input shape; with 2 features it has 3
/// parameters.
pub fn perceptron() -> Network {
    one_layer("perceptron", 1, Init::Constant(0.0), Init::Constant(0.0))
}

fn one_layer(name: &str, outputs: usize, weight_init: Init, bias_init: Init) -> Network {
    let output = Linear {
        weight_init,
        bias_init,
        ..Linear::new(outputs)
    };
    Network::new(name).add("flatten", Flatten).add("output", output)
}

//! A multilayer perceptron that reads digits (beside section 4.3): MNIST, Xavier's weights, Adam.

use crate::{Chapter, Classifier, Cost, Expect, Lesson, Page, Result, shapes::print_parameters};
use d2l_models::{Mlp, mlp};
use d2l_nn::{Init, Network, layers::Layer};
use d2l_train::Method;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "mlp-digits",
    chapter: Chapter::Mlp,
    section: "4.3",
    title: "A multilayer perceptron that reads digits",
    expected: "test accuracy about 0.98 on all of MNIST after ten epochs",
    cost: Cost::Minutes,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let digits = Classifier {
        name: "an MLP on digits",
        network: network(),
        dataset: "mnist",
        method: Method::adam(0.001),
        batch_size: 100,
        ..Classifier::of_the_book("mlp", page)?
    };
    print_parameters(page, &digits.network, &digits.input, 203_530)?;
    let fitted = digits.train(page)?;
    // ANCHOR_END: training
    page.draw("curves", fitted.curves.figure());
    let last = fitted.history.last().and_then(|epoch| epoch.test_accuracy);
    let accuracy = last.unwrap_or(f64::NAN);
    page.expect("test accuracy above guessing", Expect::AtLeast(0.5), accuracy);
    // A sample, of a few thousand, is too little to learn from for the book's 0.98.
    let whole = fitted.data.train.len() >= 60_000;
    let book = if whole { 0.97 } else { 0.9 };
    page.expect_of_full("test accuracy", Expect::AtLeast(book), accuracy);
    Ok(())
}

// ANCHOR: network
/// 784-256-10 with Xavier-uniform weights and biases of zero.
pub fn network() -> Network {
    let mut network = mlp(&Mlp::default(), 10).weight_init(Init::XavierUniform);
    for node in &mut network.nodes {
        if let Layer::Linear(linear) = &mut node.layer {
            linear.bias_init = Init::Constant(0.0);
        }
    }
    network
}
// ANCHOR_END: network

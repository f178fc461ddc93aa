//! Dropout as a layer of d2l-nn (section 4.6).

use super::dropout_scratch::{DROPOUT, LEARNING_RATE};
use crate::{Chapter, Classifier, Cost, Expect, Lesson, Page, Result};
use d2l_models::{Mlp, mlp};
use d2l_nn::Network;
use d2l_train::Method;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "dropout-concise",
    chapter: Chapter::Mlp,
    section: "4.6",
    title: "Dropout, concisely",
    expected: "loss 0.33 to 0.34, train 0.877, test 0.85 after ten epochs",
    cost: Cost::Minutes,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let classifier = classifier(page)?;
    page.say(&classifier.network);
    let fitted = classifier.train(page)?;
    // ANCHOR_END: training
    page.draw("curves", fitted.curves.figure());
    let last = fitted.history.last();
    let loss = last.map_or(f64::NAN, |epoch| epoch.train_loss);
    let train = last.and_then(|epoch| epoch.train_accuracy).unwrap_or(f64::NAN);
    let test = last.and_then(|epoch| epoch.test_accuracy).unwrap_or(f64::NAN);
    page.expect(
        "train loss below that of guessing",
        Expect::AtMost(10f64.ln()),
        loss,
    );
    page.expect_of_full("train loss", Expect::near(0.335, 0.012), loss);
    page.expect_of_full("train accuracy", Expect::near(0.877, 0.006), train);
    page.expect_of_full("test accuracy", Expect::Between(0.79, 0.88), test);
    Ok(())
}

// ANCHOR: network
/// 784-256-256-10 with dropout of 0.2 and 0.5 behind the hidden layers.
pub fn network() -> Network {
    let options = Mlp {
        hidden: vec![256, 256],
        dropout: DROPOUT.to_vec(),
        ..Mlp::default()
    };
    mlp(&options, 10)
}

/// The network and how it is trained.
///
/// # Errors
/// When the registry lacks the MLP.
pub fn classifier(page: &Page<'_>) -> Result<Classifier> {
    Ok(Classifier {
        name: "an MLP with dropout",
        network: network(),
        method: Method::sgd(LEARNING_RATE),
        ..Classifier::of_the_book("mlp", page)?
    })
}
// ANCHOR_END: network

//! Dropout as a layer of d2l-nn (section 4.6).

use super::dropout_scratch::{BOOK, DROPOUT, LEARNING_RATE, WITHIN};
use crate::{Chapter, Classifier, Cost, Lesson, Page, Result};
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
    fitted.beside(page, BOOK, WITHIN)
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

//! Softmax regression, concisely (section 3.7): the network of the registry, trained with the book's settings.

use super::softmax_scratch::WITHIN;
use crate::{Chapter, Classifier, Cost, Expect, Lesson, Page, Result};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "softmax-regression-concise",
    chapter: Chapter::Linear,
    section: "3.7",
    title: "Softmax regression, concisely",
    expected: "train loss 0.448, train accuracy 0.848, test accuracy 0.83 after ten epochs",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let classifier = Classifier::of_the_book("softmax", page)?;
    page.say(classifier.network.summary(&classifier.input)?);
    let fitted = classifier.train(page)?;
    // ANCHOR_END: training
    let last = fitted.history.last().map_or(f64::NAN, |epoch| epoch.train_loss);
    page.expect(
        "parameters",
        Expect::Exactly(7850.0),
        fitted.params.parameter_count() as f64,
    );
    page.expect(
        "train loss below that of guessing",
        Expect::AtMost(10f64.ln()),
        last,
    );
    fitted.beside_the_book(page, "softmax", WITHIN)
}

//! A multilayer perceptron with d2l-models and d2l-train (section 4.3).

use super::mlp_scratch::WITHIN;
use crate::{Chapter, Classifier, Cost, Lesson, Page, Result, shapes::print_parameters};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "mlp-concise",
    chapter: Chapter::Mlp,
    section: "4.3",
    title: "A multilayer perceptron, concisely",
    expected: "203,530 parameters; loss 0.383, train 0.864, test 0.83 to 0.84 after ten epochs",
    cost: Cost::Minutes,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let mlp = Classifier::of_the_book("mlp", page)?;
    page.say(&mlp.network);
    print_parameters(page, &mlp.network, &mlp.input, 203_530)?;
    let fitted = mlp.train(page)?;
    // ANCHOR_END: training
    fitted.beside_the_book(page, "mlp", WITHIN)
}

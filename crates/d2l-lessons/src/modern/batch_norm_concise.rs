//! Batch normalisation with d2l-nn's layer (section 7.5).

use super::batch_norm_scratch::WITHIN;
use crate::{
    Chapter, Classifier, Cost, Lesson, Page, Result,
    shapes::{print_parameters, print_shapes},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "batch-norm-concise",
    chapter: Chapter::ModernConvolution,
    section: "7.5",
    title: "Batch normalisation, concisely",
    expected: "44,878 parameters; loss about 0.27, train about 0.90, test 0.71 to 0.88 after ten epochs",
    cost: Cost::Minutes,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let lenet = Classifier::of_the_book("lenet-bn", page)?;
    page.say(&lenet.network);
    print_shapes(page, &lenet.network, &lenet.input, &[("norm1", &[6, 24, 24])])?;
    print_parameters(page, &lenet.network, &lenet.input, 44_878)?;
    let fitted = lenet.train(page)?;
    // ANCHOR_END: training
    fitted.beside_the_book(page, "lenet-bn", WITHIN)
}

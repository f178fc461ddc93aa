//! Convolutional neural networks: LeNet (section 6.6).

use crate::{
    Chapter, Classifier, Cost, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "lenet",
    chapter: Chapter::Convolution,
    section: "6.6",
    title: "LeNet",
    expected: "61,706 parameters; loss 0.469, train 0.823, test 0.779 after ten epochs",
    cost: Cost::Minutes,
    run,
};

/// What leaves each layer for a picture of 1×28×28.
const SHAPES: [(&str, &[usize]); 8] = [
    ("conv1", &[6, 28, 28]),
    ("pool1", &[6, 14, 14]),
    ("conv2", &[16, 10, 10]),
    ("pool2", &[16, 5, 5]),
    ("flatten", &[400]),
    ("linear1", &[120]),
    ("linear2", &[84]),
    ("output", &[10]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: model
    let lenet = Classifier::of_the_book("lenet", page)?;
    print_shapes(page, &lenet.network, &lenet.input, &SHAPES)?;
    print_parameters(page, &lenet.network, &lenet.input, 61_706)?;
    // ANCHOR_END: model
    // ANCHOR: training
    let fitted = lenet.train(page)?;
    // ANCHOR_END: training
    let within = Within {
        train_loss: 0.02,
        train_accuracy: 0.01,
        test_accuracy: 0.06,
    };
    fitted.beside_the_book(page, "lenet", within)
}

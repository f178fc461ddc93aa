//! Network in network: NiN (section 7.3).

use crate::{
    Chapter, Classifier, Cost, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};
use d2l_nn::{
    Network,
    layers::{Activation, Conv2d},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "nin",
    chapter: Chapter::ModernConvolution,
    section: "7.3",
    title: "Network in network",
    expected: "1,992,166 parameters; loss 0.563, train 0.786, test 0.790 after ten epochs",
    cost: Cost::Hours,
    run,
};

/// What leaves each block for a picture of 1×224×224.
const SHAPES: [(&str, &[usize]); 10] = [
    ("block1", &[96, 54, 54]),
    ("pool1", &[96, 26, 26]),
    ("block2", &[256, 26, 26]),
    ("pool2", &[256, 12, 12]),
    ("block3", &[384, 12, 12]),
    ("pool3", &[384, 5, 5]),
    ("dropout", &[384, 5, 5]),
    ("block4", &[10, 5, 5]),
    ("pool4", &[10, 1, 1]),
    ("flatten", &[10]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    page.say(nin_block(Conv2d::new(96, 11).stride(4)));
    // ANCHOR: training
    let nin = Classifier::of_the_book("nin", page)?;
    print_shapes(page, &nin.network, &nin.input, &SHAPES)?;
    print_parameters(page, &nin.network, &nin.input, 1_992_166)?;
    let fitted = nin.train(page)?;
    // ANCHOR_END: training
    // The book's run is one of many that start slowly: the loss of a single run is spread widely.
    let within = Within {
        train_loss: 0.3,
        train_accuracy: 0.12,
        test_accuracy: 0.15,
    };
    fitted.beside_the_book(page, "nin", within)
}

// ANCHOR: nin_block
/// A NiN block: a convolution, then two 1×1 convolutions, which are fully connected layers over each pixel's channels.
pub fn nin_block(first: Conv2d) -> Network {
    let channels = first.out_channels;
    Network::new("nin block")
        .add("conv1", first)
        .add("relu1", Activation::Relu)
        .add("conv2", Conv2d::new(channels, 1))
        .add("relu2", Activation::Relu)
        .add("conv3", Conv2d::new(channels, 1))
        .add("relu3", Activation::Relu)
}
// ANCHOR_END: nin_block

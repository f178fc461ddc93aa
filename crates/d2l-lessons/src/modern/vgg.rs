//! Networks using blocks: VGG (section 7.2).

use crate::{
    Chapter, Classifier, Cost, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};
use d2l_models::{VGG11, VGG13, VGG16, VGG19, Vgg, vgg};
use d2l_nn::{
    Network,
    layers::{Activation, Conv2d, Pool2d},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "vgg",
    chapter: Chapter::ModernConvolution,
    section: "7.2",
    title: "VGG",
    expected: "128,806,154 parameters, 43,093,322 with a quarter of the channels; then loss 0.178, train 0.935, test \
               0.920 after ten epochs",
    cost: Cost::Hours,
    run,
};

/// What leaves each stage and layer for a picture of 1×224×224.
const SHAPES: [(&str, &[usize]); 9] = [
    ("stage1", &[64, 112, 112]),
    ("stage2", &[128, 56, 56]),
    ("stage3", &[256, 28, 28]),
    ("stage4", &[512, 14, 14]),
    ("stage5", &[512, 7, 7]),
    ("flatten", &[25_088]),
    ("linear1", &[4096]),
    ("linear2", &[4096]),
    ("output", &[10]),
];
const INPUT: [usize; 3] = [1, 224, 224];

fn run(page: &mut Page<'_>) -> Result<()> {
    let block = vgg_block(2, 128);
    page.say(format_args!("{block}"));
    let book: [(&str, &[usize]); 1] = [("pool", &[128, 56, 56])];
    print_shapes(page, &block, &[64, 112, 112], &book)?;

    // ANCHOR: model
    let full = vgg("vgg11 of full width", &Vgg::new(&VGG11), 10);
    print_shapes(page, &full, &INPUT, &SHAPES)?;
    print_parameters(page, &full, &INPUT, 128_806_154)?;
    // ANCHOR_END: model
    for (name, stages) in [("vgg13", VGG13), ("vgg16", VGG16), ("vgg19", VGG19)] {
        let parameters = vgg(name, &Vgg::new(&stages), 10).summary(&INPUT)?.parameters;
        page.say(format_args!("{name}: {parameters} parameters"));
    }

    // ANCHOR: training
    let small = Classifier::of_the_book("vgg11", page)?;
    page.say("With a quarter of the channels:");
    print_parameters(page, &small.network, &INPUT, 43_093_322)?;
    let fitted = small.train(page)?;
    // ANCHOR_END: training
    let within = Within {
        train_loss: 0.03,
        train_accuracy: 0.015,
        test_accuracy: 0.04,
    };
    fitted.beside_the_book(page, "vgg11", within)
}

// ANCHOR: vgg_block
/// A VGG block: 3×3 convolutions that keep the picture's size, then pooling that halves it.
pub fn vgg_block(convolutions: usize, channels: usize) -> Network {
    let mut block = Network::new("vgg block");
    for n in 1..=convolutions {
        block = block
            .add(format!("conv{n}"), Conv2d::new(channels, 3).padding(1))
            .add(format!("relu{n}"), Activation::Relu);
    }
    block.add("pool", Pool2d::max(2, 2))
}
// ANCHOR_END: vgg_block

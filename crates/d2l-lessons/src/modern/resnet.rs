//! Residual networks: ResNet (section 7.6).

use crate::{
    Chapter, Classifier, Cost, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};
use d2l_models::{ModelOptions, ResNet, resnet};
use d2l_nn::{
    Network,
    layers::{Activation, BatchNorm, Conv2d, Residual},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "resnet",
    chapter: Chapter::ModernConvolution,
    section: "7.6",
    title: "ResNet",
    expected: "11,178,378 parameters; loss 0.012, train 0.997, test 0.893 after ten epochs",
    cost: Cost::Hours,
    run,
};

/// What leaves each stage for a picture of 1×224×224.
const SHAPES: [(&str, &[usize]); 8] = [
    ("stem", &[64, 56, 56]),
    ("stage1", &[64, 56, 56]),
    ("stage2", &[128, 28, 28]),
    ("stage3", &[256, 14, 14]),
    ("stage4", &[512, 7, 7]),
    ("pool", &[512, 1, 1]),
    ("flatten", &[512]),
    ("output", &[10]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    page.say(residual_block("plain block", 3, 1));
    print_shapes(
        page,
        &residual_block("plain block", 3, 1),
        &[3, 6, 6],
        &[("residual", &[3, 6, 6])],
    )?;
    print_shapes(
        page,
        &residual_block("halving block", 6, 2),
        &[3, 6, 6],
        &[("residual", &[6, 3, 3])],
    )?;

    // ANCHOR: model
    let network = resnet("resnet18", &ResNet::book([2, 2, 2, 2]), 10);
    print_shapes(page, &network, &[1, 224, 224], &SHAPES)?;
    print_parameters(page, &network, &[1, 96, 96], 11_178_378)?;
    // ANCHOR_END: model
    for name in ["resnet34", "resnet50", "resnet101", "resnet152"] {
        let spec = d2l_models::find(name)?;
        let deep = spec.network(&ModelOptions::default())?;
        let parameters = deep.summary(spec.input)?.parameters;
        page.say(format_args!("{name}: {parameters} parameters"));
    }

    // ANCHOR: training
    let fitted = Classifier::of_the_book("resnet18", page)?.train(page)?;
    // ANCHOR_END: training
    let within = Within {
        train_loss: 0.012,
        train_accuracy: 0.005,
        test_accuracy: 0.05,
    };
    fitted.beside_the_book(page, "resnet18", within)
}

// ANCHOR: residual_block
/// A residual block: two 3×3 convolutions learn what is to be added to the input. Where the stride or the channels
/// change, a 1×1 convolution brings the input to the new shape.
pub fn residual_block(name: &str, channels: usize, stride: usize) -> Network {
    let main = Network::new("main")
        .add("conv1", Conv2d::new(channels, 3).padding(1).stride(stride))
        .add("norm1", BatchNorm::default())
        .add("relu1", Activation::Relu)
        .add("conv2", Conv2d::new(channels, 3).padding(1))
        .add("norm2", BatchNorm::default());
    let mut shortcut = Network::new("shortcut");
    if stride > 1 {
        shortcut = shortcut.add("conv", Conv2d::new(channels, 1).stride(stride));
    }
    Network::new(name)
        .add("residual", Residual { main, shortcut })
        .add("relu", Activation::Relu)
}
// ANCHOR_END: residual_block

//! Densely connected networks: DenseNet (section 7.7).

use crate::{
    Chapter, Classifier, Cost, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};
use d2l_nn::{
    Network,
    layers::{Activation, BatchNorm, Conv2d, Layer, Pool2d},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "densenet",
    chapter: Chapter::ModernConvolution,
    section: "7.7",
    title: "DenseNet",
    expected: "758,226 parameters; loss 0.140, train 0.948, test 0.885 after ten epochs",
    cost: Cost::Hours,
    run,
};

/// Channels double up in a block (4 × 32 more) and are halved behind it.
const SHAPES: [(&str, &[usize]); 11] = [
    ("stem", &[64, 24, 24]),
    ("block1", &[192, 24, 24]),
    ("transition1", &[96, 12, 12]),
    ("block2", &[224, 12, 12]),
    ("transition2", &[112, 6, 6]),
    ("block3", &[240, 6, 6]),
    ("transition3", &[120, 3, 3]),
    ("block4", &[248, 3, 3]),
    ("pool", &[248, 1, 1]),
    ("flatten", &[248]),
    ("output", &[10]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    let block = dense_block(2, 10);
    page.say(format_args!("{block}"));
    print_shapes(page, &block, &[3, 8, 8], &[("dense2", &[23, 8, 8])])?;
    print_shapes(page, &transition_block(10), &[23, 8, 8], &[("pool", &[10, 4, 4])])?;

    // ANCHOR: training
    let densenet = Classifier::of_the_book("densenet", page)?;
    print_shapes(page, &densenet.network, &densenet.input, &SHAPES)?;
    print_parameters(page, &densenet.network, &densenet.input, 758_226)?;
    let fitted = densenet.train(page)?;
    // ANCHOR_END: training
    let within = Within {
        train_loss: 0.03,
        train_accuracy: 0.012,
        test_accuracy: 0.06,
    };
    fitted.beside_the_book(page, "densenet", within)
}

// ANCHOR: blocks
/// Batch norm, ReLU, convolution: the order that DenseNet has from the improved ResNet.
fn conv_block(network: Network, conv: Conv2d) -> Network {
    network
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("conv", conv)
}

/// A dense block: every convolution adds `growth` channels to all that came before it.
pub fn dense_block(convolutions: usize, growth: usize) -> Network {
    (1..=convolutions).fold(Network::new("dense block"), |block, n| {
        let grown = conv_block(Network::new("grown"), Conv2d::new(growth, 3).padding(1));
        let beside = Layer::Branches(vec![Network::new("same"), grown]);
        block.add(format!("dense{n}"), beside)
    })
}

/// A transition: a 1×1 convolution brings the channels down, average pooling halves the picture.
pub fn transition_block(channels: usize) -> Network {
    conv_block(Network::new("transition block"), Conv2d::new(channels, 1)).add("pool", Pool2d::average(2, 2))
}
// ANCHOR_END: blocks

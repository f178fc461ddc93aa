//! Networks with parallel concatenations: GoogLeNet (section 7.4).

use crate::{
    Chapter, Classifier, Cost, Expect, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};
use candle_core::DType;
use d2l_models::{GoogLeNet, googlenet_with_auxiliaries};
use d2l_nn::{
    Network, ParamStore, Rng,
    layers::{Activation, Conv2d, Layer, Pool2d},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "googlenet",
    chapter: Chapter::ModernConvolution,
    section: "7.4",
    title: "GoogLeNet",
    expected: "5,977,530 parameters; loss 0.262, train 0.900, test 0.886 after ten epochs",
    cost: Cost::Hours,
    run,
};

/// What leaves each stage for a picture of 1×96×96. Pooling over the whole picture belongs to the fifth stage.
const SHAPES: [(&str, &[usize]); 7] = [
    ("stage1", &[64, 24, 24]),
    ("stage2", &[192, 12, 12]),
    ("stage3", &[480, 6, 6]),
    ("stage4", &[832, 3, 3]),
    ("stage5", &[1024, 1, 1]),
    ("flatten", &[1024]),
    ("output", &[10]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    // The first block of the third stage.
    let block = inception(64, [96, 128], [16, 32], 32);
    page.say(format_args!("{block}"));
    let book: [(&str, &[usize]); 1] = [("inception", &[64 + 128 + 32 + 32, 12, 12])];
    print_shapes(page, &block, &[192, 12, 12], &book)?;

    // ANCHOR: training
    let googlenet = Classifier::of_the_book("googlenet", page)?;
    print_shapes(page, &googlenet.network, &googlenet.input, &SHAPES)?;
    print_parameters(page, &googlenet.network, &googlenet.input, 5_977_530)?;
    auxiliaries(page)?;
    let fitted = googlenet.train(page)?;
    // ANCHOR_END: training
    let within = Within {
        train_loss: 0.06,
        train_accuracy: 0.025,
        test_accuracy: 0.06,
    };
    fitted.beside_the_book(page, "googlenet", within)
}

// ANCHOR: inception
/// An Inception block: four paths whose outputs are put beside each other along the channels.
pub fn inception(path1: usize, path2: [usize; 2], path3: [usize; 2], path4: usize) -> Network {
    let conv = |network: Network, name: &str, conv: Conv2d| {
        let relu = name.replace("conv", "relu");
        network.add(name, conv).add(relu, Activation::Relu)
    };
    let two = |name: &str, [narrow, wide]: [usize; 2], kernel: usize| {
        let network = conv(Network::new(name), "conv1", Conv2d::new(narrow, 1));
        conv(network, "conv2", Conv2d::new(wide, kernel).padding(kernel / 2))
    };
    let pool = Network::new("path4").add("pool", Pool2d::max(3, 1).padding(1));
    Network::new("inception block").add(
        "inception",
        Layer::Branches(vec![
            conv(Network::new("path1"), "conv", Conv2d::new(path1, 1)),
            two("path2", path2, 3),
            two("path3", path3, 5),
            conv(pool, "conv", Conv2d::new(path4, 1)),
        ]),
    )
}
// ANCHOR_END: inception

// ANCHOR: auxiliaries
/// The paper's two classifiers on the side, which the book leaves out: each looks at what has been reached half-way.
fn auxiliaries(page: &mut Page<'_>) -> Result<()> {
    // An eighth of the channels is enough to see them.
    let narrow = GoogLeNet {
        width: 0.125,
        ..GoogLeNet::default()
    };
    let params = ParamStore::new(DType::F32, page.device());
    let model =
        googlenet_with_auxiliaries(&narrow, 10).build(&[1, 96, 96], &params, &Rng::new(page.seed()))?;
    let images = page
        .rng("images")
        .uniform(&[2, 1, 96, 96], 0.0, 1.0, DType::F32, page.device())?;
    let output = model.forward_all(&images, true)?;
    page.say(format_args!("output {:?}", output.main.dims()));
    let mut right = 0;
    for (weight, logits) in &output.heads {
        page.say(format_args!(
            "auxiliary output {:?}, its loss counts {weight}",
            logits.dims()
        ));
        right += usize::from(logits.dims() == [2, 10]);
    }
    page.expect("auxiliary classifiers", Expect::Exactly(2.0), right as f64);
    Ok(())
}
// ANCHOR_END: auxiliaries

//! Deep convolutional neural networks: AlexNet (section 7.1).

use crate::{
    Chapter, Classifier, Cost, Expect, Lesson, Page, Result, Within,
    shapes::{print_parameters, print_shapes},
};
use d2l_models::{AlexNet, alexnet};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "alexnet",
    chapter: Chapter::ModernConvolution,
    section: "7.1",
    title: "AlexNet",
    expected: "46,764,746 parameters; loss 0.331, train 0.878, test 0.883 after ten epochs",
    cost: Cost::Hours,
    run,
};

/// What leaves each layer for a picture of 1×224×224.
const SHAPES: [(&str, &[usize]); 14] = [
    ("conv1", &[96, 54, 54]),
    ("pool1", &[96, 26, 26]),
    ("conv2", &[256, 26, 26]),
    ("pool2", &[256, 12, 12]),
    ("conv3", &[384, 12, 12]),
    ("conv4", &[384, 12, 12]),
    ("conv5", &[256, 12, 12]),
    ("pool3", &[256, 5, 5]),
    ("flatten", &[6400]),
    ("linear1", &[4096]),
    ("dropout1", &[4096]),
    ("linear2", &[4096]),
    ("dropout2", &[4096]),
    ("output", &[10]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: model
    let network = alexnet(&AlexNet::default(), 10);
    print_shapes(page, &network, &[1, 224, 224], &SHAPES)?;
    print_parameters(page, &network, &[1, 224, 224], 46_764_746)?;
    // ANCHOR_END: model
    local_response_norm(page)?;

    // ANCHOR: training
    let fitted = Classifier::of_the_book("alexnet", page)?.train(page)?;
    // ANCHOR_END: training
    let within = Within {
        train_loss: 0.03,
        train_accuracy: 0.015,
        test_accuracy: 0.04,
    };
    fitted.beside_the_book(page, "alexnet", within)
}

// ANCHOR: local_response_norm
/// The paper's local response normalisation, which the book leaves out, has no parameters.
fn local_response_norm(page: &mut Page<'_>) -> Result<()> {
    let paper = AlexNet {
        local_response_norm: true,
        ..AlexNet::default()
    };
    let summary = alexnet(&paper, 10).summary(&[1, 224, 224])?;
    let norms = summary
        .layers
        .iter()
        .filter(|layer| layer.kind == "LocalResponseNorm");
    page.expect(
        "layers of the paper's local response normalisation",
        Expect::Exactly(2.0),
        norms.count() as f64,
    );
    page.expect(
        "parameters with local response normalisation",
        Expect::near(46_764_746.0, 0.0),
        summary.parameters as f64,
    );
    Ok(())
}
// ANCHOR_END: local_response_norm

//! Softmax regression from scratch (section 3.6): softmax, cross-entropy, accuracy and the training loop from tensors
//! and `backward` alone.

pub use super::animator::{Accumulator, Animator};
use super::{
    image_data::{load_fashion_mnist, show_images, text_labels},
    regression_scratch::sgd,
};
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Pictures, Result, Within,
    numbers::{scalar, values},
};
use candle_core::{D, DType, Device, Tensor, Var, backprop::GradStore};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "softmax-regression-scratch",
    chapter: Chapter::Linear,
    section: "3.6",
    title: "Softmax regression from scratch",
    expected: "train loss 0.448, train accuracy 0.848, test accuracy 0.83 after ten epochs",
    cost: Cost::Seconds,
    run,
};

/// Pixels of a picture.
pub const INPUTS: usize = 28 * 28;
/// Classes of clothes.
pub const OUTPUTS: usize = 10;

fn run(page: &mut Page<'_>) -> Result<()> {
    try_the_pieces(page)?;

    // ANCHOR: training
    let (batch_size, learning_rate, epochs) = (256, 0.1, page.choose(10, 2));
    let (train, test) = load_fashion_mnist(page, batch_size, None)?;
    let (weight, bias) = initial_parameters(&page.rng("weight"), page.device())?;
    let learner = Learner {
        net: &|x| net(x, &weight, &bias),
        loss: &cross_entropy,
        update: &|gradients, batch_size| sgd(&[&weight, &bias], gradients, learning_rate, batch_size),
    };
    let animator = fit(page, &learner, &train, &test, epochs)?;
    page.draw("training", Figure::chart(animator.chart()));
    // ANCHOR_END: training
    let [loss, train_accuracy, test_accuracy] = animator.last()?;
    let guessing = (OUTPUTS as f64).ln();
    page.expect(
        "train loss below that of guessing",
        Expect::AtMost(guessing),
        loss,
    );
    if let Some(book) = d2l_models::find("softmax")?.expected {
        WITHIN.expect(page, book, [loss, train_accuracy, test_accuracy]);
    }

    // ANCHOR: prediction
    if let Some(batch) = test.iter(0, 0).next() {
        let (xs, ys) = batch?;
        let predicted = net(&xs, &weight, &bias)?.argmax(1)?;
        let pairs = text_labels(&test, &ys)?
            .into_iter()
            .zip(text_labels(&test, &predicted)?);
        let titles: Vec<String> = pairs
            .map(|(truth, predicted)| format!("{truth}\n{predicted}"))
            .collect();
        page.draw("predictions", Figure::grid(6, show_images(&xs, &titles, 6)?));
    }
    // ANCHOR_END: prediction
    Ok(())
}

/// The pieces on inputs that are small enough to check by hand, as the book tries them.
fn try_the_pieces(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: pieces
    let x = page
        .rng("x")
        .normal(&[2, 5], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let probabilities = softmax(&x)?;
    page.show("softmax(X)", &probabilities);
    page.show("sums of its rows", &probabilities.sum(1)?);

    let y = Tensor::new(&[0u32, 2], &Device::Cpu)?;
    let y_hat = Tensor::new(&[[0.1f32, 0.3, 0.6], [0.3, 0.2, 0.5]], &Device::Cpu)?;
    let losses = cross_entropy(&y_hat, &y)?;
    page.show("cross_entropy(y_hat, y)", &losses);
    let share = accuracy(&y_hat, &y)? / 2.0;
    page.say(format_args!("accuracy(y_hat, y) / len(y) = {share}"));
    // ANCHOR_END: pieces

    let farthest = values(&probabilities.sum(1)?)?
        .into_iter()
        .map(|sum| (sum - 1.0).abs());
    page.expect(
        "sum of a row of probabilities, minus 1",
        Expect::Exactly(0.0),
        farthest.fold(0.0, f64::max),
    );
    for (index, probability) in [0.1f64, 0.5].into_iter().enumerate() {
        let loss = scalar(&losses.get(index)?)?;
        page.expect(
            &format!("cross-entropy at probability {probability}"),
            Expect::Exactly(-probability.ln()),
            loss,
        );
    }
    page.expect("accuracy of the two", Expect::Exactly(0.5), share);
    Ok(())
}

/// Seeds differ by about 0.001 in the loss and 0.02 in the test accuracy.
pub(super) const WITHIN: Within = Within {
    train_loss: 0.006,
    train_accuracy: 0.004,
    test_accuracy: 0.04,
};

/// Weights from N(0, 0.01²) and biases of zero.
///
/// # Shapes
/// weight `[784, 10]`, bias `[10]`
///
/// # Errors
/// When the variables cannot be made.
pub fn initial_parameters(rng: &Rng, device: &Device) -> Result<(Var, Var)> {
    let weight = rng
        .split("normal")
        .normal(&[INPUTS, OUTPUTS], 0.0, 0.01, DType::F32, device)?;
    let bias = Tensor::zeros(OUTPUTS, DType::F32, device)?;
    Ok((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?))
}

// ANCHOR: softmax
/// Each row as probabilities: exp(x) over the row's sum of them. (Large logits overflow; section 3.7 says what to do.)
///
/// # Errors
/// When `x` is no matrix.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let exponentials = x.exp()?;
    let partition = exponentials.sum_keepdim(1)?;
    Ok(exponentials.broadcast_div(&partition)?)
}
// ANCHOR_END: softmax

// ANCHOR: model
/// The model: softmax of Xw + b, each picture as one row.
///
/// # Shapes
/// x `[n, 1, 28, 28]` → `[n, 10]`
///
/// # Errors
/// When the shapes do not fit.
pub fn net(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    softmax(&x.flatten_from(1)?.matmul(weight)?.broadcast_add(bias)?)
}
// ANCHOR_END: model

// ANCHOR: cross_entropy
/// The loss of each example: −log of the probability that its class was given.
///
/// # Shapes
/// y_hat `[n, classes]`, y `[n]` class numbers → `[n]`
///
/// # Errors
/// When the shapes do not fit.
pub fn cross_entropy(y_hat: &Tensor, y: &Tensor) -> Result<Tensor> {
    let probability = y_hat.gather(&y.unsqueeze(1)?, 1)?.squeeze(1)?;
    Ok(probability.log()?.neg()?)
}
// ANCHOR_END: cross_entropy

// ANCHOR: accuracy
/// The number of examples whose likeliest class is the true one.
///
/// # Errors
/// When the shapes do not fit.
pub fn accuracy(y_hat: &Tensor, y: &Tensor) -> Result<f64> {
    let right = y_hat.argmax(D::Minus1)?.eq(y)?;
    scalar(&right.to_dtype(DType::F32)?.sum_all()?)
}
// ANCHOR_END: accuracy

/// A function of the inputs.
pub type Net<'f> = &'f dyn Fn(&Tensor) -> Result<Tensor>;

// ANCHOR: evaluate_accuracy
/// The share of a data set that `net` classifies rightly.
///
/// # Errors
/// When the data or the network fails.
pub fn evaluate_accuracy(net: Net<'_>, data: &Pictures) -> Result<f64> {
    let mut metric = Accumulator::new();
    for batch in data.iter(0, 0) {
        let (x, y) = batch?;
        metric.add([accuracy(&net(&x)?, &y)?, y.elem_count() as f64]);
    }
    let Accumulator([right, all]) = metric;
    Ok(right / all)
}
// ANCHOR_END: evaluate_accuracy

// ANCHOR: train_epoch
/// What is trained, and how.
#[derive(Clone, Copy)]
pub struct Learner<'f> {
    /// The model.
    pub net: Net<'f>,
    /// The loss of each example, from the model's outputs and the labels.
    pub loss: &'f dyn Fn(&Tensor, &Tensor) -> Result<Tensor>,
    /// Takes a step, given the gradients of a batch's summed loss and the batch's size.
    pub update: &'f dyn Fn(&GradStore, usize) -> Result<()>,
}

/// One pass over the training data; the mean loss and the accuracy, each as it was when its batch came.
///
/// # Errors
/// When the data, the model or a step fails, or the watcher asks for an end.
pub fn train_epoch(
    page: &mut Page<'_>,
    learner: &Learner<'_>,
    data: &Pictures,
    (epoch, epochs): (u64, u64),
) -> Result<[f64; 2]> {
    let mut metric = Accumulator::new();
    let batches = d2l_train::BatchSource::batches(data) as u64;
    for (batch, done) in data.iter(epoch, 0).zip(epoch * batches + 1..) {
        let (x, y) = batch?;
        let y_hat = (learner.net)(&x)?;
        let loss = (learner.loss)(&y_hat, &y)?.sum_all()?;
        (learner.update)(&loss.backward()?, y.elem_count())?;
        metric.add([scalar(&loss)?, accuracy(&y_hat, &y)?, y.elem_count() as f64]);
        page.progress("training", done, epochs * batches)?;
    }
    let Accumulator([loss, right, all]) = metric;
    Ok([loss / all, right / all])
}
// ANCHOR_END: train_epoch

// ANCHOR: train
/// Trains for `epochs` epochs, with a line for each.
///
/// # Errors
/// When the data, the model or a step fails, or the watcher asks for an end.
pub fn fit(
    page: &mut Page<'_>,
    learner: &Learner<'_>,
    train: &Pictures,
    test: &Pictures,
    epochs: u64,
) -> Result<Animator<3>> {
    let mut animator = Animator::new("epoch", ["train loss", "train acc", "test acc"]);
    for epoch in 0..epochs {
        let [loss, train_accuracy] = train_epoch(page, learner, train, (epoch, epochs))?;
        let test_accuracy = evaluate_accuracy(learner.net, test)?;
        animator.add((epoch + 1) as f64, [loss, train_accuracy, test_accuracy]);
        page.say(animator.line()?);
    }
    Ok(animator)
}
// ANCHOR_END: train

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{golden::Golden, numbers::distance, preliminaries::autograd::gradient};

    #[test]
    fn softmax_and_cross_entropy_with_its_gradient_are_pytorchs() {
        let golden = Golden::linear();
        let matrix = |name: &str| Tensor::from_vec(golden.values(name), (3, 3), &Device::Cpu).unwrap();
        let classes: Vec<u32> = golden
            .values("classes")
            .into_iter()
            .map(|class| class as u32)
            .collect();
        let classes = Tensor::new(classes, &Device::Cpu).unwrap();
        let scores = Var::from_tensor(&matrix("scores")).unwrap();
        let probabilities = softmax(&scores).unwrap();
        let losses = cross_entropy(&probabilities, &classes).unwrap();
        let expected = Tensor::new(golden.values("cross-entropy"), &Device::Cpu).unwrap();
        let slopes = gradient(&losses.sum_all().unwrap(), &scores).unwrap();
        for (reached, expected) in [
            (&probabilities, matrix("softmax")),
            (&losses, expected),
            (&slopes, matrix("cross-entropy gradient")),
        ] {
            assert!(
                distance(reached, &expected).unwrap() < 1e-12,
                "{reached} {expected}"
            );
        }
    }

    #[test]
    fn right_predictions_are_counted_and_labels_without_a_class_refused() {
        let y_hat = Tensor::new(&[[0.1f32, 0.3, 0.6], [0.3, 0.2, 0.5]], &Device::Cpu).unwrap();
        let count =
            |labels: [u32; 2]| accuracy(&y_hat, &Tensor::new(&labels, &Device::Cpu).unwrap()).unwrap();
        assert_eq!((count([2, 2]), count([0, 2]), count([1, 0])), (2.0, 1.0, 0.0));
        assert!(cross_entropy(&y_hat, &Tensor::new(&[0u32, 3], &Device::Cpu).unwrap()).is_err());
    }
}

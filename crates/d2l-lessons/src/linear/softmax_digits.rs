//! Softmax regression on handwritten digits (after section 3.7): MNIST, with a small learning rate.

use super::image_data::show_images;
use crate::{Chapter, Classifier, Cost, Error, Expect, Figure, Lesson, Page, Pictures, Result};
use d2l_data::LoaderOptions;
use d2l_train::{Method, metrics::predict};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "softmax-regression-digits",
    chapter: Chapter::Linear,
    section: "3.7",
    title: "Softmax regression on handwritten digits",
    expected: "the loss falls and most digits are told apart, slowly at a learning rate of 0.001",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let classifier = Classifier {
        dataset: "mnist",
        method: Method::sgd(0.001),
        batch_size: 100,
        ..Classifier::of_the_book("softmax", page)?
    };
    let fitted = classifier.train(page)?;
    page.draw("curves", fitted.curves.figure());
    // ANCHOR_END: training

    // ANCHOR: prediction
    let options = LoaderOptions {
        batch_size: 12,
        ..LoaderOptions::default()
    };
    let test = Pictures::new(&fitted.data.test, options, page.device())?;
    if let Some(batch) = test.iter(0, 0).next() {
        let (xs, ys) = batch?;
        let truths = ys.to_vec1::<u32>()?.into_iter();
        let titles: Vec<String> = truths
            .zip(predict(&fitted.model, &xs)?)
            .map(|(truth, predicted)| format!("{truth}, predicted {}", predicted.class))
            .collect();
        page.draw("predictions", Figure::grid(6, show_images(&xs, &titles, 12)?));
    }
    // ANCHOR_END: prediction

    let (Some(first), Some(last)) = (fitted.history.first(), fitted.history.last()) else {
        return Err(Error::Lesson("nothing was trained: there was no epoch".into()));
    };
    let guessing = 10f64.ln();
    page.expect(
        "train loss, below that of guessing",
        Expect::AtMost(guessing),
        last.train_loss,
    );
    page.expect(
        "how far the loss fell after the first epoch",
        Expect::AtLeast(0.0),
        first.train_loss - last.train_loss,
    );
    page.expect_of_full("train loss of ten epochs", Expect::AtMost(2.2), last.train_loss);
    page.expect_of_full(
        "test accuracy",
        Expect::AtLeast(0.5),
        last.test_accuracy.unwrap_or(f64::NAN),
    );
    Ok(())
}

//! The image classification data set (section 3.5): Fashion-MNIST, its pictures, and how long reading them takes.

use crate::{
    Chapter, Cost, Error, Expect, Figure, Lesson, Page, Pictures, Result,
    figure::{Panel, Picture},
    numbers::values,
};
use candle_core::Tensor;
use d2l_data::LoaderOptions;
use std::time::Instant;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "image-data",
    chapter: Chapter::Linear,
    section: "3.5",
    title: "The image classification data set",
    expected: "60,000 and 10,000 pictures of 1×28×28 with values from 0 to 1, in 10 classes",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    let (train, test) = load_fashion_mnist(page, 256, None)?;
    page.say(format_args!(
        "{} training and {} test pictures of shape {:?}",
        train.set().len(),
        test.set().len(),
        train.set().shape()
    ));
    page.expect("classes", Expect::Exactly(10.0), train.set().classes() as f64);
    page.expect_of_full(
        "training pictures",
        Expect::Exactly(60_000.0),
        train.set().len() as f64,
    );
    page.expect_of_full(
        "test pictures",
        Expect::Exactly(10_000.0),
        test.set().len() as f64,
    );

    // ANCHOR: first_batch
    let (xs, ys) = train
        .iter(0, 0)
        .next()
        .ok_or_else(|| Error::Lesson("the data set has no batch".into()))??;
    page.say(format_args!(
        "a batch: {:?} {:?}, {:?} {:?}",
        xs.shape(),
        xs.dtype(),
        ys.shape(),
        ys.dtype()
    ));
    let labels = text_labels(&train, &ys)?;
    page.draw("pictures", Figure::grid(9, show_images(&xs, &labels, 18)?));
    // ANCHOR_END: first_batch
    let pixels = values(&xs)?;
    let darkest = pixels.iter().copied().fold(f64::NAN, f64::min);
    let brightest = pixels.iter().copied().fold(f64::NAN, f64::max);
    page.expect("smallest value", Expect::Exactly(0.0), darkest);
    page.expect("largest value", Expect::Exactly(1.0), brightest);

    // ANCHOR: reading
    let start = Instant::now();
    let mut count = 0;
    for batch in train.iter(0, 0) {
        count += batch?.1.elem_count();
    }
    page.say(format_args!(
        "reading {count} pictures: {:.2} sec",
        start.elapsed().as_secs_f64()
    ));
    // ANCHOR_END: reading

    // ANCHOR: resized
    let (train, _) = load_fashion_mnist(page, 32, Some(64))?;
    if let Some(batch) = train.iter(0, 0).next() {
        let (xs, ys) = batch?;
        page.say(format_args!(
            "resized: {:?} {:?}, {:?} {:?}",
            xs.shape(),
            xs.dtype(),
            ys.shape(),
            ys.dtype()
        ));
        page.expect("side after resizing", Expect::Exactly(64.0), xs.dim(3)? as f64);
    }
    // ANCHOR_END: resized
    Ok(())
}

// ANCHOR: load
/// Mini-batches of Fashion-MNIST's training and test pictures, the former in an order drawn from the page's seed,
/// resized to `resize` × `resize` where that is given; for a quick look the first 2,000 and 500.
///
/// # Errors
/// When the data cannot be had, or the batch size is 0.
pub fn load_fashion_mnist(
    page: &mut Page<'_>,
    batch_size: usize,
    resize: Option<usize>,
) -> Result<(Pictures, Pictures)> {
    let data = page.load("fashion-mnist")?;
    let options = LoaderOptions {
        batch_size,
        resize,
        ..LoaderOptions::default()
    };
    let train = LoaderOptions {
        shuffle: Some(page.seed()),
        limit: page.choose(None, Some(2_000)),
        ..options.clone()
    };
    let test = LoaderOptions {
        limit: page.choose(None, Some(500)),
        ..options
    };
    Ok((
        Pictures::new(&data.train, train, page.device())?,
        Pictures::new(&data.test, test, page.device())?,
    ))
}
// ANCHOR_END: load

// ANCHOR: text_labels
/// The names of classes given by number.
///
/// # Errors
/// When the numbers cannot be read from the device.
pub fn text_labels(pictures: &Pictures, ys: &Tensor) -> Result<Vec<String>> {
    let numbers = ys.to_vec1::<u32>()?;
    Ok(numbers
        .into_iter()
        .map(|class| pictures.set().class_name(class))
        .collect())
}
// ANCHOR_END: text_labels

// ANCHOR: show_images
/// The first `count` pictures of a batch, each under its title.
///
/// # Shapes
/// xs `[n, 1, h, w]`
///
/// # Errors
/// When `xs` is something else.
pub fn show_images(xs: &Tensor, titles: &[String], count: usize) -> Result<Vec<Panel>> {
    let n = xs.dim(0)?.min(count);
    let panel = |(index, title): (usize, &String)| {
        let rows = xs.get(index)?.squeeze(0)?;
        Ok(Panel::Picture(Picture {
            title: title.clone(),
            rows: crate::numbers::rows(&rows)?,
            values: false,
        }))
    };
    titles.iter().take(n).enumerate().map(panel).collect()
}
// ANCHOR_END: show_images

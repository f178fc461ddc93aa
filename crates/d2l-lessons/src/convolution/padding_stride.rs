//! Padding and stride (section 6.3): what they make of a picture's size.

use super::correlation::corr2d;
use crate::{Chapter, Cost, Error, Expect, Lesson, Page, Result, numbers::distance};
use candle_core::{DType, Tensor};
use d2l_nn::{
    Network,
    layers::Conv2d,
    ops::{self, Conv2dOptions},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "padding-and-stride",
    chapter: Chapter::Convolution,
    section: "6.3",
    title: "Padding and stride",
    expected: "8×8 becomes 8×8, 8×8, 4×4 and 2×2",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: sizes
    let square = Conv2d::new(1, 3).padding(1);
    let tall = Conv2d {
        kernel: [5, 3],
        padding: [2, 1],
        ..Conv2d::new(1, 3)
    };
    let halving = Conv2d::new(1, 3).padding(1).stride(2);
    let uneven = Conv2d {
        kernel: [3, 5],
        padding: [0, 1],
        stride: [3, 4],
        ..Conv2d::new(1, 3)
    };
    // ANCHOR_END: sizes
    for (layer, book) in [
        (square, [8, 8]),
        (tall, [8, 8]),
        (halving, [4, 4]),
        (uneven, [2, 2]),
    ] {
        one_layer(page, &layer, book)?;
    }
    Ok(())
}

/// Prints what `layer` makes of an 8×8 picture, by its description and by the convolution of this chapter.
fn one_layer(page: &mut Page<'_>, layer: &Conv2d, book: [usize; 2]) -> Result<()> {
    let (kernel, padding, stride) = (layer.kernel, layer.padding, layer.stride);
    let what = format!("kernel {kernel:?}, padding {padding:?}, stride {stride:?}");
    let shape = Network::new("one")
        .add("conv", layer.clone())
        .output_shape(&[1, 8, 8])?;
    let size: Vec<usize> = shape.into_iter().skip(1).collect();
    page.say(format_args!("{what}: {size:?}"));
    for (name, (reached, book)) in ["height", "width"].into_iter().zip(size.into_iter().zip(book)) {
        page.expect(
            &format!("{what}: {name}"),
            Expect::Exactly(book as f64),
            reached as f64,
        );
    }

    let mut rng = page.rng(&what);
    let x = rng.normal(&[8, 8], 0.0, 1.0, DType::F32, page.device())?;
    let k = rng.normal(&kernel, 0.0, 1.0, DType::F32, page.device())?;
    let mine = strided(&corr2d(&padded(&x, padding)?, &k)?, stride)?;
    let options = Conv2dOptions {
        padding,
        stride,
        ..Conv2dOptions::default()
    };
    let four = |t: &Tensor| t.unsqueeze(0)?.unsqueeze(0);
    let theirs = ops::conv2d(&four(&x)?, &four(&k)?, None, &options)?;
    let difference = distance(&mine, &theirs.squeeze(0)?.squeeze(0)?)?;
    page.expect(
        &format!("{what}: from scratch beside the layer's"),
        Expect::AtMost(1e-5),
        difference,
    );
    Ok(())
}

// ANCHOR: padded
/// `x` with that many rows of zeros above and below, and columns on both sides.
///
/// # Errors
/// When `x` is no matrix.
pub fn padded(x: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
    Ok(x.pad_with_zeros(0, rows, rows)?
        .pad_with_zeros(1, columns, columns)?)
}
// ANCHOR_END: padded

// ANCHOR: strided
/// Every `rows`-th row and every `columns`-th column: where a window with that stride stops.
///
/// # Errors
/// When `y` is no matrix, or a step is 0.
pub fn strided(y: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
    let every = |size: usize, step: usize| match step {
        0 => Err(Error::Lesson("a stride has to be at least 1, got 0".into())),
        step => Ok(Tensor::from_iter((0..size as u32).step_by(step), y.device())?),
    };
    let (height, width) = y.dims2()?;
    Ok(y.index_select(&every(height, rows)?, 0)?
        .index_select(&every(width, columns)?, 1)?)
}
// ANCHOR_END: strided

//! Multiple input and output channels (section 6.4), and the 1×1 convolution.

use super::correlation::corr2d;
use crate::{Chapter, Cost, Error, Expect, Lesson, Page, Result, numbers::distance};
use candle_core::{DType, Device, Tensor};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "channels",
    chapter: Chapter::Convolution,
    section: "6.4",
    title: "Multiple input and output channels",
    expected: "[[56, 72], [104, 120]] from two channels; a 1×1 convolution is a matrix product (to 1e-6)",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: example
    let picture = Tensor::arange(0f32, 9.0, &Device::Cpu)?.reshape((3, 3))?;
    let x = Tensor::stack(&[&picture, &(&picture + 1.0)?], 0)?;
    let kernel = Tensor::arange(0f32, 4.0, &Device::Cpu)?.reshape((2, 2))?;
    let k = Tensor::stack(&[&kernel, &(&kernel + 1.0)?], 0)?;
    let one = corr2d_multi_in(&x, &k)?;
    page.show("corr2d_multi_in(X, K)", &one);

    let k = Tensor::stack(&[&k, &(&k + 1.0)?, &(&k + 2.0)?], 0)?;
    page.say(format_args!("three kernels: {:?}", k.dims()));
    let three = corr2d_multi_in_out(&x, &k)?;
    page.show("corr2d_multi_in_out(X, K)", &three);
    // ANCHOR_END: example
    let book = [
        [[56f32, 72.0], [104.0, 120.0]],
        [[76.0, 100.0], [148.0, 172.0]],
        [[96.0, 128.0], [192.0, 224.0]],
    ];
    let book = Tensor::new(&book, &Device::Cpu)?;
    let difference = distance(&one, &book.get(0)?)?;
    page.expect(
        "one channel out beside the book's",
        Expect::Exactly(0.0),
        difference,
    );
    let difference = distance(&three, &book)?;
    page.expect(
        "three channels out beside the book's",
        Expect::Exactly(0.0),
        difference,
    );

    // ANCHOR: one_by_one
    let mut rng = page.rng("1×1");
    let x = rng.normal(&[3, 3, 3], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let k = rng.normal(&[2, 3, 1, 1], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let product = corr2d_multi_in_out_1x1(&x, &k)?;
    let correlated = corr2d_multi_in_out(&x, &k)?;
    let difference = distance(&product, &correlated)?;
    page.say(format_args!(
        "1×1: matrix product and correlation differ by {difference:.1e}"
    ));
    // ANCHOR_END: one_by_one
    page.expect(
        "1×1 convolution beside the matrix product",
        Expect::AtMost(1e-6),
        difference,
    );
    Ok(())
}

// ANCHOR: corr2d_multi_in
/// Each channel with a kernel of its own, added up.
///
/// # Shapes
/// `x` `[channels, height, width]`, `k` `[channels, h, w]` → `[height − h + 1, width − w + 1]`
///
/// # Errors
/// When the channels differ in number or there is none, or the kernel does not fit.
pub fn corr2d_multi_in(x: &Tensor, k: &Tensor) -> Result<Tensor> {
    let ((channels, _, _), (kernels, _, _)) = (x.dims3()?, k.dims3()?);
    if channels != kernels || channels == 0 {
        return Err(Error::Lesson(format!(
            "{channels} channels need as many kernels, and some: got {kernels}"
        )));
    }
    let mut sum = corr2d(&x.get(0)?, &k.get(0)?)?;
    for channel in 1..channels {
        sum = (sum + corr2d(&x.get(channel)?, &k.get(channel)?)?)?;
    }
    Ok(sum)
}
// ANCHOR_END: corr2d_multi_in

// ANCHOR: corr2d_multi_in_out
/// A kernel over all input channels for each output channel.
///
/// # Shapes
/// `x` `[in, height, width]`, `k` `[out, in, h, w]` → `[out, height − h + 1, width − w + 1]`
///
/// # Errors
/// As [`corr2d_multi_in`].
pub fn corr2d_multi_in_out(x: &Tensor, k: &Tensor) -> Result<Tensor> {
    let outputs = (0..k.dim(0)?).map(|channel| corr2d_multi_in(x, &k.get(channel)?));
    Ok(Tensor::stack(&outputs.collect::<Result<Vec<_>>>()?, 0)?)
}
// ANCHOR_END: corr2d_multi_in_out

// ANCHOR: corr2d_multi_in_out_1x1
/// The same for kernels of 1×1: a fully connected layer over the channels of each pixel.
///
/// # Shapes
/// `x` `[in, height, width]`, `k` `[out, in, 1, 1]` → `[out, height, width]`
///
/// # Errors
/// When the channels differ, or the kernels are larger.
pub fn corr2d_multi_in_out_1x1(x: &Tensor, k: &Tensor) -> Result<Tensor> {
    let (inputs, height, width) = x.dims3()?;
    let outputs = k.dim(0)?;
    let weight = k.reshape((outputs, inputs))?;
    let pixels = x.reshape((inputs, height * width))?;
    Ok(weight.matmul(&pixels)?.reshape((outputs, height, width))?)
}
// ANCHOR_END: corr2d_multi_in_out_1x1

#[cfg(test)]
mod tests {
    use super::*;
    use d2l_nn::{Rng, ops};

    #[test]
    fn it_is_the_librarys_convolution() {
        let mut rng = Rng::new(1);
        let mut draw = |shape: &[usize]| rng.normal(shape, 0.0, 1.0, DType::F32, &Device::Cpu).unwrap();
        let (x, k) = (draw(&[3, 5, 6]), draw(&[4, 3, 2, 3]));
        let mine = corr2d_multi_in_out(&x, &k).unwrap();
        let theirs = ops::conv2d(&x.unsqueeze(0).unwrap(), &k, None, &ops::Conv2dOptions::default());
        let theirs = theirs.unwrap().squeeze(0).unwrap();
        assert!(distance(&mine, &theirs).unwrap() < 1e-5);
        let message = corr2d_multi_in(&x, &k.get(0).unwrap().narrow(0, 0, 2).unwrap()).unwrap_err();
        assert!(message.to_string().contains("3 channels"), "{message}");
    }
}

//! Pooling (section 6.5): the largest or mean element of each window, from scratch and by d2l-nn's layers.

use crate::{Chapter, Cost, Error, Expect, Lesson, Page, Result, numbers::distance};
use candle_core::{Device, Tensor};
use candle_nn::ModuleT;
use d2l_nn::{
    Network, ParamStore, Rng,
    layers::{AdaptivePool2d, Layer, Pool2d, PoolKind},
    ops::Pool2dOptions,
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "pooling",
    chapter: Chapter::Convolution,
    section: "6.5",
    title: "Pooling",
    expected: "the book's numbers, exactly",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: example
    let x = Tensor::arange(0f32, 9.0, &Device::Cpu)?.reshape((3, 3))?;
    let largest = pool2d(&x, [2, 2], PoolKind::Max)?;
    let mean = pool2d(&x, [2, 2], PoolKind::Average)?;
    page.show("pool2d(X, 2×2, max)", &largest);
    page.show("pool2d(X, 2×2, average)", &mean);
    // ANCHOR_END: example
    beside_the_book(page, "max", &largest, &[[4.0, 5.0], [7.0, 8.0]])?;
    beside_the_book(page, "average", &mean, &[[2.0, 3.0], [5.0, 6.0]])?;

    // ANCHOR: layers
    let x = Tensor::arange(0f32, 16.0, &Device::Cpu)?.reshape((1, 1, 4, 4))?;
    let uneven = Pool2d {
        kind: PoolKind::Max,
        options: Pool2dOptions {
            kernel: [2, 3],
            stride: [2, 3],
            padding: [0, 1],
            ..Pool2dOptions::default()
        },
    };
    let square = layer(Pool2d::max(3, 3), &x)?;
    let overlapping = layer(Pool2d::max(3, 2).padding(1), &x)?;
    let uneven = layer(uneven, &x)?;
    // ANCHOR_END: layers
    beside_the_book(page, "3×3, stride 3", &square, &[[10.0]])?;
    let book = [[5.0, 7.0], [13.0, 15.0]];
    beside_the_book(page, "3×3, stride 2, padding 1", &overlapping, &book)?;
    beside_the_book(page, "2×3, stride 2×3, padding 0×1", &uneven, &book)?;

    // ANCHOR: channels
    let two = Tensor::cat(&[&x, &(&x + 1.0)?], 1)?;
    let pooled = layer(Pool2d::max(3, 2).padding(1), &two)?;
    // ANCHOR_END: channels
    page.show("two channels pooled", &pooled);
    beside_the_book(page, "first channel", &pooled.narrow(1, 0, 1)?, &book)?;
    beside_the_book(
        page,
        "second channel",
        &pooled.narrow(1, 1, 1)?,
        &[[6.0, 8.0], [14.0, 16.0]],
    )?;
    adaptive(page, &x)
}

/// Pooling that is told the size that comes out instead of the window.
fn adaptive(page: &mut Page<'_>, x: &Tensor) -> Result<()> {
    // ANCHOR: adaptive
    let to = |kind, output| AdaptivePool2d { kind, output };
    let mean = layer(to(PoolKind::Average, [1, 1]), x)?;
    let largest = layer(to(PoolKind::Max, [2, 2]), x)?;
    // Windows of two columns that overlap: 0 to 1, 1 to 2, 2 to 3.
    let uneven = layer(to(PoolKind::Average, [1, 3]), x)?;
    // ANCHOR_END: adaptive
    beside_the_book(page, "average of everything", &mean, &[[7.5]])?;
    beside_the_book(page, "adaptive to 2×2", &largest, &[[5.0, 7.0], [13.0, 15.0]])?;
    beside_the_book(page, "adaptive to 1×3", &uneven, &[[6.5, 7.5, 8.5]])
}

fn beside_the_book<const N: usize>(
    page: &mut Page<'_>,
    what: &str,
    reached: &Tensor,
    book: &[[f32; N]],
) -> Result<()> {
    let rows = book.len();
    let book = Tensor::from_iter(book.iter().flatten().copied(), &Device::Cpu)?.reshape((rows, N))?;
    page.show(
        what,
        &reached.reshape(((), reached.dims().last().copied().unwrap_or(1)))?,
    );
    let difference = distance(&reached.flatten_all()?, &book.flatten_all()?)?;
    page.expect(what, Expect::Exactly(0.0), difference);
    Ok(())
}

// ANCHOR: layer
/// What a layer of d2l-nn without parameters makes of a batch.
fn layer(layer: impl Into<Layer>, xs: &Tensor) -> Result<Tensor> {
    let shape: Vec<usize> = xs.dims().iter().skip(1).copied().collect();
    let params = ParamStore::new(xs.dtype(), xs.device());
    let network = Network::new("one").add("layer", layer);
    Ok(network
        .build(&shape, &params, &Rng::new(0))?
        .forward_t(xs, false)?)
}
// ANCHOR_END: layer

// ANCHOR: pool2d
/// The largest or the mean element of each window that slides over `x` in steps of one.
///
/// # Shapes
/// `x` `[height, width]` → `[height − h + 1, width − w + 1]`
///
/// # Errors
/// When the window does not fit into the picture.
pub fn pool2d(x: &Tensor, [h, w]: [usize; 2], kind: PoolKind) -> Result<Tensor> {
    let (height, width) = x.dims2()?;
    if h == 0 || w == 0 || h > height || w > width {
        return Err(Error::Lesson(format!(
            "a window of {h}×{w} does not fit into a picture of {height}×{width}"
        )));
    }
    let (rows, columns) = (height + 1 - h, width + 1 - w);
    // The picture once for each place in the window: all elements of one window lie behind each other.
    let mut places = Vec::with_capacity(h * w);
    for i in 0..h {
        for j in 0..w {
            places.push(x.narrow(0, i, rows)?.narrow(1, j, columns)?);
        }
    }
    let windows = Tensor::stack(&places, 0)?;
    Ok(match kind {
        PoolKind::Max => windows.max(0)?,
        PoolKind::Average => windows.mean(0)?,
    })
}
// ANCHOR_END: pool2d

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use d2l_nn::ops;

    #[test]
    fn it_is_the_librarys_pooling() {
        let x = Rng::new(2)
            .normal(&[5, 7], 0.0, 1.0, DType::F32, &Device::Cpu)
            .unwrap();
        let four = x.unsqueeze(0).unwrap().unsqueeze(0).unwrap();
        for kernel in [[2, 2], [3, 1], [5, 7], [1, 1]] {
            let options = Pool2dOptions {
                kernel,
                stride: [1, 1],
                ..Pool2dOptions::default()
            };
            for (kind, theirs) in [
                (PoolKind::Max, ops::max_pool2d(&four, &options).unwrap()),
                (PoolKind::Average, ops::avg_pool2d(&four, &options).unwrap()),
            ] {
                let mine = pool2d(&x, kernel, kind).unwrap();
                let theirs = theirs.reshape(mine.shape()).unwrap();
                assert!(distance(&mine, &theirs).unwrap() < 1e-6, "{kernel:?} {kind:?}");
            }
        }
        let message = pool2d(&x, [6, 1], PoolKind::Max).unwrap_err().to_string();
        assert!(message.contains("6×1"), "{message}");
    }
}

//! Convolutions for images (section 6.2): cross-correlation and convolution, edges, and a kernel that is learned.

use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::{Panel, Picture},
    numbers::distance,
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::{Init, Rng};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "convolution",
    chapter: Chapter::Convolution,
    section: "6.2",
    title: "Convolutions for images",
    expected: "[[19, 25], [37, 43]]; edges of 1 and −1; a learned kernel near [1, −1]",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: example
    let x = Tensor::arange(0f32, 9.0, &Device::Cpu)?.reshape((3, 3))?;
    let k = Tensor::arange(0f32, 4.0, &Device::Cpu)?.reshape((2, 2))?;
    let correlated = corr2d(&x, &k)?;
    page.show("corr2d(X, K)", &correlated);
    let convolved = conv2d(&x, &k)?;
    page.show("the true convolution of X and K", &convolved);
    // ANCHOR_END: example
    let book = [[19f32, 25.0], [37.0, 43.0]];
    let difference = distance(&correlated, &Tensor::new(&book, &Device::Cpu)?)?;
    page.expect("corr2d beside the book's", Expect::Exactly(0.0), difference);
    // Σ K[a, b]·X[i + 1 − a, j + 1 − b], by hand.
    let by_hand = [[5f32, 11.0], [23.0, 29.0]];
    let difference = distance(&convolved, &Tensor::new(&by_hand, &Device::Cpu)?)?;
    page.expect("the convolution by hand", Expect::Exactly(0.0), difference);

    let (x, y) = edges(page)?;
    learned_kernel(page, &x, &y)
}

/// White, black, white: the kernel [1, −1] sees the two edges, and only upright ones.
fn edges(page: &mut Page<'_>) -> Result<(Tensor, Tensor)> {
    // ANCHOR: edges
    let x = Tensor::ones((6, 8), DType::F32, &Device::Cpu)?;
    let x = x.slice_assign(&[0..6, 2..6], &Tensor::zeros((6, 4), DType::F32, &Device::Cpu)?)?;
    let k = Tensor::new(&[[1f32, -1.0]], &Device::Cpu)?;
    let y = corr2d(&x, &k)?;
    let across = corr2d(&x.t()?, &k)?;
    // ANCHOR_END: edges
    page.show("X", &x);
    page.show("corr2d(X, [[1, −1]])", &y);
    page.show("corr2d(Xᵀ, [[1, −1]])", &across);
    let row = Tensor::new(&[0f32, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0], &Device::Cpu)?.broadcast_as((6, 7))?;
    page.expect(
        "edges beside the book's",
        Expect::Exactly(0.0),
        distance(&y, &row)?,
    );
    page.expect(
        "what it sees of lying edges",
        Expect::Exactly(0.0),
        distance(&across, &across.zeros_like()?)?,
    );
    page.draw(
        "edges",
        Figure::row([picture("X", &x)?, picture("edges of X", &y)?]),
    );
    Ok((x, y))
}

/// The kernel from pictures with and without the edges marked.
fn learned_kernel(page: &mut Page<'_>, x: &Tensor, y: &Tensor) -> Result<()> {
    // ANCHOR: learning
    let layer = Conv2d::new((1, 2), &page.rng("kernel"))?;
    let learning_rate = 0.03;
    let mut last = f64::NAN;
    for step in 1..=10 {
        let loss = (layer.forward(x)? - y)?.sqr()?.sum_all()?;
        layer.step(&loss, learning_rate)?;
        last = f64::from(loss.to_scalar::<f32>()?);
        if step % 2 == 0 {
            page.say(format_args!("step {step}, loss {last:.3}"));
        }
    }
    page.show("the learned kernel", &layer.weight);
    // ANCHOR_END: learning
    page.expect("loss after ten steps", Expect::AtMost(0.55), last);
    let kernel = layer.weight.flatten_all()?.to_vec1::<f32>()?;
    for (name, book, reached) in [("left", 1.0, kernel.first()), ("right", -1.0, kernel.last())] {
        let reached = reached.copied().map_or(f64::NAN, f64::from);
        page.expect(
            &format!("{name} weight of the kernel"),
            Expect::near(book, 0.1),
            reached,
        );
    }
    Ok(())
}

// ANCHOR: corr2d
/// Two-dimensional cross-correlation: each weight of the kernel times the part of the picture that it sees.
///
/// # Shapes
/// `x` `[height, width]`, `k` `[h, w]` → `[height − h + 1, width − w + 1]`
///
/// # Errors
/// When the kernel is larger than the picture.
pub fn corr2d(x: &Tensor, k: &Tensor) -> Result<Tensor> {
    let ((height, width), (h, w)) = (x.dims2()?, k.dims2()?);
    let (Some(rows), Some(columns)) = ((height + 1).checked_sub(h), (width + 1).checked_sub(w)) else {
        return Err(too_large([h, w], [height, width]));
    };
    if rows * columns * h * w == 0 {
        return Err(too_large([h, w], [height, width]));
    }
    let mut y = Tensor::zeros((rows, columns), x.dtype(), x.device())?;
    for i in 0..h {
        for j in 0..w {
            let seen = x.narrow(0, i, rows)?.narrow(1, j, columns)?;
            let weight = k.narrow(0, i, 1)?.narrow(1, j, 1)?;
            y = (y + seen.broadcast_mul(&weight)?)?;
        }
    }
    Ok(y)
}
// ANCHOR_END: corr2d

fn too_large(window: [usize; 2], picture: [usize; 2]) -> crate::Error {
    crate::Error::Lesson(format!(
        "a window of {window:?} does not fit into a picture of {picture:?}"
    ))
}

// ANCHOR: conv2d
/// Two-dimensional convolution: cross-correlation with the kernel turned upside down and left to right.
///
/// # Shapes
/// As [`corr2d`].
///
/// # Errors
/// As [`corr2d`].
pub fn conv2d(x: &Tensor, k: &Tensor) -> Result<Tensor> {
    corr2d(x, &k.flip(&[0, 1])?)
}
// ANCHOR_END: conv2d

// ANCHOR: layer
/// A convolutional layer with one channel in and out: a kernel that is learned.
pub struct Conv2d {
    /// `[h, w]`
    pub weight: Var,
}

impl Conv2d {
    /// A kernel of `size` as PyTorch's layers start, U(±1/√(h·w)).
    ///
    /// # Errors
    /// When the variable cannot be made.
    pub fn new(size: (usize, usize), rng: &Rng) -> Result<Self> {
        let shape = [1, 1, size.0, size.1];
        let fan = d2l_nn::Fan::of_weight(&shape);
        let mut rng = rng.split("weight");
        let weight = Init::TorchDefault.tensor(&shape, fan, &mut rng, DType::F32, &Device::Cpu)?;
        Ok(Self {
            weight: Var::from_tensor(&weight.reshape(size)?)?,
        })
    }

    /// The layer's output.
    ///
    /// # Errors
    /// As [`corr2d`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        corr2d(x, &self.weight)
    }

    /// One step down the gradient of `loss`.
    ///
    /// # Errors
    /// When the weight cannot be set.
    pub fn step(&self, loss: &Tensor, learning_rate: f64) -> Result<()> {
        if let Some(gradient) = loss.backward()?.get(&self.weight) {
            self.weight
                .set(&(self.weight.as_tensor() - (gradient * learning_rate)?)?)?;
        }
        Ok(())
    }
}
// ANCHOR_END: layer

/// A matrix as a picture.
pub(super) fn picture(title: &str, values: &Tensor) -> Result<Panel> {
    let rows = values.to_dtype(DType::F64)?.to_vec2()?;
    Ok(Panel::Picture(Picture {
        title: title.to_owned(),
        rows,
        values: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use d2l_nn::ops;

    #[test]
    fn it_is_the_librarys_convolution_and_so_are_its_gradients() {
        let mut rng = Rng::new(3);
        for ((height, width), (h, w)) in [((5, 7), (2, 3)), ((4, 4), (4, 4)), ((1, 6), (1, 1))] {
            let mut draw = |shape: (usize, usize)| {
                let values = rng.normal(&[shape.0, shape.1], 0.0, 1.0, DType::F32, &Device::Cpu);
                Var::from_tensor(&values.unwrap()).unwrap()
            };
            let (x, k) = (draw((height, width)), draw((h, w)));
            let mine = corr2d(&x, &k).unwrap();
            let four = |t: &Var| t.unsqueeze(0).unwrap().unsqueeze(0).unwrap();
            let theirs = ops::conv2d(&four(&x), &four(&k), None, &ops::Conv2dOptions::default()).unwrap();
            let theirs = theirs.reshape(mine.shape()).unwrap();
            assert!(distance(&mine, &theirs).unwrap() < 1e-5);
            let gradients = |ys: &Tensor| ys.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let (mine, theirs) = (gradients(&mine), gradients(&theirs));
            for var in [&x, &k] {
                let pair = (mine.get(var).unwrap(), theirs.get(var).unwrap());
                assert!(distance(pair.0, pair.1).unwrap() < 1e-4);
            }
        }
    }

    #[test]
    fn a_kernel_that_does_not_fit_is_refused() {
        let ones = |shape: (usize, usize)| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let message = corr2d(&ones((2, 2)), &ones((3, 1))).unwrap_err().to_string();
        assert!(
            message.contains("[3, 1]") && message.contains("[2, 2]"),
            "{message}"
        );
        assert!(corr2d(&ones((2, 2)), &ones((0, 1))).is_err());
    }
}

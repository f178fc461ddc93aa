//! Naive Bayes on digits (after section 2.6): which digit, from how often each pixel is dark or bright in each class.

use crate::{
    Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result,
    figure::{Panel, Picture},
    numbers::rows,
};
use candle_core::{D, DType, Device, Tensor};
use d2l_data::ImageSet;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "naive-bayes",
    chapter: Chapter::Preliminaries,
    section: "2.6",
    title: "Naive Bayes on handwritten digits",
    expected: "test accuracy about 0.84 on MNIST",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: training
    let data = page.load("mnist")?;
    let (xs, ys) = black_and_white(&data.train, page.choose(usize::MAX, 2_000))?;
    let bayes = NaiveBayes::fit(&xs, &ys, data.train.classes())?;
    let [_, _, width] = data.train.shape();
    let picture = |(class, pixels): (usize, Vec<f64>)| {
        Panel::Picture(Picture {
            title: data.train.class_name(class as u32),
            rows: pixels.chunks(width).map(<[f64]>::to_vec).collect(),
            values: false,
        })
    };
    page.draw(
        "means",
        Figure::grid(5, rows(&bayes.bright)?.into_iter().enumerate().map(picture)),
    );
    // ANCHOR_END: training

    // ANCHOR: prediction
    let (xs, ys) = black_and_white(&data.test, page.choose(usize::MAX, 500))?;
    let predicted = bayes.scores(&xs)?.argmax(D::Minus1)?;
    let right = predicted
        .eq(&ys)?
        .to_dtype(DType::F64)?
        .mean_all()?
        .to_scalar::<f64>()?;
    page.say(format_args!(
        "test accuracy {right:.4} on {} digits",
        ys.elem_count()
    ));
    // ANCHOR_END: prediction
    let first = rows(&xs.narrow(0, 0, 10.min(xs.dim(0)?))?)?;
    let names = predicted.to_vec1::<u32>()?.into_iter().zip(ys.to_vec1::<u32>()?);
    let panels = first.into_iter().zip(names).map(|(pixels, (predicted, truth))| {
        Panel::Picture(Picture {
            title: format!("{predicted} (true {truth})"),
            rows: pixels.chunks(width).map(<[f64]>::to_vec).collect(),
            values: false,
        })
    });
    page.draw("predictions", Figure::grid(5, panels));
    page.expect("test accuracy", Expect::Between(0.72, 0.92), right);
    page.expect_of_full("test accuracy of all", Expect::near(0.84, 0.03), right);
    Ok(())
}

// ANCHOR: black_and_white
/// At most `limit` pictures as 0 (dark) and 1 (bright, 128 and above), each a row, and their classes.
///
/// # Shapes
/// pictures `[n, c·h·w]` f32, classes `[n]` u32
///
/// # Errors
/// When the tensors cannot be made.
pub fn black_and_white(set: &ImageSet, limit: usize) -> Result<(Tensor, Tensor)> {
    let n = set.len().min(limit);
    let size: usize = set.shape().iter().product();
    let pixels: Vec<f32> = set
        .pixels()
        .iter()
        .take(n * size)
        .map(|&p| f32::from(u8::from(p >= 128)))
        .collect();
    let classes: Vec<u32> = set.labels().iter().take(n).map(|&class| class.into()).collect();
    Ok((
        Tensor::from_vec(pixels, (n, size), &Device::Cpu)?,
        Tensor::new(classes, &Device::Cpu)?,
    ))
}
// ANCHOR_END: black_and_white

// ANCHOR: naive_bayes
/// How often each class comes, and how often each pixel is bright in it.
#[derive(Clone, Debug)]
pub struct NaiveBayes {
    /// P(class), `[classes]`.
    pub prior: Tensor,
    /// P(pixel is bright | class), `[classes, pixels]`.
    pub bright: Tensor,
}

impl NaiveBayes {
    /// Counts. To each class's pictures a black and a white one are added (Laplace's smoothing), so that no pixel is
    /// impossible.
    ///
    /// # Shapes
    /// xs `[n, pixels]` of 0 and 1, ys `[n]`
    ///
    /// # Errors
    /// When there is no picture, or the shapes do not fit.
    pub fn fit(xs: &Tensor, ys: &Tensor, classes: usize) -> Result<Self> {
        let n = xs.dim(0)?;
        if n == 0 {
            return Err(Error::Lesson("there is no picture to count".into()));
        }
        let numbers = Tensor::arange(0, classes as u32, xs.device())?.unsqueeze(1)?;
        let of_class = numbers.broadcast_eq(&ys.unsqueeze(0)?)?.to_dtype(xs.dtype())?; // [classes, n]
        let pictures = of_class.sum_keepdim(1)?;
        let bright = of_class.matmul(xs)?;
        Ok(Self {
            prior: (pictures.squeeze(1)? / n as f64)?,
            bright: (bright + 1.0)?.broadcast_div(&(pictures + 2.0)?)?,
        })
    }

    /// log P(class) + Σ log P(pixel | class) for each picture and class. Sums of logarithms, because a product of 784
    /// probabilities is 0 in floating point.
    ///
    /// # Shapes
    /// xs `[n, pixels]` → `[n, classes]`
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn scores(&self, xs: &Tensor) -> Result<Tensor> {
        let dark = (1.0 - &self.bright)?;
        let bright = xs.matmul(&self.bright.log()?.t()?)?;
        let dark = (1.0 - xs)?.matmul(&dark.log()?.t()?)?;
        Ok((bright + dark)?.broadcast_add(&self.prior.log()?)?)
    }
}
// ANCHOR_END: naive_bayes

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::{distance, values};

    #[test]
    fn counts_and_scores_by_hand() {
        let xs = Tensor::new(&[[1f32, 0.0], [1.0, 1.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let ys = Tensor::new(&[0u32, 0, 1], &Device::Cpu).unwrap();
        let bayes = NaiveBayes::fit(&xs, &ys, 2).unwrap();
        let expected = [[3.0 / 4.0, 2.0 / 4.0], [1.0 / 3.0, 1.0 / 3.0f32]];
        assert!(distance(&bayes.bright, &Tensor::new(&expected, &Device::Cpu).unwrap()).unwrap() < 1e-6);
        let scores = bayes.scores(&xs.narrow(0, 0, 1).unwrap()).unwrap();
        let by_hand = [2.0 / 3.0 * 0.75 * 0.5, 1.0 / 3.0 * (1.0 / 3.0) * (2.0 / 3.0)];
        for (score, probability) in values(&scores).unwrap().into_iter().zip(by_hand) {
            assert!((score.exp() - probability).abs() < 1e-6, "{score} {probability}");
        }
    }

    #[test]
    fn nothing_to_count_is_an_error_and_a_class_without_pictures_is_never_chosen() {
        let none = Tensor::zeros((0, 4), DType::F32, &Device::Cpu).unwrap();
        let no_labels = Tensor::new(Vec::<u32>::new(), &Device::Cpu).unwrap();
        assert!(NaiveBayes::fit(&none, &no_labels, 2).is_err());
        let (xs, ys) = (
            Tensor::ones((1, 4), DType::F32, &Device::Cpu).unwrap(),
            Tensor::new(&[1u32], &Device::Cpu).unwrap(),
        );
        let scores = values(&NaiveBayes::fit(&xs, &ys, 2).unwrap().scores(&xs).unwrap()).unwrap();
        assert!(
            scores[0] == f64::NEG_INFINITY && scores[1].is_finite(),
            "{scores:?}"
        );
    }
}

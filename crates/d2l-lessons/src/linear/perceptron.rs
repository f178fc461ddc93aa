//! The perceptron (before section 4.1): its rule, what it learns, and XOR, for which it takes one more layer.

use super::logistic_regression::binary_cross_entropy;
use super::regression_scratch::sgd;
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::{Chart, Panel, Picture},
    numbers::values,
};
use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Rng;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "perceptron",
    chapter: Chapter::Linear,
    section: "4.1",
    title: "The perceptron and XOR",
    expected: "separable data: no mistake after finitely many; XOR: mistakes for ever; with a hidden layer: none",
    cost: Cost::Seconds,
    run,
};

/// A point of the plane with its class, +1 or −1.
pub type Example = ([f64; 2], f64);

/// XOR of two signs.
pub const XOR: [Example; 4] = [
    ([-1.0, -1.0], -1.0),
    ([-1.0, 1.0], 1.0),
    ([1.0, -1.0], 1.0),
    ([1.0, 1.0], -1.0),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: separable
    let margin = 0.1;
    let examples = separable(200, margin, &mut page.rng("points"));
    let (line, mistakes) = train(&examples, 1000);
    page.say(format_args!("separable: mistakes by epoch {mistakes:?}"));
    // ANCHOR_END: separable
    let left = mistakes.last().map_or(f64::NAN, |&count| count as f64);
    let all = mistakes.iter().sum::<usize>() as f64;
    page.expect(
        "separable: mistakes of the last epoch",
        Expect::Exactly(0.0),
        left,
    );
    page.expect(
        "separable: mistakes in all, by Novikoff's bound",
        Expect::AtMost(novikoff(margin)),
        all,
    );

    // ANCHOR: xor
    let (xor_line, xor_mistakes) = train(&XOR, 100);
    let clean = xor_mistakes.iter().filter(|&&count| count == 0).count();
    page.say(format_args!(
        "XOR: {clean} of {} epochs without a mistake",
        xor_mistakes.len()
    ));
    // ANCHOR_END: xor
    page.expect(
        "XOR: epochs without a mistake",
        Expect::Exactly(0.0),
        clean as f64,
    );
    page.expect(
        "XOR: epochs tried",
        Expect::Exactly(100.0),
        xor_mistakes.len() as f64,
    );
    page.draw(
        "perceptron",
        Figure::row([
            Panel::Chart(chart("Separable", &examples, line)),
            Panel::Chart(chart("XOR", &XOR, xor_line)),
        ]),
    );

    // ANCHOR: mlp
    let mlp = Mlp::new(8, &page.rng("mlp"))?;
    mlp.train(&XOR, 500)?;
    let logits = values(&mlp.logits(&points(XOR.map(|(x, _)| x))?)?)?;
    page.say(format_args!("XOR with a hidden layer: logits {logits:.2?}"));
    // ANCHOR_END: mlp
    let right = logits
        .iter()
        .zip(&XOR)
        .filter(|(logit, (_, class))| *logit * class > 0.0)
        .count();
    page.expect(
        "XOR: right with a hidden layer, of 4",
        Expect::Exactly(4.0),
        right as f64,
    );
    page.draw("xor", Figure::row([Panel::Picture(map(&mlp)?)]));
    Ok(())
}

// ANCHOR: perceptron
/// A perceptron: class +1 where w·x + b is above 0, and −1 elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Perceptron {
    /// Weights.
    pub weight: [f64; 2],
    /// Bias.
    pub bias: f64,
}

impl Perceptron {
    /// w·x + b
    pub fn score(&self, x: [f64; 2]) -> f64 {
        let [w0, w1] = self.weight;
        let [x0, x1] = x;
        w0 * x0 + w1 * x1 + self.bias
    }

    /// Rosenblatt's rule: where the class is wrong, w ← w + y·x and b ← b + y. Says whether it was.
    pub fn learn(&mut self, (x, y): Example) -> bool {
        let wrong = y * self.score(x) <= 0.0;
        if wrong {
            for (weight, x) in self.weight.iter_mut().zip(x) {
                *weight += y * x;
            }
            self.bias += y;
        }
        wrong
    }
}

/// Learns from the examples in turn, epoch by epoch, until there was no mistake or `epochs` are over; the perceptron
/// and the number of mistakes in each epoch.
pub fn train(examples: &[Example], epochs: usize) -> (Perceptron, Vec<usize>) {
    let mut perceptron = Perceptron::default();
    let mut mistakes = Vec::new();
    while mistakes.len() < epochs && mistakes.last() != Some(&0) {
        let wrong = examples
            .iter()
            .filter(|&&example| perceptron.learn(example))
            .count();
        mistakes.push(wrong);
    }
    (perceptron, mistakes)
}
// ANCHOR_END: perceptron

// ANCHOR: data
/// `n` points of the square from −1 to 1, in two classes on either side of a line, none nearer to it than `margin`.
pub fn separable(n: usize, margin: f64, rng: &mut Rng) -> Vec<Example> {
    let truth = Perceptron {
        weight: [0.6, -0.8],
        bias: 0.2,
    }; // w is of length 1: scores are distances
    let mut examples = Vec::new();
    while examples.len() < n {
        if let [x0, x1] = rng.uniform_vec(2, -1.0, 1.0).as_slice() {
            let x = [f64::from(*x0), f64::from(*x1)];
            let distance = truth.score(x);
            if distance.abs() >= margin {
                examples.push((x, distance.signum()));
            }
        }
    }
    examples
}

/// Novikoff's bound on the mistakes over all epochs: (R / γ)², with R the length of the longest (x, 1) and γ the margin
/// of the longest (w, b) scaled to 1, here (0.6, −0.8, 0.2).
fn novikoff(margin: f64) -> f64 {
    let (longest_squared, truth_squared) = (3.0, 1.04);
    longest_squared * truth_squared / (margin * margin)
}
// ANCHOR_END: data

// ANCHOR: hidden
/// A hidden layer of tanh and one output, from scratch.
pub struct Mlp {
    parameters: [Var; 4],
}

impl Mlp {
    /// Weights from N(0, 1), biases of zero.
    ///
    /// # Errors
    /// When the variables cannot be made.
    pub fn new(hidden: usize, rng: &Rng) -> Result<Self> {
        let normal = |name: &str, shape: [usize; 2]| -> Result<Var> {
            let values = rng
                .split(name)
                .normal(&shape, 0.0, 1.0, DType::F32, &Device::Cpu)?;
            Ok(Var::from_tensor(&values)?)
        };
        let zeros = |n: usize| Var::zeros(n, DType::F32, &Device::Cpu);
        Ok(Self {
            parameters: [
                normal("w1", [2, hidden])?,
                zeros(hidden)?,
                normal("w2", [hidden, 1])?,
                zeros(1)?,
            ],
        })
    }

    /// The logits of class +1.
    ///
    /// # Shapes
    /// x `[n, 2]` → `[n, 1]`
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let [w1, b1, w2, b2] = &self.parameters;
        let hidden = x.matmul(w1)?.broadcast_add(b1)?.tanh()?;
        Ok(hidden.matmul(w2)?.broadcast_add(b2)?)
    }

    /// Gradient descent on all examples, `steps` times.
    ///
    /// # Errors
    /// When a step fails.
    pub fn train(&self, examples: &[Example], steps: usize) -> Result<()> {
        let x = points(examples.iter().map(|(x, _)| *x))?;
        let y: Vec<f32> = examples
            .iter()
            .map(|(_, y)| if *y > 0.0 { 1.0 } else { 0.0 })
            .collect();
        let y = Tensor::new(y, &Device::Cpu)?.unsqueeze(1)?;
        for _ in 0..steps {
            let loss = binary_cross_entropy(&self.logits(&x)?, &y)?.sum_all()?;
            sgd(
                &self.parameters.each_ref(),
                &loss.backward()?,
                0.5,
                examples.len(),
            )?;
        }
        Ok(())
    }
}
// ANCHOR_END: hidden

/// Points as a tensor `[n, 2]`.
fn points(points: impl IntoIterator<Item = [f64; 2]>) -> Result<Tensor> {
    let coordinates: Vec<f64> = points.into_iter().flatten().collect();
    let points = Tensor::from_vec(coordinates, ((), 2), &Device::Cpu)?;
    Ok(points.to_dtype(DType::F32)?)
}

/// The probability of class +1 over the square from −1.5 to 1.5, the smallest black.
fn map(mlp: &Mlp) -> Result<Picture> {
    let steps = || (-15..=15).map(|i| f64::from(i) * 0.1);
    let rows = steps().rev().map(|x1| {
        let logits = mlp.logits(&points(steps().map(|x0| [x0, x1]))?)?;
        values(&super::logistic_regression::sigmoid(&logits)?)
    });
    Ok(Picture {
        title: "Probability of class +1".into(),
        rows: rows.collect::<Result<_>>()?,
        values: false,
    })
}

/// The examples by class, and the perceptron's line where it has one.
fn chart(title: &str, examples: &[Example], line: Perceptron) -> Chart {
    let of = |class: f64| {
        examples
            .iter()
            .filter(move |(_, y)| *y == class)
            .map(|([x0, x1], _)| (*x0, *x1))
    };
    let [w0, w1] = line.weight;
    // Where the line leaves the square from −1.2 to 1.2, from top to bottom or from side to side.
    let edges = [-1.2, 1.2];
    let ends = if w1.abs() >= w0.abs() {
        edges.map(|x| (x, -(w0 * x + line.bias) / w1))
    } else {
        edges.map(|y| (-(w1 * y + line.bias) / w0, y))
    };
    let chart = Chart::new("x0", "x1").title(title);
    let chart = chart.points("class +1", of(1.0)).points("class -1", of(-1.0));
    // After an epoch of XOR the weights are back at 0, and there is no line.
    if line.weight == [0.0; 2] {
        return chart;
    }
    chart.line("its line", ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_by_hand() {
        let mut perceptron = Perceptron::default();
        assert!(perceptron.learn(([1.0, 2.0], -1.0)), "a score of 0 is a mistake");
        assert_eq!(
            perceptron,
            Perceptron {
                weight: [-1.0, -2.0],
                bias: -1.0
            }
        );
        assert!(!perceptron.learn(([1.0, 2.0], -1.0)));
        assert!(perceptron.learn(([0.5, 0.0], 1.0)));
        assert_eq!(
            perceptron,
            Perceptron {
                weight: [-0.5, -2.0],
                bias: 0.0
            }
        );
    }

    #[test]
    fn and_is_learned_within_the_bound_and_xor_never() {
        let and = [
            ([-1.0, -1.0], -1.0),
            ([-1.0, 1.0], -1.0),
            ([1.0, -1.0], -1.0),
            ([1.0, 1.0], 1.0),
        ];
        let (perceptron, mistakes) = train(&and, 100);
        assert_eq!(mistakes.last(), Some(&0));
        assert!(and.iter().all(|(x, y)| y * perceptron.score(*x) > 0.0));
        for seed in 0..20 {
            let (_, mistakes) = train(&separable(100, 0.05, &mut Rng::new(seed)), 10_000);
            assert_eq!(mistakes.last(), Some(&0), "seed {seed}");
            assert!(
                mistakes.iter().sum::<usize>() as f64 <= novikoff(0.05),
                "seed {seed}"
            );
        }
        assert!(train(&XOR, 1000).1.iter().all(|&count| count > 0));
    }

    #[test]
    fn a_hidden_layer_solves_xor_from_many_beginnings() {
        let solved = (0..10).filter(|&seed| {
            let mlp = Mlp::new(8, &Rng::new(seed)).unwrap();
            mlp.train(&XOR, 500).unwrap();
            let logits = values(&mlp.logits(&points(XOR.map(|(x, _)| x)).unwrap()).unwrap()).unwrap();
            logits.iter().zip(&XOR).all(|(logit, (_, y))| logit * y > 0.0)
        });
        assert_eq!(solved.count(), 10);
    }
}

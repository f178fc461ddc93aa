//! Vectorisation for speed (section 3.1): element by element against all at once, and normal densities.

use crate::{Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result, figure::Chart, numbers::distance};
use candle_core::{DType, Device, Tensor};
use std::time::Instant;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "vectorisation",
    chapter: Chapter::Preliminaries,
    section: "3.1",
    title: "Vectorisation for speed; the normal distribution",
    expected: "one addition of two vectors is many times faster than a loop over their elements",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: timing
    let n = 10_000;
    let a = Tensor::ones(n, DType::F32, &Device::Cpu)?;
    let b = Tensor::ones(n, DType::F32, &Device::Cpu)?;

    let start = Instant::now();
    let by_element = add_by_element(&a, &b)?;
    let loop_seconds = start.elapsed().as_secs_f64();
    page.say(format_args!("element by element: {loop_seconds:.5} sec"));

    // So short that anything else on the machine would show: the best of a few.
    let mut vector_seconds = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        let _sum = (&a + &b)?;
        vector_seconds = vector_seconds.min(start.elapsed().as_secs_f64());
    }
    page.say(format_args!("all at once: {vector_seconds:.7} sec"));
    // ANCHOR_END: timing
    page.expect(
        "distance of the two sums",
        Expect::Exactly(0.0),
        distance(&by_element, &(&a + &b)?)?,
    );
    page.expect(
        "times faster at once",
        Expect::AtLeast(10.0),
        loop_seconds / vector_seconds.max(1e-9),
    );

    // ANCHOR: normal
    let xs = (-70..70).map(|i| f64::from(i) * 0.1);
    let parameters = [(0.0, 1.0), (0.0, 2.0), (3.0, 1.0)];
    let chart = parameters
        .into_iter()
        .fold(Chart::new("x", "p(x)"), |chart, (mean, std)| {
            chart.line(
                format!("mean {mean}, std {std}"),
                xs.clone().map(|x| (x, normal(x, mean, std))),
            )
        });
    page.draw("normal", Figure::chart(chart));
    // ANCHOR_END: normal
    let area: f64 = xs.clone().map(|x| normal(x, 0.0, 1.0) * 0.1).sum();
    page.expect(
        "density of N(0, 1) at 0",
        Expect::Exactly(0.398_942_28),
        normal(0.0, 0.0, 1.0),
    );
    page.expect("area under N(0, 1)", Expect::Exactly(1.0), area);
    Ok(())
}

// ANCHOR: loop
/// a + b, one element after the other, each an operation on tensors.
///
/// # Errors
/// When the lengths differ.
pub fn add_by_element(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (n, m) = (a.dims1()?, b.dims1()?);
    if n != m {
        return Err(Error::Lesson(format!(
            "vectors of {n} and {m} elements cannot be added"
        )));
    }
    let sums = (0..n)
        .map(|i| Ok((a.get(i)? + b.get(i)?)?))
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&sums, 0)?)
}
// ANCHOR_END: loop

// ANCHOR: density
/// The density of N(mean, std²) at `x`.
pub fn normal(x: f64, mean: f64, std: f64) -> f64 {
    let z = (x - mean) / std;
    (-0.5 * z * z).exp() / (std * (2.0 * std::f64::consts::PI).sqrt())
}
// ANCHOR_END: density

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_different_lengths_are_refused() {
        let ones = |n: usize| Tensor::ones(n, DType::F32, &Device::Cpu).unwrap();
        assert!(add_by_element(&ones(2), &ones(3)).is_err());
        assert!(add_by_element(&ones(3), &ones(2)).is_err());
    }
}

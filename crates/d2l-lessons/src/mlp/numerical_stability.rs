//! Numerical stability and initialisation (section 4.8): gradients that vanish and explode, and a symmetry that never
//! breaks.

use super::activations::{sigmoid, value_and_gradient};
use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::Chart,
    linear::regression_scratch::sgd,
    numbers::{distance, scalar, values},
};
use candle_core::{DType, Device, Tensor, Var};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "numerical-stability",
    chapter: Chapter::Mlp,
    section: "4.8",
    title: "Numerical stability and initialisation",
    expected: "sigmoid's gradient is 0.25 at most; a product of 100 matrices explodes; equal units stay equal",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    vanishing(page)?;
    exploding(page)?;
    powers(page);
    symmetry(page)
}

fn vanishing(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: vanishing
    let x = (Tensor::arange(-80i64, 81, &Device::Cpu)?.to_dtype(DType::F32)? * 0.1)?;
    let (y, gradient) = value_and_gradient(sigmoid, &x)?;
    let points =
        |y: &Tensor| -> Result<Vec<(f64, f64)>> { Ok(values(&x)?.into_iter().zip(values(y)?).collect()) };
    let chart = Chart::new("x", "y")
        .line("sigmoid", points(&y)?)
        .dashed("gradient", points(&gradient)?);
    page.draw("sigmoid", Figure::chart(chart));
    // ANCHOR_END: vanishing
    let largest = scalar(&gradient.max_all()?)?;
    page.say(format_args!("largest gradient of sigmoid: {largest}"));
    page.expect("largest gradient of sigmoid", Expect::Exactly(0.25), largest);
    // σ(8)·(1 − σ(8))
    page.expect(
        "its gradient at 8",
        Expect::near(3.352_376_7e-4, 1e-7),
        scalar(&gradient.get(160)?)?,
    );
    Ok(())
}

fn exploding(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: exploding
    let mut rng = page.rng("matrices");
    let mut product = rng.normal(&[4, 4], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    page.show("a matrix", &product);
    for _ in 0..100 {
        product = product.matmul(&rng.normal(&[4, 4], 0.0, 1.0, DType::F32, &Device::Cpu)?)?;
    }
    page.show("times 100 more", &product);
    // ANCHOR_END: exploding
    let largest = scalar(&product.abs()?.max_all()?)?;
    page.expect("largest element of the product", Expect::AtLeast(1e10), largest);
    Ok(())
}

fn powers(page: &mut Page<'_>) {
    // ANCHOR: powers
    let (large, small) = (1.5f64.powi(100), 0.8f64.powi(100));
    page.say(format_args!("1.5¹⁰⁰ = {large:.3e}, 0.8¹⁰⁰ = {small:.3e}"));
    // ANCHOR_END: powers
    page.expect("1.5¹⁰⁰", Expect::near(4.065_611_775_352_152e17, 1e5), large);
    page.expect("0.8¹⁰⁰", Expect::near(2.037_035_976_334_486e-10, 1e-18), small);
}

/// Two hidden units that start equal get equal gradients for ever.
fn symmetry(page: &mut Page<'_>) -> Result<()> {
    let mut rng = page.rng("symmetry");
    let x = rng.normal(&[20, 3], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let y = x.sum_keepdim(1)?.sqr()?;
    // ANCHOR: symmetry
    let equal = [
        Tensor::full(0.3f32, (3, 2), &Device::Cpu)?,
        Tensor::full(0.5f32, (2, 1), &Device::Cpu)?,
    ];
    let drawn = [
        rng.normal(&[3, 2], 0.0, 0.5, DType::F32, &Device::Cpu)?,
        rng.normal(&[2, 1], 0.0, 0.5, DType::F32, &Device::Cpu)?,
    ];
    let mut apart = Vec::new();
    for (name, [hidden, output]) in [("equal", equal), ("drawn", drawn)] {
        let (hidden, output) = (Var::from_tensor(&hidden)?, Var::from_tensor(&output)?);
        for _ in 0..100 {
            let predicted = sigmoid(&x.matmul(&hidden)?)?.matmul(&output)?;
            let gradients = (predicted - &y)?.sqr()?.sum_all()?.backward()?;
            sgd(&[&hidden, &output], &gradients, 0.05, 20)?;
        }
        let distance = distance(&hidden.narrow(1, 0, 1)?, &hidden.narrow(1, 1, 1)?)?;
        page.show(
            &format!("hidden weights after 100 steps from {name} ones"),
            &hidden,
        );
        apart.push(distance);
    }
    // ANCHOR_END: symmetry
    for (what, expect, reached) in [
        (
            "distance of two units that started equal",
            Expect::Exactly(0.0),
            apart.first(),
        ),
        (
            "distance of two units that started apart",
            Expect::AtLeast(0.01),
            apart.last(),
        ),
    ] {
        page.expect(what, expect, reached.copied().unwrap_or(f64::NAN));
    }
    Ok(())
}

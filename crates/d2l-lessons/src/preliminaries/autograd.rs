//! Automatic differentiation (section 2.5): gradients of scalars and others, detaching, control flow.

use crate::{
    Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result,
    figure::Chart,
    numbers::{distance, scalar, values},
};
use candle_core::{Device, Tensor, Var, backprop::GradStore};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "autograd",
    chapter: Chapter::Preliminaries,
    section: "2.5",
    title: "Automatic differentiation",
    expected: "the gradient of 2xᵀx is 4x; a gradient through control flow is d / a",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: variable
    let x = Var::from_tensor(&Tensor::arange(0f32, 4.0, &Device::Cpu)?)?;
    page.show("x", &x);
    // ANCHOR_END: variable
    simple(page, &x)?;
    accumulating(page, &x)?;
    detaching(page, &x)?;
    control_flow(page)?;
    shapes(page)?;
    sine(page)
}

// ANCHOR: gradient
/// The gradient of `y`, summed over its elements, with respect to `x`.
///
/// # Errors
/// When `y` does not depend on `x`.
pub fn gradient(y: &Tensor, x: &Var) -> Result<Tensor> {
    of(&y.backward()?, x)
}
// ANCHOR_END: gradient

/// The gradient of `x` that a backward pass left.
fn of(gradients: &GradStore, x: &Var) -> Result<Tensor> {
    let gradient = gradients.get(x).cloned();
    gradient.ok_or_else(|| Error::Lesson("there is no gradient: the function does not depend on it".into()))
}

fn expect_gradient(page: &mut Page<'_>, what: &str, reached: &Tensor, expected: &Tensor) -> Result<()> {
    page.show(what, reached);
    page.expect(
        &format!("{what}: distance"),
        Expect::Exactly(0.0),
        distance(reached, expected)?,
    );
    Ok(())
}

fn simple(page: &mut Page<'_>, x: &Var) -> Result<()> {
    // ANCHOR: simple
    let y = (2.0 * x.as_tensor().sqr()?.sum_all()?)?; // 2xᵀx
    page.show("y", &y);
    let slope = gradient(&y, x)?;
    // ANCHOR_END: simple
    page.expect("y = 2 x·x", Expect::Exactly(28.0), scalar(&y)?);
    expect_gradient(page, "gradient of 2 x·x", &slope, &(4.0 * x.as_tensor())?)?;
    let slope = gradient(&x.sum_all()?, x)?;
    expect_gradient(page, "gradient of sum(x)", &slope, &x.ones_like()?)?;

    // ANCHOR: non_scalar
    let y = (x.as_tensor() * x.as_tensor())?; // a vector: `backward` starts from ones, as from y.sum()
    let slope = gradient(&y.sum_all()?, x)?;
    // ANCHOR_END: non_scalar
    expect_gradient(page, "gradient of sum(x * x)", &slope, &(2.0 * x.as_tensor())?)?;
    expect_gradient(page, "gradient of x * x without a sum", &gradient(&y, x)?, &slope)
}

fn accumulating(page: &mut Page<'_>, x: &Var) -> Result<()> {
    // ANCHOR: accumulating
    // Every backward pass has gradients of its own: nothing is to be zeroed, and adding up is a plain sum.
    let first = gradient(&(2.0 * x.as_tensor().sqr()?.sum_all()?)?, x)?;
    let second = gradient(&x.sum_all()?, x)?;
    let accumulated = (&first + &second)?;
    // ANCHOR_END: accumulating
    expect_gradient(page, "second gradient alone", &second, &x.ones_like()?)?;
    let expected = ((4.0 * x.as_tensor())? + 1.0)?;
    expect_gradient(page, "both gradients added up", &accumulated, &expected)
}

fn detaching(page: &mut Page<'_>, x: &Var) -> Result<()> {
    // ANCHOR: detaching
    let y = (x.as_tensor() * x.as_tensor())?;
    let u = y.detach(); // a constant from here on
    let z = (&u * x.as_tensor())?;
    let through_constant = gradient(&z.sum_all()?, x)?;
    let through_all = gradient(&y.sum_all()?, x)?; // y itself still knows where it came from
    // ANCHOR_END: detaching
    expect_gradient(page, "gradient of u * x with u detached", &through_constant, &u)?;
    expect_gradient(
        page,
        "gradient of y after that",
        &through_all,
        &(2.0 * x.as_tensor())?,
    )
}

fn control_flow(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: control_flow
    for (number, start) in page.rng("a").normal_vec(3, 0.0, 1.0).into_iter().enumerate() {
        let a = Var::new(start, &Device::Cpu)?;
        let d = piecewise(&a)?;
        let (slope, quotient) = (gradient(&d, &a)?, (&d / a.as_tensor())?);
        page.say(format_args!("a = {start:.4}, d = {:.4}", scalar(&d)?));
        expect_gradient(
            page,
            &format!("gradient of d by a, draw {}", number + 1),
            &slope,
            &quotient,
        )?;
    }
    // ANCHOR_END: control_flow
    Ok(())
}

// ANCHOR: piecewise
/// A function whose way depends on its values: doubled until its size is 1000, then times 100 if not above 0.
///
/// # Errors
/// When `a` is 0 or no number, which doubling never brings there.
pub fn piecewise(a: &Tensor) -> Result<Tensor> {
    if scalar(a)?.abs().partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
        return Err(Error::Lesson(
            "doubling needs a number other than 0 to start from".into(),
        ));
    }
    let mut b = (a * 2.0)?;
    while scalar(&b)?.abs() < 1000.0 {
        b = (b * 2.0)?;
    }
    Ok(if scalar(&b)? > 0.0 { b } else { (b * 100.0)? })
}
// ANCHOR_END: piecewise

fn shapes(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: shapes
    // The gradient of a scalar has the shape of what it is taken by.
    for shape in [vec![], vec![3], vec![2, 3]] {
        let x = Var::ones(shape.as_slice(), candle_core::DType::F32, &Device::Cpu)?;
        let slope = gradient(&x.exp()?.sum_all()?, &x)?;
        page.say(format_args!("x {:?}: gradient {:?}", x.dims(), slope.dims()));
        let what = format!("gradient by shape {shape:?}: distance from e");
        page.expect(&what, Expect::Exactly(0.0), distance(&slope, &x.exp()?)?);
    }
    // ANCHOR_END: shapes
    Ok(())
}

fn sine(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: sine
    // The exercise: sin and its derivative, without writing cos.
    let xs: Vec<f64> = (0..=120).map(|i| f64::from(i) * 0.1 - 6.0).collect();
    let x = Var::new(xs.as_slice(), &Device::Cpu)?;
    let slope = gradient(&x.sin()?, &x)?;
    let sines = xs.iter().copied().zip(values(&x.sin()?)?);
    let slopes = xs.iter().copied().zip(values(&slope)?);
    let chart = Chart::new("x", "")
        .line("sin(x)", sines)
        .dashed("its gradient", slopes);
    page.draw("sine", Figure::chart(chart));
    // ANCHOR_END: sine
    page.expect(
        "gradient of sin: distance from cos",
        Expect::Exactly(0.0),
        distance(&slope, &x.cos()?)?,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_doubled_to_1000_or_does_not_depend_is_an_error() {
        for start in [0f32, f32::NAN] {
            assert!(piecewise(&Tensor::new(start, &Device::Cpu).unwrap()).is_err());
        }
        let (x, y) = (
            Var::new(1f32, &Device::Cpu).unwrap(),
            Var::new(1f32, &Device::Cpu).unwrap(),
        );
        assert!(gradient(&x.sqr().unwrap(), &y).is_err());
    }

    #[test]
    fn both_branches_have_the_gradient_d_over_a() {
        for (start, slope) in [(1.0f32, 1024.0), (-1.0, 102_400.0), (3000.0, 2.0)] {
            let a = Var::new(start, &Device::Cpu).unwrap();
            assert_eq!(
                scalar(&gradient(&piecewise(&a).unwrap(), &a).unwrap()).unwrap(),
                slope
            );
        }
    }
}

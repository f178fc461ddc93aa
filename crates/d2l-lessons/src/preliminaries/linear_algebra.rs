//! Linear algebra (section 2.3): transposes, sums and means by axis, products, norms.

use crate::{
    Chapter, Cost, Expect, Lesson, Page, Result,
    numbers::{distance, scalar},
};
use candle_core::{D, DType, Device, Tensor};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "linear-algebra",
    chapter: Chapter::Preliminaries,
    section: "2.3",
    title: "Linear algebra",
    expected: "the values that the book prints: the norm of [3, -4] is 5, its L1 norm 7, the norm of ones(4, 9) 6",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    let a = Tensor::arange(0f32, 20.0, &Device::Cpu)?.reshape((5, 4))?;
    transposing(page, &a)?;
    elementwise(page, &a)?;
    reducing(page, &a)?;
    multiplying(page, &a)?;
    norms(page)
}

/// A row for a tensor that must have these values.
fn expect_tensor(page: &mut Page<'_>, what: &str, reached: &Tensor, expected: &[f32]) -> Result<()> {
    page.show(what, reached);
    let expected = Tensor::new(expected, &Device::Cpu)?;
    let off = distance(&reached.flatten_all()?, &expected)?;
    page.expect(
        &format!("{what}: distance from the book"),
        Expect::Exactly(0.0),
        off,
    );
    Ok(())
}

fn transposing(page: &mut Page<'_>, a: &Tensor) -> Result<()> {
    // ANCHOR: transposing
    page.show("A", a);
    let transposed = a.t()?;
    page.show("transpose of A", &transposed);
    let b = Tensor::new(
        &[[1f32, 2.0, 3.0], [2.0, 0.0, 4.0], [3.0, 4.0, 5.0]],
        &Device::Cpu,
    )?;
    let symmetric = b.eq(&b.t()?)?;
    page.show("B == transpose of B", &symmetric);
    // ANCHOR_END: transposing
    page.expect(
        "rows of A's transpose",
        Expect::Exactly(4.0),
        transposed.dim(0)? as f64,
    );
    page.expect(
        "row 1, column 2 of A's transpose",
        Expect::Exactly(9.0),
        scalar(&transposed.get(1)?.get(2)?)?,
    );
    page.expect(
        "elements in which B is symmetric",
        Expect::Exactly(9.0),
        scalar(&symmetric.to_dtype(DType::F32)?.sum_all()?)?,
    );
    Ok(())
}

fn elementwise(page: &mut Page<'_>, a: &Tensor) -> Result<()> {
    // ANCHOR: elementwise
    let b = a.copy()?; // its own memory; `clone` would share A's
    let hadamard = (a * &b)?;
    let x = Tensor::arange(0f32, 24.0, &Device::Cpu)?.reshape((2, 3, 4))?;
    let (shifted, scaled) = ((2.0 + &x)?, (2.0 * &x)?);
    page.show("2 + X", &shifted);
    page.say(format_args!("shape of 2 X: {:?}", scaled.dims()));
    // ANCHOR_END: elementwise
    let squares: Vec<f32> = (0..20u8).map(|i| f32::from(i) * f32::from(i)).collect();
    expect_tensor(page, "A * B, element by element", &hadamard, &squares)?;
    page.expect(
        "sum of 2 + X",
        Expect::Exactly(324.0),
        scalar(&shifted.sum_all()?)?,
    );
    page.expect("sum of 2 X", Expect::Exactly(552.0), scalar(&scaled.sum_all()?)?);
    Ok(())
}

fn reducing(page: &mut Page<'_>, a: &Tensor) -> Result<()> {
    // ANCHOR: reducing
    let by_column = a.sum(0)?;
    let by_row = a.sum(1)?;
    let kept = a.sum_keepdim(1)?; // [5, 1], so that A can be divided by it
    let shares = a.broadcast_div(&kept)?;
    let running = a.cumsum(0)?;
    // ANCHOR_END: reducing
    expect_tensor(page, "sum over axis 0", &by_column, &[40.0, 45.0, 50.0, 55.0])?;
    expect_tensor(page, "sum over axis 1", &by_row, &[6.0, 22.0, 38.0, 54.0, 70.0])?;
    expect_tensor(page, "mean over axis 0", &a.mean(0)?, &[8.0, 9.0, 10.0, 11.0])?;
    page.expect(
        "sum over both axes",
        Expect::Exactly(190.0),
        scalar(&a.sum((0, 1))?)?,
    );
    page.expect("mean", Expect::Exactly(9.5), scalar(&a.mean_all()?)?);
    page.expect(
        "mean as sum over size",
        Expect::Exactly(9.5),
        scalar(&a.sum_all()?)? / a.elem_count() as f64,
    );
    page.expect(
        "dimensions of a sum that keeps them",
        Expect::Exactly(2.0),
        kept.rank() as f64,
    );
    expect_tensor(
        page,
        "sums of A's rows over their own sums",
        &shares.sum(D::Minus1)?,
        &[1.0; 5],
    )?;
    page.show("running sum over axis 0", &running);
    expect_tensor(
        page,
        "last row of the running sum",
        &running.get(4)?,
        &[40.0, 45.0, 50.0, 55.0],
    )
}

fn multiplying(page: &mut Page<'_>, a: &Tensor) -> Result<()> {
    // ANCHOR: multiplying
    let x = Tensor::arange(0f32, 4.0, &Device::Cpu)?;
    let y = Tensor::ones(4, DType::F32, &Device::Cpu)?;
    let dot = (&x * &y)?.sum_all()?;
    let product = a.matmul(&x.unsqueeze(1)?)?.squeeze(1)?; // a vector as a matrix of one column
    let b = Tensor::ones((4, 3), DType::F32, &Device::Cpu)?;
    let matrix = a.matmul(&b)?;
    // ANCHOR_END: multiplying
    expect_tensor(page, "dot product of x and y", &dot, &[6.0])?;
    expect_tensor(page, "A x", &product, &[14.0, 38.0, 62.0, 86.0, 110.0])?;
    let rows = [6f32, 22.0, 38.0, 54.0, 70.0].map(|sum| [sum; 3]).concat();
    expect_tensor(page, "A B", &matrix, &rows)
}

fn norms(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: norms
    let u = Tensor::new(&[3f32, -4.0], &Device::Cpu)?;
    let l2 = u.sqr()?.sum_all()?.sqrt()?;
    let l1 = u.abs()?.sum_all()?;
    let l3 = norm(&u, 3.0)?;
    let frobenius = Tensor::ones((4, 9), DType::F32, &Device::Cpu)?
        .sqr()?
        .sum_all()?
        .sqrt()?;
    // ANCHOR_END: norms
    expect_tensor(page, "L2 norm of [3, -4]", &l2, &[5.0])?;
    expect_tensor(page, "L1 norm of [3, -4]", &l1, &[7.0])?;
    page.show("L3 norm of [3, -4]", &l3);
    page.expect("L3 norm of [3, -4]", Expect::Exactly(91f64.cbrt()), scalar(&l3)?);
    expect_tensor(page, "Frobenius norm of ones(4, 9)", &frobenius, &[6.0])
}

// ANCHOR: norm
/// The Lp norm of a tensor's elements: (Σ |x|ᵖ)^(1/p).
///
/// # Errors
/// When it cannot be computed.
pub fn norm(x: &Tensor, p: f64) -> Result<Tensor> {
    Ok(x.abs()?.powf(p)?.sum_all()?.powf(1.0 / p)?)
}
// ANCHOR_END: norm

//! Working with data (section 2.1): making tensors, operating on them, broadcasting, indexing, memory.

use crate::{
    Chapter, Cost, Expect, Lesson, Page, Result,
    numbers::{distance, scalar, values},
};
use candle_core::{DType, Device, IndexOp, Tensor, Var};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "tensors",
    chapter: Chapter::Preliminaries,
    section: "2.1",
    title: "Data manipulation",
    expected: "the values that the book prints, exactly",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    making(page)?;
    operating(page)?;
    broadcasting(page)?;
    indexing(page)?;
    memory(page)
}

fn making(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: making
    let x = Tensor::arange(0u32, 12, &Device::Cpu)?;
    page.show("x", &x);
    page.say(format_args!("shape {:?}, {} elements", x.dims(), x.elem_count()));
    let matrix = x.reshape((3, ()))?; // the size left open follows from the others
    page.show("X", &matrix);
    page.show("zeros", &Tensor::zeros((2, 3, 4), DType::F32, &Device::Cpu)?);
    page.show("ones", &Tensor::ones((2, 3, 4), DType::F32, &Device::Cpu)?);
    let normal = page
        .rng("normal")
        .normal(&[3, 4], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    page.show("normal", &normal);
    let given = Tensor::new(&[[2u32, 1, 4, 3], [1, 2, 3, 4], [4, 3, 2, 1]], &Device::Cpu)?;
    page.show("given", &given);
    // ANCHOR_END: making
    page.expect(
        "elements of arange(12)",
        Expect::Exactly(12.0),
        x.elem_count() as f64,
    );
    page.expect(
        "last element of arange(12)",
        Expect::Exactly(11.0),
        scalar(&x.get(11)?)?,
    );
    page.expect(
        "columns after reshape(3, -1)",
        Expect::Exactly(4.0),
        matrix.dim(1)? as f64,
    );
    Ok(())
}

fn operating(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: operating
    let x = Tensor::new(&[1f32, 2.0, 4.0, 8.0], &Device::Cpu)?;
    let y = Tensor::new(&[2f32, 2.0, 2.0, 2.0], &Device::Cpu)?;
    let results = [
        ("x + y", (&x + &y)?, [3f32, 4.0, 6.0, 10.0]),
        ("x - y", (&x - &y)?, [-1.0, 0.0, 2.0, 6.0]),
        ("x * y", (&x * &y)?, [2.0, 4.0, 8.0, 16.0]),
        ("x / y", (&x / &y)?, [0.5, 1.0, 2.0, 4.0]),
        ("x ** y", x.pow(&y)?, [1.0, 4.0, 16.0, 64.0]),
        ("exp(x)", x.exp()?, [2.718_281_7, 7.389_056, 54.598_15, 2_980.958]),
    ];
    // ANCHOR_END: operating
    for (name, result, expected) in &results {
        page.show(name, result);
        let off = distance(result, &Tensor::new(expected, &Device::Cpu)?)?;
        page.expect(
            &format!("{name}: distance from the book"),
            Expect::Exactly(0.0),
            off,
        );
    }

    // ANCHOR: joining
    let x = Tensor::arange(0f32, 12.0, &Device::Cpu)?.reshape((3, 4))?;
    let y = Tensor::new(
        &[[2f32, 1.0, 4.0, 3.0], [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]],
        &Device::Cpu,
    )?;
    let (below, beside) = (Tensor::cat(&[&x, &y], 0)?, Tensor::cat(&[&x, &y], 1)?);
    page.show("X over Y", &below);
    page.show("X beside Y", &beside);
    let equal = x.eq(&y)?;
    page.show("X == Y", &equal);
    page.show("sum of X", &x.sum_all()?);
    // ANCHOR_END: joining
    page.expect("rows of X over Y", Expect::Exactly(6.0), below.dim(0)? as f64);
    page.expect(
        "columns of X beside Y",
        Expect::Exactly(8.0),
        beside.dim(1)? as f64,
    );
    page.expect(
        "row 1, column 4 of X beside Y",
        Expect::Exactly(1.0),
        scalar(&beside.i((1, 4))?)?,
    );
    page.expect(
        "equal elements",
        Expect::Exactly(2.0),
        values(&equal)?.iter().sum(),
    );
    page.expect("sum of X", Expect::Exactly(66.0), scalar(&x.sum_all()?)?);
    Ok(())
}

fn broadcasting(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: broadcasting
    let a = Tensor::arange(0u32, 3, &Device::Cpu)?.reshape((3, 1))?;
    let b = Tensor::arange(0u32, 2, &Device::Cpu)?.reshape((1, 2))?;
    let sum = a.broadcast_add(&b)?;
    page.show("a + b", &sum);
    // ANCHOR_END: broadcasting
    let expected = Tensor::new(&[[0u32, 1], [1, 2], [2, 3]], &Device::Cpu)?;
    page.expect(
        "a + b: distance from the book",
        Expect::Exactly(0.0),
        distance(&sum, &expected)?,
    );
    Ok(())
}

fn indexing(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: indexing
    let x = Tensor::arange(0f32, 12.0, &Device::Cpu)?.reshape((3, 4))?;
    let (last, middle) = (x.i(x.dim(0)? - 1)?, x.i(1..3)?);
    page.show("last row", &last);
    page.show("rows 1 and 2", &middle);
    // A tensor never changes: writing to elements gives a new one.
    let nine = Tensor::full(9f32, (1, 1), &Device::Cpu)?;
    let x = x.slice_assign(&[1..2, 2..3], &nine)?;
    page.show("with 9 in row 1, column 2", &x);
    let twelves = Tensor::full(12f32, (2, 4), &Device::Cpu)?;
    let x = x.slice_assign(&[0..2, 0..4], &twelves)?;
    page.show("with 12 in rows 0 and 1", &x);
    // ANCHOR_END: indexing
    page.expect(
        "sum of the last row",
        Expect::Exactly(38.0),
        scalar(&last.sum_all()?)?,
    );
    page.expect(
        "first element of rows 1 and 2",
        Expect::Exactly(4.0),
        scalar(&middle.i((0, 0))?)?,
    );
    page.expect(
        "sum after writing",
        Expect::Exactly(134.0),
        scalar(&x.sum_all()?)?,
    );
    Ok(())
}

fn memory(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: memory
    let x = Tensor::arange(0f32, 4.0, &Device::Cpu)?;
    let y = Tensor::ones(4, DType::F32, &Device::Cpu)?;
    let sum = (&y + &x)?; // new memory
    page.say(format_args!(
        "y + x is another tensor than y: {}",
        sum.id() != y.id()
    ));
    // What is to change where it is, such as a parameter, is a `Var`.
    let z = Var::zeros(4, DType::F32, &Device::Cpu)?;
    let before = z.id();
    z.set(&sum)?;
    page.say(format_args!("z is still the same tensor: {}", z.id() == before));
    page.show("z", &z);
    // ANCHOR_END: memory
    page.expect(
        "y + x is another tensor (1 = yes)",
        Expect::Exactly(1.0),
        f64::from(sum.id() != y.id()),
    );
    page.expect(
        "z is the same tensor (1 = yes)",
        Expect::Exactly(1.0),
        f64::from(z.id() == before),
    );
    page.expect(
        "z after writing, distance from x + y",
        Expect::Exactly(0.0),
        distance(&z, &sum)?,
    );

    // ANCHOR: conversion
    let list: Vec<f32> = z.to_vec1()?;
    let number = Tensor::new(&[3.5f32], &Device::Cpu)?
        .squeeze(0)?
        .to_scalar::<f32>()?;
    page.say(format_args!("{list:?} {number} {}", number as i32));
    // ANCHOR_END: conversion
    page.expect(
        "a tensor of one element as a number",
        Expect::Exactly(3.5),
        f64::from(number),
    );
    Ok(())
}

//! Activation functions and their gradients (section 4.1).

use crate::{
    Chapter, Cost, Expect, Figure, Lesson, Page, Result,
    figure::{Chart, Panel},
    numbers::{distance, scalar, values},
};
use candle_core::{Device, Tensor, Var};
use d2l_nn::ops;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "activations",
    chapter: Chapter::Mlp,
    section: "4.1",
    title: "Activation functions",
    expected: "step, linear, sigmoid, tanh, ReLU and PReLU with their gradients, exactly",
    cost: Cost::Seconds,
    run,
};

/// PReLU's slope left of zero in the picture; a network learns it.
pub const SLOPE: f64 = 0.25;

type Function = fn(&Tensor) -> Result<Tensor>;

/// The functions with their names, and their values and gradients at −1 and 1.
const FUNCTIONS: [(&str, Function, [f64; 2], [f64; 2]); 6] = [
    ("step", step, [0.0, 1.0], [0.0, 0.0]),
    ("linear", linear, [-1.0, 1.0], [1.0, 1.0]),
    (
        "sigmoid",
        sigmoid,
        [0.268_941_421_4, 0.731_058_578_6],
        [0.196_611_933_2, 0.196_611_933_2],
    ),
    (
        "tanh",
        tanh,
        [-0.761_594_156_0, 0.761_594_156_0],
        [0.419_974_341_6, 0.419_974_341_6],
    ),
    ("ReLU", relu, [0.0, 1.0], [0.0, 1.0]),
    ("PReLU", |x| prelu(x, SLOPE), [-SLOPE, 1.0], [SLOPE, 1.0]),
];

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: curves
    let x = Tensor::arange(-80i64, 81, &Device::Cpu)?;
    let x = (x.to_dtype(candle_core::DType::F32)? * 0.1)?;
    let mut panels = Vec::new();
    for (name, function, _, _) in FUNCTIONS {
        let (y, gradient) = value_and_gradient(function, &x)?;
        let points =
            |y: &Tensor| -> Result<Vec<(f64, f64)>> { Ok(values(&x)?.into_iter().zip(values(y)?).collect()) };
        let chart = Chart::new("x", "y")
            .title(name)
            .line("f(x)", points(&y)?)
            .dashed("gradient", points(&gradient)?);
        panels.push(Panel::Chart(chart));
    }
    page.draw("activations", Figure::grid(3, panels));
    // ANCHOR_END: curves

    for (name, function, book, book_gradients) in FUNCTIONS {
        for (place, (book, book_gradient)) in
            [-1f32, 1.0].into_iter().zip(book.into_iter().zip(book_gradients))
        {
            let (y, gradient) = value_and_gradient(function, &Tensor::new(&[place], &Device::Cpu)?)?;
            let (y, gradient) = (scalar(&y)?, scalar(&gradient)?);
            page.say(format_args!("{name}({place}) = {y:.4}, gradient {gradient:.4}"));
            page.expect(&format!("{name}({place})"), Expect::Exactly(book), y);
            page.expect(
                &format!("gradient of {name} at {place}"),
                Expect::Exactly(book_gradient),
                gradient,
            );
        }
    }
    beside_the_library(page, &x)
}

/// The same by d2l-nn's operations.
fn beside_the_library(page: &mut Page<'_>, x: &Tensor) -> Result<()> {
    let library: [(&str, Function, Function); 4] = [
        ("sigmoid", sigmoid, |x| Ok(ops::sigmoid(x)?)),
        ("tanh", tanh, |x| Ok(ops::tanh(x)?)),
        ("ReLU", relu, |x| Ok(ops::relu(x)?)),
        ("PReLU", |x| prelu(x, SLOPE), |x| Ok(ops::leaky_relu(x, SLOPE)?)),
    ];
    for (name, mine, theirs) in library {
        let (mine, theirs) = (value_and_gradient(mine, x)?, value_and_gradient(theirs, x)?);
        for (what, mine, theirs) in [
            (name.to_owned(), mine.0, theirs.0),
            (format!("gradient of {name}"), mine.1, theirs.1),
        ] {
            let difference = distance(&mine, &theirs)?;
            page.expect(
                &format!("{what} beside the library's"),
                Expect::AtMost(1e-6),
                difference,
            );
        }
    }
    Ok(())
}

// ANCHOR: value_and_gradient
/// A function's values, and its gradients by `backward`: of their sum, so that each element has its own.
///
/// # Errors
/// When the function fails.
pub fn value_and_gradient(function: Function, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = Var::from_tensor(x)?;
    let y = function(&x)?;
    let gradient = match y.sum_all()?.backward()?.get(&x) {
        Some(gradient) => gradient.clone(),
        // What is constant almost everywhere has no path back to x.
        None => x.zeros_like()?,
    };
    Ok((y.detach(), gradient))
}
// ANCHOR_END: value_and_gradient

// ANCHOR: functions
/// 1 where x is above 0, else 0.
///
/// # Errors
/// When the device fails.
pub fn step(x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0.0)?.to_dtype(x.dtype())?.detach())
}

/// x itself.
///
/// # Errors
/// When the device fails.
pub fn linear(x: &Tensor) -> Result<Tensor> {
    Ok(x.affine(1.0, 0.0)?)
}

/// 1 / (1 + e⁻ˣ), as (1 + tanh(x/2)) / 2: there e⁻ˣ cannot overflow.
///
/// # Errors
/// When the device fails.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((((x / 2.0)?.tanh()? + 1.0)? / 2.0)?)
}

/// (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).
///
/// # Errors
/// When the device fails.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    Ok(x.tanh()?)
}

/// max(x, 0); the gradient at 0 is 0.
///
/// # Errors
/// When the device fails.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0.0)?.where_cond(x, &x.zeros_like()?)?)
}

/// max(x, 0) + slope · min(x, 0).
///
/// # Errors
/// When the device fails.
pub fn prelu(x: &Tensor, slope: f64) -> Result<Tensor> {
    Ok(x.gt(0.0)?.where_cond(x, &(x * slope)?)?)
}
// ANCHOR_END: functions

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;

    #[test]
    fn values_and_gradients_are_pytorchs() {
        let golden = Golden::mlp();
        let tensor = |name: &str| Tensor::new(golden.values(name).as_slice(), &Device::Cpu).unwrap();
        let functions: [(&str, Function); 4] = [
            ("sigmoid", sigmoid),
            ("tanh", tanh),
            ("relu", relu),
            ("prelu", |x| prelu(x, SLOPE)),
        ];
        for (name, function) in functions {
            let (y, gradient) = value_and_gradient(function, &tensor("x")).unwrap();
            assert!(distance(&y, &tensor(name)).unwrap() < 1e-14, "{name}");
            let expected = tensor(&format!("{name} gradient"));
            assert!(
                distance(&gradient, &expected).unwrap() < 1e-14,
                "gradient of {name}"
            );
        }
    }
}

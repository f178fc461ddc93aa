use super::*;
use crate::checks::{assert_same_for_any_threads, finite_differences, golden, golden_weighting};
use crate::testing::{assert_close, assert_same_bits, at_every_level, values};

const ALL: [Function; 9] = [
    Function::Relu,
    Function::LeakyRelu { negative_slope: 0.1 },
    Function::Sigmoid,
    Function::Tanh,
    Function::Gelu,
    Function::GeluTanh,
    Function::Silu,
    Function::Elu { alpha: 0.7 },
    Function::Softplus {
        beta: 2.0,
        threshold: 15.0,
    },
];

/// y and dx, each in its own buffer and in place.
fn run(function: Function, x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    let [mut y, mut dx] = [vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]];
    forward(function, x, &mut y).unwrap();
    let mut in_place = x.to_vec();
    forward_in_place(function, &mut in_place);
    assert_same_bits("in place", &y, &in_place);
    let saved = if function.saved() == Saved::Input { x } else { &y };
    backward(function, saved, dy, &mut dx).unwrap();
    in_place.copy_from_slice(dy);
    backward_in_place(function, saved, &mut in_place).unwrap();
    assert_same_bits("gradient in place", &dx, &in_place);
    [y, dx]
}

#[test]
fn gradients_agree_with_finite_differences() {
    for len in [0, 1, 15, 67] {
        let x: Vec<f32> = values(len, 3).iter().map(|x| 8.0 * x).collect();
        let dy = values(len, 4);
        for function in ALL {
            let f = |x: &[f64]| x.iter().map(|&x| naive::forward(function, x)).collect::<Vec<_>>();
            let wanted = finite_differences(&x, &dy, f);
            at_every_level(|level| {
                let [_, dx] = run(function, &x, &dy);
                assert_close(&format!("{function:?} {level}"), &wanted, &dx, 1e-5);
            });
        }
    }
}

#[test]
fn golden_values_of_pytorch() {
    let x = golden("activation.x");
    let dy = golden_weighting(x.len());
    let names = [
        "relu",
        "leaky_relu",
        "sigmoid",
        "tanh",
        "gelu",
        "gelu_tanh",
        "silu",
        "elu",
        "softplus",
    ]
    .into_iter();
    for (name, function) in names.zip(ALL) {
        at_every_level(|level| {
            let [y, dx] = run(function, &x, &dy);
            assert_close(
                &format!("{name} {level}"),
                &golden(&format!("activation.{name}.y")),
                &y,
                1e-6,
            );
            assert_close(
                &format!("{name} {level}"),
                &golden(&format!("activation.{name}.dx")),
                &dx,
                1e-6,
            );
        });
    }
}

/// Floats of both signs and all exponents, and every 2⁻⁸ between −128 and 128.
fn sweep() -> Vec<f32> {
    let all = (0..=u32::MAX)
        .step_by(77_777)
        .map(f32::from_bits)
        .filter(|x| x.is_finite());
    all.chain((-32_768..=32_768).map(|i| i as f32 / 256.0)).collect()
}

/// The largest relative error where the result is above 1e-36, with an absolute bound below.
fn worst_error(x: &[f32], got: &[f32], exact: impl Fn(f64) -> f64) -> f64 {
    let mut worst = 0f64;
    for (&x, &got) in x.iter().zip(got) {
        let exact = exact(f64::from(x));
        let got = f64::from(got);
        if exact.abs() > f64::from(f32::MAX) {
            assert!(
                got.is_infinite() || (got / exact - 1.0).abs() < 1e-6,
                "{x}: {got}"
            );
        } else if exact.abs() < 1e-36 {
            // Some of these went through a number that has no exponent of its own.
            assert!((got - exact).abs() < 1e-36, "{x}: {got:e} for {exact:e}");
        } else {
            worst = worst.max(((got - exact) / exact).abs());
        }
    }
    worst
}

/// The errors that the module's documentation states.
#[test]
fn errors_over_the_whole_range() {
    let x = sweep();
    let bounds = [
        (Function::Sigmoid, 3e-7),
        (Function::Tanh, 4e-7),
        (Function::Gelu, 2e-5),
        (Function::GeluTanh, 3e-5),
        (Function::Silu, 3e-7),
        (Function::Elu { alpha: 1.0 }, 3e-7),
        (
            Function::Softplus {
                beta: 1.0,
                threshold: 20.0,
            },
            3e-7,
        ),
    ];
    at_every_level(|level| {
        for (function, bound) in bounds {
            let mut y = vec![0.0; x.len()];
            forward(function, &x, &mut y).unwrap();
            let worst = worst_error(&x, &y, |x| naive::forward(function, x));
            println!("{level} {function:?}: {worst:.2e}");
            assert!(worst < bound, "{level} {function:?}: {worst:e}");
        }
        // The two GELUs lose digits only where next to nothing is left of them.
        for (function, from) in [(Function::Gelu, -4.0), (Function::GeluTanh, -3.0)] {
            let x: Vec<f32> = x.iter().copied().filter(|&x| x >= from).collect();
            let mut y = x.clone();
            forward_in_place(function, &mut y);
            let worst = worst_error(&x, &y, |x| naive::forward(function, x));
            assert!(worst < 1.5e-6, "{level} {function:?} from {from}: {worst:e}");
        }
        let mut y = x.clone();
        exponentials(&mut y);
        let worst = worst_error(&x, &y, f64::exp);
        println!("{level} exp: {worst:.2e}");
        assert!(worst < 2e-7, "{level} exp: {worst:e}");
    });
}

per_level! {
    fn exponentials<'a>(values: &'a mut [f32]) {
        map(values, vector::exp::<S>);
    }
}

#[test]
fn nan_and_infinity() {
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    at_every_level(|level| {
        for function in ALL {
            let [y, dx] = run(function, &x, &[1.0; 3]);
            assert!(y[0].is_nan(), "{level} {function:?}");
            assert!(dx[0].is_nan() || matches!(function, Function::Relu | Function::LeakyRelu { .. }));
            let above = if matches!(function, Function::Sigmoid | Function::Tanh) {
                1.0
            } else {
                f32::INFINITY
            };
            assert_eq!(y[1], above, "{level} {function:?}");
        }
        // As PyTorch: the gradient of a ReLU at NaN passes.
        assert_eq!(run(Function::Relu, &x, &[1.0; 3])[1], [1.0, 1.0, 0.0]);
        let mut y = x;
        exponentials(&mut y);
        assert!(y[0].is_nan() && y[1] == f32::INFINITY && y[2] == 0.0);
    });
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let (x, dy) = (values(3 * PIECE + 1, 1), values(3 * PIECE + 1, 2));
    for function in ALL {
        assert_same_for_any_threads(&format!("{function:?}"), || run(function, &x, &dy).to_vec());
    }
}

#[test]
fn the_reference_error_function_is_right() {
    // Abramowitz and Stegun, table 7.1, and Wolfram Alpha for the tail.
    for (x, wanted) in [
        (0.0, 1.0),
        (0.5, 0.479_500_122_186_953_5),
        (2.0, 4.677_734_981_047_266e-3),
        (5.0, 1.537_459_794_428_035e-12),
    ] {
        assert!((naive::erfc(x) / wanted - 1.0).abs() < 1e-12, "{x}");
    }
    assert!((naive::erfc(-1.0) - 1.842_700_792_949_715).abs() < 1e-12);
}

#[test]
fn lengths_are_checked() {
    assert!(forward(Function::Relu, &[0.0; 2], &mut [0.0; 3]).is_err());
    assert!(backward(Function::Relu, &[0.0; 2], &[0.0; 3], &mut [0.0; 3]).is_err());
    assert!(backward(Function::Relu, &[0.0; 3], &[0.0; 3], &mut [0.0; 2]).is_err());
    assert!(backward_in_place(Function::Relu, &[0.0; 3], &mut [0.0; 2]).is_err());
}

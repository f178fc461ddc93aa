use super::*;
use crate::checks::{
    assert_same_for_any_threads, finite_differences, golden, golden_weighting, to_f32, to_f64,
};
use crate::testing::{assert_close, at_every_level, values};
use proptest::prelude::*;

fn run(norm: &LocalResponseNorm, x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    let [mut y, mut dx] = [vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]];
    forward(norm, x, &mut y).unwrap();
    backward(norm, x, dy, &mut dx).unwrap();
    [y, dx]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_definition_and_its_finite_differences(
        rows in 0usize..5, channels in 1usize..24, size in 1usize..9, alpha in 0f32..2.0,
        beta in prop_oneof![Just(0.75f32), Just(0.5), Just(1.0), 0.1f32..2.0], k in 0.5f32..3.0, seed: u64,
    ) {
        let norm = LocalResponseNorm { rows, channels, size, alpha, beta, k };
        let x: Vec<f32> = values(rows * channels, seed).iter().map(|x| 2.0 * x).collect();
        let dy = values(x.len(), seed + 1);
        let y = to_f32(&naive::forward(&norm, &to_f64(&x)));
        let dx = finite_differences(&x, &dy, |x| naive::forward(&norm, x));
        at_every_level(|level| {
            let [got_y, got_dx] = run(&norm, &x, &dy);
            assert_close(&format!("y {level} {norm:?}"), &y, &got_y, 2e-6);
            assert_close(&format!("dx {level} {norm:?}"), &dx, &got_dx, 1e-4);
        });
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let norm = LocalResponseNorm {
        rows: 1000,
        channels: 50,
        size: 5,
        alpha: 0.1,
        beta: 0.75,
        k: 2.0,
    };
    let (x, dy) = (values(50_000, 1), values(50_000, 2));
    assert_same_for_any_threads("lrn", || run(&norm, &x, &dy).to_vec());
}

#[test]
fn golden_values_of_pytorch() {
    let x = golden("lrn.x");
    let dy = golden_weighting(x.len());
    for (size, alpha, beta, k) in [
        (5, 1e-1, 0.75, 2.0),
        (2, 0.5, 0.5, 1.0),
        (3, 1.0, 0.6, 1.0),
        (9, 1e-4, 0.75, 1.0),
    ] {
        let norm = LocalResponseNorm {
            rows: 4,
            channels: 7,
            size,
            alpha,
            beta,
            k,
        };
        let [y, dx] = run(&norm, &x, &dy);
        assert_close("y", &golden(&format!("lrn.{size}.y")), &y, 1e-6);
        assert_close("dx", &golden(&format!("lrn.{size}.dx")), &dx, 1e-5);
    }
}

#[test]
fn bad_arguments_are_named() {
    let norm = LocalResponseNorm::new(2, 3, 0);
    assert!(
        forward(&norm, &[0.0; 6], &mut [0.0; 6])
            .unwrap_err()
            .to_string()
            .contains("size above 0")
    );
    let norm = LocalResponseNorm::new(2, 3, 5);
    let error = backward(&norm, &[0.0; 6], &[0.0; 5], &mut [0.0; 6]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "lrn::backward: expected dy of 6 elements, got 5 elements"
    );
}

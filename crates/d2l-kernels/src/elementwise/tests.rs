use super::*;
use crate::checks::{assert_same_for_any_threads, to_f32, to_f64};
use crate::testing::{assert_close, assert_same_bits, at_every_level, values};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sums_follow_the_definition(len in 0usize..200, seed: u64) {
        let (a, b) = (values(len, seed), values(len, seed + 1));
        let (a64, b64) = (to_f64(&a), to_f64(&b));
        at_every_level(|level| {
            let mut y = vec![f32::NAN; len];
            add(&a, &b, &mut y).unwrap();
            assert_close(&format!("{level} add"), &to_f32(&naive::add(&a64, &b64)), &y, 1e-6);
            let mut in_place = a.clone();
            add_assign(&mut in_place, &b).unwrap();
            assert_same_bits("in place", &y, &in_place);
            add_relu(&a, &b, &mut y).unwrap();
            assert_close(&format!("{level} add_relu"), &to_f32(&naive::add_relu(&a64, &b64)), &y, 1e-6);
            let mut in_place = a.clone();
            add_relu_assign(&mut in_place, &b).unwrap();
            assert_same_bits("in place", &y, &in_place);
        });
    }
}

#[test]
fn nan_and_infinity_pass_through_the_relu() {
    let a = [f32::NAN, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY];
    let b = [1.0, f32::NAN, 1.0, 1.0, f32::NEG_INFINITY];
    at_every_level(|_| {
        let mut y = [0.0; 5];
        add_relu(&a, &b, &mut y).unwrap();
        assert!(y[0].is_nan() && y[1].is_nan() && y[4].is_nan());
        assert_eq!(y[2..4], [f32::INFINITY, 0.0]);
    });
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let len = 3 * ELEMENTS + 5;
    let (a, b) = (values(len, 1), values(len, 2));
    assert_same_for_any_threads("elementwise", || {
        let [mut sum, mut relu] = [vec![f32::NAN; len], vec![f32::NAN; len]];
        add(&a, &b, &mut sum).unwrap();
        add_relu(&a, &b, &mut relu).unwrap();
        let mut accumulated = sum.clone();
        add_assign(&mut accumulated, &b).unwrap();
        vec![sum, relu, accumulated]
    });
}

#[test]
fn lengths_are_checked() {
    assert!(add(&[0.0; 2], &[0.0; 3], &mut [0.0; 3]).is_err());
    assert!(add_relu(&[0.0; 3], &[0.0; 2], &mut [0.0; 3]).is_err());
    assert!(add_relu_assign(&mut [0.0; 3], &[0.0; 2]).is_err());
    let error = add_assign(&mut [0.0; 3], &[0.0; 4]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "elementwise::add_assign: expected x of 3 elements, got 4 elements"
    );
}

use super::*;
use crate::checks::assert_same_for_any_threads;
use crate::conv2d::{naive, relu_grad_bias};
use crate::testing::{assert_close, assert_same_bits, at_every_level, values};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn masked_sums_follow_the_definition(rows in 0usize..400, channels in 1usize..150, seed: u64) {
        let (y, dy) = (values(rows * channels, seed), values(rows * channels, seed.wrapping_add(1)));
        let (masked, sums) = naive::relu_grad_bias(channels, &y, &dy);
        at_every_level(|level| {
            let (mut got, mut dbias) = (dy.clone(), vec![f32::NAN; channels]);
            relu_grad_bias(channels, &y, &mut got, &mut dbias).unwrap();
            assert_same_bits("masked", &masked, &got);
            assert_close(&format!("{level} sums"), &sums, &dbias, 1e-5);
            let mut plain = vec![f32::NAN; channels];
            sum_rows(channels, &masked, &mut plain);
            assert_same_bits("sums of what is masked", &plain, &dbias);
        });
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for (rows, channels) in [(70_001, 1), (40_000, 6), (5_001, 64), (300, 4096)] {
        let (y, dy) = (values(rows * channels, 1), values(rows * channels, 2));
        let (_, wanted) = naive::relu_grad_bias(channels, &y, &dy);
        assert_same_for_any_threads("relu_grad_bias", || {
            let (mut dy, mut dbias) = (dy.clone(), vec![f32::NAN; channels]);
            relu_grad_bias(channels, &y, &mut dy, &mut dbias).unwrap();
            assert_close("sums", &wanted, &dbias, 1e-4);
            vec![dy, dbias]
        });
    }
}

#[test]
fn the_gradient_passes_at_nan() {
    let mut dy = [1.0, 2.0, 3.0];
    let mut dbias = [0.0];
    relu_grad_bias(1, &[f32::NAN, 0.0, 1.0], &mut dy, &mut dbias).unwrap();
    assert_eq!((dy, dbias), ([1.0, 0.0, 3.0], [4.0]));
}

#[test]
fn lengths_are_checked() {
    assert!(relu_grad_bias(0, &[], &mut [], &mut []).is_err());
    assert!(relu_grad_bias(2, &[0.0; 4], &mut [0.0; 4], &mut [0.0; 3]).is_err());
    assert!(relu_grad_bias(2, &[0.0; 2], &mut [0.0; 4], &mut [0.0; 2]).is_err());
    let error = relu_grad_bias(2, &[0.0; 3], &mut [0.0; 3], &mut [0.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conv2d::relu_grad_bias: expected dy of whole rows of 2 channels, got 3 elements"
    );
}

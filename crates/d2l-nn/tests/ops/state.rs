//! What depends on more than the inputs: dropout's mask, running statistics, the choice of the path.

use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Error;
use d2l_nn::ops::{self, BatchNormOptions, Path, with_path};

use crate::common::{Input, assert_close, elements_of, variable};

const LEN: usize = 100_000;

fn mask(p: f64, draw: (u64, u64)) -> Vec<f64> {
    let ones = Tensor::ones(LEN, DType::F32, &Device::Cpu).unwrap();
    elements_of(&ops::dropout(&ones, p, draw, true).unwrap())
}

#[test]
fn dropout_drops_the_share_it_should_and_keeps_the_mean() {
    for p in [0.1, 0.5, 0.9] {
        let mask = mask(p, (11, 0));
        let dropped = mask.iter().filter(|&&element| element == 0.0).count() as f64;
        // Four standard deviations of a binomial count.
        let deviation = (LEN as f64 * p * (1.0 - p)).sqrt();
        assert!(
            (dropped - LEN as f64 * p).abs() < 4.0 * deviation,
            "p {p}: {dropped} dropped"
        );
        assert!(
            mask.iter()
                .all(|&element| element == 0.0 || (element * (1.0 - p) - 1.0).abs() < 1e-6)
        );
    }
    assert_eq!(mask(0.0, (11, 0)), vec![1.0; LEN]);
    assert_eq!(mask(1.0, (11, 0)), vec![0.0; LEN]);
}

#[test]
fn dropout_masks_are_functions_of_key_and_counter() {
    let first = mask(0.5, (5, 7));
    assert_eq!(first, mask(0.5, (5, 7)));
    assert_eq!(first, with_path(Path::Composition, || mask(0.5, (5, 7))));
    for other in [(5, 8), (6, 7), (7, 5)] {
        // Independent masks agree in half of the elements.
        let other = mask(0.5, other);
        let equal = first.iter().zip(&other).filter(|(a, b)| a == b).count() as f64;
        assert!((equal / LEN as f64 - 0.5).abs() < 0.01);
    }
}

#[test]
fn dropout_differentiates_through_the_mask_of_the_forward_pass() {
    let xs = Var::from_tensor(&Input::random(&[40, 50], 1).tensor(DType::F32)).unwrap();
    let ys = ops::dropout(xs.as_tensor(), 0.3, (2, 3), true).unwrap();
    let gradients = ys.sum_all().unwrap().backward().unwrap();
    let gradient = elements_of(gradients.get(xs.as_tensor()).unwrap());
    let expected = elements_of(&ops::dropout(&xs.ones_like().unwrap(), 0.3, (2, 3), true).unwrap());
    assert_eq!(gradient, expected);
    let inputs = elements_of(xs.as_tensor());
    let products: Vec<f64> = inputs
        .iter()
        .zip(&gradient)
        .map(|(x, factor)| x * factor)
        .collect();
    assert_close("output", &elements_of(&ys), &products, 1e-6);
}

#[test]
fn dropout_does_nothing_in_inference() {
    let xs = Input::random(&[4, 5], 1).tensor(DType::F32);
    let ys = ops::dropout(&xs, 0.7, (1, 2), false).unwrap();
    assert_eq!(elements_of(&ys), elements_of(&xs));
}

#[test]
fn running_statistics_move_in_training_only_and_serve_inference() {
    let xs = Tensor::new(&[[1f32, 10.0], [3.0, 10.0], [8.0, 13.0]], &Device::Cpu).unwrap();
    let (gamma, beta) = (
        Tensor::ones(2, DType::F32, &Device::Cpu),
        Tensor::zeros(2, DType::F32, &Device::Cpu),
    );
    let (gamma, beta) = (gamma.unwrap(), beta.unwrap());
    for path in [Path::Kernel, Path::Composition] {
        let (mean, var) = (
            variable(&[0.0, 1.0], DType::F32),
            variable(&[1.0, 2.0], DType::F32),
        );
        let options = BatchNormOptions {
            momentum: 0.25,
            ..BatchNormOptions::default()
        };
        let norm = |train| {
            with_path(path, || {
                ops::batch_norm(&xs, &gamma, &beta, &mean, &var, &options, train)
            })
            .unwrap()
        };
        norm(true);
        // Means 4 and 11; unbiased variances 13 and 3.
        let expected = ([1.0, 0.75 + 2.75], [0.75 + 3.25, 1.5 + 0.75]);
        assert_close("mean", &elements_of(mean.as_tensor()), &expected.0, 1e-6);
        assert_close("var", &elements_of(var.as_tensor()), &expected.1, 1e-6);
        let ys = elements_of(&norm(false));
        assert_close(
            "inference",
            &ys[..1],
            &[(1.0 - 1.0) / (4.0f64 + 1e-5).sqrt()],
            1e-6,
        );
        assert_close(
            "inference",
            &ys[5..],
            &[(13.0 - 3.5) / (2.25f64 + 1e-5).sqrt()],
            1e-6,
        );
        assert_close("mean", &elements_of(mean.as_tensor()), &expected.0, 1e-6);
    }
}

#[test]
fn the_choice_of_the_path_nests_and_survives_a_panic() {
    let double = Input::random(&[3], 1).tensor(DType::F64);
    let refused = || matches!(ops::relu(&double), Err(Error::NoKernel { op: "relu", .. }));
    assert!(!refused());
    with_path(Path::Kernel, || {
        assert!(refused());
        with_path(Path::Composition, || assert!(!refused()));
        assert!(refused());
    });
    let panicked = std::panic::catch_unwind(|| with_path(Path::Kernel, || panic!("on purpose")));
    assert!(panicked.is_err());
    assert!(!refused());
}

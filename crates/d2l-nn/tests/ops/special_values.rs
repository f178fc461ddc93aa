//! NaN, infinities, empty batches, half precision.

use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::ops::{
    self, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Path, Pool2dOptions, Reduction, with_path,
};

use crate::common::{Input, assert_close, elements_of, random_weights, run, variable};

const PATHS: [(Path, DType); 2] = [(Path::Kernel, DType::F32), (Path::Composition, DType::F64)];

fn images(elements: &[f64], height: usize, width: usize) -> Input {
    Input {
        shape: vec![1, 1, height, width],
        elements: elements.to_vec(),
    }
}

#[test]
fn nan_passes_through_relu_and_its_gradient() {
    let xs = [Input {
        shape: vec![4],
        elements: vec![f64::NAN, -1.0, 0.0, 2.0],
    }];
    for (path, dtype) in PATHS {
        let found = run(path, dtype, &xs, &|xs| ops::relu(&xs[0]), &|shape| Input {
            shape: shape.to_vec(),
            elements: vec![1.0; 4],
        });
        assert_close("relu", &found.output[1..], &[0.0, 0.0, 2.0], 0.0);
        assert!(found.output[0].is_nan(), "{path:?}");
        // As PyTorch: the gradient at NaN passes, at 0 it does not.
        assert_close("gradient", &found.gradients[0][1..], &[0.0, 0.0, 1.0], 0.0);
    }
}

#[test]
fn nan_wins_a_maximum_and_takes_its_gradient() {
    let xs = [images(
        &[1.0, f64::NAN, 5.0, 2.0, 3.0, 4.0, f64::NEG_INFINITY, 7.0],
        2,
        4,
    )];
    for (path, dtype) in PATHS {
        let options = Pool2dOptions::default();
        let ones = |shape: &[usize]| Input {
            shape: shape.to_vec(),
            elements: vec![1.0, 1.0],
        };
        let found = run(path, dtype, &xs, &|xs| ops::max_pool2d(&xs[0], &options), &ones);
        assert!(found.output[0].is_nan(), "{path:?}");
        assert_eq!(found.output[1], 7.0);
        assert_eq!(
            found.gradients[0],
            [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
            "{path:?}"
        );
    }
}

/// Padding never wins, not even against −∞, and an infinity outside a window does not reach into its mean.
#[test]
fn infinities_stay_in_their_windows() {
    let low = f64::NEG_INFINITY;
    let options = Pool2dOptions {
        kernel: [2, 2],
        padding: [1, 1],
        ..Pool2dOptions::default()
    };
    for (path, dtype) in PATHS {
        let ones = |shape: &[usize]| Input {
            shape: shape.to_vec(),
            elements: vec![1.0; 4],
        };
        let xs = [images(&[low, low, low, low], 2, 2)];
        let found = run(path, dtype, &xs, &|xs| ops::max_pool2d(&xs[0], &options), &ones);
        assert_eq!(found.output, [low; 4], "{path:?}");
        assert_eq!(found.gradients[0], [1.0; 4], "{path:?}");
        let xs = [images(&[f64::INFINITY, 1.0, 2.0, 3.0], 2, 2)];
        let found = run(path, dtype, &xs, &|xs| ops::avg_pool2d(&xs[0], &options), &ones);
        assert_eq!(found.output, [f64::INFINITY, 0.25, 0.5, 0.75], "{path:?}");
        let found = run(
            path,
            dtype,
            &xs,
            &|xs| ops::adaptive_avg_pool2d(&xs[0], [2, 2]),
            &ones,
        );
        assert_eq!(found.output, [f64::INFINITY, 1.0, 2.0, 3.0], "{path:?}");
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let logits = [Input {
        shape: vec![2, 2],
        elements: vec![3e4, -3e4, -3e4, 3e4],
    }];
    for (path, dtype) in PATHS {
        let labels = Tensor::new(&[0u32, 0], &Device::Cpu).unwrap();
        let found = run(
            path,
            dtype,
            &logits,
            &|xs| ops::cross_entropy(&xs[0], &labels, &CrossEntropyOptions::default()),
            &|_| Input {
                shape: vec![],
                elements: vec![1.0],
            },
        );
        assert_eq!(found.output, [3e4], "{path:?}");
        assert_close("gradient", &found.gradients[0], &[0.0, 0.0, -0.5, 0.5], 1e-7);
        for op in [ops::sigmoid, ops::softplus, ops::silu] {
            let found = run(path, dtype, &logits, &|xs| op(&xs[0]), &random_weights);
            assert!(
                found
                    .output
                    .iter()
                    .chain(&found.gradients[0])
                    .all(|element| element.is_finite())
            );
        }
    }
}

#[test]
fn empty_batches_give_empty_outputs_and_zero_gradients() {
    for (path, dtype) in PATHS {
        let inputs = [
            Input::random(&[0, 3, 4, 4], 1),
            Input::random(&[2, 3, 3, 3], 2),
            Input::random(&[2], 3),
        ];
        let found = run(
            path,
            dtype,
            &inputs,
            &|xs| ops::conv2d(&xs[0], &xs[1], Some(&xs[2]), &Conv2dOptions::default()),
            &random_weights,
        );
        assert_eq!(found.shape, [0, 2, 2, 2]);
        assert_eq!(found.gradients[1], vec![0.0; 54]);
        assert_eq!(found.gradients[2], vec![0.0; 2]);

        let (mean, var) = (variable(&[0.5; 3], dtype), variable(&[2.0; 3], dtype));
        let inputs = [
            Input::random(&[0, 3, 4, 4], 1),
            Input::random(&[3], 2),
            Input::random(&[3], 3),
        ];
        let found = run(
            path,
            dtype,
            &inputs,
            &|xs| {
                let options = BatchNormOptions::default();
                ops::batch_norm(&xs[0], &xs[1], &xs[2], &mean, &var, &options, true)
            },
            &random_weights,
        );
        assert_eq!(found.gradients[1], [0.0; 3]);
        // As PyTorch, which leaves the running statistics alone.
        assert_eq!(elements_of(mean.as_tensor()), [0.5; 3]);
        assert_eq!(elements_of(var.as_tensor()), [2.0; 3]);

        let logits = Input::random(&[0, 3], 1).tensor(dtype);
        let labels = Tensor::zeros(0, DType::U32, &Device::Cpu).unwrap();
        for (reduction, expected) in [(Reduction::Mean, f64::NAN), (Reduction::Sum, 0.0)] {
            let options = CrossEntropyOptions {
                reduction,
                ..CrossEntropyOptions::default()
            };
            let loss = with_path(path, || ops::cross_entropy(&logits, &labels, &options)).unwrap();
            assert_close("empty loss", &elements_of(&loss), &[expected], 0.0);
        }
    }
}

/// Half precision on the CPU: the result in f32, rounded; the gradient in the type of the variable.
#[test]
fn half_precision_is_computed_in_f32() {
    for dtype in [DType::BF16, DType::F16] {
        let half = |shape: &[usize], seed| Input::random(shape, seed).tensor(dtype);
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
        let (xs, weight) = (half(&[2, 3, 5, 5], 1), half(&[4, 3, 3, 3], 2));
        let options = Conv2dOptions::default();
        let found = ops::conv2d(&xs, &weight, None, &options).unwrap();
        let expected = ops::conv2d(&wide(&xs), &wide(&weight), None, &options).unwrap();
        let expected = expected.to_dtype(dtype).unwrap();
        assert_eq!(found.dtype(), dtype);
        assert_eq!(elements_of(&found), elements_of(&expected));

        let variable = Var::from_tensor(&xs).unwrap();
        let (mean, var) = (
            crate::common::variable(&[0.0; 3], dtype),
            crate::common::variable(&[1.0; 3], dtype),
        );
        let xs = variable.as_tensor();
        let (gamma, beta) = (half(&[3], 4), half(&[3], 5));
        let ys = ops::batch_norm(xs, &gamma, &beta, &mean, &var, &BatchNormOptions::default(), true).unwrap();
        let ys = ops::max_pool2d(&ops::gelu(&ys).unwrap(), &Pool2dOptions::default()).unwrap();
        let ys = ops::dropout(&ys, 0.5, (1, 1), true).unwrap();
        let logits = ops::flatten(&ys).unwrap();
        let labels = Tensor::new(&[3u32, 1], &Device::Cpu).unwrap();
        let loss = ops::cross_entropy(&logits, &labels, &CrossEntropyOptions::default()).unwrap();
        let gradient = loss.backward().unwrap().remove(variable.as_tensor()).unwrap();
        assert_eq!(gradient.dtype(), dtype);
        assert!(elements_of(&gradient).iter().any(|&element| element != 0.0));
    }
}

/// A window of more elements than the kernel's argmax can number.
#[test]
fn global_max_pooling_of_a_large_image() {
    let (size, place) = (300, 77_777);
    let mut xs = Input::random(&[1, 1, size, size], 1);
    xs.elements[place] = 2.0;
    let ones = |shape: &[usize]| Input {
        shape: shape.to_vec(),
        elements: vec![1.0],
    };
    let found = run(
        Path::Auto,
        DType::F32,
        &[xs],
        &|xs| ops::adaptive_max_pool2d(&xs[0], [1, 1]),
        &ones,
    );
    assert_eq!(found.output, [2.0]);
    assert_eq!(
        found.gradients[0].iter().position(|&element| element == 1.0),
        Some(place)
    );
    assert_eq!(found.gradients[0].iter().sum::<f64>(), 1.0);
}

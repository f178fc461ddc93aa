//! The gradients of the compositions, which the kernels are held against, are those of what they compute.

use candle_core::{DType, Device, Tensor};
use d2l_nn::Result;
use d2l_nn::ops::{
    self, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Path, Pool2dOptions, with_path,
};

use crate::common::{Input, elements_of, random_weights, run, variable};

const STEP: f64 = 1e-6;

fn check(what: &str, inputs: &[Input], op: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let gradients = run(Path::Composition, DType::F64, inputs, &op, &random_weights).gradients;
    let loss = |inputs: &[Input]| -> f64 {
        let tensors: Vec<Tensor> = inputs.iter().map(|input| input.tensor(DType::F64)).collect();
        let output = with_path(Path::Composition, || op(&tensors)).unwrap();
        let weights = random_weights(output.dims());
        elements_of(&output)
            .iter()
            .zip(&weights.elements)
            .map(|(output, weight)| output * weight)
            .sum()
    };
    let mut moved = inputs.to_vec();
    for (which, gradient) in gradients.iter().enumerate() {
        for (i, &gradient) in gradient.iter().enumerate() {
            let at = inputs[which].elements[i];
            moved[which].elements[i] = at + STEP;
            let above = loss(&moved);
            moved[which].elements[i] = at - STEP;
            let below = loss(&moved);
            moved[which].elements[i] = at;
            let slope = (above - below) / (2.0 * STEP);
            assert!(
                (gradient - slope).abs() < 1e-7 * (1.0 + slope.abs()),
                "{what}, input {which}, element {i}: gradient {gradient}, slope {slope}"
            );
        }
    }
}

#[test]
fn conv2d() {
    let plain = Conv2dOptions::default();
    for (xs, weight, options) in [
        (
            [2, 3, 4, 5],
            [2, 3, 3, 2],
            Conv2dOptions {
                padding: [1, 0],
                ..plain
            },
        ),
        (
            [1, 4, 5, 5],
            [4, 2, 2, 2],
            Conv2dOptions {
                stride: [2, 1],
                dilation: [1, 2],
                groups: 2,
                ..plain
            },
        ),
        (
            [1, 2, 4, 4],
            [3, 2, 3, 3],
            Conv2dOptions {
                padding: [3, 1],
                relu: true,
                ..plain
            },
        ),
    ] {
        let inputs = [
            Input::random(&xs, 1),
            Input::random(&weight, 2),
            Input::random(&weight[..1], 3),
        ];
        check(&format!("{options:?}"), &inputs, |xs| {
            ops::conv2d(&xs[0], &xs[1], Some(&xs[2]), &options)
        });
    }
}

#[test]
fn linear() {
    let inputs = [
        Input::random(&[3, 4], 1),
        Input::random(&[5, 4], 2),
        Input::random(&[5], 3),
    ];
    check("linear", &inputs, |xs| ops::linear(&xs[0], &xs[1], Some(&xs[2])));
    check("linear_relu", &inputs, |xs| {
        ops::linear_relu(&xs[0], &xs[1], Some(&xs[2]))
    });
}

#[test]
fn pooling() {
    let xs = [Input::random(&[1, 2, 5, 6], 1)];
    for ceil_mode in [false, true] {
        for count_include_pad in [false, true] {
            let options = Pool2dOptions {
                kernel: [3, 2],
                stride: [2, 3],
                padding: [1, 1],
                ceil_mode,
                count_include_pad,
            };
            check("max", &xs, |xs| ops::max_pool2d(&xs[0], &options));
            check("average", &xs, |xs| ops::avg_pool2d(&xs[0], &options));
        }
    }
    for output in [[1, 1], [2, 4], [7, 3]] {
        check("adaptive max", &xs, |xs| ops::adaptive_max_pool2d(&xs[0], output));
        check("adaptive average", &xs, |xs| {
            ops::adaptive_avg_pool2d(&xs[0], output)
        });
    }
}

#[test]
fn normalisation() {
    let inputs = [
        Input::random(&[2, 3, 2, 3], 1),
        Input::random(&[3], 2),
        Input::random(&[3], 3),
    ];
    for train in [true, false] {
        for relu in [true, false] {
            let options = BatchNormOptions {
                relu,
                ..BatchNormOptions::default()
            };
            check("batch_norm", &inputs, |xs| {
                let mean = variable(&[0.1, 0.2, -0.3], DType::F64);
                let variance = variable(&[0.5, 1.5, 1.0], DType::F64);
                ops::batch_norm(&xs[0], &xs[1], &xs[2], &mean, &variance, &options, train)
            });
        }
    }
    check("lrn", &inputs[..1], |xs| {
        ops::local_response_norm(&xs[0], 3, 0.4, 0.75, 1.2)
    });
}

#[test]
fn losses() {
    let logits = [Input::random(&[4, 5], 1)];
    let labels = Tensor::new(&[0u32, 4, 2, 2], &Device::Cpu).unwrap();
    let options = CrossEntropyOptions {
        label_smoothing: 0.2,
        class_weights: Some(Input::random(&[5], 7).tensor(DType::F64).sqr().unwrap()),
        ignore_index: Some(4),
        ..CrossEntropyOptions::default()
    };
    check("cross_entropy", &logits, |xs| {
        ops::cross_entropy(&xs[0], &labels, &options)
    });
    let both = [Input::random(&[4, 5], 1), Input::random(&[4, 5], 2)];
    let options = CrossEntropyOptions {
        label_smoothing: 0.2,
        ..CrossEntropyOptions::default()
    };
    check("probabilities", &both, |xs| {
        ops::cross_entropy(&xs[0], &xs[1], &options)
    });
    check("mse", &both, |xs| ops::mse_loss(&xs[0], &xs[1]));
    check("l1", &both, |xs| ops::l1_loss(&xs[0], &xs[1]));
    check("huber", &both, |xs| ops::huber_loss(&xs[0], &xs[1], 0.5));
    check("hinge", &both, |xs| ops::hinge_loss(&xs[0], &xs[1]));
    check("bce", &both, |xs| ops::bce_with_logits(&xs[0], &xs[1]));
}

#[test]
fn element_wise() {
    let xs = [Input::random(&[3, 7], 1)];
    check("relu", &xs, |xs| ops::relu(&xs[0]));
    check("leaky_relu", &xs, |xs| ops::leaky_relu(&xs[0], 0.3));
    check("sigmoid", &xs, |xs| ops::sigmoid(&xs[0]));
    check("tanh", &xs, |xs| ops::tanh(&xs[0]));
    check("gelu", &xs, |xs| ops::gelu(&xs[0]));
    check("gelu_tanh", &xs, |xs| ops::gelu_tanh(&xs[0]));
    check("silu", &xs, |xs| ops::silu(&xs[0]));
    check("elu", &xs, |xs| ops::elu(&xs[0], 0.8));
    check("softplus", &xs, |xs| ops::softplus(&xs[0]));
    check("softmax", &xs, |xs| ops::softmax(&xs[0], 1));
    check("log_softmax", &xs, |xs| ops::log_softmax(&xs[0], 0));
    check("dropout", &xs, |xs| ops::dropout(&xs[0], 0.4, (3, 4), true));
}

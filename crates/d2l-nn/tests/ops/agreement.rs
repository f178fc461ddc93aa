//! Kernel and composition agree, for random shapes and options.

use candle_core::{DType, Tensor};
use d2l_nn::Result;
use d2l_nn::ops::{
    self, Algorithm, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Pool2dOptions, Reduction,
};
use proptest::prelude::*;

use crate::common::{Input, assert_paths_agree, cases, variable};

/// Sums of a few thousand products in f32; Winograd's rounding is within it too.
const TOLERANCE: f64 = 5e-5;

/// `[a, b, c, d]` of images with the channels first, as they are with the channels last.
fn channels_last(shape: &[usize; 4]) -> [usize; 4] {
    let [batch, channels, height, width] = *shape;
    [batch, height, width, channels]
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

#[derive(Clone, Debug)]
struct Convolution {
    xs: [usize; 4],
    weight: [usize; 4],
    bias: bool,
    options: Conv2dOptions,
}

fn convolutions(channels: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Convolution> {
    let sizes = (0usize..=2, channels.clone(), channels, pair(1..=9), pair(1..=4));
    let steps = (pair(1..=4), pair(0..=4), pair(1..=3), 1usize..=3);
    (sizes, steps, any::<(bool, bool)>())
        .prop_map(
            |((batch, inputs, outputs, size, kernel), (stride, padding, dilation, groups), (bias, relu))| {
                Convolution {
                    xs: [batch, inputs * groups, size[0], size[1]],
                    weight: [outputs * groups, inputs, kernel[0], kernel[1]],
                    bias,
                    options: Conv2dOptions {
                        stride,
                        padding,
                        dilation,
                        groups,
                        relu,
                        algorithm: Algorithm::Auto,
                    },
                }
            },
        )
        .prop_filter("the kernel fits", |case| {
            let Conv2dOptions {
                padding, dilation, ..
            } = case.options;
            (0..2).all(|a| dilation[a] * (case.weight[2 + a] - 1) < case.xs[2 + a] + 2 * padding[a])
        })
}

fn check_convolution(case: &Convolution) {
    let mut inputs = vec![Input::random(&case.xs, 1), Input::random(&case.weight, 2)];
    if case.bias {
        inputs.push(Input::random(&case.weight[..1], 3));
    }
    assert_paths_agree(&format!("{case:?}"), &inputs, TOLERANCE, |xs| {
        ops::conv2d(&xs[0], &xs[1], xs.get(2), &case.options)
    });
    inputs[0] = Input::random(&channels_last(&case.xs), 1);
    assert_paths_agree(&format!("nhwc {case:?}"), &inputs, TOLERANCE, |xs| {
        ops::nhwc::conv2d(&xs[0], &xs[1], xs.get(2), &case.options)
    });
}

fn poolings() -> impl Strategy<Value = ([usize; 4], Pool2dOptions)> {
    let sizes = (0usize..=2, 1usize..=20, pair(1..=9));
    (
        sizes,
        pair(1..=4),
        pair(1..=5),
        pair(0..=2),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |((batch, channels, size), kernel, stride, padding, (ceil_mode, count_include_pad))| {
                let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
                let options = Pool2dOptions {
                    kernel,
                    stride,
                    padding,
                    ceil_mode,
                    count_include_pad,
                };
                ([batch, channels, size[0], size[1]], options)
            },
        )
        .prop_filter("the window fits", |(xs, options)| {
            (0..2).all(|a| options.kernel[a] <= xs[2 + a] + 2 * options.padding[a])
        })
}

type PoolingOp = fn(&Tensor, &Pool2dOptions) -> Result<Tensor>;
type UnaryOp<'a> = dyn Fn(&Tensor) -> Result<Tensor> + 'a;
type AdaptiveOp = fn(&Tensor, [usize; 2]) -> Result<Tensor>;

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn conv2d(case in convolutions(1..=6)) {
        check_convolution(&case);
    }

    #[test]
    fn linear(batch in 0usize..=40, inputs in 1usize..=70, outputs in 1usize..=70, bias: bool, relu: bool) {
        let mut given = vec![Input::random(&[batch, inputs], 1), Input::random(&[outputs, inputs], 2)];
        if bias {
            given.push(Input::random(&[outputs], 3));
        }
        let op = if relu { ops::linear_relu } else { ops::linear };
        assert_paths_agree("linear", &given, TOLERANCE, |xs| op(&xs[0], &xs[1], xs.get(2)));
    }

    #[test]
    fn pooling((shape, options) in poolings()) {
        let ops: [(&str, [usize; 4], PoolingOp); 4] = [
            ("max", shape, ops::max_pool2d),
            ("average", shape, ops::avg_pool2d),
            ("max nhwc", channels_last(&shape), ops::nhwc::max_pool2d),
            ("average nhwc", channels_last(&shape), ops::nhwc::avg_pool2d),
        ];
        for (name, shape, op) in ops {
            // Equal elements, to see that both choose the same one.
            let xs = Input::coarse(&shape, 1);
            assert_paths_agree(&format!("{name} {shape:?} {options:?}"), &[xs], 1e-6, |xs| op(&xs[0], &options));
        }
    }

    #[test]
    fn adaptive_pooling(shape in (0usize..=2, 1usize..=20, 1usize..=9, 1usize..=9), output in pair(1..=5)) {
        let shape = shape.into();
        let ops: [(&str, [usize; 4], AdaptiveOp); 4] = [
            ("max", shape, ops::adaptive_max_pool2d),
            ("average", shape, ops::adaptive_avg_pool2d),
            ("max nhwc", channels_last(&shape), ops::nhwc::adaptive_max_pool2d),
            ("average nhwc", channels_last(&shape), ops::nhwc::adaptive_avg_pool2d),
        ];
        for (name, shape, op) in ops {
            let xs = Input::coarse(&shape, 1);
            assert_paths_agree(&format!("{name} {shape:?} to {output:?}"), &[xs], 1e-6, |xs| op(&xs[0], output));
        }
    }

    #[test]
    fn batch_norm(
        shape in (0usize..=3, 1usize..=40, 1usize..=5, 1usize..=5),
        form in 0..3,
        train: bool,
        relu: bool,
        shift in prop_oneof![Just(0.0), Just(30.0)],
    ) {
        let channels = shape.1;
        let mut shape: Vec<usize> = match form {
            0 => vec![shape.0, channels],
            1 => vec![shape.0, channels, shape.2, shape.3],
            _ => vec![shape.0, shape.2, shape.3, channels],
        };
        if shape.iter().product::<usize>() == channels {
            shape[0] = 2;
        }
        let options = BatchNormOptions { relu, ..BatchNormOptions::default() };
        let mut xs = Input::random(&shape, 1);
        xs.elements.iter_mut().for_each(|element| *element += shift);
        let inputs = [xs, Input::random(&[channels], 2), Input::random(&[channels], 3)];
        // Few values per channel may lie close together; then their deviations have few digits in f32.
        let tolerance = if shift == 0.0 { 1e-3 } else { 5e-2 };
        assert_paths_agree(&format!("{shape:?} train {train} {options:?}"), &inputs, tolerance, |xs| {
            let mean = variable(&vec![shift; channels], xs[0].dtype());
            let variance = variable(&vec![0.3; channels], xs[0].dtype());
            let op = if form == 2 { ops::nhwc::batch_norm } else { ops::batch_norm };
            op(&xs[0], &xs[1], &xs[2], &mean, &variance, &options, train)
        });
    }

    #[test]
    fn local_response_norm(
        shape in (0usize..=2, 1usize..=20, 1usize..=4, 1usize..=4),
        size in 1usize..=7,
        alpha in 0.0..1.0,
        beta in 0.3..1.5,
        k in 0.5..2.0,
    ) {
        let shape = <[usize; 4]>::from(shape);
        assert_paths_agree("lrn", &[Input::random(&shape, 1)], 1e-5, |xs| {
            ops::local_response_norm(&xs[0], size, alpha, beta, k)
        });
        assert_paths_agree("lrn nhwc", &[Input::random(&channels_last(&shape), 1)], 1e-5, |xs| {
            ops::nhwc::local_response_norm(&xs[0], size, alpha, beta, k)
        });
    }

    #[test]
    fn cross_entropy(
        batch in 1usize..=9,
        classes in 1usize..=40,
        smoothing in prop_oneof![Just(0.0), 0.0..1.0],
        weighted: bool,
        ignore: bool,
        reduction in prop_oneof![Just(Reduction::Mean), Just(Reduction::Sum), Just(Reduction::None)],
    ) {
        let mut logits = Input::random(&[batch, classes], 1);
        logits.elements.iter_mut().for_each(|element| *element *= 9.0);
        let labels: Vec<i64> = (0..batch).map(|row| (row * 7 % classes) as i64).collect();
        let labels = Tensor::new(labels, &candle_core::Device::Cpu).unwrap();
        let weights = Input {
            shape: vec![classes],
            elements: (0..classes).map(|class| 0.5 + class as f64 / 10.0).collect(),
        };
        let options = CrossEntropyOptions {
            reduction,
            label_smoothing: smoothing,
            class_weights: weighted.then(|| weights.tensor(DType::F64)),
            // Not the first row's label, so that there is something to take the mean of.
            ignore_index: ignore.then_some(7 % classes.max(2) as i64),
        };
        prop_assume!(options.ignore_index != Some(0));
        assert_paths_agree(&format!("{options:?}"), &[logits], 1e-5, |xs| {
            ops::cross_entropy(&xs[0], &labels, &options)
        });
    }

    #[test]
    fn activations(len in 0usize..=70, scale in prop_oneof![Just(1.0), Just(8.0), Just(60.0)]) {
        let mut xs = Input::random(&[len], 1);
        xs.elements.iter_mut().for_each(|element| *element *= scale);
        let ops: [(&str, &UnaryOp<'_>); 9] = [
            ("relu", &ops::relu),
            ("sigmoid", &ops::sigmoid),
            ("tanh", &ops::tanh),
            ("gelu", &ops::gelu),
            ("gelu_tanh", &ops::gelu_tanh),
            ("silu", &ops::silu),
            ("softplus", &ops::softplus),
            ("leaky_relu", &|xs| ops::leaky_relu(xs, 0.1)),
            ("elu", &|xs| ops::elu(xs, 1.3)),
        ];
        for (name, op) in ops {
            assert_paths_agree(name, std::slice::from_ref(&xs), 1e-6, |xs| op(&xs[0]));
        }
    }

    #[test]
    fn dropout(shape in pair(0..=40), p in 0.0..=1.0, draw: (u64, u64)) {
        assert_paths_agree("dropout", &[Input::random(&shape, 1)], 1e-6, |xs| {
            ops::dropout(&xs[0], p, draw, true)
        });
    }

    #[test]
    fn layouts(shape in (0usize..=3, 1usize..=20, 1usize..=7, 1usize..=7)) {
        let xs = Input::random(&<[usize; 4]>::from(shape), 1);
        assert_paths_agree("to_nhwc", std::slice::from_ref(&xs), 1e-7, |xs| ops::to_nhwc(&xs[0]));
        assert_paths_agree("to_nchw", std::slice::from_ref(&xs), 1e-7, |xs| ops::to_nchw(&xs[0]));
        assert_paths_agree("there and back", &[xs], 1e-7, |xs| ops::to_nchw(&ops::to_nhwc(&xs[0])?));
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn conv2d_with_many_channels(case in convolutions(10..=66)) {
        check_convolution(&case);
    }
}

/// 3×3 and 5×5 at stride 1 with channels in sixteens: what Winograd serves.
#[test]
fn conv2d_where_winograd_applies() {
    for (kernel, algorithm) in [
        (3, Algorithm::Auto),
        (3, Algorithm::Winograd),
        (5, Algorithm::Winograd),
    ] {
        for algorithm in [algorithm, Algorithm::Direct] {
            check_convolution(&Convolution {
                xs: [2, 32, 13, 11],
                weight: [48, 32, kernel, kernel],
                bias: true,
                options: Conv2dOptions {
                    padding: [kernel / 2; 2],
                    algorithm,
                    ..Conv2dOptions::default()
                },
            });
        }
    }
}

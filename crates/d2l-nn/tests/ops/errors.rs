//! What is refused, and how: a typed error that names the operation and the shapes, never a panic.

use candle_core::{DType, Device, Tensor};
use d2l_nn::ops::{
    self, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Path, Pool2dOptions, with_path,
};
use d2l_nn::{Error, Result};

use crate::common::variable;

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()
}

/// `result` is an error of this kind, on both paths, whose text holds all of `parts`.
#[track_caller]
fn refuses(run: impl Fn() -> Result<Tensor>, kind: fn(&Error) -> bool, parts: &[&str]) {
    for path in [Path::Auto, Path::Composition] {
        let error = with_path(path, &run).unwrap_err();
        let text = error.to_string();
        assert!(kind(&error), "{error:?}");
        for part in parts {
            assert!(text.contains(part), "`{text}` does not name {part}");
        }
    }
}

const RANK: fn(&Error) -> bool = |error| matches!(error, Error::Rank { .. });
const SHAPE: fn(&Error) -> bool = |error| matches!(error, Error::Shape { .. });
const OPTIONS: fn(&Error) -> bool = |error| matches!(error, Error::Options { .. });
const EMPTY: fn(&Error) -> bool = |error| matches!(error, Error::EmptyOutput { .. });
const MIXED: fn(&Error) -> bool = |error| matches!(error, Error::Mixed { .. });
const DTYPE: fn(&Error) -> bool = |error| matches!(error, Error::DType { .. });

#[test]
fn conv2d() {
    let plain = Conv2dOptions::default();
    let conv = |xs: &[usize], weight: &[usize], bias: Option<usize>, options: Conv2dOptions| {
        let (xs, weight, bias) = (zeros(xs), zeros(weight), bias.map(|len| zeros(&[len])));
        move || ops::conv2d(&xs, &weight, bias.as_ref(), &options)
    };
    let (xs, weight) = ([1, 3, 5, 5], [4, 3, 3, 3]);
    refuses(
        conv(&xs[1..], &weight, None, plain),
        RANK,
        &["conv2d", "xs", "[3, 5, 5]"],
    );
    refuses(
        conv(&xs, &weight[1..], None, plain),
        RANK,
        &["conv2d", "weight", "[3, 3, 3]"],
    );
    refuses(
        conv(&[1, 2, 5, 5], &weight, None, plain),
        SHAPE,
        &["conv2d", "[4, 3, 3, 3]", "[1, 2, 5, 5]"],
    );
    refuses(
        conv(&xs, &weight, Some(3), plain),
        SHAPE,
        &["conv2d", "bias [4]", "bias [3]"],
    );
    refuses(
        conv(&xs, &[4, 3, 0, 3], None, plain),
        SHAPE,
        &["conv2d", "[4, 3, 0, 3]"],
    );
    refuses(
        conv(&[1, 3, 0, 5], &weight, None, plain),
        SHAPE,
        &["conv2d", "[1, 3, 0, 5]"],
    );
    refuses(
        conv(&xs, &[4, 3, 6, 3], None, plain),
        EMPTY,
        &["conv2d", "[5, 5]", "[6, 3]"],
    );
    for options in [
        Conv2dOptions {
            stride: [0, 1],
            ..plain
        },
        Conv2dOptions {
            dilation: [1, 0],
            ..plain
        },
        Conv2dOptions { groups: 0, ..plain },
    ] {
        refuses(
            conv(&xs, &weight, None, options),
            OPTIONS,
            &["conv2d", "at least 1"],
        );
    }
    let groups = |groups| Conv2dOptions { groups, ..plain };
    refuses(
        conv(&xs, &weight, None, groups(3)),
        SHAPE,
        &["conv2d", "groups 3"],
    );
    refuses(
        conv(&[1, 3, 5, 5], &[4, 1, 3, 3], None, groups(3)),
        SHAPE,
        &["[4, 1, 3, 3]", "[1, 3, 5, 5]"],
    );
    let huge = Conv2dOptions {
        padding: [usize::MAX / 2, 0],
        ..plain
    };
    assert!(conv(&xs, &weight, None, huge)().is_err());
    let mixed = || {
        let weight = zeros(&weight).to_dtype(DType::F64)?;
        ops::conv2d(&zeros(&xs), &weight, None, &plain)
    };
    refuses(
        mixed,
        MIXED,
        &["conv2d", "xs F32 [1, 3, 5, 5]", "weight F64 [4, 3, 3, 3]"],
    );
    let integers = || ops::conv2d(&zeros(&xs).to_dtype(DType::U8)?, &zeros(&weight), None, &plain);
    refuses(integers, DTYPE, &["conv2d", "xs", "U8", "[1, 3, 5, 5]"]);
}

#[test]
fn linear() {
    let linear = |xs: &[usize], weight: &[usize], bias: Option<usize>| {
        let (xs, weight, bias) = (zeros(xs), zeros(weight), bias.map(|len| zeros(&[len])));
        move || ops::linear(&xs, &weight, bias.as_ref())
    };
    refuses(
        linear(&[2, 3], &[4, 5], None),
        SHAPE,
        &["linear", "[4, 5]", "[2, 3]"],
    );
    refuses(linear(&[], &[4, 5], None), RANK, &["linear", "xs"]);
    refuses(
        linear(&[2, 5], &[4, 5, 1], None),
        RANK,
        &["linear", "weight", "[4, 5, 1]"],
    );
    refuses(
        linear(&[2, 5], &[4, 5], Some(5)),
        SHAPE,
        &["linear", "bias [4]", "bias [5]"],
    );
}

#[test]
fn pooling() {
    let plain = Pool2dOptions::default();
    for (name, op) in [
        ("max_pool2d", ops::max_pool2d as fn(&_, &_) -> _),
        ("avg_pool2d", ops::avg_pool2d),
    ] {
        let pool = |xs: &[usize], options: Pool2dOptions| {
            let xs = zeros(xs);
            move || op(&xs, &options)
        };
        let xs = [1, 2, 4, 4];
        refuses(pool(&xs[1..], plain), RANK, &[name, "[2, 4, 4]"]);
        refuses(pool(&[1, 2, 4, 0], plain), SHAPE, &[name, "[1, 2, 4, 0]"]);
        refuses(
            pool(
                &xs,
                Pool2dOptions {
                    kernel: [0, 2],
                    ..plain
                },
            ),
            OPTIONS,
            &[name, "[0, 2]"],
        );
        refuses(
            pool(
                &xs,
                Pool2dOptions {
                    stride: [2, 0],
                    ..plain
                },
            ),
            OPTIONS,
            &[name, "[2, 0]"],
        );
        refuses(
            pool(
                &xs,
                Pool2dOptions {
                    padding: [2, 0],
                    ..plain
                },
            ),
            OPTIONS,
            &[name, "half"],
        );
        refuses(
            pool(
                &xs,
                Pool2dOptions {
                    kernel: [2, 5],
                    ..plain
                },
            ),
            EMPTY,
            &[name, "[4, 4]", "[2, 5]"],
        );
    }
    refuses(
        || ops::adaptive_avg_pool2d(&zeros(&[1, 2, 4, 4]), [0, 1]),
        EMPTY,
        &["adaptive_avg_pool2d", "[0, 1]"],
    );
    refuses(
        || ops::adaptive_max_pool2d(&zeros(&[4, 4]), [1, 1]),
        RANK,
        &["adaptive_max_pool2d", "[4, 4]"],
    );
}

#[test]
fn normalisation() {
    let norm = |xs: &[usize], channels: usize, eps: f64| {
        let (xs, gamma) = (zeros(xs), zeros(&[channels]));
        let (mean, var) = (variable(&[0.0; 3], DType::F32), variable(&[1.0; 3], DType::F32));
        let options = BatchNormOptions {
            eps,
            ..BatchNormOptions::default()
        };
        move || ops::batch_norm(&xs, &gamma, &gamma, &mean, &var, &options, true)
    };
    refuses(norm(&[2, 3, 4], 3, 1e-5), RANK, &["batch_norm", "[2, 3, 4]"]);
    refuses(
        norm(&[2, 3, 4, 4], 2, 1e-5),
        SHAPE,
        &["batch_norm", "gamma [3]", "gamma [2]"],
    );
    refuses(norm(&[2, 4], 4, 1e-5), SHAPE, &["batch_norm", "running_mean"]);
    refuses(
        norm(&[1, 3], 3, 1e-5),
        SHAPE,
        &["batch_norm", "more than one value", "[1, 3]"],
    );
    refuses(
        norm(&[1, 3, 1, 1], 3, 1e-5),
        SHAPE,
        &["batch_norm", "more than one value"],
    );
    refuses(norm(&[2, 3], 3, -1.0), OPTIONS, &["batch_norm", "eps"]);
    let lrn = |size| move || ops::local_response_norm(&zeros(&[1, 3, 2, 2]), size, 1e-4, 0.75, 1.0);
    refuses(lrn(0), OPTIONS, &["local_response_norm", "size"]);
}

#[test]
fn cross_entropy() {
    let entropy = |logits: &[usize], targets: Vec<i64>, options: CrossEntropyOptions| {
        let (logits, targets) = (zeros(logits), Tensor::new(targets, &Device::Cpu).unwrap());
        move || ops::cross_entropy(&logits, &targets, &options)
    };
    let plain = CrossEntropyOptions::default;
    const TARGET: fn(&Error) -> bool = |error| matches!(error, Error::Target { row: 1, .. });
    refuses(
        entropy(&[2, 3], vec![0, 3], plain()),
        TARGET,
        &["cross_entropy", "target 3 at row 1", "[2, 3]"],
    );
    refuses(
        entropy(&[2, 3], vec![0, -1], plain()),
        TARGET,
        &["cross_entropy", "target -1 at row 1"],
    );
    refuses(
        entropy(&[2, 3], vec![0, 1 << 32], plain()),
        TARGET,
        &["cross_entropy", "4294967296"],
    );
    let ignoring = CrossEntropyOptions {
        ignore_index: Some(-1),
        ..plain()
    };
    assert!(entropy(&[2, 3], vec![0, -1], ignoring)().is_ok());
    refuses(
        entropy(&[2, 3], vec![0], plain()),
        SHAPE,
        &["cross_entropy", "labels [2]", "[1]"],
    );
    refuses(
        entropy(&[2, 3, 1], vec![0, 1], plain()),
        RANK,
        &["cross_entropy", "[2, 3, 1]"],
    );
    refuses(
        entropy(&[2, 0], vec![0, 1], plain()),
        SHAPE,
        &["cross_entropy", "[2, 0]"],
    );
    let smoothed = CrossEntropyOptions {
        label_smoothing: 1.5,
        ..plain()
    };
    refuses(
        entropy(&[2, 3], vec![0, 1], smoothed),
        OPTIONS,
        &["cross_entropy", "1.5"],
    );
    let weighted = CrossEntropyOptions {
        class_weights: Some(zeros(&[4])),
        ..plain()
    };
    refuses(
        entropy(&[2, 3], vec![0, 1], weighted),
        SHAPE,
        &["cross_entropy", "class_weights [4]"],
    );
    refuses(
        || ops::cross_entropy(&zeros(&[2, 3]), &zeros(&[3, 2]), &plain()),
        SHAPE,
        &["cross_entropy", "[2, 3]", "[3, 2]"],
    );
}

#[test]
fn the_others() {
    let xs = zeros(&[2, 3]);
    refuses(
        || ops::dropout(&xs, 1.5, (0, 0), true),
        OPTIONS,
        &["dropout", "1.5", "[2, 3]"],
    );
    refuses(
        || ops::dropout(&xs, f64::NAN, (0, 0), false),
        OPTIONS,
        &["dropout", "NaN"],
    );
    refuses(|| ops::softmax(&xs, 2), SHAPE, &["softmax", "[2, 3]"]);
    refuses(
        || ops::relu(&xs.to_dtype(DType::U32)?),
        DTYPE,
        &["relu", "U32", "[2, 3]"],
    );
    refuses(|| ops::to_nhwc(&xs), RANK, &["to_nhwc", "[2, 3]"]);
    refuses(|| ops::flatten(&zeros(&[])), RANK, &["flatten", "[]"]);
    refuses(
        || ops::mse_loss(&xs, &zeros(&[3, 2])),
        SHAPE,
        &["mse_loss", "[2, 3]", "[3, 2]"],
    );
    refuses(|| ops::huber_loss(&xs, &xs, 0.0), OPTIONS, &["huber_loss", "0"]);
    let kernel = with_path(Path::Kernel, || ops::relu(&xs.to_dtype(DType::F64)?));
    assert!(matches!(
        kernel,
        Err(Error::NoKernel {
            op: "relu",
            dtype: DType::F64,
            ..
        })
    ));
}

/// Inside candle's own traits the error keeps its text.
#[test]
fn errors_pass_through_candle() {
    let error = ops::linear(&zeros(&[2, 3]), &zeros(&[4, 5]), None).unwrap_err();
    let text = error.to_string();
    assert!(candle_core::Error::from(error).to_string().contains(&text));
}

//! What PyTorch computes; `golden.py` makes the file.

use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Result;
use d2l_nn::ops::{
    self, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Path, Pool2dOptions, Reduction,
};
use serde_json::Value;

use crate::common::{Input, Outcome, assert_close, assert_same_outcome, elements_of, run_on};

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn sizes(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_u64().unwrap() as usize)
        .collect()
}

fn pair(value: &Value) -> [usize; 2] {
    sizes(value).try_into().unwrap()
}

/// The elements both sides make of a seed; see `golden.py`.
fn input(shape: &[usize], seed: u64, modulus: u64) -> Input {
    let len: usize = shape.iter().product();
    let element = |i: u64| ((37 * i + 101 * seed) % modulus) as f64 / 100.0 - 0.99;
    Input {
        shape: shape.to_vec(),
        elements: (0..len as u64).map(element).collect(),
    }
}

fn positive(seed: u64, len: usize, addend: f64) -> Vec<f64> {
    input(&[len], seed, 199)
        .elements
        .iter()
        .map(|element| element.abs() + addend)
        .collect()
}

fn apply(op: &str, options: &Value, xs: &[Tensor]) -> Result<Tensor> {
    let pooling = || Pool2dOptions {
        kernel: pair(&options["kernel"]),
        stride: pair(&options["stride"]),
        padding: pair(&options["padding"]),
        ceil_mode: options["ceil_mode"].as_bool().unwrap(),
        count_include_pad: options["count_include_pad"].as_bool().unwrap_or(true),
    };
    let number = |name: &str| options[name].as_f64().unwrap();
    let entropy = || CrossEntropyOptions {
        reduction: match options["reduction"].as_str() {
            Some("sum") => Reduction::Sum,
            Some("none") => Reduction::None,
            _ => Reduction::Mean,
        },
        label_smoothing: number("smoothing"),
        class_weights: options["weighted"]
            .as_bool()
            .unwrap()
            .then(|| Tensor::new(positive(5, 4, 0.25), &Device::Cpu).unwrap()),
        ignore_index: options["ignore"].as_i64(),
    };
    let seven_times = || xs[0].affine(7.0, 0.0);
    match op {
        "conv2d" => {
            let options = Conv2dOptions {
                stride: pair(&options["stride"]),
                padding: pair(&options["padding"]),
                dilation: pair(&options["dilation"]),
                groups: options["groups"].as_u64().unwrap() as usize,
                relu: options["relu"].as_bool().unwrap(),
                ..Conv2dOptions::default()
            };
            ops::conv2d(&xs[0], &xs[1], xs.get(2), &options)
        }
        "linear" => ops::linear(&xs[0], &xs[1], xs.get(2)),
        "max_pool2d" => ops::max_pool2d(&xs[0], &pooling()),
        "avg_pool2d" => ops::avg_pool2d(&xs[0], &pooling()),
        "adaptive_max_pool2d" => ops::adaptive_max_pool2d(&xs[0], pair(&options["output"])),
        "adaptive_avg_pool2d" => ops::adaptive_avg_pool2d(&xs[0], pair(&options["output"])),
        "local_response_norm" => {
            let size = options["size"].as_u64().unwrap() as usize;
            ops::local_response_norm(&xs[0], size, number("alpha"), number("beta"), number("k"))
        }
        "cross_entropy" => {
            let labels: Vec<i64> = numbers(&options["labels"])
                .iter()
                .map(|&label| label as i64)
                .collect();
            ops::cross_entropy(&xs[0], &Tensor::new(labels, &Device::Cpu)?, &entropy())
        }
        "nll_loss" => {
            let labels = numbers(&options["labels"]);
            let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
            ops::nll_loss(&xs[0], &Tensor::new(labels, &Device::Cpu)?, &entropy())
        }
        "cross_entropy_probabilities" => {
            let probabilities = Tensor::new(numbers(&options["probabilities"]), &Device::Cpu)?;
            let probabilities = probabilities.reshape(xs[0].dims())?.to_dtype(xs[0].dtype())?;
            let probabilities = probabilities.to_device(xs[0].device())?;
            ops::cross_entropy(&xs[0], &probabilities, &entropy())
        }
        "relu" => ops::relu(&seven_times()?),
        "sigmoid" => ops::sigmoid(&seven_times()?),
        "tanh" => ops::tanh(&seven_times()?),
        "gelu" => ops::gelu(&seven_times()?),
        "gelu_tanh" => ops::gelu_tanh(&seven_times()?),
        "leaky_relu" => ops::leaky_relu(&seven_times()?, 0.2),
        "silu" => ops::silu(&seven_times()?),
        "elu" => ops::elu(&seven_times()?, 0.7),
        "softplus" => ops::softplus(&seven_times()?),
        "softmax" => ops::softmax(&seven_times()?, 1),
        "log_softmax" => ops::log_softmax(&seven_times()?, 1),
        "mse_loss" => ops::mse_loss(&xs[0], &xs[1]),
        "l1_loss" => ops::l1_loss(&xs[0], &xs[1]),
        "huber_loss" => ops::huber_loss(&xs[0], &xs[1], 0.4),
        "hinge_loss" => ops::hinge_loss(&xs[0], &xs[1]),
        "bce_with_logits" => ops::bce_with_logits(&xs[0], &xs[1]),
        op => panic!("no such operation: {op}"),
    }
}

/// Also compares the running statistics.
fn apply_batch_norm(case: &Value, xs: &[Tensor], tolerance: f64) -> Result<Tensor> {
    let options = &case["options"];
    let like_xs = |elements: Vec<f64>| {
        let elements = Input {
            shape: vec![3],
            elements,
        };
        Var::from_tensor(&elements.on(xs[0].device(), xs[0].dtype()))
    };
    let mean = like_xs(input(&[3], 4, 199).elements)?;
    let variance = like_xs(positive(5, 3, 0.5))?;
    let settings = BatchNormOptions {
        eps: options["eps"].as_f64().unwrap(),
        momentum: options["momentum"].as_f64().unwrap(),
        relu: options["relu"].as_bool().unwrap(),
    };
    let train = options["train"].as_bool().unwrap();
    let ys = ops::batch_norm(&xs[0], &xs[1], &xs[2], &mean, &variance, &settings, train)?;
    assert_close(
        "running mean",
        &elements_of(mean.as_tensor()),
        &numbers(&case["running_mean"]),
        tolerance,
    );
    assert_close(
        "running var",
        &elements_of(variance.as_tensor()),
        &numbers(&case["running_var"]),
        tolerance,
    );
    Ok(ys)
}

fn check(device: &Device, path: Path, dtype: DType, tolerance: f64) {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert!(cases.len() > 80);
    for case in &cases {
        let op = case["op"].as_str().unwrap();
        let given = case["inputs"].as_array().unwrap().iter();
        let inputs: Vec<Input> = given
            .map(|given| {
                let number = |name: &str| given[name].as_u64().unwrap();
                input(&sizes(&given["shape"]), number("seed"), number("modulus"))
            })
            .collect();
        let gradients = case["gradients"].as_array().unwrap().iter();
        let expected = Outcome {
            shape: sizes(&case["shape"]),
            output: numbers(&case["output"]),
            gradients: gradients.map(numbers).collect(),
        };
        let function = |xs: &[Tensor]| match op {
            "batch_norm" => apply_batch_norm(case, xs, tolerance),
            _ => apply(op, &case["options"], xs),
        };
        let found = run_on(device, path, dtype, &inputs, &function, &|shape| {
            input(shape, 9, 199)
        });
        let what = format!("{op} {} {path:?} {dtype:?}", case["options"]);
        assert_same_outcome(&what, &found, &expected, tolerance);
    }
}

#[test]
fn kernels_give_what_pytorch_gives() {
    check(&Device::Cpu, Path::Auto, DType::F32, 2e-5);
}

#[test]
fn compositions_give_what_pytorch_gives() {
    check(&Device::Cpu, Path::Composition, DType::F64, 1e-8);
    check(&Device::Cpu, Path::Composition, DType::F32, 2e-5);
}

/// Needs a GPU. With the feature `cudnn`, convolutions are cuDNN's.
#[cfg(feature = "cuda")]
#[test]
fn cuda_gives_what_pytorch_gives() {
    let device = Device::new_cuda(0).unwrap();
    check(&device, Path::Auto, DType::F64, 1e-8);
    check(&device, Path::Auto, DType::F32, 2e-5);
    check(&device, Path::Composition, DType::F32, 2e-5);
}

//! Running an operation forward and backward on either path.

use candle_core::{DType, Device, Tensor, Var};
use d2l_nn::Result;
use d2l_nn::ops::{Path, with_path};
use proptest::test_runner::{Config, RngSeed};

/// A float argument of an operation, in f64 whatever type it is run in.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Vec<f64>,
}

impl Input {
    /// Elements spread over −1 to 1 without a pattern, the same for the same seed.
    pub(crate) fn random(shape: &[usize], seed: u64) -> Self {
        let len: usize = shape.iter().product();
        let elements = (0..len as u64).map(|i| noise(seed, i)).collect();
        Self {
            shape: shape.to_vec(),
            elements,
        }
    }

    /// Elements from few values, so that many are equal.
    pub(crate) fn coarse(shape: &[usize], seed: u64) -> Self {
        let mut input = Self::random(shape, seed);
        input
            .elements
            .iter_mut()
            .for_each(|element| *element = (*element * 3.0).round() / 3.0);
        input
    }

    pub(crate) fn tensor(&self, dtype: DType) -> Tensor {
        self.on(&Device::Cpu, dtype)
    }

    pub(crate) fn on(&self, device: &Device, dtype: DType) -> Tensor {
        Tensor::from_slice(&self.elements, self.shape.as_slice(), &Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(dtype)?.to_device(device))
            .unwrap()
    }
}

/// SplitMix64 of (seed, i), as a number from −1 to 1.
fn noise(seed: u64, i: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0x2545_F491_4F6C_DD1D)
        .wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// What an operation gave, in f64.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) shape: Vec<usize>,
    pub(crate) output: Vec<f64>,
    /// Of `Σ output · weights`, per input.
    pub(crate) gradients: Vec<Vec<f64>>,
}

pub(crate) fn elements_of(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_device(&Device::Cpu)
        .and_then(|tensor| tensor.to_dtype(DType::F64))
        .and_then(|tensor| tensor.flatten_all()?.to_vec1())
        .unwrap()
}

/// Runs `op` on variables of `dtype` and its gradient for the given weights of the output.
pub(crate) fn run(
    path: Path,
    dtype: DType,
    inputs: &[Input],
    op: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    weights: &dyn Fn(&[usize]) -> Input,
) -> Outcome {
    run_on(&Device::Cpu, path, dtype, inputs, op, weights)
}

pub(crate) fn run_on(
    device: &Device,
    path: Path,
    dtype: DType,
    inputs: &[Input],
    op: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    weights: &dyn Fn(&[usize]) -> Input,
) -> Outcome {
    let variables: Vec<Var> = inputs
        .iter()
        .map(|input| Var::from_tensor(&input.on(device, dtype)).unwrap())
        .collect();
    let tensors: Vec<Tensor> = variables
        .iter()
        .map(|variable| variable.as_tensor().clone())
        .collect();
    let output = with_path(path, || op(&tensors)).unwrap();
    assert_eq!(output.dtype(), dtype);
    let weights = weights(output.dims()).on(device, dtype);
    let loss = (&output * &weights)
        .and_then(|product| product.sum_all())
        .unwrap();
    let gradients = loss.backward().unwrap();
    let gradients = variables
        .iter()
        .map(|variable| {
            let Some(gradient) = gradients.get(variable.as_tensor()) else {
                // candle's operations on empty tensors give back their first argument and forget the second.
                assert_eq!(output.elem_count(), 0, "a variable has no gradient");
                return vec![0.0; variable.elem_count()];
            };
            assert_eq!(gradient.dims(), variable.dims());
            elements_of(gradient)
        })
        .collect();
    Outcome {
        shape: output.dims().to_vec(),
        output: elements_of(&output),
        gradients,
    }
}

/// Random weights of an output.
pub(crate) fn random_weights(shape: &[usize]) -> Input {
    Input::random(shape, 0xC0FFEE)
}

/// Every element within `tolerance` of the expected one, relative to the largest magnitude of its tensor (but at
/// least to 1). NaN is equal to NaN.
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let scale = expected
        .iter()
        .filter(|e| e.is_finite())
        .fold(1.0f64, |scale, e| scale.max(e.abs()));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        assert!(
            same || (found - expected).abs() <= tolerance * scale,
            "{what}, element {i}: {found} instead of {expected}"
        );
    }
}

pub(crate) fn assert_same_outcome(what: &str, found: &Outcome, expected: &Outcome, tolerance: f64) {
    assert_eq!(found.shape, expected.shape, "{what}: shape");
    assert_close(
        &format!("{what}: output"),
        &found.output,
        &expected.output,
        tolerance,
    );
    for (i, (found, expected)) in found.gradients.iter().zip(&expected.gradients).enumerate() {
        assert_close(&format!("{what}: gradient {i}"), found, expected, tolerance);
    }
}

/// The kernels in f32 and the composition in f32 against the composition in f64.
pub(crate) fn assert_paths_agree(
    what: &str,
    inputs: &[Input],
    tolerance: f64,
    op: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let reference = run(Path::Composition, DType::F64, inputs, &op, &random_weights);
    let kernel = run(Path::Kernel, DType::F32, inputs, &op, &random_weights);
    assert_same_outcome(&format!("{what}, kernel"), &kernel, &reference, tolerance);
    let composition = run(Path::Composition, DType::F32, inputs, &op, &random_weights);
    assert_same_outcome(
        &format!("{what}, composition in f32"),
        &composition,
        &reference,
        tolerance,
    );
}

/// A number of random cases that are the same in every run: a ReLU or a maximum may choose otherwise in f32 than in
/// f64 where two values nearly agree, which must not make a test fail once in a while.
pub(crate) fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20),
        ..Config::default()
    }
}

/// A fresh variable per call, for running statistics.
pub(crate) fn variable(elements: &[f64], dtype: DType) -> Var {
    let tensor = Tensor::from_slice(elements, elements.len(), &Device::Cpu).unwrap();
    Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
}

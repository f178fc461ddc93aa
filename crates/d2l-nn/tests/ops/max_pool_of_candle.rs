//! Why max pooling is not candle's: its gradient is wrong, and this test fails once that changes.

use candle_core::{Device, Tensor, Var};
use d2l_nn::ops::{self, Pool2dOptions};

/// The gradient of the sum of a 2×2 maximum pooling of `[[1, 2], [3, 4]]`, by `pool`.
fn gradient(pool: impl Fn(&Tensor) -> Tensor) -> Vec<f32> {
    let xs = Tensor::new(&[[[[1f32, 2.0], [3.0, 4.0]]]], &Device::Cpu).unwrap();
    let xs = Var::from_tensor(&xs).unwrap();
    let gradients = pool(xs.as_tensor()).sum_all().unwrap().backward().unwrap();
    gradients
        .get(xs.as_tensor())
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn the_gradient_of_candles_max_pool_is_a_quarter_of_the_right_one() {
    // torch: xs.requires_grad_(); F.max_pool2d(xs, 2).sum().backward(); xs.grad → [[0, 0], [0, 1]]
    let of_pytorch = [0.0, 0.0, 0.0, 1.0];
    assert_eq!(
        gradient(|xs| ops::max_pool2d(xs, &Pool2dOptions::default()).unwrap()),
        of_pytorch
    );
    assert_eq!(gradient(|xs| xs.max_pool2d(2).unwrap()), [0.0, 0.0, 0.0, 0.25]);
}

#[test]
fn candles_max_pool_has_no_gradient_for_overlapping_windows() {
    let xs = Var::ones((1, 1, 5, 5), candle_core::DType::F32, &Device::Cpu).unwrap();
    let ys = xs.max_pool2d_with_stride(3, 2).unwrap();
    assert!(ys.sum_all().unwrap().backward().is_err());
    let options = Pool2dOptions {
        kernel: [3, 3],
        stride: [2, 2],
        ..Pool2dOptions::default()
    };
    let ys = ops::max_pool2d(xs.as_tensor(), &options).unwrap();
    assert!(ys.sum_all().unwrap().backward().is_ok());
}

//! Strided, offset, transposed and broadcast inputs give the results of contiguous ones.

use candle_core::{DType, Tensor, Var};
use d2l_nn::Result;
use d2l_nn::ops::{
    self, BatchNormOptions, Conv2dOptions, CrossEntropyOptions, Path, Pool2dOptions, with_path,
};

use crate::common::{Input, assert_close, elements_of, random_weights, variable};

/// Views of a larger variable, all of `shape`, none of them plain.
fn views(variable: &Tensor, shape: &[usize]) -> Vec<(&'static str, Tensor)> {
    let len = |of: &Tensor| of.elem_count();
    let count: usize = shape.iter().product();
    assert!(len(variable) >= 2 * count);
    let flat = variable.flatten_all().unwrap();
    let offset = flat.narrow(0, count / 2, count).unwrap().reshape(shape).unwrap();
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let transposed = flat.narrow(0, 0, count).unwrap().reshape(reversed).unwrap();
    let transposed = transposed
        .permute((0..shape.len()).rev().collect::<Vec<_>>())
        .unwrap();
    let last = shape.len() - 1;
    let mut wider = shape.to_vec();
    wider[last] *= 2;
    let strided = flat.narrow(0, 0, 2 * count).unwrap().reshape(wider).unwrap();
    let strided = strided.narrow(last, shape[last] - 1, shape[last]).unwrap();
    let mut one = shape.to_vec();
    one[0] = 1;
    one[last] = 1;
    let seeds = count / shape[0] / shape[last];
    let broadcast = flat
        .narrow(0, 3, seeds)
        .unwrap()
        .reshape(one)
        .unwrap()
        .broadcast_as(shape)
        .unwrap();
    vec![
        ("offset", offset),
        ("transposed", transposed),
        ("strided", strided),
        ("broadcast", broadcast),
    ]
}

/// `op` of each view and of its contiguous copy; gradients with respect to the variable behind it.
fn check(what: &str, shape: &[usize], op: &dyn Fn(&Tensor) -> Result<Tensor>) {
    let count: usize = shape.iter().product();
    for (path, dtype) in [(Path::Kernel, DType::F32), (Path::Composition, DType::F64)] {
        let behind = Var::from_tensor(&Input::random(&[2 * count + 5], 1).tensor(dtype)).unwrap();
        for (name, view) in views(behind.as_tensor(), shape) {
            assert_eq!(view.dims(), shape);
            let outcome = |xs: &Tensor| {
                let ys = with_path(path, || op(xs)).unwrap();
                let loss = (&ys * random_weights(ys.dims()).tensor(dtype))
                    .unwrap()
                    .sum_all()
                    .unwrap();
                let gradients = loss.backward().unwrap();
                (
                    elements_of(&ys),
                    elements_of(gradients.get(behind.as_tensor()).unwrap()),
                )
            };
            let found = outcome(&view);
            let plain = view.contiguous().unwrap().affine(1.0, 0.0).unwrap();
            let expected = outcome(&plain);
            assert_close(&format!("{what} {name} {path:?}"), &found.0, &expected.0, 1e-6);
            assert_close(
                &format!("{what} {name} {path:?} gradient"),
                &found.1,
                &expected.1,
                1e-6,
            );
        }
    }
}

#[test]
fn views_give_what_copies_give() {
    let images = [2, 4, 4, 4];
    let like = |xs: &Tensor, shape: &[usize]| Input::random(shape, 7).tensor(xs.dtype());
    let convolution = Conv2dOptions {
        padding: [1, 1],
        relu: true,
        ..Conv2dOptions::default()
    };
    check("conv2d", &images, &|xs| {
        ops::conv2d(xs, &like(xs, &[3, 4, 3, 3]), Some(&like(xs, &[3])), &convolution)
    });
    check("conv2d weight", &[4, 3, 2, 2], &|weight| {
        ops::conv2d(&like(weight, &[2, 3, 4, 4]), weight, None, &convolution)
    });
    check("nhwc::conv2d", &images, &|xs| {
        ops::nhwc::conv2d(xs, &like(xs, &[3, 4, 3, 3]), None, &convolution)
    });
    check("linear", &[3, 2, 4], &|xs| {
        ops::linear(xs, &like(xs, &[5, 4]), None)
    });
    check("linear weight", &[5, 4], &|weight| {
        ops::linear(&like(weight, &[3, 4]), weight, None)
    });
    let pooling = Pool2dOptions::default();
    check("max_pool2d", &images, &|xs| ops::max_pool2d(xs, &pooling));
    check("nhwc::max_pool2d", &images, &|xs| {
        ops::nhwc::max_pool2d(xs, &pooling)
    });
    check("avg_pool2d", &images, &|xs| ops::avg_pool2d(xs, &pooling));
    check("adaptive_avg_pool2d", &images, &|xs| {
        ops::adaptive_avg_pool2d(xs, [1, 3])
    });
    check("batch_norm", &images, &|xs| {
        let (mean, var) = (variable(&[0.0; 4], xs.dtype()), variable(&[1.0; 4], xs.dtype()));
        // An eps of 1: a broadcast channel may have no variance at all.
        let options = BatchNormOptions {
            eps: 1.0,
            ..BatchNormOptions::default()
        };
        ops::batch_norm(xs, &like(xs, &[4]), &like(xs, &[4]), &mean, &var, &options, true)
    });
    check("local_response_norm", &images, &|xs| {
        ops::local_response_norm(xs, 3, 0.1, 0.75, 1.0)
    });
    check("cross_entropy", &[3, 6], &|xs| {
        let labels = Tensor::new(&[0u32, 5, 3], xs.device())?;
        ops::cross_entropy(xs, &labels, &CrossEntropyOptions::default())
    });
    check("dropout", &images, &|xs| ops::dropout(xs, 0.3, (1, 2), true));
    check("gelu", &images, &|xs| ops::gelu(xs));
    check("to_nhwc", &images, &|xs| ops::to_nhwc(xs));
    check("flatten", &images, &|xs| ops::flatten(xs));
}

/// What lies behind a label tensor does not matter either.
#[test]
fn labels_may_be_views_of_any_integer_type() {
    let logits = Input::random(&[3, 6], 1).tensor(DType::F32);
    let labels = Tensor::new(&[[9i64, 0], [9, 5], [9, 3]], logits.device()).unwrap();
    let labels = labels.narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
    let loss = |labels: &Tensor| {
        let loss = ops::cross_entropy(&logits, labels, &CrossEntropyOptions::default()).unwrap();
        loss.to_scalar::<f32>().unwrap()
    };
    let expected = loss(&Tensor::new(&[0u32, 5, 3], logits.device()).unwrap());
    for dtype in [DType::I64, DType::U32, DType::U8] {
        assert_eq!(loss(&labels.to_dtype(dtype).unwrap()), expected, "{dtype:?}");
    }
}

/// A constant input, such as a batch of images, is not differentiated, and that changes nothing else.
#[test]
fn constants_get_no_gradient() {
    let xs = Input::random(&[2, 3, 5, 5], 1).tensor(DType::F32);
    let weight = Var::from_tensor(&Input::random(&[4, 3, 3, 3], 2).tensor(DType::F32)).unwrap();
    let ys = ops::conv2d(&xs, weight.as_tensor(), None, &Conv2dOptions::default()).unwrap();
    let gradients = ys.sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&xs).is_none());
    assert!(gradients.get(weight.as_tensor()).is_some());
}

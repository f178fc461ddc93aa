//! Chapter 3 from scratch and concisely: the same parameters after training, given the same beginning and order.

#![allow(clippy::unwrap_used)]

use candle_core::{Tensor, Var};
use d2l_data::SourceOptions;
use d2l_lessons::{
    Page, PageOptions, Silent,
    linear::{image_data, regression_concise as concise, regression_scratch as scratch, softmax_scratch},
    numbers::distance,
};
use d2l_models::{linear_regression, softmax_regression};
use d2l_nn::Rng;
use d2l_train::{
    Method, Optimizer, Outcome, Task, TensorSource, TrainOptions, Trainer,
    loss::{CrossEntropy, Elementwise, Function},
};

/// 203 examples, so that the last batch of an epoch is short.
fn source(rng: &Rng) -> TensorSource {
    let (features, labels) = scratch::synthetic_data(&[2.0, -3.4], 4.2, 203, &rng.split("data")).unwrap();
    TensorSource::new(features, labels, 10, Some(7)).unwrap()
}

/// Weight and bias after three epochs of the scratch side: the loss summed, the step divided by the batch's size.
fn from_scratch(source: &TensorSource, rng: &Rng) -> (Tensor, Tensor) {
    let (weight, bias) = scratch::initial_parameters(2, rng).unwrap();
    for epoch in 0..3 {
        for batch in concise::batches(source, epoch) {
            let (x, y) = batch.unwrap();
            let loss = scratch::squared_loss(&scratch::linreg(&x, &weight, &bias).unwrap(), &y).unwrap();
            let gradients = loss.sum_all().unwrap().backward().unwrap();
            scratch::sgd(&[&weight, &bias], &gradients, 0.03, x.dim(0).unwrap()).unwrap();
        }
    }
    (weight.as_detached_tensor(), bias.as_detached_tensor())
}

/// The same from the concise side: the mean of `function`.
fn concisely(source: &TensorSource, rng: &Rng, function: Function, learning_rate: f64) -> (Tensor, Tensor) {
    let (weight, bias) = scratch::initial_parameters(2, rng).unwrap();
    let (model, params) = concise::build(&linear_regression(1), &[2], rng).unwrap();
    params.set("output.weight", &weight.t().unwrap()).unwrap();
    params.set("output.bias", &bias).unwrap();
    let (loss, method) = (Elementwise::mean(function), Method::sgd(learning_rate));
    concise::fit(&model, &params, loss, method, 3, source, source).unwrap();
    let parameter = |name| concise::parameter(&params, name).unwrap();
    (parameter("output.weight").t().unwrap(), parameter("output.bias"))
}

#[test]
fn linear_regression_is_the_same_under_both_conventions() {
    for seed in 0..3 {
        let rng = Rng::new(seed);
        let source = source(&rng);
        let (weight, bias) = from_scratch(&source, &rng);
        let off = |function, learning_rate| {
            let (w, b) = concisely(&source, &rng, function, learning_rate);
            distance(&w, &weight).unwrap().max(distance(&b, &bias).unwrap())
        };
        // The mean of halved squares has the same gradient as their sum divided by the batch's size; the mean of
        // whole squares has twice that, which half the learning rate makes up for.
        let (halved, whole) = (off(Function::HalfSquared, 0.03), off(Function::Squared, 0.015));
        assert!(halved < 1e-6 && whole < 1e-6, "seed {seed}: {halved} {whole}");
        assert!(off(Function::Squared, 0.03) > 1e-2, "a factor of two must show");
    }
}

#[test]
fn softmax_regression_is_the_same_from_scratch_and_by_either_engine() {
    let mut watcher = Silent;
    let options = PageOptions {
        quick: true,
        sources: SourceOptions {
            offline: true,
            ..SourceOptions::default()
        },
        ..PageOptions::default()
    };
    let mut page = Page::new(options, &mut watcher);
    // 2,000 pictures in batches of 300: the last batch of an epoch is short.
    let (train, test) = image_data::load_fashion_mnist(&mut page, 300, None).unwrap();
    let device = page.device().clone();
    let beginning = || softmax_scratch::initial_parameters(&Rng::new(5), &device).unwrap();

    let (weight, bias) = beginning();
    let learner = softmax_scratch::Learner {
        net: &|x| softmax_scratch::net(x, &weight, &bias),
        loss: &softmax_scratch::cross_entropy,
        update: &|gradients, batch_size| scratch::sgd(&[&weight, &bias], gradients, 0.1, batch_size),
    };
    let animator = softmax_scratch::fit(&mut page, &learner, &train, &test, 2).unwrap();
    let [loss, train_accuracy, test_accuracy] = animator.last().unwrap();

    for planned in [false, true] {
        let (model, params) = concise::build(&softmax_regression(10), &[1, 28, 28], &Rng::new(5)).unwrap();
        let (w, b): (Var, Var) = beginning();
        params.set("output.weight", &w.t().unwrap()).unwrap();
        params.set("output.bias", &b).unwrap();
        let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
        let options = TrainOptions::new(Task::Classification, 2);
        let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options).unwrap();
        if planned {
            trainer.use_plan(&model, 300).unwrap();
        }
        assert_eq!(trainer.fit(&train, Some(&test)).unwrap(), Outcome::Finished);

        let parameter = |name| concise::parameter(&params, name).unwrap();
        let off = distance(&parameter("output.weight").t().unwrap(), &weight).unwrap();
        let off = off.max(distance(&parameter("output.bias"), &bias).unwrap());
        assert!(off < 1e-6, "planned {planned}: {off}");
        let last = trainer.history().last().unwrap();
        assert!(
            (last.train_loss - loss).abs() < 1e-5,
            "{} {loss}",
            last.train_loss
        );
        assert_eq!(last.train_accuracy, Some(train_accuracy));
        assert_eq!(last.test_accuracy, Some(test_accuracy));
    }
    let moved = distance(&weight, &beginning().0).unwrap();
    assert!(moved > 0.01, "nothing was learned: {moved}");
}

//! Chapter 4 from scratch and concisely: the same seed, the same order of examples, the same parameters afterwards.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::ModuleT;
use d2l_data::SourceOptions;
use d2l_lessons::{
    Classifier, Page, PageOptions, Silent,
    linear::{
        image_data::load_fashion_mnist,
        regression_scratch::sgd,
        softmax_scratch::{Learner, fit, train_epoch},
    },
    mlp::{
        dropout_concise,
        dropout_scratch::{DROPOUT, LEARNING_RATE, masked},
        mlp_scratch::{Perceptron, cross_entropy_of_logits},
        weight_decay_concise, weight_decay_scratch,
    },
    numbers::distance,
};
use d2l_nn::{Network, ParamStore, Rng, layers::Dropout};
use d2l_train::loss::{Elementwise, Function};
use std::cell::Cell;

/// Sums come in another order, and 16 steps carry that on.
const TOLERANCE: f64 = 1e-4;
const EPOCHS: u64 = 2;
const BATCH_SIZE: usize = 256;

/// The quick form: 2,000 pictures.
fn with_page(test: impl FnOnce(&mut Page<'_>)) {
    let options = PageOptions {
        quick: true,
        seed: 7,
        sources: SourceOptions {
            offline: true,
            ..SourceOptions::default()
        },
        ..PageOptions::default()
    };
    let mut watcher = Silent;
    test(&mut Page::new(options, &mut watcher));
}

/// The parameters that `classifier` starts from, as the perceptron from scratch has them.
fn same_start(classifier: &Classifier, page: &Page<'_>, layers: &[&str]) -> Perceptron {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let rng = Rng::new(page.seed());
    classifier
        .network
        .build(&classifier.input, &params, &rng)
        .unwrap();
    Perceptron {
        layers: layers.iter().map(|layer| pair(&params, layer)).collect(),
    }
}

/// Weight `[inputs, outputs]` and bias of a layer.
fn pair(params: &ParamStore, layer: &str) -> (Var, Var) {
    let get = |name: &str| params.get(&format!("{layer}.{name}")).unwrap();
    let weight = get("weight").t().unwrap().contiguous().unwrap();
    (
        Var::from_tensor(&weight).unwrap(),
        Var::from_tensor(&get("bias").copy().unwrap()).unwrap(),
    )
}

fn assert_same(net: &Perceptron, start: &Perceptron, params: &ParamStore, layers: &[&str]) {
    for ((layer, mine), first) in layers.iter().zip(&net.layers).zip(&start.layers) {
        let theirs = pair(params, layer);
        assert!(
            distance(&mine.0, &first.0).unwrap() > 1e-3,
            "{layer} has not moved"
        );
        for (mine, theirs) in [(&mine.0, &theirs.0), (&mine.1, &theirs.1)] {
            let difference = distance(mine, theirs).unwrap();
            assert!(difference < TOLERANCE, "{layer} differs by {difference}");
        }
    }
}

#[test]
fn a_multilayer_perceptron() {
    let layers = ["hidden1", "output"];
    with_page(|page| {
        let classifier = Classifier::of_the_book("mlp", page).unwrap();
        let net = same_start(&classifier, page, &layers);
        let (train, test) = load_fashion_mnist(page, BATCH_SIZE, None).unwrap();
        let learner = Learner {
            net: &|x| net.forward(x, &mut |_, hidden| Ok(hidden)),
            loss: &cross_entropy_of_logits,
            update: &|gradients, batch_size| sgd(&net.parameters(), gradients, 0.1, batch_size),
        };
        let [loss, _, _] = fit(page, &learner, &train, &test, EPOCHS)
            .unwrap()
            .last()
            .unwrap();

        let fitted = classifier.train(page).unwrap();
        let start = same_start(&classifier, page, &layers);
        assert_same(&net, &start, &fitted.params, &layers);
        let theirs = fitted.history.last().unwrap().train_loss;
        assert!((loss - theirs).abs() < TOLERANCE, "{loss} {theirs}");
    });
}

/// What dropout keeps follows from the seed, the layer's name and the step alone, so a network of that one layer has
/// the masks of the whole: they are what becomes of ones.
fn mask(layer: usize, step: u64, seed: u64, shape: &[usize]) -> Tensor {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let dropout = Network::new("mask").add(format!("dropout{}", layer + 1), Dropout { p: DROPOUT[layer] });
    let model = dropout.build(&shape[1..], &params, &Rng::new(seed)).unwrap();
    model.set_step(step);
    let ones = Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    let kept = model.forward_t(&ones, true).unwrap().ne(0f32).unwrap();
    kept.to_dtype(DType::F32).unwrap()
}

#[test]
fn dropout_with_the_same_masks() {
    let layers = ["hidden1", "hidden2", "output"];
    with_page(|page| {
        let classifier = dropout_concise::classifier(page).unwrap();
        let (net, seed) = (same_start(&classifier, page, &layers), page.seed());
        let (train, _) = load_fashion_mnist(page, BATCH_SIZE, None).unwrap();
        let step = Cell::new(0);
        let learner = Learner {
            net: &|x| {
                let now = step.replace(step.get() + 1);
                net.forward(x, &mut |layer, hidden| {
                    masked(&hidden, &mask(layer, now, seed, hidden.dims()), DROPOUT[layer])
                })
            },
            loss: &cross_entropy_of_logits,
            update: &|gradients, batch_size| sgd(&net.parameters(), gradients, LEARNING_RATE, batch_size),
        };
        let mut last = [f64::NAN; 2];
        for epoch in 0..EPOCHS {
            last = train_epoch(page, &learner, &train, (epoch, EPOCHS)).unwrap();
        }

        let fitted = classifier.train(page).unwrap();
        let start = same_start(&classifier, page, &layers);
        assert_same(&net, &start, &fitted.params, &layers);
        let theirs = fitted.history.last().unwrap().train_loss;
        assert!((last[0] - theirs).abs() < TOLERANCE, "{last:?} {theirs}");
    });
}

#[test]
fn weight_decay() {
    with_page(|page| {
        let data = weight_decay_scratch::Data::new(page).unwrap();
        for lambda in [0.0, 3.0] {
            let rng = page.rng("weight");
            let (weight, bias) = weight_decay_scratch::initial_parameters(&rng).unwrap();
            let start = weight.copy().unwrap();
            weight_decay_scratch::train(page, &data, (&weight, &bias), lambda).unwrap();

            // The scratch side halves the squares.
            let loss = Elementwise::mean(Function::HalfSquared);
            let (params, _) = weight_decay_concise::train(&data, &start, lambda, loss).unwrap();
            let (theirs, their_bias) = pair(&params, "output");
            assert!(distance(&weight, &start).unwrap() > 0.1, "λ = {lambda}");
            for (mine, theirs) in [(&weight, &theirs), (&bias, &their_bias)] {
                let difference = distance(mine, theirs).unwrap();
                assert!(difference < 1e-5, "λ = {lambda}: {difference}");
            }
        }
    });
}

//! Training through a plan: the same run as through autograd, stopped and resumed like it, also from one to the other.

use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Network, ParamStore, Rng,
    layers::{Activation, BatchNorm, Conv2d, Dropout, Flatten, Linear, Pool2d},
};
use d2l_train::{
    Averaging, Callback, Clip, Error, Method, Optimizer, Outcome, RunDir, Task, TensorSource, TrainOptions,
    Trainer,
    callbacks::{AverageWeights, Checkpoints, MetricsLog, StepLimit},
    loss::{CrossEntropy, Elementwise, Function},
};
use std::{collections::HashMap, path::Path};

const EPOCHS: u64 = 3;
/// 22 examples in batches of 8.
const BATCHES: u64 = 3;

/// Convolutions, whose weights a plan keeps in another order, with everything that has a state.
fn network() -> Network {
    Network::new("pictures")
        .add("conv1", Conv2d::new(5, 3).padding(1))
        .add("relu1", Activation::Relu)
        .add("pool", Pool2d::max(2, 2))
        .add("conv2", Conv2d::new(7, 2))
        .add("norm", BatchNorm::default())
        .add("relu2", Activation::Relu)
        .add("flatten", Flatten)
        .add("dropout", Dropout { p: 0.3 })
        .add("output", Linear::new(3))
}

fn pictures(examples: usize, seed: u64, shuffle: Option<u64>) -> TensorSource {
    let xs = Rng::new(seed).normal_vec(examples * 2 * 6 * 5, 0.0, 1.0);
    let xs = Tensor::from_vec(xs, (examples, 2, 6, 5), &Device::Cpu).unwrap();
    let classes: Vec<u32> = (0..examples as u32).map(|i| i % 3).collect();
    TensorSource::new(xs, Tensor::new(classes, &Device::Cpu).unwrap(), 8, shuffle).unwrap()
}

/// Starts a run in `folder`, or goes on with it.
fn train(folder: &Path, plan: bool, method: Method, stop: Option<u64>) -> Outcome {
    let limit = stop.map(|steps| Box::new(StepLimit(steps)) as Box<dyn Callback>);
    train_with(folder, plan, method, limit.into_iter().collect())
}

/// As [`train`], with other callbacks.
fn train_with(folder: &Path, plan: bool, method: Method, also: Vec<Box<dyn Callback>>) -> Outcome {
    let run = if folder.join("config.toml").exists() {
        RunDir::open(folder).unwrap()
    } else {
        let run = RunDir::create(folder, true).unwrap();
        run.write_config(&std::collections::BTreeMap::from([("model", "pictures")]))
            .unwrap();
        run
    };
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network().build(&[2, 6, 5], &params, &Rng::new(3)).unwrap();
    let optimizer = Optimizer::new(method, &params).unwrap();
    let options = TrainOptions {
        schedule: "cosine:per=step".parse().unwrap(),
        clip: Clip {
            norm: Some(0.7),
            value: Some(0.2),
        },
        ..TrainOptions::new(Task::Classification, EPOCHS)
    };
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options).unwrap();
    if plan {
        trainer.use_plan(&model, 8).unwrap();
    }
    trainer
        .random_state("model", &model)
        .callback(MetricsLog::new(run.metrics_path(), 1))
        .callback(Checkpoints::new(run.checkpoints()));
    for callback in also {
        trainer.boxed_callback(callback);
    }
    if let (Some(checkpoint), _) = run.newest_checkpoint() {
        trainer.resume(&checkpoint).unwrap();
    }
    trainer
        .fit(&pictures(22, 1, Some(9)), Some(&pictures(10, 2, None)))
        .unwrap()
}

fn tensors(folder: &Path, file: &str) -> HashMap<String, Vec<f32>> {
    let path = folder.join("checkpoints/last").join(file);
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    tensors
        .into_iter()
        .map(|(name, tensor)| {
            let values = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
            (name, values.to_vec1().unwrap())
        })
        .collect()
}

fn assert_close(a: &HashMap<String, Vec<f32>>, b: &HashMap<String, Vec<f32>>) {
    assert_eq!(a.len(), b.len());
    for (name, a) in a {
        for (a, b) in a.iter().zip(&b[name]) {
            assert!((a - b).abs() <= 2e-5 * a.abs().max(1.0), "{name}: {a} and {b}");
        }
    }
}

const FILES: [&str; 2] = ["weights.safetensors", "optimizer.safetensors"];

fn momentum() -> Method {
    Method::sgd(0.1).with_momentum(0.9, false).unwrap()
}

#[test]
fn a_plan_trains_as_autograd_does() {
    let folder = tempfile::tempdir().unwrap();
    for method in [momentum(), Method::adam(0.01)] {
        let [plan, autograd] = ["plan", "autograd"].map(|name| folder.path().join(name));
        for folder in [&plan, &autograd] {
            assert_eq!(train(folder, *folder == plan, method, None), Outcome::Finished);
        }
        for file in FILES {
            assert_close(&tensors(&autograd, file), &tensors(&plan, file));
        }
        let log = |folder: &Path| {
            let records = d2l_train::metrics::read_records(&folder.join("metrics.jsonl")).unwrap();
            let text = |record| match record {
                d2l_train::metrics::Record::Epoch(e) => format!(
                    "{:.4} {:?} {:.4} {:?}",
                    e.train_loss,
                    e.train_accuracy,
                    e.test_loss.unwrap(),
                    e.test_accuracy
                ),
                _ => String::new(),
            };
            records.into_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(log(&autograd), log(&plan));
        for folder in [plan, autograd] {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn stopped_at_every_batch_and_resumed_it_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    assert_eq!(train(&whole, true, momentum(), None), Outcome::Finished);
    for stop in 1..EPOCHS * BATCHES {
        let path = folder.path().join(stop.to_string());
        assert!(matches!(
            train(&path, true, momentum(), Some(stop)),
            Outcome::Stopped(_)
        ));
        assert_eq!(train(&path, true, momentum(), None), Outcome::Finished);
        for file in FILES {
            let read = |folder: &Path| std::fs::read(folder.join("checkpoints/last").join(file)).unwrap();
            assert_eq!(read(&whole), read(&path), "stopped after {stop}: {file}");
        }
    }
}

#[test]
fn averaged_weights_go_through_a_stop_at_every_batch_to_the_byte() {
    const FILE: &str = "averages.safetensors";
    for averaging in [Averaging::Ema { decay: 0.7 }, Averaging::Swa { start: 2 }] {
        let folder = tempfile::tempdir().unwrap();
        let average = || Box::new(AverageWeights(averaging)) as Box<dyn Callback>;
        let [whole, autograd] = ["whole", "autograd"].map(|name| folder.path().join(name));
        for path in [&whole, &autograd] {
            let outcome = train_with(path, *path == whole, momentum(), vec![average()]);
            assert_eq!(outcome, Outcome::Finished);
        }
        assert_close(&tensors(&autograd, FILE), &tensors(&whole, FILE));
        for stop in 1..EPOCHS * BATCHES {
            let path = folder.path().join(stop.to_string());
            let limit = Box::new(StepLimit(stop));
            let _: Outcome = train_with(&path, true, momentum(), vec![average(), limit]);
            assert_eq!(
                train_with(&path, true, momentum(), vec![average()]),
                Outcome::Finished
            );
            for file in [FILE, FILES[0], FILES[1]] {
                let read = |folder: &Path| std::fs::read(folder.join("checkpoints/last").join(file)).unwrap();
                assert!(
                    read(&whole) == read(&path),
                    "{averaging:?}, stopped after {stop}: {file}"
                );
            }
        }
    }
}

#[test]
fn a_run_may_change_its_engine() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    assert_eq!(train(&whole, true, momentum(), None), Outcome::Finished);
    for first in [true, false] {
        let path = folder.path().join(first.to_string());
        assert!(matches!(
            train(&path, first, momentum(), Some(4)),
            Outcome::Stopped(_)
        ));
        assert_eq!(train(&path, !first, momentum(), None), Outcome::Finished);
        for file in FILES {
            assert_close(&tensors(&whole, file), &tensors(&path, file));
        }
    }
}

#[test]
fn any_loss_can_be_planned_and_a_loss_that_is_not_finite_is_explained() {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let network = Network::new("line").add("line", Linear::new(1));
    let model = network.build(&[2], &params, &Rng::new(1)).unwrap();
    let xs = Rng::new(2).normal_vec(200, 0.0, 1.0);
    let ys: Vec<f32> = xs.chunks(2).map(|x| 2.0 * x[0] - 3.4 * x[1] + 4.2).collect();
    let xs = Tensor::from_vec(xs, (100, 2), &Device::Cpu).unwrap();
    let ys = Tensor::from_vec(ys, (100, 1), &Device::Cpu).unwrap();
    let data = |xs: &Tensor| TensorSource::new(xs.clone(), ys.clone(), 10, Some(3)).unwrap();
    let fit = |learning_rate: f64, xs: &Tensor| {
        let optimizer = Optimizer::new(Method::sgd(learning_rate), &params).unwrap();
        let loss = Elementwise::mean(Function::Squared);
        let options = TrainOptions::new(Task::Regression, 3);
        let mut trainer = Trainer::new(&model, &params, loss, optimizer, options).unwrap();
        // Smaller than the batches: the plan grows.
        trainer.use_plan(&model, 4).unwrap();
        trainer.fit(&data(xs), Some(&data(xs)))
    };
    assert_eq!(fit(0.1, &xs).unwrap(), Outcome::Finished);
    let bias = params.get("line.bias").unwrap().to_vec1::<f32>().unwrap();
    assert!((bias[0] - 4.2).abs() < 0.05, "{bias:?}");

    let holes = (&xs * f64::NAN).unwrap();
    let Err(Error::NonFinite(error)) = fit(0.1, &holes) else {
        panic!("such data must fail");
    };
    assert_eq!(error.culprit.as_deref(), Some("the gradient of `line.weight`"));
}

//! Training with auxiliary classifiers, and evaluating with a loss of its own.

use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;
use d2l_nn::{
    Head, Network, ParamStore, Rng, Supervised, SupervisedModel,
    layers::{Activation, Conv2d, Dropout, Flatten, Linear},
};
use d2l_train::{
    BatchSource, Checkpoint, CheckpointFolder, Error, Loss, Method, Optimizer, Outcome, Task, TensorSource,
    TrainOptions, Trainer,
    callbacks::{Checkpoints, StepLimit},
    evaluate,
    loss::{CrossEntropy, CrossEntropyOptions},
};
use std::path::Path;

fn build() -> (SupervisedModel, ParamStore) {
    let head = Network::new("aux")
        .add("flatten", Flatten)
        .add("dropout", Dropout { p: 0.4 })
        .add("output", Linear::new(3));
    let network = Network::new("small")
        .add("conv", Conv2d::new(4, 3))
        .add("relu", Activation::Relu)
        .add("flatten", Flatten)
        .add("dropout", Dropout { p: 0.2 })
        .add("output", Linear::new(3));
    let supervised = Supervised {
        network,
        heads: vec![Head {
            network: head,
            at: "relu".into(),
            weight: 0.3,
        }],
    };
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = supervised.build(&[1, 5, 5], &params, &Rng::new(1)).unwrap();
    (model, params)
}

fn data(examples: usize) -> TensorSource {
    let xs = Rng::new(examples as u64).normal_vec(examples * 25, 0.0, 1.0);
    let xs = Tensor::from_vec(xs, (examples, 1, 5, 5), &Device::Cpu).unwrap();
    let ys = Tensor::from_iter((0..examples as u32).map(|i| i % 3), &Device::Cpu).unwrap();
    TensorSource::new(xs, ys, 8, Some(2)).unwrap()
}

fn trainer<'a>(model: &'a SupervisedModel, params: &ParamStore, epochs: u64) -> Trainer<'a> {
    let optimizer = Optimizer::new(Method::sgd(0.1), params).unwrap();
    let options = TrainOptions::new(Task::Classification, epochs);
    let mut trainer =
        Trainer::new(model.model(), params, CrossEntropy::default(), optimizer, options).unwrap();
    trainer.use_auxiliaries(model).unwrap();
    trainer.random_state("model", model.model());
    trainer
}

#[test]
fn a_step_minimises_all_losses_and_an_evaluation_sees_the_main_output() {
    let (model, params) = build();
    let batch = data(8).epoch(0, 0).next().unwrap().unwrap();
    let loss = |output: &Tensor, target: &Tensor| Ok(CrossEntropy::default().loss(output, target)?);
    let total = model.loss(&batch.xs, &batch.ys, loss).unwrap();
    let store = total.backward().unwrap();
    let expected: Vec<Tensor> = params
        .trainable()
        .iter()
        .map(|(_, var)| (var.as_detached_tensor() - store.get(var).unwrap() * 0.1).unwrap())
        .collect();
    model.model().set_step(0);

    let mut trainer = trainer(&model, &params, 1);
    assert_eq!(trainer.fit(&data(8), Some(&data(30))).unwrap(), Outcome::Finished);
    for ((name, var), expected) in params.trainable().iter().zip(expected) {
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (got, want) in flat(var).into_iter().zip(flat(&expected)) {
            assert!((got - want).abs() < 1e-6, "{name}: {got} {want}");
        }
    }
    let record = &trainer.history()[0];
    assert!((record.train_loss - f64::from(total.to_scalar::<f32>().unwrap())).abs() < 1e-6);
    let main = evaluate(
        model.model(),
        &CrossEntropy::default(),
        Task::Classification,
        &data(30),
    )
    .unwrap();
    assert_eq!(record.test_loss, Some(main.loss));
}

#[test]
fn stopped_at_every_step_and_resumed_it_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let train = |path: &Path, steps: u64| {
        let (model, params) = build();
        let folder = CheckpointFolder::new(path);
        let mut trainer = trainer(&model, &params, 2);
        trainer
            .callback(Checkpoints::new(folder.clone()))
            .callback(StepLimit(steps));
        if let (Some(checkpoint), _) = folder.open_newest() {
            trainer.resume(&checkpoint).unwrap();
        }
        let _: Outcome = trainer.fit(&data(20), None).unwrap();
        std::fs::read(path.join("last/weights.safetensors")).unwrap()
    };
    let whole = train(&folder.path().join("whole"), u64::MAX);
    for stop in 1..6 {
        let path = folder.path().join(stop.to_string());
        assert!(train(&path, stop) != whole);
        assert!(train(&path, u64::MAX) == whole, "stopped after {stop}");
    }
    let checkpoint = Checkpoint::open(&folder.path().join("whole/last")).unwrap();
    assert!(checkpoint.weights().contains_key("aux.output.weight"));
}

#[test]
fn a_plan_and_auxiliary_classifiers_exclude_each_other() {
    let (model, params) = build();
    let refused = |result: Result<&mut Trainer<'_>, Error>| {
        let message = result.map(|_| ()).unwrap_err().to_string();
        assert!(
            message.contains("a plan has no auxiliary classifiers"),
            "{message}"
        );
    };
    let mut with_heads = trainer(&model, &params, 1);
    refused(with_heads.use_plan(model.model(), 8));
    let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
    let options = TrainOptions::new(Task::Classification, 1);
    let mut planned = Trainer::new(
        model.model(),
        &params,
        CrossEntropy::default(),
        optimizer,
        options,
    )
    .unwrap();
    planned.use_plan(model.model(), 8).unwrap();
    refused(planned.use_auxiliaries(&model));
}

#[test]
fn evaluations_may_have_a_loss_of_their_own() {
    let (model, params) = build();
    let smooth = CrossEntropy(CrossEntropyOptions {
        label_smoothing: 0.5,
        ..CrossEntropyOptions::default()
    });
    let module: &dyn ModuleT = model.model();
    for plan in [false, true] {
        let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
        let options = TrainOptions::new(Task::Classification, 1);
        let mut trainer = Trainer::new(module, &params, smooth.clone(), optimizer, options).unwrap();
        trainer.evaluation_loss(CrossEntropy::default());
        if plan {
            trainer.use_plan(model.model(), 8).unwrap();
        }
        assert_eq!(
            trainer.fit(&data(20), Some(&data(30))).unwrap(),
            Outcome::Finished
        );
        let loss = |loss: &dyn Loss| {
            evaluate(module, loss, Task::Classification, &data(30))
                .unwrap()
                .loss
        };
        let reported = trainer.history()[0].test_loss.unwrap();
        assert!((reported - loss(&CrossEntropy::default())).abs() < 1e-6);
        assert!((reported - loss(&smooth)).abs() > 1e-4);
    }
}

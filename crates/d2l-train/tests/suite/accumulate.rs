//! Steps of several batches: as one large batch, and stopped and resumed to the bit.

use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Model, Network, ParamStore, Rng,
    layers::{Activation, BatchNorm, Conv2d, Dropout, Flatten, Linear},
};
use d2l_train::{
    Batch, BatchSource, Batches, Callback, Clip, Error, Flow, Loss, Method, Optimizer, Outcome, Result, Run,
    RunDir, StepGradients, Task, TensorSource, TrainOptions, Trainer,
    callbacks::{Checkpoints, MetricsLog, StepLimit},
    loss::{CrossEntropy, CrossEntropyOptions, Elementwise, Function, Reduction},
    metrics::{Record, read_records},
};
use std::path::Path;

/// In batches of 8 the last has 4; four at a time the last step has 8 + 4.
const EXAMPLES: usize = 76;

fn data(batch: usize, classes: bool) -> TensorSource {
    let xs = Rng::new(1).normal_vec(EXAMPLES * 2 * 4 * 4, 0.0, 1.0);
    let xs = Tensor::from_vec(xs, (EXAMPLES, 2, 4, 4), &Device::Cpu).unwrap();
    let ys = match classes {
        true => Tensor::from_iter((0..EXAMPLES as u32).map(|i| i % 3), &Device::Cpu).unwrap(),
        false => Tensor::from_vec(
            Rng::new(2).normal_vec(EXAMPLES * 3, 0.0, 1.0),
            (EXAMPLES, 3),
            &Device::Cpu,
        )
        .unwrap(),
    };
    TensorSource::new(xs, ys, batch, Some(4)).unwrap()
}

fn build(with_state: bool) -> (Model, ParamStore) {
    let mut network = Network::new("small").add("conv", Conv2d::new(4, 3));
    if with_state {
        network = network.add("norm", BatchNorm::default());
    }
    network = network.add("relu", Activation::Relu).add("flatten", Flatten);
    if with_state {
        network = network.add("dropout", Dropout { p: 0.3 });
    }
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let network = network.add("output", Linear::new(3));
    let model = network.build(&[2, 4, 4], &params, &Rng::new(3)).unwrap();
    (model, params)
}

fn options(task: Task, accumulate: usize) -> TrainOptions {
    TrainOptions {
        schedule: "cosine:per=step,warmup=1".parse().unwrap(),
        clip: Clip {
            norm: Some(1.0),
            value: None,
        },
        accumulate,
        ..TrainOptions::new(task, 3)
    }
}

/// The weights after three epochs, and the losses of the steps.
fn learned(loss: impl Loss, plan: bool, batch: usize, accumulate: usize) -> (Vec<f32>, Vec<f64>) {
    let classes = loss.as_cross_entropy().is_some();
    let (model, params) = build(false);
    let optimizer = Optimizer::new(Method::sgd(0.1).with_momentum(0.9, false).unwrap(), &params).unwrap();
    let task = match classes {
        true => Task::Classification,
        false => Task::Regression,
    };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("metrics.jsonl");
    let mut trainer = Trainer::new(&model, &params, loss, optimizer, options(task, accumulate)).unwrap();
    if plan {
        trainer.use_plan(&model, batch).unwrap();
    }
    trainer.callback(MetricsLog::new(&log, 1));
    assert_eq!(
        trainer.fit(&data(batch, classes), None).unwrap(),
        Outcome::Finished
    );
    assert_eq!(trainer.run().step(), 3 * 3);
    let losses = read_records(&log)
        .unwrap()
        .into_iter()
        .map(|record| match record {
            Record::Step(step) => step.loss,
            Record::Epoch(epoch) => epoch.train_loss,
        });
    let weights = params.parameters().into_iter();
    let values = weights.flat_map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    (values.collect(), losses.collect())
}

fn assert_same_as_one_batch(loss: impl Loss + Clone) {
    for plan in [false, true] {
        let (whole, whole_losses) = learned(loss.clone(), plan, 32, 1);
        let (parts, losses) = learned(loss.clone(), plan, 8, 4);
        for (whole, part) in whole.iter().zip(&parts) {
            assert!((whole - part).abs() < 1e-6, "plan {plan}: {whole} {part}");
        }
        assert_eq!(losses.len(), 3 * (3 + 1));
        for (whole, part) in whole_losses.iter().zip(&losses) {
            assert!(
                (whole - part).abs() < 1e-5 * whole.abs(),
                "plan {plan}: {whole} {part}"
            );
        }
    }
}

#[test]
fn four_batches_of_eight_are_one_of_32() {
    assert_same_as_one_batch(CrossEntropy::default());
    assert_same_as_one_batch(CrossEntropy(CrossEntropyOptions {
        reduction: Reduction::Sum,
        ..CrossEntropyOptions::default()
    }));
    assert_same_as_one_batch(Elementwise::mean(Function::Squared));
    assert_same_as_one_batch(Elementwise::sum(Function::Squared));
}

/// The mean with class weights divides by the weights of the labels, which differ from batch to batch.
#[test]
fn class_weights_count_as_in_one_batch() {
    let weights = Tensor::new(&[0.2f32, 1.0, 5.0], &Device::Cpu).unwrap();
    let loss = CrossEntropy(CrossEntropyOptions {
        class_weights: Some(weights),
        ignore_index: Some(1),
        label_smoothing: 0.1,
        ..CrossEntropyOptions::default()
    });
    for plan in [false, true] {
        let (whole, _) = learned(loss.clone(), plan, 32, 1);
        let (parts, _) = learned(loss.clone(), plan, 8, 4);
        for (whole, part) in whole.iter().zip(&parts) {
            assert!((whole - part).abs() < 1e-6, "plan {plan}: {whole} {part}");
        }
    }
}

proptest::proptest! {
    /// Whatever the sizes, short last batches and short last steps included.
    #[test]
    fn any_batches_are_one_large_batch(
        examples in 1_usize..40,
        batch in 1_usize..9,
        accumulate in 1_usize..6,
        plan: bool,
        sum: bool,
    ) {
        let xs = Rng::new(1).normal_vec(examples * 3, 0.0, 1.0);
        let ys = Rng::new(2).normal_vec(examples, 0.0, 1.0);
        let xs = Tensor::from_vec(xs, (examples, 3), &Device::Cpu).unwrap();
        let ys = Tensor::from_vec(ys, (examples, 1), &Device::Cpu).unwrap();
        let learned = |batch: usize, accumulate: usize| {
            let params = ParamStore::new(DType::F32, &Device::Cpu);
            let network = Network::new("line").add("line", Linear::new(1));
            let model = network.build(&[3], &params, &Rng::new(3)).unwrap();
            let optimizer = Optimizer::new(Method::sgd(0.01), &params).unwrap();
            let loss = match sum {
                true => Elementwise::sum(Function::Squared),
                false => Elementwise::mean(Function::Squared),
            };
            let options = TrainOptions { accumulate, ..TrainOptions::new(Task::Regression, 2) };
            let mut trainer = Trainer::new(&model, &params, loss, optimizer, options).unwrap();
            if plan {
                trainer.use_plan(&model, batch).unwrap();
            }
            let source = TensorSource::new(xs.clone(), ys.clone(), batch, Some(5)).unwrap();
            let _: Outcome = trainer.fit(&source, None).unwrap();
            let steps = trainer.run().step();
            let weight = params.get("line.weight").unwrap().flatten_all().unwrap();
            (steps, weight.to_vec1::<f32>().unwrap())
        };
        let (steps, parts) = learned(batch, accumulate);
        let (whole_steps, whole) = learned(batch * accumulate, 1);
        proptest::prop_assert_eq!(steps, whole_steps);
        for (part, whole) in parts.iter().zip(&whole) {
            proptest::prop_assert!((part - whole).abs() < 1e-5 * whole.abs().max(1.0), "{} {}", part, whole);
        }
    }
}

/// Batch norm, dropout, Adam: whatever has a state.
fn train(folder: &Path, plan: bool, accumulate: usize, stop: Option<u64>) -> Result<Outcome> {
    let run = if folder.join("config.toml").exists() {
        RunDir::open(folder)?
    } else {
        let run = RunDir::create(folder, true)?;
        run.write_config(&std::collections::BTreeMap::from([("model", "small")]))?;
        run
    };
    let (model, params) = build(true);
    let optimizer = Optimizer::new(Method::adam(0.01), &params)?;
    let options = options(Task::Classification, accumulate);
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options)?;
    if plan {
        trainer.use_plan(&model, 8)?;
    }
    trainer
        .random_state("model", &model)
        .callback(Checkpoints::new(run.checkpoints()));
    if let Some(steps) = stop {
        trainer.callback(StepLimit(steps));
    }
    if let (Some(checkpoint), _) = run.newest_checkpoint() {
        trainer.resume(&checkpoint)?;
    }
    trainer.fit(&data(8, true), Some(&data(32, true)))
}

#[test]
fn stopped_after_every_step_and_resumed_it_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for plan in [false, true] {
        let whole = folder.path().join(format!("whole-{plan}"));
        assert_eq!(train(&whole, plan, 4, None).unwrap(), Outcome::Finished);
        for stop in 1..9 {
            let path = folder.path().join(format!("{plan}-{stop}"));
            assert!(matches!(
                train(&path, plan, 4, Some(stop)).unwrap(),
                Outcome::Stopped(_)
            ));
            assert_eq!(train(&path, plan, 4, None).unwrap(), Outcome::Finished);
            for file in ["weights.safetensors", "optimizer.safetensors"] {
                let read = |folder: &Path| std::fs::read(folder.join("checkpoints/last").join(file)).unwrap();
                assert!(
                    read(&whole) == read(&path),
                    "plan {plan}, stopped after {stop}: {file}"
                );
            }
        }
    }
}

#[test]
fn a_run_keeps_the_number_of_batches_in_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let _: Outcome = train(folder.path(), false, 4, Some(1)).unwrap();
    let error = train(folder.path(), false, 2, None).unwrap_err().to_string();
    assert!(
        error.contains("4 batches a step") && error.contains("2 batches a step"),
        "{error}"
    );
    let (model, params) = build(false);
    let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
    let none = options(Task::Classification, 0);
    let refused = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, none);
    assert!(matches!(refused, Err(Error::Invalid(message)) if message.contains("at least 1 batch")));
}

/// Notes what it is shown.
#[derive(Default)]
struct Notes {
    before: Vec<usize>,
    gradients: Vec<(u64, bool)>,
    after: Vec<(u64, usize)>,
}

impl Callback for &mut Notes {
    fn before_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.before.push(run.position().batch);
        Ok(Flow::Continue)
    }

    fn after_backward(&mut self, gradients: &StepGradients<'_>) -> Result<()> {
        self.gradients.push((gradients.step(), gradients.ends_epoch()));
        Ok(())
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.after.push((run.step(), run.position().batch));
        Ok(Flow::Continue)
    }
}

#[test]
fn callbacks_see_steps() {
    let (model, params) = build(false);
    let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
    let mut options = options(Task::Classification, 4);
    options.epochs = 2;
    let mut notes = Notes::default();
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options).unwrap();
    trainer.callback(&mut notes);
    assert_eq!(trainer.fit(&data(8, true), None).unwrap(), Outcome::Finished);
    assert_eq!(trainer.run().steps_per_epoch(), 3);
    drop(trainer);
    assert_eq!(notes.before, [0, 4, 8, 0, 4, 8]);
    let ends = [
        (1, false),
        (2, false),
        (3, true),
        (4, false),
        (5, false),
        (6, true),
    ];
    assert_eq!(notes.gradients, ends);
    assert_eq!(notes.after, [(1, 4), (2, 8), (3, 10), (4, 4), (5, 8), (6, 10)]);
}

/// Batches of 8, of which the sixth holds a NaN, or fails.
struct Bad {
    good: TensorSource,
    fails: bool,
}

impl BatchSource for Bad {
    fn batches(&self) -> usize {
        self.good.batches()
    }

    fn examples(&self) -> usize {
        self.good.examples()
    }

    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_> {
        let batches = self.good.epoch(epoch, first_batch).enumerate();
        Box::new(batches.map(|(index, batch)| match (index, self.fails) {
            (5, true) => Err("the disk is gone".into()),
            (5, false) => batch.map(|batch| Batch {
                xs: (&batch.xs * f64::NAN).unwrap(),
                ..batch
            }),
            _ => batch,
        }))
    }
}

#[test]
fn what_goes_wrong_within_a_step_is_told_of_its_batch() {
    for (plan, fails) in [(false, false), (true, false), (false, true), (true, true)] {
        let (model, params) = build(false);
        let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
        let options = options(Task::Classification, 4);
        let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options).unwrap();
        if plan {
            trainer.use_plan(&model, 8).unwrap();
        }
        let source = Bad {
            good: data(8, true),
            fails,
        };
        match trainer.fit(&source, None).unwrap_err() {
            Error::NonFinite(error) => {
                assert_eq!((fails, error.step, error.batch), (false, 2, 5));
                assert_eq!(error.culprit.as_deref(), Some("the gradient of `conv.weight`"));
            }
            Error::Data { epoch, batch, .. } => assert_eq!((fails, epoch, batch), (true, 1, 5)),
            other => panic!("{other}"),
        }
        // The position stays that of the last whole step.
        assert_eq!((trainer.run().position().batch, trainer.run().step()), (4, 1));
    }
}

//! Small fits: what is learned, measured, reported and refused.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Linear, ModuleT};
use d2l_nn::{ParamKind, ParamStore};
use d2l_train::{
    Batch, BatchSource, Batches, Callback, Error, Flow, Method, Optimizer, Outcome, Progress, Result, Run,
    StopReason, Task, TensorSource, TrainOptions, Trainer, Warning,
    callbacks::{EarlyStopping, JsonLines, OnProgress, StepLimit},
    evaluate,
    loss::{CrossEntropy, Elementwise, Function},
    metrics::{Confusion, Metric},
    predict,
};
use std::{cell::RefCell, time::Duration};

/// y = 2 x₀ − 3.4 x₁ + 4.2 and a linear layer, whose parameters are all 0.
fn line() -> (Linear, ParamStore, TensorSource) {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    for (name, shape) in [("weight", &[1, 2][..]), ("bias", &[1][..])] {
        let var = Var::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        params.insert(name, var, ParamKind::Parameter);
    }
    let get = |name| params.get(name).unwrap().as_tensor().clone();
    let model = Linear::new(get("weight"), Some(get("bias")));
    let xs = d2l_nn::Rng::new(5)
        .normal(&[103, 2], 0.0, 1.0, DType::F32, &Device::Cpu)
        .unwrap();
    let ys = (xs
        .matmul(&Tensor::new(&[[2f32], [-3.4]], &Device::Cpu).unwrap())
        .unwrap()
        + 4.2)
        .unwrap();
    (model, params, TensorSource::new(xs, ys, 10, Some(2)).unwrap())
}

fn trainer<'a>(model: &'a Linear, params: &ParamStore, rate: f64, epochs: u64) -> Trainer<'a> {
    let optimizer = Optimizer::new(Method::sgd(rate), params).unwrap();
    let loss = Elementwise::mean(Function::Squared);
    Trainer::new(
        model,
        params,
        loss,
        optimizer,
        TrainOptions::new(Task::Regression, epochs),
    )
    .unwrap()
}

#[test]
fn linear_regression_finds_the_line() {
    let (model, params, train) = line();
    let mut trainer = trainer(&model, &params, 0.05, 10);
    assert_eq!(trainer.fit(&train, Some(&train)).unwrap(), Outcome::Finished);
    let values = |name: &str| {
        params
            .get(name)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    for (got, want) in values("weight")
        .iter()
        .chain(&values("bias"))
        .zip([2.0, -3.4, 4.2])
    {
        assert!((got - want).abs() < 1e-3, "{got} for {want}");
    }
    let last = trainer.history().last().unwrap();
    assert!(last.test_loss.unwrap() < 1e-6 && last.train_accuracy.is_none() && last.test_accuracy.is_none());
    assert_eq!((trainer.history().len(), last.epoch, last.step), (10, 10, 110));
    assert_eq!(trainer.run().warnings(), []);
}

#[test]
fn a_sum_with_the_rate_by_the_batch_is_a_mean() {
    let fit = |loss: Elementwise, rate: f64| {
        let (model, params, train) = line();
        let train = TensorSource::clone(&train);
        let optimizer = Optimizer::new(Method::sgd(rate), &params).unwrap();
        let options = TrainOptions::new(Task::Regression, 1);
        let mut trainer = Trainer::new(&model, &params, loss, optimizer, options).unwrap();
        trainer.callback(StepLimit(10));
        let _ = trainer.fit(&train, None).unwrap();
        let metrics = evaluate(&model, &loss, Task::Regression, &train).unwrap();
        (
            params.get("weight").unwrap().to_vec2::<f32>().unwrap()[0].clone(),
            metrics.loss,
        )
    };
    let (mean, mean_loss) = fit(Elementwise::mean(Function::HalfSquared), 0.1);
    let (sum, sum_loss) = fit(Elementwise::sum(Function::HalfSquared), 0.01);
    for (a, b) in mean.iter().zip(&sum) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    assert!((mean_loss - sum_loss).abs() < 1e-5, "{mean_loss} {sum_loss}");
}

#[test]
fn clouds_are_told_apart_and_measured() {
    let (model, params) = crate::common::build();
    let optimizer = Optimizer::new(Method::adam(0.05), &params).unwrap();
    let options = TrainOptions {
        epochs: 20,
        ..crate::common::options(crate::common::EPOCHS)
    };
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options).unwrap();
    let test = crate::common::clouds(60, 8, None);
    assert_eq!(
        trainer
            .fit(&crate::common::clouds(50, 1, Some(9)), Some(&test))
            .unwrap(),
        Outcome::Finished
    );
    let record = trainer.history().last().unwrap();
    assert!(record.test_accuracy.unwrap() > 0.75, "{record:?}");
    assert!(record.train_loss < trainer.history()[0].train_loss);

    let evaluation = evaluate(&model, &CrossEntropy::default(), Task::Classification, &test).unwrap();
    assert_eq!(Some(evaluation.loss), record.test_loss);
    let confusion = evaluation.confusion.clone().unwrap();
    assert_eq!(Some(&confusion), trainer.run().confusion());
    assert_eq!(
        (confusion.classes(), confusion.examples(), evaluation.examples),
        (3, 60, 60)
    );
    assert_eq!(evaluation.accuracy(), record.test_accuracy);
    assert_eq!(confusion.top_k(1), confusion.accuracy());
    assert!(confusion.top_k(2) >= confusion.top_k(1) && confusion.top_k(3) == 1.0);
    let recalls: f64 = confusion.per_class_accuracy().iter().map(|a| a.unwrap()).sum();
    assert!(
        (recalls / 3.0 - confusion.accuracy()).abs() < 1e-12,
        "classes of equal size"
    );

    let batch = test.epoch(0, 0).next().unwrap().unwrap();
    let predictions = predict(&model, &batch.xs).unwrap();
    assert_eq!(predictions.len(), batch.len);
    for prediction in predictions {
        assert!((prediction.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!(prediction.top(1)[0].0, prediction.class);
    }
}

#[test]
fn a_confusion_table_by_hand() {
    let mut table = Confusion::new(3);
    for (truth, predicted, rank) in [(0, 0, 0), (0, 1, 2), (1, 1, 0), (1, 1, 3)] {
        table.add(truth, predicted, rank).unwrap();
    }
    assert_eq!(
        (
            table.count(0, 1),
            table.count(1, 1),
            table.count(0, 7),
            table.count(9, 0)
        ),
        (1, 2, 0, 0)
    );
    assert_eq!(
        (table.accuracy(), table.top_k(1), table.top_k(3)),
        (0.75, 0.5, 0.75)
    );
    assert_eq!(table.per_class_accuracy(), [Some(0.5), Some(1.0), None]);
    assert!(table.add(3, 0, 0).unwrap_err().to_string().contains("class 3"));
}

/// Takes note of every event.
struct Trace<'a>(&'a RefCell<Vec<String>>, i32);

impl Trace<'_> {
    fn note(&self, what: &str) -> Result<Flow> {
        self.0.borrow_mut().push(format!("{what}{}", self.1));
        Ok(Flow::Continue)
    }
}

impl Callback for Trace<'_> {
    fn order(&self) -> i32 {
        self.1
    }
    fn before_fit(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note("fit{")
    }
    fn before_epoch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note("epoch{")
    }
    fn before_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note("batch{")
    }
    fn after_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note("}batch")
    }
    fn before_evaluation(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note("eval{")
    }
    fn after_evaluation_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note(".")
    }
    fn after_evaluation(&mut self, _: &mut Run<'_>, _: &d2l_train::Evaluation) -> Result<Flow> {
        self.note("}eval")
    }
    fn after_epoch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.note("}epoch")
    }
    fn after_fit(&mut self, _: &mut Run<'_>, _: &Outcome) -> Result<()> {
        self.note("}fit").map(|_| ())
    }
}

#[test]
fn hooks_come_in_order_and_callbacks_by_their_order() {
    let (model, params, train) = line();
    let small = TensorSource::new(
        Tensor::ones((2, 2), DType::F32, &Device::Cpu).unwrap(),
        Tensor::ones((2, 1), DType::F32, &Device::Cpu).unwrap(),
        1,
        None,
    )
    .unwrap();
    let events = RefCell::new(Vec::new());
    let mut trainer = trainer(&model, &params, 0.01, 1);
    trainer.callback(Trace(&events, 2)).callback(Trace(&events, 1));
    assert_eq!(trainer.fit(&small, Some(&small)).unwrap(), Outcome::Finished);
    let names = "fit{ epoch{ batch{ }batch batch{ }batch eval{ . . }eval }epoch }fit";
    let expected: Vec<String> = names
        .split(' ')
        .flat_map(|n| [format!("{n}1"), format!("{n}2")])
        .collect();
    drop(trainer);
    assert_eq!(events.into_inner(), expected);
    assert_eq!(train.batches(), 11);
}

#[test]
fn a_loss_that_is_not_finite_names_the_place_and_the_culprit() {
    let (model, params, train) = line();
    // Far too fast: the loss overflows after some steps, by way of the parameters.
    let error = trainer(&model, &params, 1e12, 3).fit(&train, None).unwrap_err();
    let Error::NonFinite(error) = error else {
        panic!("{error}")
    };
    assert_eq!((error.epoch, error.what), (1, "the training loss"));
    assert_eq!(error.step, error.batch as u64 + 1);
    // A NaN among the inputs: parameters were good, the gradient is the first to show it.
    let (model, params, _) = line();
    let xs = Tensor::new(&[[1f32, 1.0], [f32::NAN, 1.0]], &Device::Cpu).unwrap();
    let bad = TensorSource::new(
        xs,
        Tensor::ones((2, 1), DType::F32, &Device::Cpu).unwrap(),
        1,
        None,
    )
    .unwrap();
    let error = trainer(&model, &params, 0.1, 1)
        .fit(&bad, None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("NaN in epoch 1, batch 1 (step 2)") && error.contains("gradient of `weight`"),
        "{error}"
    );
    assert!(
        params.get("weight").unwrap().to_vec2::<f32>().unwrap()[0]
            .iter()
            .all(|w| w.is_finite())
    );
    // A parameter that is NaN from the start.
    params
        .set("bias", &Tensor::new(&[f32::NAN], &Device::Cpu).unwrap())
        .unwrap();
    let error = trainer(&model, &params, 0.1, 1)
        .fit(&train, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("parameter `bias`"), "{error}");
}

#[test]
fn reading_losses_seldom_changes_no_metric_and_still_finds_the_batch() {
    let fit = |read_every, rate| {
        let (model, params, train) = line();
        let optimizer = Optimizer::new(Method::sgd(rate), &params).unwrap();
        let options = TrainOptions {
            read_every: Some(read_every),
            ..TrainOptions::new(Task::Regression, 2)
        };
        let loss = Elementwise::mean(Function::Squared);
        let mut trainer = Trainer::new(&model, &params, loss, optimizer, options).unwrap();
        let outcome = trainer.fit(&train, None);
        (
            outcome,
            trainer
                .history()
                .iter()
                .map(|r| r.train_loss.to_bits())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(fit(1, 0.01).1, fit(7, 0.01).1);
    let step = |read_every| match fit(read_every, 1e12).0 {
        Err(Error::NonFinite(error)) => error.step,
        other => panic!("{other:?}"),
    };
    assert_eq!(step(1), step(4));
}

#[test]
fn an_unused_parameter_is_warned_of_and_stops_are_values() {
    let (model, params, train) = line();
    params.insert(
        "lonely",
        Var::zeros(3, DType::F32, &Device::Cpu).unwrap(),
        ParamKind::Parameter,
    );
    let mut lines = Vec::new();
    let mut trainer = trainer(&model, &params, 0.01, 5);
    trainer
        .callback(StepLimit(13))
        .callback(JsonLines::new(&mut lines, 5));
    assert_eq!(
        trainer.fit(&train, None).unwrap(),
        Outcome::Stopped(StopReason::StepLimit(13))
    );
    assert_eq!(trainer.run().position().batch, 2);
    assert_eq!(
        trainer.run().warnings(),
        [Warning::NoGradient {
            parameter: "lonely".into()
        }]
    );
    drop(trainer);
    let text = String::from_utf8(lines).unwrap();
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, ["warning", "step", "step", "epoch", "end"]);
}

#[test]
fn early_stopping_waits_as_long_as_asked() {
    let (model, params, train) = line();
    // A rate of 0: nothing gets better after the first epoch.
    let mut trainer = trainer(&model, &params, 0.0, 9);
    trainer.callback(EarlyStopping {
        metric: Metric::TestLoss,
        patience: 3,
        min_change: 0.0,
    });
    let outcome = trainer.fit(&train, Some(&train)).unwrap();
    let reason = StopReason::EarlyStopping {
        metric: Metric::TestLoss,
        best_epoch: 1,
        patience: 3,
    };
    assert_eq!(outcome, Outcome::Stopped(reason));
    assert_eq!(trainer.history().len(), 4);
}

#[test]
fn progress_tells_how_far_it_is() {
    let (model, params, train) = line();
    let seen: RefCell<Vec<Progress>> = RefCell::default();
    let mut trainer = trainer(&model, &params, 0.01, 2);
    trainer.callback(OnProgress::new(Duration::ZERO, |progress: &Progress| {
        seen.borrow_mut().push(*progress)
    }));
    assert_eq!(trainer.fit(&train, None).unwrap(), Outcome::Finished);
    drop(trainer);
    let seen = seen.into_inner();
    let first = seen[1];
    assert_eq!(
        (
            first.epoch,
            first.epochs,
            first.batch,
            first.batches,
            first.examples
        ),
        (1, 2, 1, 11, 10)
    );
    assert!(first.loss > 0.0 && first.examples_per_second > 0.0 && first.accuracy.is_none());
    assert!(first.eta_seconds.unwrap() > first.epoch_eta_seconds.unwrap());
    let end = seen.iter().rfind(|p| p.epoch == 2).unwrap();
    assert_eq!((end.batch, end.examples, end.eta_seconds), (11, 103, Some(0.0)));
}

/// Says that it has more batches than it has, or fails in the second.
struct Liar(TensorSource, bool);

impl BatchSource for Liar {
    fn batches(&self) -> usize {
        self.0.batches() + 1
    }
    fn examples(&self) -> usize {
        self.0.examples()
    }
    fn epoch(&self, epoch: u64, first_batch: usize) -> Batches<'_> {
        let fails = self.1;
        Box::new(
            self.0
                .epoch(epoch, first_batch)
                .enumerate()
                .map(move |(i, batch): (usize, _)| {
                    if fails && i == 1 {
                        Err("the picture is torn".into())
                    } else {
                        batch
                    }
                }),
        )
    }
}

#[test]
fn a_source_that_fails_or_lies_is_an_error_that_says_where() {
    let fit = |fails| {
        let (model, params, train) = line();
        let error = trainer(&model, &params, 0.01, 1)
            .fit(&Liar(train, fails), None)
            .unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    assert_eq!(
        fit(true),
        "the data source failed in epoch 1 at batch 1: the picture is torn"
    );
    assert_eq!(
        fit(false),
        "the data source failed in epoch 1 at batch 11: it gave 11 batches of 12"
    );
}

/// A module that is no network: the loss need not be of this crate either.
struct Scale(Var);

impl ModuleT for Scale {
    fn forward_t(&self, xs: &Tensor, _: bool) -> candle_core::Result<Tensor> {
        xs.broadcast_mul(self.0.as_tensor())
    }
}

#[test]
fn any_module_and_any_closure_will_do() {
    let params = ParamStore::new(DType::F64, &Device::Cpu);
    let var = Var::new(&[0f64], &Device::Cpu).unwrap();
    params.insert("scale", var.clone(), ParamKind::Parameter);
    let xs = Tensor::new(&[[1f64], [2.0]], &Device::Cpu).unwrap();
    let source = TensorSource::new(xs.clone(), (xs * 3.0).unwrap(), 2, None).unwrap();
    let model = Scale(var.clone());
    let optimizer = Optimizer::new("adadelta".parse().unwrap(), &params).unwrap();
    let loss = |output: &Tensor, target: &Tensor| (output - target)?.sqr()?.mean_all();
    let options = TrainOptions::new(Task::Regression, 400);
    let mut trainer = Trainer::new(&model, &params, loss, optimizer, options).unwrap();
    assert_eq!(trainer.fit(&source, None).unwrap(), Outcome::Finished);
    assert!(trainer.history()[399].train_loss < trainer.history()[0].train_loss / 2.0);
    let batch: Batch = source.epoch(0, 0).next().unwrap().unwrap();
    assert_eq!(batch.len, 2);
}

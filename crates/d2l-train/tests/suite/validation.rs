//! A part held out is measured like a test set, changes no step, and decides what is best.

use crate::common::{build, clouds, options};
use d2l_train::{
    EpochRecord, Method, Optimizer, Outcome, Task, Trainer, callbacks::Validation, evaluate,
    loss::CrossEntropy,
};

/// Trains two epochs; with `validation`, measured on 30 further examples as well. Gives the records and what the
/// trained model reaches on those.
fn train(plan: bool, validation: bool) -> (Vec<EpochRecord>, f64, Option<f64>) {
    let (model, params) = build();
    let optimizer = Optimizer::new(Method::adam(0.05), &params).unwrap();
    let held_out = clouds(30, 5, None);
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options(2)).unwrap();
    if plan {
        trainer.use_plan(&model, 16).unwrap();
    }
    trainer.random_state("model", &model);
    if validation {
        trainer.callback(Validation {
            model: &model,
            loss: Box::new(CrossEntropy::default()),
            source: &held_out,
        });
    }
    let _: Outcome = trainer
        .fit(&clouds(50, 1, Some(9)), Some(&clouds(20, 2, None)))
        .unwrap();
    let mut records = trainer.history().to_vec();
    for record in &mut records {
        (record.seconds, record.examples_per_second) = (0.0, 0.0);
    }
    let loss = CrossEntropy::default();
    let reached = evaluate(&model, &loss, Task::Classification, &held_out).unwrap();
    (records, reached.loss, reached.accuracy())
}

#[test]
fn what_is_held_out_is_measured_and_nothing_else_changes() {
    for plan in [false, true] {
        let (plain, ..) = train(plan, false);
        let (mut records, loss, accuracy) = train(plan, true);
        let last = records.last().unwrap();
        assert!((last.validation_loss.unwrap() - loss).abs() < 1e-5, "plan {plan}");
        assert_eq!(last.validation_accuracy, accuracy, "plan {plan}");
        assert_ne!(last.validation_loss, last.test_loss);
        for record in &mut records {
            (record.validation_loss, record.validation_accuracy) = (None, None);
        }
        assert_eq!(records, plain, "plan {plan}");
    }
}

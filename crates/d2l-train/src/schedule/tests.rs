//! Schedules against PyTorch, and as text.

use super::*;
use std::collections::BTreeMap;

fn record(epoch: u64, test_loss: f64) -> EpochRecord {
    EpochRecord {
        epoch,
        step: epoch * 7,
        train_loss: 0.5,
        train_accuracy: None,
        test_loss: Some(test_loss),
        test_accuracy: Some(1.0 - test_loss),
        validation_loss: None,
        validation_accuracy: None,
        examples_per_second: 1.0,
        seconds: 1.0,
    }
}

/// What `tests/golden/generate.py` writes.
#[derive(serde::Deserialize)]
struct Golden {
    test_losses: Vec<f64>,
    rates: BTreeMap<String, Vec<f64>>,
}

#[test]
fn rates_are_those_of_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/schedules.json")).unwrap();
    // All of it in every epoch, as the end of the run would see it: what came later must not count.
    let epochs = golden.test_losses.iter().zip(1..);
    let history: Vec<EpochRecord> = epochs.map(|(&loss, epoch)| record(epoch, loss)).collect();
    let names: Vec<&str> = golden
        .rates
        .keys()
        .filter_map(|text| text.split(':').next())
        .collect();
    for name in Schedule::NAMES {
        assert!(names.contains(name), "no golden values of {name}");
    }
    for (text, expected) in golden.rates {
        let schedule: Schedule = text.parse().unwrap();
        for (want, epoch) in expected.into_iter().zip(0..) {
            let at = At {
                step: epoch * 7,
                epoch,
                steps_per_epoch: 7,
                epochs: 12,
            };
            let got = 0.5 * schedule.factor(at, &history);
            assert!(
                (got - want).abs() < 1e-12,
                "{text} epoch {epoch}: {got} for {want}"
            );
        }
    }
}

#[test]
fn per_step_counts_steps_and_the_span_is_the_run() {
    let schedule: Schedule = "polynomial:per=step".parse().unwrap();
    let factor = |step| {
        let at = At {
            step,
            epoch: step / 10,
            steps_per_epoch: 10,
            epochs: 2,
        };
        schedule.factor(at, &[])
    };
    assert_eq!([0, 5, 10, 20, 25].map(factor), [1.0, 0.75, 0.5, 0.0, 0.0]);
}

#[test]
fn text_goes_both_ways_and_mistakes_are_named() {
    for text in [
        "constant",
        "step:every=3,gamma=0.5",
        "multi-step:milestones=2+7,gamma=0.1,per=step",
        "exponential:gamma=0.8",
        "cosine:span=9,floor=0.1,warmup=2,warmup-start=0.5",
        "polynomial:power=2",
        "one-cycle:pct-start=0.3,div-factor=25,final-div-factor=10000",
        "one-cycle:pct-start=0.1,div-factor=10,final-div-factor=100,anneal=linear,per=epoch",
        "plateau:metric=train_loss,gamma=0.5,patience=3,threshold=0.01,cooldown=1,floor=0.001",
        "plateau:gamma=0.1,patience=10,threshold=0.0001,cooldown=0,floor=0",
    ] {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), text);
        let toml = toml::to_string(&schedule).unwrap();
        assert_eq!(toml::from_str::<Schedule>(&toml).unwrap(), schedule);
    }
    for (text, part) in [
        ("cosin", "did you mean `cosine`"),
        ("step:gamma", "not of the form"),
        ("step:power=2", "no value `power`"),
        ("step:every=0", "every=0 is not in"),
        ("step:every=x", "not a number"),
        ("multi-step", "milestones"),
        ("constant:per=year", "neither"),
        ("one-cycle:anneal=sine", "neither"),
        ("one-cycle:div-factor=0", "div-factor=0 is not in"),
        ("plateau:per=step", "one of epochs"),
        ("plateau:metric=loss", "unknown metric `loss`"),
    ] {
        let error = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn one_cycle_stays_at_its_last_rate_and_survives_a_run_of_one_step() {
    let schedule: Schedule = "one-cycle".parse().unwrap();
    let factor = |step, epochs| {
        let at = At {
            step,
            epoch: step / 2,
            steps_per_epoch: 2,
            epochs,
        };
        schedule.factor(at, &[])
    };
    let last = 1.0 / 25.0 / 1e4;
    assert!((factor(9, 5) - last).abs() < 1e-15 && (factor(20, 5) - last).abs() < 1e-15);
    let single = At {
        step: 0,
        epoch: 0,
        steps_per_epoch: 1,
        epochs: 1,
    };
    assert!((0.0..=1.0).contains(&schedule.factor(single, &[])));
}

#[test]
fn a_plateau_without_its_metric_changes_nothing() {
    let schedule: Schedule = "plateau:metric=train_accuracy,patience=0".parse().unwrap();
    let at = At {
        step: 21,
        epoch: 3,
        steps_per_epoch: 7,
        epochs: 12,
    };
    let history = [record(1, 0.5), record(2, 0.5), record(3, 0.5)];
    assert_eq!(schedule.factor(at, &history), 1.0);
    let natural: Schedule = "plateau:patience=0".parse().unwrap();
    assert!((natural.factor(at, &history) - 0.01).abs() < 1e-15);
}

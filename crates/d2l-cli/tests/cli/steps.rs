//! What a step is made of: accumulated batches, losses, groups of parameters, auxiliary classifiers, averages; and the
//! checks that leave nothing behind.

use crate::{Place, json_lines, names};
use std::collections::HashMap;

fn tensors(place: &Place, run: &str) -> HashMap<String, Vec<f32>> {
    let path = place.path(run).join("checkpoints/last/weights.safetensors");
    let tensors = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    let flat = |tensor: candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    tensors
        .into_iter()
        .map(|(name, tensor)| (name, flat(tensor)))
        .collect()
}

fn largest_difference(a: &HashMap<String, Vec<f32>>, b: &HashMap<String, Vec<f32>>) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().flat_map(|(name, a)| a.iter().zip(&b[name]));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let place = Place::new();
    place.train("mlp", &["--name", "whole", "--batch-size", "96"]);
    let accumulated = ["--batch-size", "32", "--accumulate", "3", "--log-every", "1"];
    for engine in ["plan", "autograd"] {
        let done = place.train(
            "mlp",
            &[&accumulated[..], &["--name", engine, "--engine", engine]].concat(),
        );
        assert!(
            done.stderr.contains("6 steps, batch size 32 × 3"),
            "{}",
            done.stderr
        );
        let run = format!("runs/{engine}");
        let difference = largest_difference(&tensors(&place, "runs/whole"), &tensors(&place, &run));
        assert!(difference < 1e-6, "{engine}: {difference}");
        // Six steps and the epoch.
        assert_eq!(place.lines(&format!("{run}/metrics.jsonl")).len(), 7);
    }
    let message = place.fails(2, &["train", "--resume", "plan", "--accumulate", "2"]);
    assert!(message.contains("--accumulate cannot change"), "{message}");
}

#[test]
fn the_training_loss_may_differ_while_test_losses_stay_plain() {
    let place = Place::new();
    let quick = ["--lr", "1e-30"];
    let loss = |name: &str, more: &[&str]| {
        place.train("softmax", &[&quick[..], &["--name", name], more].concat());
        let log = place.lines(&format!("runs/{name}/metrics.jsonl"));
        let [train, test] = ["train_loss", "test_loss"].map(|key| log[0][key].as_f64().unwrap());
        (train, test)
    };
    let plain = loss("plain", &[]);
    let smooth = loss("smooth", &["--label-smoothing", "0.5"]);
    let skewed = loss("skewed", &["--class-weights", "0,0,0,0,0,0,0,0,0,3"]);
    let balanced = loss(
        "balanced",
        &["--class-weights", "balanced", "--engine", "autograd"],
    );
    for other in [smooth, skewed] {
        assert!((other.0 - plain.0).abs() > 1e-4, "{other:?} {plain:?}");
        assert!((other.1 - plain.1).abs() < 1e-6, "{other:?} {plain:?}");
    }
    assert!((balanced.1 - plain.1).abs() < 1e-5, "{balanced:?} {plain:?}");
    let config = std::fs::read_to_string(place.path("runs/balanced/config.toml")).unwrap();
    assert!(config.contains("class-weights = \"balanced\""), "{config}");
    let message = place.fails(
        2,
        &[
            "train",
            "softmax",
            "--offline",
            "--class-weights",
            "balanced",
            "--train-limit",
            "3",
        ],
    );
    assert!(
        message.contains("no training example is of the class"),
        "{message}"
    );
}

#[test]
fn frozen_parameters_stay_and_patterns_have_to_fit() {
    let place = Place::new();
    place.train("mlp", &["--name", "start", "--lr", "1e-30"]);
    let groups = [
        "--freeze",
        "hidden*.weight",
        "--lr-scale",
        "output.*=0.5,*.bias=2",
        "--name",
        "tuned",
    ];
    let done = place.train("mlp", &groups);
    assert!(
        done.stderr.contains("200,704 of them are frozen"),
        "{}",
        done.stderr
    );
    let (start, tuned) = (tensors(&place, "runs/start"), tensors(&place, "runs/tuned"));
    for (name, frozen) in [
        ("hidden1.weight", true),
        ("hidden1.bias", false),
        ("output.weight", false),
    ] {
        assert_eq!(start[name] == tuned[name], frozen, "{name}");
    }
    place.ok(&["train", "--resume", "tuned", "--epochs", "2", "--offline"]);
    assert_eq!(
        start["hidden1.weight"],
        tensors(&place, "runs/tuned")["hidden1.weight"]
    );
    let message = place.fails(2, &["train", "mlp", "--offline", "--freeze", "conv*"]);
    assert!(
        message.contains("`conv*` fits none") && message.contains("hidden1.weight"),
        "{message}"
    );
    assert_eq!(names(&place.path("runs")), ["start", "tuned"]);
}

#[test]
fn averaged_weights_can_be_chosen_where_there_are_any() {
    let place = Place::new();
    place.train("mlp", &["--name", "moving", "--ema", "0.5", "--batch-size", "64"]);
    let loss = |weights: &str| {
        let eval = place.json(&["eval", "moving", "--offline", "--weights", weights]);
        assert_eq!(eval["weights"], weights);
        eval["loss"].as_f64().unwrap()
    };
    assert_ne!(loss("ema"), loss("last"));
    assert_eq!(loss("best"), loss("last"), "there was one epoch");
    // What the run itself wrote as its averages is what is exported as such.
    place.ok(&["export", "moving", "--weights", "ema", "-o", "ema.safetensors"]);
    let load = |path: &str| {
        let path = place.path(path);
        let tensors = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
        let flat = |tensor: candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        tensors
            .into_iter()
            .map(|(name, tensor)| (name, flat(tensor)))
            .collect::<HashMap<_, _>>()
    };
    assert!(load("ema.safetensors") == load("runs/moving/averaged.safetensors"));
    place.ok(&[
        "predict",
        "moving",
        "--weights",
        "ema",
        "--test",
        "4",
        "--offline",
        "-o",
        "seen.png",
    ]);
    let message = place.fails(1, &["eval", "moving", "--offline", "--weights", "swa"]);
    assert!(
        message.contains("--weights swa") && message.contains("d2l train --swa EPOCH"),
        "{message}"
    );
    // The older name of the option.
    place.ok(&["eval", "moving", "--offline", "--checkpoint", "best"]);
}

#[test]
fn a_dry_run_says_what_would_run_and_writes_nothing() {
    let place = Place::new();
    let words = ["train", "mlp", "--offline", "--accumulate", "2", "--dry-run"];
    let done = place.ok(&words);
    assert!(
        done.stdout.contains("one step") && done.stdout.contains("one test batch"),
        "{}",
        done.stdout
    );
    for part in ["Memory", "batch size 256 × 2", "dry run"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    let json = place.json(&words);
    assert_eq!(json["type"], "dry-run");
    assert!(json["step_memory_bytes"].as_u64().unwrap() > 4 * 200_000);
    assert!(json["train_loss"].as_f64().unwrap() > 1.0 && json["run"].is_null());
    assert!(!place.path("runs").exists());
    place.fails(2, &["train", "mlp", "--dry-run", "--overfit-batch"]);
}

#[test]
fn one_batch_is_learned_or_said_not_to_be() {
    let place = Place::new();
    let words = [
        "train",
        "mlp",
        "--offline",
        "--overfit-batch",
        "--batch-size",
        "32",
    ];
    let done = place.ok(&[&words[..], &["--lr", "0.5"]].concat());
    assert!(
        done.stdout.contains("learned: all 32 examples"),
        "{}",
        done.stdout
    );
    let json = place.ok(&[&words[..], &["--lr", "0.5", "--json"]].concat());
    let last = json_lines(&json.stdout).pop().unwrap();
    assert!(
        last["learned"] == true && last["accuracy"] == 1.0 && last["examples"] == 32,
        "{last}"
    );
    let failed = place.run(&[&words[..], &["--lr", "1e-9", "--epochs", "2"]].concat());
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.stderr.contains("was not learned: after 40 steps"),
        "{}",
        failed.stderr
    );
    assert!(!place.path("runs").exists());
}

#[test]
fn googlenet_trains_with_its_auxiliary_classifiers() {
    let place = Place::new();
    let small = [
        "--width",
        "0.0625",
        "--resize",
        "32",
        "--batch-size",
        "16",
        "--aux",
        "--log-every",
        "1",
    ];
    let words = [
        &[
            "train",
            "googlenet",
            "--offline",
            "--train-limit",
            "48",
            "--test-limit",
            "20",
        ][..],
        &small,
    ]
    .concat();
    let done = place.ok(&[&words[..], &["--epochs", "2", "--name", "whole"]].concat());
    for part in [
        "through autograd: a plan has no auxiliary",
        "with its auxiliary classifiers",
    ] {
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    let whole = tensors(&place, "runs/whole");
    assert!(whole.contains_key("aux1.output.weight") && whole.contains_key("aux2.conv.weight"));
    // Stopped after one epoch, it goes on to the same bytes.
    place.ok(&[&words[..], &["--epochs", "1", "--name", "parts"]].concat());
    place.ok(&["train", "--resume", "parts", "--epochs", "2", "--offline"]);
    assert_eq!(largest_difference(&whole, &tensors(&place, "runs/parts")), 0.0);
    let eval = place.json(&["eval", "whole", "--offline"]);
    assert_eq!(eval["examples"], 1000);
    let message = place.fails(2, &[&words[..], &["--engine", "plan"]].concat());
    assert!(
        message.contains("--engine: a plan has no auxiliary classifiers"),
        "{message}"
    );
    let message = place.fails(2, &["train", "lenet", "--aux", "--offline"]);
    assert!(message.contains("--aux: lenet"), "{message}");
}

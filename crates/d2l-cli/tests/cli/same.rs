//! The same run gives the same log, however it is computed.

use crate::{Place, without_times};

const SHORT: &[&str] = &["--log-every", "1", "--epochs", "2"];

#[test]
fn neither_threads_nor_workers_nor_repeating_change_a_run() {
    let place = Place::new();
    let log = |name: &str, more: &[&str]| {
        let words = [
            "--train-limit",
            "700",
            "--test-limit",
            "300",
            "--offline",
            "--name",
            name,
        ];
        let done = place.run(&[&["train"], more, &words, SHORT].concat());
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        without_times(place.lines(&format!("runs/{name}/metrics.jsonl")))
    };
    let first = log("one", &["lenet", "--threads", "1", "--workers", "0"]);
    assert_eq!(first.len(), 8, "three steps and an epoch, twice");
    assert_eq!(log("two", &["lenet", "--threads", "2", "--workers", "4"]), first);
    assert_eq!(log("again", &["--config", "runs/one/config.toml"]), first);
    assert_ne!(log("other", &["lenet", "--seed", "1"]), first);
}

#[test]
fn dropout_momentum_and_schedules_repeat_too() {
    let place = Place::new();
    let words = [
        "--dropout",
        "0.3",
        "--momentum",
        "0.9",
        "--nesterov",
        "--weight-decay",
        "1e-4",
        "--schedule",
        "cosine",
    ];
    let more = ["--clip-norm", "1", "--width", "0.5", "--resize", "20"];
    place.train("mlp", &[&words[..], &more, SHORT_ONE].concat());
    place.ok(&[
        "train",
        "--config",
        "runs/mlp/config.toml",
        "--name",
        "again",
        "--offline",
        "--threads",
        "1",
    ]);
    let config = std::fs::read_to_string(place.path("runs/mlp/config.toml")).unwrap();
    for key in [
        "dropout = 0.3",
        "momentum = 0.9",
        "nesterov = true",
        "schedule = \"cosine\"",
        "resize = 20",
    ] {
        assert!(config.contains(key), "{key}: {config}");
    }
    let log = |name: &str| without_times(place.lines(&format!("runs/{name}/metrics.jsonl")));
    assert_eq!(log("again"), log("mlp"));
}

const SHORT_ONE: &[&str] = &["--log-every", "1"];

//! Training several times: seeds, folds, grids; and the part of the data that is held out.

use serde_json::Value;

use crate::{Place, json_lines, names, without_times};

const SHORT: [&str; 9] = [
    "--offline",
    "--epochs",
    "1",
    "--train-limit",
    "300",
    "--test-limit",
    "100",
    "-j",
    "1",
];

fn words<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, &SHORT, more].concat()
}

fn mean(runs: &Value, key: &str) -> f64 {
    let values: Vec<f64> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run[key].as_f64().unwrap())
        .collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_part_held_out_is_measured_beside_the_test_set() {
    let place = Place::new();
    let done = place.ok(&words(
        &["train", "softmax"],
        &["--validation", "0.2", "--name", "a"],
    ));
    assert!(
        done.stderr.contains("held out for validation: 60"),
        "{}",
        done.stderr
    );
    assert!(done.stdout.contains("validation accuracy"), "{}", done.stdout);
    assert!(
        done.stderr.contains("Best  epoch 1: validation accuracy"),
        "{}",
        done.stderr
    );
    let epoch = &place.lines("runs/a/metrics.jsonl")[0];
    for key in [
        "train_loss",
        "test_loss",
        "test_accuracy",
        "validation_loss",
        "validation_accuracy",
    ] {
        assert!(epoch[key].is_f64(), "{key}: {epoch}");
    }
    // 240 examples are one batch of 256.
    assert_eq!(epoch["step"], 1);
    place.ok(&[
        "train",
        "--config",
        "runs/a/config.toml",
        "--offline",
        "--name",
        "again",
    ]);
    let log = |name: &str| without_times(place.lines(&format!("runs/{name}/metrics.jsonl")));
    assert_eq!(log("again"), log("a"));
    // Going on holds out the same part.
    place.ok(&["train", "--resume", "a", "--epochs", "2", "--offline"]);
    place.ok(&words(
        &["train", "softmax"],
        &["--validation", "0.2", "--name", "b", "--epochs", "2"],
    ));
    assert_eq!(log("a"), log("b"));

    for (more, part) in [
        (["--validation", "1"], "--validation: has to be a fraction"),
        (["--fold", "3/2"], "--fold: expected the number of a fold"),
    ] {
        let message = place.fails(2, &words(&["train", "softmax"], &more));
        assert!(message.contains(part), "{message}");
    }
    let both = ["--validation", "0.5", "--fold", "1/2"];
    place.fails(2, &words(&["train", "softmax"], &both));
    let message = place.fails(2, &["train", "--resume", "a", "--validation", "0.5", "--offline"]);
    assert!(message.contains("--validation cannot change"), "{message}");
}

#[test]
fn seeds_are_runs_of_their_own_that_are_kept() {
    let place = Place::new();
    let done = place.ok(&words(
        &["train", "softmax"],
        &["--seeds", "0,3", "--epochs", "2"],
    ));
    assert!(
        done.stdout.contains("mean ± sd") && done.stdout.contains("seed-3"),
        "{}",
        done.stdout
    );
    assert_eq!(
        done.stderr.matches("warning").count(),
        1,
        "the sample is said once: {}",
        done.stderr
    );
    let folder = place.path("runs/softmax-seeds");
    assert_eq!(
        names(&folder),
        ["curves.png", "curves.svg", "results.csv", "seed-0", "seed-3"]
    );
    let before = place.lines("runs/softmax-seeds/seed-3/metrics.jsonl");

    // One seed more: the finished ones stay as they are; and every run is the one it would be alone.
    let all = words(&["train", "softmax"], &["--seeds", "0,1,3", "--epochs", "2"]);
    let done = place.ok(&[&all[..], &["--json"]].concat());
    let lines = json_lines(&done.stdout);
    let summary = lines.last().unwrap();
    assert_eq!(
        (lines.len(), summary["type"].as_str()),
        (1 + 2 + 1 + 1, Some("seeds")),
        "{}",
        done.stdout
    );
    let kept: Vec<bool> = summary["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["kept"] == true)
        .collect();
    assert_eq!(kept, [true, false, true]);
    assert_eq!(place.lines("runs/softmax-seeds/seed-3/metrics.jsonl"), before);
    let spread = &summary["spread"]["test_accuracy"];
    assert!((spread["mean"].as_f64().unwrap() - mean(&summary["runs"], "test_accuracy")).abs() < 1e-12);
    assert!(spread["deviation"].as_f64().unwrap() > 0.0);
    place.ok(&words(
        &["train", "softmax"],
        &["--seed", "1", "--epochs", "2", "--name", "alone"],
    ));
    let log = |name: &str| without_times(place.lines(&format!("runs/{name}/metrics.jsonl")));
    assert_eq!(log("alone"), log("softmax-seeds/seed-1"));

    // What stopped early goes on, here because more is asked for.
    place.ok(&words(&["train", "softmax"], &["--seeds", "1,", "--epochs", "3"]));
    assert_eq!(place.lines("runs/softmax-seeds/seed-1/metrics.jsonl").len(), 3);

    let other = words(
        &["train", "softmax"],
        &["--seeds", "1", "--lr", "0.7", "--epochs", "2"],
    );
    let message = place.fails(1, &other);
    for part in [
        "seed-0 holds another run",
        "its lr is `0.1`, not `0.7`",
        "--overwrite",
    ] {
        assert!(message.contains(part), "{message}");
    }
    place.ok(&[&other[..], &["--overwrite"]].concat());
    let config = std::fs::read_to_string(folder.join("seed-0/config.toml")).unwrap();
    assert!(config.contains("lr = 0.7"), "{config}");

    for bad in [["--seeds", "0"], ["--seeds", "1,1"], ["--seeds", "many"]] {
        place.fails(2, &words(&["train", "softmax"], &bad));
    }
    place.fails(2, &words(&["train", "softmax"], &["--seeds", "2", "--seed", "1"]));
    place.train("softmax", &["--name", "single"]);
    let message = place.fails(
        1,
        &words(&["train", "softmax"], &["--seeds", "2", "--name", "single"]),
    );
    assert!(message.contains("folder of a single run"), "{message}");
}

#[test]
fn the_folds_of_a_network_hold_out_every_picture_once() {
    let place = Place::new();
    let found = place.json(&words(&["kfold", "softmax"], &["-k", "3"]));
    assert_eq!(
        (found["k"].as_u64(), found["model"].as_str()),
        (Some(3), Some("softmax"))
    );
    assert_eq!(found["runs"].as_array().unwrap().len(), 3);
    let spread = found["spread"]["validation_accuracy"]["mean"].as_f64().unwrap();
    assert!((spread - mean(&found["runs"], "validation_accuracy")).abs() < 1e-12);
    let config = std::fs::read_to_string(place.path("runs/softmax-3-fold/fold-2/config.toml")).unwrap();
    assert!(
        config.contains("fold = \"2/3\"") && config.contains("train-examples = 200"),
        "{config}"
    );
    let averaged = place.json(&words(&["kfold", "softmax"], &["-k", "2", "--ema", "0.9"]));
    assert_eq!(averaged["runs"].as_array().unwrap().len(), 2);
    let text = place.ok(&words(&["kfold", "softmax"], &["-k", "3"])).stdout;
    assert!(
        text.contains("mean ± sd") && !text.contains("epoch 1/1"),
        "all folds are kept: {text}"
    );

    for (bad, part) in [
        (vec!["kfold", "softmax", "-k", "1"], "-k: has to be at least 2"),
        (vec!["kfold", "fashion-mnist"], "name a network"),
        (vec!["kfold", "sofmax"], "did you mean `softmax`"),
        (vec!["kfold", "softmax", "--submission", "s.csv"], "--submission"),
        (vec!["kfold", "softmax", "--validation", "0.1"], "--validation"),
    ] {
        let message = place.fails(2, &bad);
        assert!(message.contains(part), "{message}");
    }
    assert!(!place.path("runs/fashion-mnist-5-fold").exists());
}

#[test]
fn the_folds_of_the_house_prices_are_the_books() {
    let place = Place::new();
    let found = place.json(&[
        "kfold",
        "house-prices",
        "--offline",
        "-o",
        "houses",
        "--submission",
        "s.csv",
    ]);
    for (part, books) in [("train", 0.1655), ("valid", 0.1703)] {
        let mean = found["spread"][part]["mean"].as_f64().unwrap();
        assert!(
            (mean - books).abs() < 0.01,
            "{part}: {mean}, the book has {books}"
        );
    }
    assert!(
        (found["train_on_all"].as_f64().unwrap() - 0.1624).abs() < 0.01,
        "{}",
        found["train_on_all"]
    );
    assert_eq!(found["folds"][4]["valid"].as_array().unwrap().len(), 100);
    assert_eq!(
        names(&place.path("houses")),
        ["house-prices-folds.png", "house-prices-folds.svg"]
    );
    let submission = std::fs::read_to_string(place.path("s.csv")).unwrap();
    assert_eq!(submission.lines().count(), 1460);
    assert!(submission.starts_with("Id,SalePrice\n1461,"));

    let short = [
        "kfold",
        "house-prices",
        "--offline",
        "-k",
        "2",
        "--epochs",
        "2",
        "-o",
        ".",
    ];
    let once = place.ok(&short);
    assert_eq!(
        once.stdout,
        place.ok(&short).stdout,
        "the same seed, the same figures"
    );
    assert!(
        once.stdout.lines().count() == 4 && once.stdout.contains("mean ± sd"),
        "{}",
        once.stdout
    );
    for (bad, part) in [
        (["--lr", "0"], "--lr: has to be a number above 0"),
        (["--epochs", "0"], "--epochs: has to be at least 1"),
        (["--dropout", "0.5"], "--dropout: the linear network"),
        (["-k", "2000"], "-k: 1460 examples cannot be cut into 2000 folds"),
    ] {
        let message = place.fails(2, &[&["kfold", "house-prices", "--offline"], &bad[..]].concat());
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_sweep_runs_what_works_sorts_it_and_tells_of_what_failed() {
    let place = Place::new();
    let base = "[base]\nmodel = \"softmax\"\nepochs = 1\ntrain-limit = 300\ntest-limit = 100\nthreads = 1\n";
    let write = |text: &str| std::fs::write(place.path("rates.toml"), text).unwrap();
    write(&format!(
        "metric = \"train_loss\"\n{base}[grid]\nlr = [0.001, 0.1]\nseed = [0, 1]\n"
    ));
    let found = place.json(&["sweep", "rates.toml", "--offline"]);
    let runs = found["runs"].as_array().unwrap();
    let losses: Vec<f64> = runs
        .iter()
        .map(|run| run["train_loss"].as_f64().unwrap())
        .collect();
    assert!(losses.len() == 4 && losses.is_sorted(), "{losses:?}");
    assert_eq!(
        runs[0]["name"].as_str().unwrap().split(',').next(),
        Some("lr=0.1")
    );
    let table = std::fs::read_to_string(place.path("runs/rates/results.csv")).unwrap();
    assert_eq!(table.lines().count(), 5);
    assert!(
        table.lines().nth(1).unwrap().starts_with("\"lr=0.1,seed="),
        "{table}"
    );
    let text = place.ok(&["sweep", "rates.toml", "--offline"]);
    assert!(
        !text.stdout.contains("epoch 1/1") && text.stderr.matches("kept").count() == 4,
        "{}",
        text.stderr
    );

    // A run that fails does not stop the others.
    write(&format!(
        "{base}[grid]\nmomentum = [0.9, 0.0]\noptimizer = [\"adam\", \"sgd\"]\n"
    ));
    let done = place.run(&["sweep", "rates.toml", "--offline", "--name", "mixed"]);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("2 of 4 runs failed"), "{}", done.stderr);
    assert!(
        done.stdout.contains("failed") && done.stdout.contains("momentum=0.9,optimizer=sgd"),
        "{}",
        done.stdout
    );

    write("[base]\nmodel = \"softmax\"\nepochz = 1\n[grid]\nlr = 0.1\n");
    let message = place.fails(2, &["sweep", "rates.toml"]);
    for part in [
        "rates.toml: `base.epochz`: unknown field",
        "rates.toml: `grid.lr`: has to be a list",
    ] {
        assert!(message.contains(part), "{message}");
    }
    place.fails(1, &["sweep", "nothing.toml"]);
    write("[base]\nmodel = \"nonesuch\"\n[grid]\nlr = [0.1]\n");
    let done = place.run(&["sweep", "rates.toml", "--name", "none", "--json"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let found: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(
        found["runs"][0]["error"].as_str().unwrap().contains("nonesuch"),
        "{found}"
    );
    write(&format!("{base}[grid]\nlr = [0.1]\n"));
    assert!(
        place
            .fails(2, &["sweep", "rates.toml", "--metric", "speed"])
            .contains("--metric")
    );
}

/// An interrupted series ends at once; the same command goes on with the run that was stopped.
#[cfg(unix)]
#[test]
fn a_series_that_was_interrupted_goes_on() {
    let place = Place::new();
    let words = [
        "train",
        "lenet",
        "--offline",
        "--batch-size",
        "8",
        "--test-limit",
        "100",
        "--seeds",
        "2",
    ];
    let limited = [&words[..], &["--epochs", "1", "--log-every", "1"]].concat();
    let child = place.command(&limited).spawn().unwrap();
    let log = place.path("runs/lenet-seeds/seed-0/metrics.jsonl");
    let start = std::time::Instant::now();
    while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 3 {
        assert!(start.elapsed().as_secs() < 60, "the run does not start");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let done: crate::Done = child.wait_with_output().unwrap().into();
    assert_eq!(done.code, Some(130), "{}", done.stderr);
    assert!(
        done.stderr.contains("the same command goes on"),
        "{}",
        done.stderr
    );
    assert_eq!(
        done.stderr.matches("once more stops at once").count(),
        1,
        "{}",
        done.stderr
    );
    assert!(!place.path("runs/lenet-seeds/seed-1").exists());

    place.ok(&limited);
    place.ok(&[&limited[..], &["--name", "whole"]].concat());
    for seed in ["seed-0", "seed-1"] {
        let log = |name: &str| without_times(place.lines(&format!("runs/{name}/{seed}/metrics.jsonl")));
        assert_eq!(log("lenet-seeds"), log("whole"));
    }
}

#[test]
fn numbers_beyond_reason_are_named_before_any_work() {
    let place = Place::new();
    let error = place.fails(2, &["kfold", "softmax", "-k", "99999999999", "--offline"]);
    assert!(error.contains("-k: every fold is a run"), "{error}");
    let huge = u64::MAX.to_string();
    let error = place.fails(
        2,
        &[
            "train",
            "softmax",
            "--accumulate",
            &huge,
            "--dry-run",
            "--offline",
        ],
    );
    assert!(error.contains("larger than 9223372036854775807"), "{error}");
}

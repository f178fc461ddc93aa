//! A run from its first command to its last.

use crate::{Place, json_lines, names};

#[test]
fn train_then_eval_predict_plot_and_export() {
    let place = Place::new();
    let done = place.train("lenet", &["--log-every", "1"]);
    assert!(
        done.stderr.contains("warning") && done.stderr.contains("sample"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("61,706 parameters"), "{}", done.stderr);
    assert_eq!(
        done.stdout
            .lines()
            .filter(|line| line.starts_with("epoch"))
            .count(),
        1,
        "{}",
        done.stdout
    );
    assert!(
        !done.stdout.contains("the book"),
        "figures of a sample beside the book's: {}",
        done.stdout
    );
    for name in [
        "checkpoints",
        "config.toml",
        "curves.png",
        "curves.svg",
        "metrics.jsonl",
    ] {
        assert!(
            names(&place.path("runs/lenet")).contains(&name.to_owned()),
            "{name}"
        );
    }
    let log = place.lines("runs/lenet/metrics.jsonl");
    assert_eq!(log.len(), 3, "two steps and an epoch: {log:?}");
    assert_eq!(log[0]["type"], "step");
    assert_eq!(log[2]["type"], "epoch");

    let eval = place.json(&["eval", "lenet", "--offline"]);
    assert_eq!(eval["examples"], 1000);
    let confusion: Vec<Vec<u64>> = serde_json::from_value(eval["confusion"].clone()).unwrap();
    assert_eq!(confusion.iter().flatten().sum::<u64>(), 1000);
    let right: u64 = (0..10).map(|class| confusion[class][class]).sum();
    assert_eq!(eval["accuracy"].as_f64().unwrap(), right as f64 / 1000.0);
    let text = place.ok(&["eval", "runs/lenet", "--offline"]).stdout;
    assert!(text.contains("accuracy") && text.contains("ankle boot"), "{text}");

    let predicted = place.json(&["predict", "lenet", "--test", "12", "--offline", "-o", "seen.png"]);
    assert_eq!(predicted["predictions"].as_array().unwrap().len(), 12);
    assert!(image::open(place.path("seen.png")).unwrap().width() > 300);

    place.ok(&["plot", "lenet", "-o", "curves.svg"]);
    assert!(
        std::fs::read_to_string(place.path("curves.svg"))
            .unwrap()
            .contains("<svg")
    );
    place.ok(&["plot", "lenet", "runs/lenet", "-o", "curves.png"]);
    assert!(image::open(place.path("curves.png")).is_ok());

    let exported = place.json(&["export", "lenet", "-o", "w.safetensors"]);
    assert_eq!(exported["parameters"], 61_706);
    assert!(
        place
            .fails(1, &["export", "lenet", "-o", "w.safetensors"])
            .contains("--overwrite")
    );
    // The exported weights are those that were evaluated: with no learning left, the figures stay.
    place.train(
        "lenet",
        &[
            "--init-from",
            "w.safetensors",
            "--lr",
            "1e-30",
            "--name",
            "again",
            "--test-limit",
            "1000",
        ],
    );
    let again = place.json(&["eval", "again", "--offline"]);
    assert_eq!(again["confusion"], eval["confusion"]);
}

#[test]
fn pictures_of_any_size_and_colour_are_classified() {
    let place = Place::new();
    place.train("softmax", &[]);
    let bright = image::RgbImage::from_fn(90, 60, |x, _| {
        image::Rgb([if x > 40 { 250 } else { 10 }, 240, 250])
    });
    bright.save(place.path("bright.jpg")).unwrap();
    image::GrayImage::new(28, 28)
        .save(place.path("black.png"))
        .unwrap();
    let done = place.ok(&["predict", "softmax", "bright.jpg", "black.png"]);
    assert!(done.stderr.contains("--invert"), "{}", done.stderr);
    assert!(done.stdout.contains('%'), "{}", done.stdout);
    let json = place.json(&["predict", "softmax", "bright.jpg", "--invert", "-o", "grid.png"]);
    let probabilities = json["predictions"][0]["prediction"]["probabilities"]
        .as_object()
        .unwrap();
    let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert!(image::open(place.path("grid.png")).is_ok());

    std::fs::write(place.path("text.png"), "no picture").unwrap();
    let message = place.fails(1, &["predict", "softmax", "text.png"]);
    assert!(message.contains("text.png"), "{message}");
    let message = place.fails(1, &["predict", "softmax", "nowhere.png"]);
    assert!(message.contains("nowhere.png"), "{message}");
}

#[test]
fn json_of_train_is_lines_and_nothing_else() {
    let place = Place::new();
    let done = place.train("softmax", &["--json", "--log-every", "2", "--quiet"]);
    let lines = json_lines(&done.stdout);
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["start", "step", "epoch", "end"]);
    assert_eq!(lines[0]["sample"], true);
    assert_eq!(lines[3]["outcome"], "finished");
    assert_eq!(lines[1..3], place.lines("runs/softmax/metrics.jsonl")[..]);
}

#[test]
fn the_default_folder_is_numbered_and_a_named_one_is_kept() {
    let place = Place::new();
    place.train("softmax", &[]);
    place.train("softmax", &[]);
    assert_eq!(names(&place.path("runs")), ["softmax", "softmax-2"]);
    let message = place.fails(1, &["train", "mlp", "--name", "softmax", "--offline"]);
    for remedy in ["--resume", "--overwrite", "--name"] {
        assert!(message.contains(remedy), "{message}");
    }
    place.train("mlp", &["--name", "softmax", "--overwrite"]);
    let config = std::fs::read_to_string(place.path("runs/softmax/config.toml")).unwrap();
    assert!(config.contains("model = \"mlp\""), "{config}");
    place.train("mlp", &["--out", "elsewhere/deep"]);
    assert!(place.path("elsewhere/deep/metrics.jsonl").exists());
    std::fs::create_dir(place.path("thesis")).unwrap();
    std::fs::write(place.path("thesis/chapter.tex"), "years").unwrap();
    place.fails(
        1,
        &["train", "mlp", "--out", "thesis", "--overwrite", "--offline"],
    );
    assert_eq!(names(&place.path("thesis")), ["chapter.tex"]);
}

#[test]
fn extras_leave_their_files_and_go_through_the_configuration() {
    let place = Place::new();
    let words = [
        "train",
        "mlp",
        "--offline",
        "--epochs",
        "3",
        "--train-limit",
        "300",
        "--test-limit",
        "100",
    ];
    let extras = [
        "--csv",
        "--tensorboard",
        "--keep-last",
        "2",
        "--ema",
        "0.9",
        "--clip-value",
        "0.5",
        "--patience",
        "3",
        "--schedule",
        "one-cycle",
        "--name",
        "a",
    ];
    let done = place.ok(&[&words[..], &extras].concat());
    assert!(
        done.stdout.contains("averaged weights: test loss"),
        "{}",
        done.stdout
    );
    let run = place.path("runs/a");
    let files: Vec<String> = std::fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        files.iter().any(|name| name.starts_with("events.out.tfevents.")),
        "{files:?}"
    );
    for name in ["metrics.csv", "averaged.safetensors"] {
        assert!(files.iter().any(|file| file == name), "{files:?}");
    }
    let table = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(!run.join("checkpoints/epoch-0001").exists());
    for epoch in ["epoch-0002", "epoch-0003"] {
        assert!(
            run.join("checkpoints")
                .join(epoch)
                .join("averages.safetensors")
                .exists()
        );
    }
    place.ok(&[
        "train",
        "--offline",
        "--config",
        "runs/a/config.toml",
        "--name",
        "again",
    ]);
    let weights = |run: &str| std::fs::read(place.path(run).join("averaged.safetensors")).unwrap();
    assert!(weights("runs/a") == weights("runs/again"));
    place.fails(2, &["train", "mlp", "--ema", "0.9", "--swa", "2"]);
}

#[test]
fn find_lr_suggests_a_rate_and_draws_the_losses() {
    let place = Place::new();
    let found = place.json(&[
        "find-lr",
        "mlp",
        "--offline",
        "--batch-size",
        "64",
        "--steps",
        "80",
        "-o",
        "rates.png",
    ]);
    let rate = found["suggestion"].as_f64().unwrap();
    assert!((1e-4..10.0).contains(&rate), "{rate}");
    assert!(
        std::fs::read(place.path("rates.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
    assert!(!place.path("runs").exists());
    place.fails(2, &["find-lr", "mlp", "--from", "1", "--to", "0.1"]);
    place.fails(2, &["find-lr", "mlp", "--steps", "1"]);
}

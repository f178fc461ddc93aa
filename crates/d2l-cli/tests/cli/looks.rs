//! What the commands print.

use std::io::{BufRead, BufReader};

use crate::Place;

#[test]
fn lists_have_a_name_a_line() {
    let place = Place::new();
    let models = place.ok(&["list", "models"]).stdout;
    let first: Vec<&str> = models
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let json = place.json(&["list", "models"]);
    let names: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(first, names);
    assert!(names.contains(&"lenet"));
    let all = place.json(&["list"]);
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["name"] == "fashion-mnist")
    );
    assert!(place.ok(&["list"]).stdout.contains("data sets"));
}

#[test]
fn a_summary_counts_what_the_book_counts() {
    let place = Place::new();
    let summary = place.json(&["summary", "lenet", "--batch", "2"]);
    assert_eq!(summary["parameters"], 61_706);
    assert_eq!(
        summary["layers"][0]["output_shape"],
        serde_json::json!([2, 6, 28, 28])
    );
    let text = place.ok(&["summary", "lenet"]).stdout;
    assert!(text.contains("61,706") && text.contains("1×16×5×5"), "{text}");
    let message = place.fails(2, &["summary", "lenet", "--input", "1,4,4"]);
    assert!(message.contains("conv2") || message.contains("pool"), "{message}");
    place.fails(2, &["summary", "lenet", "--input", "0,28,28"]);
    place.fails(2, &["summary", "lenet", "--dropout", "0.5"]);
}

#[test]
fn bench_reports_what_it_measured() {
    let place = Place::new();
    for mode in [
        &["bench", "mlp", "--batch-size", "8", "--steps", "3"][..],
        &["bench", "mlp", "--steps", "2", "--infer"],
    ] {
        let json = place.json(mode);
        for key in [
            "model",
            "mode",
            "batch_size",
            "input",
            "threads",
            "engine",
            "ms_per_step",
            "ms_per_step_median",
            "examples_per_second",
        ] {
            assert!(!json[key].is_null(), "{key}");
        }
        assert!(json["ms_per_step"].as_f64().unwrap() <= json["ms_per_step_median"].as_f64().unwrap());
        if cfg!(target_os = "linux") {
            assert!(json["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
        }
    }
    assert!(
        place
            .ok(&["bench", "mlp", "--batch-size", "4", "--steps", "1"])
            .stdout
            .contains("examples/s")
    );
    place.fails(2, &["bench", "mlp", "--steps", "0"]);
}

#[test]
fn help_and_completions_are_there() {
    let place = Place::new();
    assert!(place.ok(&["--help"]).stdout.contains("d2l train lenet"));
    for command in [
        "list", "summary", "show", "train", "eval", "predict", "features", "plot", "export", "bench", "data",
    ] {
        let help = place.ok(&[command, "--help"]).stdout;
        assert!(help.contains("Usage"), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            place.ok(&["completions", shell]).stdout.contains("predict"),
            "{shell}"
        );
    }
}

#[test]
fn colours_come_when_asked() {
    let place = Place::new();
    assert!(
        place
            .ok(&["list", "models", "--color", "always"])
            .stdout
            .contains("\x1b[")
    );
    assert!(
        !place.ok(&["list", "models"]).stdout.contains("\x1b["),
        "standard output is no terminal here"
    );
    assert!(place.ok(&["--color=always", "--help"]).stdout.contains("\x1b["));
    let done: crate::Done = place
        .command(&["train", "nothing", "--color", "always"])
        .output()
        .unwrap()
        .into();
    assert!(done.stderr.contains("\x1b["));
    let quiet = place.train("softmax", &["--quiet"]);
    assert!(
        quiet.stderr.lines().all(|line| line.starts_with("warning")),
        "{}",
        quiet.stderr
    );
}

/// A reader that leaves early ends the program quietly, and a run in good order.
#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let words = [
        "train",
        "softmax",
        "--offline",
        "--train-limit",
        "256",
        "--test-limit",
        "50",
        "--epochs",
        "2000",
    ];
    let mut child = place.command(&words).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("epoch"), "{line}");
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert!(
        !stderr.contains("error") && !stderr.contains("panicked"),
        "{stderr}"
    );
    assert!(place.path("runs/softmax/checkpoints/last/state.json").exists());

    let mut child = place.command(&["list"]).spawn().unwrap();
    drop(child.stdout.take());
    assert!(matches!(child.wait().unwrap().code(), Some(0)));
}

//! Stopping and going on.

use crate::{Place, without_times};

#[test]
fn a_finished_run_goes_further_as_if_it_had_never_stopped() {
    let place = Place::new();
    let words = [
        "train",
        "mlp",
        "--offline",
        "--train-limit",
        "600",
        "--test-limit",
        "100",
        "--dropout",
        "0.2",
    ];
    let logged = ["--log-every", "1", "--momentum", "0.5"];
    place.ok(&[&words[..], &logged, &["--epochs", "3", "--name", "whole"]].concat());
    place.ok(&[&words[..], &logged, &["--epochs", "1", "--name", "parts"]].concat());
    place.ok(&[
        "train",
        "--resume",
        "parts",
        "--epochs",
        "3",
        "--offline",
        "--threads",
        "1",
    ]);
    let log = |name: &str| without_times(place.lines(&format!("runs/{name}/metrics.jsonl")));
    assert_eq!(log("parts"), log("whole"));

    let again = place.ok(&["train", "--resume", "parts", "--offline"]);
    assert!(
        !again.stdout.contains("epoch"),
        "nothing is left to do: {}",
        again.stdout
    );
    let message = place.fails(2, &["train", "--resume", "parts", "--epochs", "2", "--offline"]);
    assert!(
        message.contains("--epochs") && message.contains("3 epochs already"),
        "{message}"
    );
    let message = place.fails(
        2,
        &[
            "train",
            "--resume",
            "parts",
            "--lr",
            "0.5",
            "--seed",
            "4",
            "--offline",
        ],
    );
    assert!(
        message.contains("--lr") && message.contains("--seed") && message.contains("--init-from"),
        "{message}"
    );
}

#[test]
fn a_run_does_not_go_on_with_other_data() {
    let place = Place::new();
    place.train("softmax", &[]);
    let path = place.path("runs/softmax/config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find("digest = \"").unwrap() + "digest = \"".len();
    let (before, after) = text.split_at(at);
    std::fs::write(&path, format!("{before}0000{}", &after[4..])).unwrap();
    let message = place.fails(1, &["train", "--resume", "softmax", "--epochs", "2", "--offline"]);
    assert!(message.contains("other data"), "{message}");
    assert!(
        place
            .ok(&["eval", "softmax", "--offline"])
            .stderr
            .contains("other data")
    );
}

#[test]
fn a_damaged_checkpoint_is_named_and_an_older_one_used() {
    let place = Place::new();
    place.train("softmax", &[]);
    place.ok(&["train", "--resume", "softmax", "--epochs", "2", "--offline"]);
    let weights = place.path("runs/softmax/checkpoints/last/weights.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let done = place.ok(&["eval", "softmax", "--offline"]);
    assert!(
        done.stderr.contains("weights.safetensors") && done.stderr.contains("instead"),
        "{}",
        done.stderr
    );
    for other in ["previous", "best"] {
        std::fs::write(
            place.path(&format!("runs/softmax/checkpoints/{other}/state.json")),
            "{",
        )
        .unwrap();
    }
    let message = place.fails(1, &["eval", "softmax", "--offline"]);
    assert!(
        message.contains("weights.safetensors") && message.contains("state.json"),
        "{message}"
    );
    std::fs::remove_dir_all(place.path("runs/softmax/checkpoints")).unwrap();
    let message = place.fails(1, &["eval", "softmax", "--offline"]);
    assert!(message.contains("no checkpoint yet"), "{message}");
    // Without any checkpoint a run starts over.
    place.ok(&["train", "--resume", "softmax", "--offline"]);
}

/// A run stopped in the middle of an epoch ends with the log of one that was not.
#[cfg(unix)]
#[test]
fn a_signal_stops_with_a_checkpoint_and_130() {
    use std::time::{Duration, Instant};
    for signal in ["INT", "TERM"] {
        let place = Place::new();
        let words = [
            "train",
            "lenet",
            "--offline",
            "--batch-size",
            "8",
            "--test-limit",
            "100",
            "--log-every",
            "1",
        ];
        let child = place
            .command(&[&words[..], &["--epochs", "50", "--name", "parts"]].concat())
            .spawn()
            .unwrap();
        let log = place.path("runs/parts/metrics.jsonl");
        let start = Instant::now();
        while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 3 {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "the run does not start"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let killed = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        let done: crate::Done = child.wait_with_output().unwrap().into();
        assert_eq!(done.code, Some(130), "{}", done.stderr);
        assert!(done.stderr.contains("--resume parts"), "{}", done.stderr);
        assert!(place.path("runs/parts/checkpoints/last/state.json").exists());
        if signal == "TERM" {
            continue;
        }
        place.ok(&["train", "--resume", "parts", "--epochs", "1", "--offline"]);
        place.ok(&[&words[..], &["--epochs", "1", "--name", "whole"]].concat());
        let log = |name: &str| without_times(place.lines(&format!("runs/{name}/metrics.jsonl")));
        assert_eq!(log("parts"), log("whole"));
    }
}

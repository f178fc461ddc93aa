//! `cargo xtask fetch-data` as a user meets it: what it prints, where, and its exit codes. Nothing
//! here reaches the network.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

const SYSTEM: &str = "/usr/share/datasets/fashion-mnist";

fn fetch_data(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let Output {
        status,
        stdout,
        stderr,
    } = command.arg("fetch-data").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn wrong_usage_is_2() {
    let (code, _, message) = fetch_data(&[]);
    assert_eq!(code, 2, "{message}");
    let (code, _, message) = fetch_data(&["fashion-mnits"]);
    assert!(
        code == 2 && message.contains("did you mean `fashion-mnist`?"),
        "{message}"
    );
    let (code, _, message) = fetch_data(&["mnist", "--offline", "--from", "http://example.invalid/"]);
    assert!(code == 2 && message.contains("--offline excludes"), "{message}");
    let (code, _, message) = fetch_data(&["mnist", "--all"]);
    assert_eq!(code, 2, "{message}");
}

#[test]
fn what_is_not_there_is_1_and_leaves_nothing() {
    let to = tempfile::tempdir().unwrap();
    let target = to.path().join("cache").display().to_string();
    let (code, out, message) = fetch_data(&["mnist", "--offline", "--to", &target]);
    assert!(code == 1 && out.is_empty(), "{out}");
    assert!(
        message.contains("MNIST could not be had") && message.contains("offline"),
        "{message}"
    );
    let from = to.path().display().to_string();
    let (code, _, message) = fetch_data(&["mnist", "--from", &from, "--to", &target]);
    assert!(
        code == 1 && message.contains("there is no such file"),
        "{message}"
    );
    assert!(!to.path().join("cache/mnist").exists());
}

#[test]
fn the_systems_package_can_be_copied_and_checked_offline() {
    if !Path::new(SYSTEM).is_dir() {
        eprintln!("skipped: dataset-fashion-mnist is not installed here");
        return;
    }
    let to = tempfile::tempdir().unwrap();
    let target = to.path().display().to_string();
    let (code, out, message) = fetch_data(&["fm", "--from", SYSTEM, "--to", &target]);
    assert!(code == 0 && out.starts_with("fashion-mnist: "), "{out}{message}");
    assert_eq!(
        std::fs::read_dir(to.path().join("fashion-mnist"))
            .unwrap()
            .count(),
        4
    );
    let (code, out, message) = fetch_data(&["fm", "--offline", "--to", &target]);
    assert!(code == 0 && out.contains("already there"), "{out}{message}");
}

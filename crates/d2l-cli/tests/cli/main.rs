//! The built `d2l`, run as a user runs it: on the sample inside it, without a network, a cache or the system's data.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod data;
mod features;
mod looks;
mod resume;
mod runs;
mod same;
mod several;
mod steps;
mod usage;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder to run `d2l` in, where nothing of this machine's data can be seen.
struct Place {
    folder: tempfile::TempDir,
}

/// What a run of `d2l` left behind.
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_d2l"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env("D2L_CACHE", self.path("cache"))
            .env("D2L_SYSTEM_DATA", self.path("system"))
            .env("HF_ENDPOINT", "http://127.0.0.1:9")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Done {
        self.command(words).output().unwrap().into()
    }

    /// Runs what has to succeed.
    fn ok(&self, words: &[&str]) -> Done {
        let done = self.run(words);
        assert_eq!(
            done.code,
            Some(0),
            "d2l {words:?}\n{}\n{}",
            done.stdout,
            done.stderr
        );
        done
    }

    /// Runs what has to fail, with nothing on standard output; gives its message.
    fn fails(&self, code: i32, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!(
            done.code,
            Some(code),
            "d2l {words:?}\n{}\n{}",
            done.stdout,
            done.stderr
        );
        assert_eq!(done.stdout, "", "d2l {words:?}");
        assert!(done.stderr.contains("error"), "{}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        done.stderr
    }

    /// A JSON document, and nothing else, on standard output.
    fn json(&self, words: &[&str]) -> Value {
        let done = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", done.stdout))
    }

    /// A short training run of `model` on the sample.
    fn train(&self, model: &str, more: &[&str]) -> Done {
        let short = [
            "train",
            model,
            "--offline",
            "--epochs",
            "1",
            "--train-limit",
            "512",
            "--test-limit",
            "200",
        ];
        self.ok(&[&short, more].concat())
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        json_lines(&std::fs::read_to_string(self.path(name)).unwrap())
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// A log without what no two runs share.
fn without_times(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        if let Some(fields) = line.as_object_mut() {
            fields.remove("seconds");
            fields.remove("examples_per_second");
        }
    }
    lines
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

//! A child process that answers one request per line.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(super) struct Server {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Server {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self {
            name,
            child,
            input: Some(input),
            output,
        })
    }

    /// The shortest time of one run of `case`, in seconds.
    pub(super) fn measure(&mut self, case: &Value, variant: &str, seconds: f64) -> Result<f64> {
        let request = json!({ "case": case, "variant": variant, "seconds": seconds });
        let input = self.input.as_mut().context("the process has ended")?;
        writeln!(input, "{request}").with_context(|| format!("{} takes no request", self.name))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(
            !line.is_empty(),
            "{} ended without an answer to {request}",
            self.name
        );
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("{}: {line}", self.name))?;
        answer
            .get("seconds")
            .and_then(Value::as_f64)
            .with_context(|| format!("{}: {line}", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without input both programs end by themselves.
        self.input = None;
        let _ = self.child.wait();
    }
}

//! A child process that answers one request per line.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Longer than any kernel's measurement takes.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) struct Server {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    /// The lines of its output, as they come.
    lines: Receiver<std::io::Result<String>>,
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
        let (sender, lines) = channel();
        // It ends with the process's output.
        std::thread::spawn(move || {
            for line in output.lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            name,
            child,
            input: Some(input),
            lines,
        })
    }

    /// The next line of output, within `limit`; a process that takes longer is killed.
    pub(super) fn answer(&mut self, limit: Duration) -> Result<Value> {
        let line = match self.lines.recv_timeout(limit) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                bail!("no answer within {} s", limit.as_secs());
            }
            Err(RecvTimeoutError::Disconnected) => bail!("{} ended without an answer", self.name),
        };
        serde_json::from_str(&line).with_context(|| format!("{}: {line}", self.name))
    }

    /// The answer to one request.
    pub(super) fn ask(&mut self, request: &Value, limit: Duration) -> Result<Value> {
        let input = self.input.as_mut().context("the process has ended")?;
        writeln!(input, "{request}").with_context(|| format!("{} takes no request", self.name))?;
        self.answer(limit).with_context(|| format!("asked for {request}"))
    }

    /// The shortest time of one run of `case`, in seconds.
    pub(super) fn measure(&mut self, case: &Value, variant: &str, seconds: f64) -> Result<f64> {
        let request = json!({ "case": case, "variant": variant, "seconds": seconds });
        let answer = self.ask(&request, PATIENCE)?;
        answer
            .get("seconds")
            .and_then(Value::as_f64)
            .with_context(|| format!("{}: {answer}", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without input these programs end by themselves.
        self.input = None;
        let _ = self.child.wait();
    }
}

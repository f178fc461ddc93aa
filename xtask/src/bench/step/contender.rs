//! Whoever takes part: a program that runs one network in one way, in a process of its own.

use super::cases::{Case, Task};
use super::report::Figures;
use crate::bench::server::Server;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Steps of our first, short run, which tells how many fit in the time asked for.
const FIRST_STEPS: u64 = 3;
const MOST_STEPS: f64 = 10_000.0;

/// One measurement.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(super) struct Measurement {
    /// The shortest step.
    pub(super) seconds: f64,
    /// The most memory the process held.
    pub(super) peak_memory_bytes: Option<u64>,
}

/// A program with its best figures so far.
pub(super) struct Contender {
    pub(super) figures: Figures,
    program: Option<Program>,
}

enum Program {
    /// A run of `d2l bench` for every measurement.
    Ours {
        arguments: Vec<String>,
        path: std::path::PathBuf,
        steps: Option<u64>,
    },
    /// A server that has the network ready.
    Server(Server),
}

impl Contender {
    /// `d2l bench`.
    pub(super) fn ours(path: &Path, case: &Case, task: Task, threads: usize) -> Self {
        let Case {
            network, batch, size, ..
        } = case;
        let mut arguments = vec!["bench".to_owned(), (*network).to_owned()];
        arguments.extend([
            format!("--batch-size={batch}"),
            format!("--input=1,{size},{size}"),
        ]);
        arguments.extend([
            format!("--threads={threads}"),
            "--device=cpu".into(),
            "--json".into(),
        ]);
        arguments.extend(case.width.map(|width| format!("--width={width}")));
        arguments.extend((task == Task::Infer).then(|| "--infer".to_owned()));
        Self {
            figures: Figures::new("d2l", ""),
            program: Some(Program::Ours {
                arguments,
                path: path.to_owned(),
                steps: None,
            }),
        }
    }

    /// A server that says first whether it can run the network; `limit` bounds how long that takes.
    pub(super) fn server(figures: Figures, command: &mut Command, case: &Case, limit: Duration) -> Self {
        let mut contender = Self {
            figures,
            program: None,
        };
        match start(command, case, limit) {
            Ok((server, version)) => {
                contender.figures.version = version;
                contender.program = Some(Program::Server(server));
            }
            Err(error) => contender.figures.missing = Some(reason(&error)),
        }
        contender
    }

    /// Measures for about `seconds` and keeps the best; what fails is missing from then on.
    pub(super) fn measure(&mut self, seconds: f64, limit: Duration) {
        let measurement = match &mut self.program {
            None => return,
            Some(Program::Ours {
                arguments,
                path,
                steps,
            }) => ours(path, arguments, steps, seconds, &mut self.figures),
            Some(Program::Server(server)) => server
                .ask(&json!({ "seconds": seconds }), limit)
                .and_then(|answer| Ok(serde_json::from_value(answer)?)),
        };
        match measurement {
            Ok(measurement) => self.figures.take(measurement),
            Err(error) => {
                self.figures.missing = Some(reason(&error));
                self.program = None;
            }
        }
    }
}

/// The error without the backtrace that some have behind it.
fn reason(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().trim_end().to_owned()
}

/// Starts a server and waits until it has the network ready.
fn start(command: &mut Command, case: &Case, limit: Duration) -> Result<(Server, Option<String>)> {
    let mut server = Server::start(command)?;
    let answer = server.answer(limit)?;
    if let Some(why) = answer.get("missing").and_then(Value::as_str) {
        bail!("{why}");
    }
    let parameters = answer.get("parameters").and_then(Value::as_u64);
    ensure!(
        parameters == Some(case.parameters),
        "its {} has {parameters:?} parameters, not {}: another network",
        case.network,
        case.parameters
    );
    let version = answer.get("version").and_then(Value::as_str);
    Ok((server, version.map(str::to_owned)))
}

/// Runs `d2l bench` for about `seconds`, after a first short run that tells how many steps that is.
fn ours(
    path: &Path,
    arguments: &[String],
    steps: &mut Option<u64>,
    seconds: f64,
    figures: &mut Figures,
) -> Result<Measurement> {
    let mut run = |steps: u64| -> Result<Measurement> {
        let output = Command::new(path)
            .args(arguments)
            .arg(format!("--steps={steps}"))
            .output()
            .with_context(|| format!("cannot run {}", path.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "d2l bench: {}", said.trim());
        let answer: Value = serde_json::from_slice(&output.stdout).context("what d2l bench printed")?;
        if let Some(engine) = answer.get("engine").and_then(Value::as_str) {
            figures.mode = engine.to_owned();
        }
        let milliseconds = answer.get("ms_per_step").and_then(Value::as_f64);
        Ok(Measurement {
            seconds: milliseconds.context("d2l bench told no ms_per_step")? / 1e3,
            peak_memory_bytes: answer.get("peak_memory_bytes").and_then(Value::as_u64),
        })
    };
    let steps = match *steps {
        Some(steps) => steps,
        None => {
            let first = run(FIRST_STEPS)?;
            let fitting = (seconds / first.seconds).clamp(FIRST_STEPS as f64, MOST_STEPS) as u64;
            *steps.insert(fitting)
        }
    };
    run(steps)
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A shell script in the place of a server.
    fn contender(script: &str, limit: Duration) -> Contender {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Contender::server(Figures::new("torch", "nchw"), &mut command, &CASES[0], limit)
    }

    #[test]
    fn a_server_is_asked_and_the_best_answer_kept() {
        let script = r#"echo '{"version": "9.9", "parameters": 7850}'
            read request; echo '{"seconds": 0.5, "peak_memory_bytes": 100}'
            read request; echo '{"seconds": 0.25, "peak_memory_bytes": 90}'"#;
        let mut contender = contender(script, LONG);
        contender.measure(1.0, LONG);
        contender.measure(1.0, LONG);
        let Figures {
            seconds, peak_memory, ..
        } = contender.figures;
        assert_eq!((seconds, peak_memory), (Some(0.25), Some(100)));
        assert_eq!(contender.figures.version.as_deref(), Some("9.9"));
        contender.measure(1.0, LONG);
        assert!(contender.figures.missing.is_some(), "it has ended");
    }

    #[test]
    fn what_cannot_run_is_missing_with_its_reason() {
        let missing = |script, limit| contender(script, limit).figures.missing.unwrap();
        assert_eq!(
            missing(r#"echo '{"missing": "no compiler"}'"#, LONG),
            "no compiler"
        );
        assert!(missing("exit 1", LONG).contains("ended without an answer"));
        assert!(missing(r#"echo '{"parameters": 7}'"#, LONG).contains("another network"));
        assert!(missing("exec sleep 100", Duration::from_millis(50)).contains("no answer within"));
        let mut none = contender("exit 1", LONG);
        none.measure(1.0, LONG);
        assert_eq!(none.figures.seconds, None);
    }

    #[test]
    fn our_program_runs_as_many_steps_as_fit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, seen) = (folder.path().join("d2l"), folder.path().join("seen"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {}\necho '{{\"engine\": \"plan\", \"ms_per_step\": 10.0, \"peak_memory_bytes\": 5}}'\n",
            seen.display()
        );
        // Put there by another process: a program that this one has open for writing, or had when another thread
        // started a child, cannot be run.
        let draft = folder.path().join("draft");
        std::fs::write(&draft, script).unwrap();
        let install = Command::new("install")
            .args(["-m", "755"])
            .args([&draft, &path])
            .status();
        assert!(install.unwrap().success());
        let mut ours = Contender::ours(&path, &CASES[4], Task::Infer, 2);
        ours.measure(1.0, LONG);
        ours.measure(1.0, LONG);
        assert_eq!(
            (ours.figures.seconds, ours.figures.mode.as_str()),
            (Some(0.01), "plan")
        );
        let seen = std::fs::read_to_string(seen).unwrap();
        let steps: Vec<&str> = seen
            .lines()
            .filter_map(|line| line.rsplit("--steps=").next())
            .collect();
        assert_eq!(steps, ["3", "100", "100"], "{seen}");
        assert!(
            seen.starts_with("bench vgg11 --batch-size=32 --input=1,224,224 --threads=2"),
            "{seen}"
        );
        assert!(seen.contains("--width=0.25 --infer"), "{seen}");
    }
}

//! `cargo xtask bench trainer`: the time of a step through `d2l_train::Trainer` over that of the bare planned step, by
//! `trainer-bench` of the package d2l-benches, which measures both in turn in one process.

use crate::workspace::build;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(Args)]
pub(super) struct Arguments {
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// How often to measure each in turn
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: usize,
    /// Steps of a round
    #[arg(long, default_value_t = 100, value_name = "N")]
    steps: usize,
    /// Take trainer-bench from here instead of building it
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// What `trainer-bench` prints.
#[derive(Deserialize)]
struct Answer {
    bare_seconds: f64,
    trainer_seconds: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { rounds, steps, .. } = *arguments;
    ensure!(rounds > 0 && steps > 0, "--rounds and --steps must be at least 1");
    let threads = match arguments.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    ensure!(threads > 0, "--threads must be at least 1");
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => build(&["--package", "d2l-benches", "--bin", "trainer-bench"])?,
    };
    let output = Command::new(&program)
        .args([threads, rounds, steps].map(|number| number.to_string()))
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "{} failed", program.display());
    let answer: Answer = serde_json::from_slice(&output.stdout).context("what trainer-bench printed")?;
    println!("LeNet, batch 256, {threads} threads, the best of {rounds} rounds of {steps} steps");
    println!("bare planned step  {:8.3} ms", 1e3 * answer.bare_seconds);
    println!("trainer            {:8.3} ms", 1e3 * answer.trainer_seconds);
    let ratio = answer.trainer_seconds / answer.bare_seconds;
    println!("ratio              {ratio:8.4} ({:+.2} %)", 100.0 * (ratio - 1.0));
    Ok(())
}

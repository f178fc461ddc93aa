//! Project tasks: `cargo xtask TASK`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod bench;
mod fetch_data;
mod lessons;
mod machine;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project tasks", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure the kernels or whole training steps, beside other frameworks' if asked to
    Bench(bench::Arguments),
    /// Fetch data sets into the cache, or check that they are there
    FetchData(fetch_data::Arguments),
    /// Run lessons and write docs/lessons.md from what came of them
    Lessons(lessons::Arguments),
}

fn main() -> ExitCode {
    // clap exits with 2 on wrong usage.
    let outcome = match Arguments::parse().task {
        Task::Bench(arguments) => bench::run(&arguments),
        Task::FetchData(arguments) => fetch_data::run(&arguments),
        Task::Lessons(arguments) => lessons::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<Interrupted>() { 130 } else { 1 })
        }
    }
}

/// Ctrl-C; nothing half-done is left.
#[derive(Debug)]
struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

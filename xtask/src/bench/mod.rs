//! `cargo xtask bench step` ([`step`]), `cargo xtask bench trainer` ([`trainer`]), and `cargo xtask bench kernels`: our kernels and PyTorch's on the layers of the
//! model zoo, side by side.
//!
//! Two child processes answer the same requests, one JSON value per line: `kernel-bench` of the package
//! d2l-benches, built in release mode, and `benches/torch_kernels.py`. They are asked in turn, so that whatever else
//! the machine does meets both; of all rounds the shortest time counts, and of PyTorch's layouts the better one.

mod report;
mod server;
mod step;
mod trainer;

use crate::workspace;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use report::{Measurement, Report};
use serde::Deserialize;
use serde_json::Value;
use server::Server;
use std::path::PathBuf;
use std::process::Command;

/// What to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The kernels of d2l-kernels, layer by layer
    Kernels(Kernels),
    /// A training step and a forward pass of every network, beside PyTorch's and candle's if asked to
    Step(step::Arguments),
    /// What the trainer adds to the planned step of LeNet at batch size 256
    Trainer(trainer::Arguments),
}

#[derive(Args)]
struct Kernels {
    /// Measure this beside our kernels
    #[arg(long)]
    against: Option<Peer>,
    /// The interpreter to run PyTorch with
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Write all figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Threads of both
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How often to ask each in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 0.05)]
    seconds: f64,
    /// Only cases whose group, networks or layer contain this
    #[arg(long, default_value = "")]
    filter: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    Torch,
}

/// A line of `kernel-bench list`; see `Listing` of d2l-benches.
#[derive(Clone, Deserialize)]
struct Listing {
    case: Value,
    work: f64,
    unit: String,
    variants: Vec<String>,
    torch_variants: Vec<String>,
    groups: Vec<String>,
    label: String,
}

impl Listing {
    fn text(&self, field: &str) -> &str {
        self.case.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn matches(&self, filter: &str) -> bool {
        let groups = self.groups.iter().map(String::as_str);
        groups
            .chain([self.text("networks"), self.label.as_str()])
            .any(|text| text.contains(filter))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Kernels(options) => kernels(options),
        What::Step(options) => step::run(options),
        What::Trainer(options) => trainer::run(options),
    }
}

fn kernels(options: &Kernels) -> Result<()> {
    ensure!(
        options.rounds > 0 && options.threads > 0,
        "--rounds and --threads must be at least 1"
    );
    let program = workspace::build(&["--package", "d2l-benches", "--bin", "kernel-bench"])?;
    let listings = list(&program)?;
    let listings: Vec<_> = listings
        .into_iter()
        .filter(|listing| listing.matches(&options.filter))
        .collect();
    ensure!(
        !listings.is_empty(),
        "no case matches --filter {:?}",
        options.filter
    );

    let threads = options.threads.to_string();
    let mut ours = Server::start(Command::new(&program).args(["serve", &threads]))?;
    let mut torch = match options.against {
        Some(Peer::Torch) => {
            let script = workspace::root().join("benches/torch_kernels.py");
            Some(Server::start(
                Command::new(&options.python).arg(script).arg(&threads),
            )?)
        }
        None => None,
    };
    let mut report = Report::new(options.threads, options.rounds, options.seconds);
    for listing in &listings {
        let mut measurement = Measurement::new(listing);
        for _ in 0..options.rounds {
            for (variant, best) in listing.variants.iter().zip(&mut measurement.ours) {
                *best = best.min(ours.measure(&listing.case, variant, options.seconds)?);
            }
            if let Some(torch) = &mut torch {
                for (variant, best) in listing.torch_variants.iter().zip(&mut measurement.torch) {
                    *best = best.min(torch.measure(&listing.case, variant, options.seconds)?);
                }
            }
        }
        println!("{measurement}");
        report.push(measurement);
    }
    println!("\n{}", report.means());
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        workspace::write(path, &text)?;
    }
    Ok(())
}

fn list(program: &PathBuf) -> Result<Vec<Listing>> {
    let output = Command::new(program)
        .arg("list")
        .output()
        .context("cannot run kernel-bench")?;
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).context("a line of kernel-bench list"))
        .collect()
}

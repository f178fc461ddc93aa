//! `cargo xtask bench step`: a training step and a forward pass of every network, ours and other frameworks' in turn.
//!
//! Every program runs in a process of its own for each network and mode, so that its peak memory is its own; ours is
//! `d2l bench`, PyTorch's `benches/torch_step.py`, candle's `benches/examples/candle_step.rs`. They are asked in turn,
//! so that whatever else the machine does meets all; of all rounds the shortest step counts.

mod cases;
mod contender;
mod report;

use crate::machine::{self, Setting};
use crate::workspace;
use anyhow::{Result, ensure};
use cases::{Case, Task};
use clap::{Args, ValueEnum};
use contender::Contender;
use indicatif::{ProgressBar, ProgressStyle};
use report::{Figures, Report, Row};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct Arguments {
    /// Measure these beside ours
    #[arg(long, value_delimiter = ',')]
    against: Vec<Peer>,
    /// The interpreter to run PyTorch with
    #[arg(long, default_value = "python3", value_name = "PATH")]
    python: PathBuf,
    /// PyTorch's modes
    #[arg(long, value_delimiter = ',', default_values = ["nchw", "channels-last", "compile"])]
    modes: Vec<Mode>,
    /// Only these networks
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    models: Vec<String>,
    /// What to measure of them
    #[arg(long, value_delimiter = ',', default_values = ["train", "infer"])]
    tasks: Vec<Task>,
    /// How often to ask each in turn
    #[arg(long, default_value_t = 4, value_name = "N")]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2.0, value_name = "X")]
    seconds: f64,
    /// Threads of each [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seconds that a program may take to get ready or to answer (compiling takes longest)
    #[arg(long, default_value_t = 300, value_name = "N")]
    limit: u64,
    /// One short round without PyTorch's compiled mode: to try the command, not to compare
    #[arg(long)]
    quick: bool,
    /// Take d2l and candle_step from this folder instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    Torch,
    Candle,
}

/// The networks that `candle_step` has: for the gradient of the others' pools candle has none, or a wrong one.
const OF_CANDLE: [&str; 4] = ["softmax", "mlp", "lenet", "alexnet"];

/// How PyTorch runs a network.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Nchw,
    ChannelsLast,
    Compile,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Nchw => "nchw",
            Self::ChannelsLast => "channels_last",
            Self::Compile => "compile",
        }
    }

    /// Whether the mode differs from the others for this network: one without pictures has no layout.
    fn makes_a_difference(self, case: &Case) -> bool {
        self != Self::ChannelsLast || !matches!(case.network, "softmax" | "mlp")
    }
}

/// The programs to measure, built, and how.
struct Bench {
    ours: PathBuf,
    candle: Option<PathBuf>,
    /// The interpreter, and the modes.
    torch: Option<(PathBuf, Vec<Mode>)>,
    threads: usize,
    rounds: usize,
    seconds: f64,
    limit: Duration,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let cases = cases::chosen(&arguments.models)?;
    let bench = Bench::new(arguments)?;
    let rows: Vec<(Case, Task)> = cases
        .iter()
        .flat_map(|&case| arguments.tasks.iter().map(move |&task| (case, task)))
        .collect();
    let mut report = Report::new(
        Setting::of_this_machine(bench.threads),
        bench.rounds,
        bench.seconds,
    );
    if let Some(load) = machine::load().filter(|&load| load > 0.5) {
        eprintln!(
            "warning: other programs keep {load:.1} cores busy; threads that wait for each other (PyTorch's most of \
             all) lose more by that than others: compare only what was measured on an idle machine"
        );
    }
    let start = Instant::now();
    for (done, &(case, task)) in rows.iter().enumerate() {
        let row = bench.measure(case, task)?;
        let (done, all) = (done + 1, rows.len());
        let left = start.elapsed() / done as u32 * (all - done) as u32;
        println!("{}  [{done}/{all}, {}]", row.line(), time_left(left));
        row.gaps().for_each(|gap| println!("  missing: {gap}"));
        report.push(row);
        // After every row, so that a run that is stopped has not been for nothing.
        if let Some(path) = &arguments.json {
            workspace::write(path, &serde_json::to_string_pretty(&report.to_json())?)?;
        }
        if let Some(path) = &arguments.markdown {
            workspace::write(path, &report.to_markdown())?;
        }
    }
    println!("\n{}", report.to_markdown());
    Ok(())
}

impl Bench {
    fn new(arguments: &Arguments) -> Result<Self> {
        let threads = match arguments.threads {
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        ensure!(
            arguments.rounds > 0 && threads > 0 && arguments.seconds > 0.0,
            "--rounds, --threads and --seconds must be above 0"
        );
        // The last word of what to build is the program's name.
        let program = |what: &[&str]| match (&arguments.programs, what.last()) {
            (Some(folder), Some(name)) => Ok(folder.join(name)),
            _ => workspace::build(what),
        };
        let against = |peer| arguments.against.contains(&peer);
        let mut modes = arguments.modes.clone();
        modes.retain(|&mode| !arguments.quick || mode != Mode::Compile);
        Ok(Self {
            ours: program(&["--package", "d2l-cli", "--bin", "d2l"])?,
            candle: against(Peer::Candle)
                .then(|| program(&["--package", "d2l-benches", "--example", "candle_step"]))
                .transpose()?,
            torch: against(Peer::Torch).then(|| (arguments.python.clone(), modes)),
            threads,
            rounds: if arguments.quick { 1 } else { arguments.rounds },
            seconds: if arguments.quick { 0.2 } else { arguments.seconds },
            limit: Duration::from_secs(arguments.limit),
        })
    }

    /// Starts all programs that run this network and asks them in turn.
    fn measure(&self, case: Case, task: Task) -> Result<Row> {
        let screen = ProgressBar::new_spinner().with_style(ProgressStyle::with_template(
            "{spinner} {prefix} {msg} {elapsed}",
        )?);
        screen.set_prefix(format!("{} {}:", case.label, task.name()));
        screen.enable_steady_tick(Duration::from_millis(200));
        let mut contenders = vec![Contender::ours(&self.ours, &case, task, self.threads)];
        let sizes = [case.batch, case.size, self.threads].map(|n| n.to_string());
        if let Some((python, modes)) = &self.torch {
            for mode in modes.iter().filter(|mode| mode.makes_a_difference(&case)) {
                screen.set_message(format!("PyTorch gets ready ({})", mode.name()));
                let mut command = Command::new(python);
                command.arg(workspace::root().join("benches/torch_step.py"));
                command
                    .args([case.network, task.name(), mode.name()])
                    .args(&sizes);
                let figures = Figures::new("torch", mode.name());
                contenders.push(Contender::server(figures, &mut command, &case, self.limit));
            }
        }
        if let Some(program) = self.candle.as_ref().filter(|_| OF_CANDLE.contains(&case.network)) {
            screen.set_message("candle gets ready");
            let mut command = Command::new(program);
            command.args([case.network, task.name()]).args(&sizes);
            let figures = Figures::new("candle", "");
            contenders.push(Contender::server(figures, &mut command, &case, self.limit));
        }
        for round in 1..=self.rounds {
            screen.set_message(format!("round {round} of {}", self.rounds));
            for contender in &mut contenders {
                contender.measure(self.seconds, self.limit);
            }
        }
        screen.finish_and_clear();
        Ok(Row {
            case,
            task,
            figures: contenders
                .into_iter()
                .map(|contender| contender.figures)
                .collect(),
        })
    }
}

fn time_left(left: Duration) -> String {
    match left.as_secs() {
        0 => "done".into(),
        seconds @ 1..90 => format!("about {seconds} s left"),
        seconds => format!("about {} min left", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_in_round_numbers() {
        let texts = [0, 89, 90, 605].map(|seconds| time_left(Duration::from_secs(seconds)));
        assert_eq!(
            texts,
            ["done", "about 89 s left", "about 2 min left", "about 10 min left"]
        );
    }

    #[test]
    fn only_pictures_have_a_layout() {
        let with = |mode: Mode| {
            let cases = cases::CASES.iter().filter(|case| mode.makes_a_difference(case));
            cases.count()
        };
        assert_eq!((with(Mode::Nchw), with(Mode::ChannelsLast)), (9, 7));
    }
}

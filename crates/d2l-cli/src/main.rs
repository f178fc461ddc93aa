//! The `d2l` binary: parse → resolve → run; this file alone sets the exit code.

mod args;
mod commands;
mod config;
mod data;
mod failure;
mod grid;
mod interrupt;
mod machine;
mod runs;
mod table;
mod ui;

use std::io::Write;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

use args::{Cli, Command};
use failure::{Failure, Result};
use interrupt::INTERRUPTED;
use ui::Ui;

// Without it every fresh buffer of an operation costs hundreds of page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Help goes to standard output, a mistake to standard error; a reader who left is no failure.
            let _ = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    let result = run(cli);
    if let Err(failure) = &result {
        ui::report(failure);
    }
    ExitCode::from(match result {
        Ok(()) | Err(Failure::OutputClosed) => 0,
        Err(Failure::Work(_)) => 1,
        Err(Failure::Usage(_)) => 2,
        Err(Failure::Interrupted) => INTERRUPTED,
    })
}

fn run(cli: Cli) -> Result<()> {
    let ui = |json| Ui {
        quiet: cli.quiet,
        json,
        ..Ui::default()
    };
    match cli.command {
        Command::List(args) => commands::list(&args, ui(args.json)),
        Command::Summary(args) => commands::summary(&args, ui(args.json)),
        Command::Show(args) => commands::show(&args, ui(args.json)),
        Command::Train(args) => {
            let ui = ui(args.json);
            commands::train(*args, ui)
        }
        Command::Kfold(args) => commands::kfold(&args, ui(args.json)),
        Command::Sweep(args) => commands::sweep(&args, ui(args.json)),
        Command::FindLr(args) => commands::find_lr(&args, ui(args.json)),
        Command::Eval(args) => commands::eval(&args, ui(args.json)),
        Command::Predict(args) => commands::predict(&args, ui(args.json)),
        Command::Plot(args) => commands::plot(&args, ui(args.json)),
        Command::Features(args) => commands::features(&args, ui(args.json)),
        Command::Lesson(args) => commands::lesson(&args, ui(args.json)),
        Command::Verify(args) => commands::verify(&args, ui(args.json)),
        Command::Export(args) => commands::export(&args, ui(args.json)),
        Command::Bench(args) => commands::bench(&args, ui(args.json)),
        Command::Data(args) => commands::data(&args, ui(args.json)),
        Command::Completions(args) => completions(args.shell),
    }
}

/// Written to memory first: clap's generator panics where standard output is closed.
fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "d2l", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}

/// Reads the command line, with `--color` already in force for clap's own messages.
fn parse() -> std::result::Result<Cli, clap::Error> {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let mut colour = None;
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("--color", when)) => colour = Some(when.to_owned()),
            None if word == "--color" => colour = words.next(),
            _ => {}
        }
    }
    let (clap_colour, stream_colour) = match colour.as_deref() {
        Some("always") => (ColorChoice::Always, anstream::ColorChoice::Always),
        Some("never") => (ColorChoice::Never, anstream::ColorChoice::Never),
        _ => (ColorChoice::Auto, anstream::ColorChoice::Auto),
    };
    stream_colour.write_global();
    let matches = Cli::command().color(clap_colour).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

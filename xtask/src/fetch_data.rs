//! `cargo xtask fetch-data`: the data sets of d2l-data, by the same code.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow};
use d2l_data::fetch::{From, fetch_to};
use d2l_data::source::{SYSTEM_DIR, locate};
use d2l_data::{
    DatasetEntry, Error, Event, Network, Progress, SourceKind, SourceOptions, datasets, default_cache_dir,
};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::{consts::SIGINT, flag};

use crate::Interrupted;

/// The arguments of `fetch-data`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Data sets, by name or alias
    #[arg(value_name = "NAME", required_unless_present = "all", value_parser = parse_name)]
    names: Vec<DatasetEntry<'static>>,
    /// All data sets
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Where to: DIR/NAME [default: the cache, $D2L_CACHE or the platform's]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Take the files from a directory or a web address instead of the usual places
    #[arg(long, value_name = "DIR|URL")]
    from: Option<String>,
    /// Never touch the network: only check what is there, or copy from a directory
    #[arg(long)]
    offline: bool,
}

fn parse_name(name: &str) -> Result<DatasetEntry<'static>, String> {
    datasets::find_entry(name).map_err(|error| error.to_string())
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let from = from(arguments);
    let root = match &arguments.to {
        Some(directory) => directory.clone(),
        None => cache_dir()?,
    };
    let network = match std::env::var("HF_ENDPOINT") {
        Ok(endpoint) if !endpoint.is_empty() => Network {
            hub_endpoint: Some(endpoint),
            ..Network::default()
        },
        _ => Network::default(),
    };
    let entries: Vec<DatasetEntry<'_>> = if arguments.all {
        datasets::entries().collect()
    } else {
        arguments.names.clone()
    };

    let screen = Screen::new()?;
    let mut failed = Vec::new();
    for entry in entries {
        match fetch_to(entry, &root, &from, &network, &screen) {
            Ok(fetched) => println!(
                "{}: {} (from {})",
                entry.name(),
                fetched.directory.display(),
                fetched.source
            ),
            Err(Error::Cancelled) => return Err(Interrupted.into()),
            Err(error) => match system_directory(entry).filter(|_| from == From::Nowhere) {
                Some(directory) => {
                    println!("{}: {} (the system's package)", entry.name(), directory.display())
                }
                None => {
                    match &error {
                        // Each failure is on the screen already.
                        Error::NoSource { dataset, remedy, .. } => {
                            eprintln!("error: {dataset} could not be had from any source: {remedy}");
                        }
                        _ => eprintln!("error: {error}"),
                    }
                    failed.push(entry.name());
                }
            },
        }
        screen.bar.finish_and_clear();
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(anyhow!("not fetched: {}", failed.join(", ")))
    }
}

fn from(arguments: &Arguments) -> From {
    match &arguments.from {
        Some(place) if place.contains("://") => {
            if arguments.offline {
                use clap::CommandFactory as _;
                let message = format!("--offline excludes --from {place}");
                crate::Arguments::command()
                    .error(clap::error::ErrorKind::ArgumentConflict, message)
                    .exit();
            }
            From::Url(place.clone())
        }
        Some(place) => From::Directory(PathBuf::from(place)),
        None if arguments.offline => From::Nowhere,
        None => From::Network,
    }
}

fn cache_dir() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("D2L_CACHE").filter(|directory| !directory.is_empty()) {
        return Ok(PathBuf::from(directory));
    }
    default_cache_dir()
        .context("there is no home directory for a cache; name a directory with --to or $D2L_CACHE")
}

/// Where the system's package has the data set.
fn system_directory(entry: DatasetEntry<'_>) -> Option<PathBuf> {
    let system_dir = Some(PathBuf::from(SYSTEM_DIR));
    let options = SourceOptions {
        system_dir,
        sample: false,
        ..SourceOptions::default()
    };
    locate(entry, &options)
        .filter(|(kind, _)| *kind == SourceKind::System)?
        .1
}

/// Steps as lines, bytes as a bar; both on standard error.
struct Screen {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Screen {
    fn new() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        // The second Ctrl-C does not wait for anything: the first of these looks whether the flag is up already.
        flag::register_conditional_shutdown(SIGINT, 130, stop.clone()).context("cannot listen for Ctrl-C")?;
        flag::register(SIGINT, stop.clone()).context("cannot listen for Ctrl-C")?;
        let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(style)
            .context("progress bar")?
            .progress_chars("=> ");
        Ok(Self {
            bar: ProgressBar::new(0).with_style(style),
            stop,
        })
    }

    fn line(&self, text: &str) {
        // indicatif swallows lines where standard error is no terminal.
        if self.bar.is_hidden() {
            eprintln!("{text}")
        } else {
            self.bar.println(text)
        }
    }
}

impl Progress for Screen {
    fn event(&self, event: &Event) {
        match event {
            Event::Bytes {
                file,
                received,
                total,
            } => {
                self.bar.set_message(file.clone());
                self.bar.set_length(total.unwrap_or(*received));
                self.bar.set_position(*received);
            }
            Event::Start { .. } => {
                self.bar.reset();
                self.line(&event.to_string());
            }
            _ => self.line(&event.to_string()),
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

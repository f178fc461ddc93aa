//! `cargo xtask lessons`: runs lessons with `d2l lesson` and writes docs/lessons.md.
//!
//! What came of each lesson is kept in docs/lessons.json, after every lesson, so that the long ones can be run on other
//! days; the page is written from that file and the list of lessons.

mod page;

use crate::machine::Setting;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The lessons to run [default: all that take seconds or minutes].
    names: Vec<String>,

    /// Run every lesson, those that take hours too.
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Run the quick forms. A full form's results stay where there are any.
    #[arg(long)]
    quick: bool,

    /// Run no lesson: write the page from what was kept.
    #[arg(long, conflicts_with_all = ["names", "all", "quick"])]
    only_write: bool,

    /// Threads to compute with [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// A d2l program that is built already, instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// What `d2l lesson list --json` says of a lesson.
#[derive(Clone, Debug, serde::Deserialize)]
struct Lesson {
    name: String,
    chapter: String,
    section: String,
    title: String,
    expected: String,
    takes: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => workspace::build(&["--package", "d2l-cli", "--bin", "d2l"])?,
    };
    let lessons: Vec<Lesson> = serde_json::from_value(d2l(&program, &["lesson", "list", "--json"])?)
        .context("what `d2l lesson list` printed")?;
    let docs = workspace::root().join("docs");
    let kept_at = docs.join("lessons.json");
    let mut kept = read(&kept_at)?;
    for lesson in chosen(&lessons, arguments)? {
        let full = |result: &Value| result["quick"] == false;
        if arguments.quick && kept.get(&lesson.name).is_some_and(full) {
            continue;
        }
        eprintln!("{} {}", lesson.section, lesson.name);
        let result = give(&program, lesson, arguments)?;
        kept.insert(lesson.name.clone(), result);
        workspace::write(&kept_at, &serde_json::to_string_pretty(&kept)?)?;
    }
    workspace::write(&docs.join("lessons.md"), &page::page(&lessons, &kept))?;
    println!("{}", docs.join("lessons.md").display());
    Ok(())
}

fn chosen<'a>(lessons: &'a [Lesson], arguments: &Arguments) -> Result<Vec<&'a Lesson>> {
    if arguments.only_write {
        return Ok(Vec::new());
    }
    if arguments.names.is_empty() {
        let fits = |lesson: &&Lesson| arguments.all || arguments.quick || lesson.takes != "hours";
        return Ok(lessons.iter().filter(fits).collect());
    }
    let find = |name: &String| {
        let found = lessons.iter().find(|lesson| lesson.name == *name);
        found.with_context(|| format!("there is no lesson `{name}`: see `d2l lesson list`"))
    };
    arguments.names.iter().map(find).collect()
}

/// Runs a lesson; what is kept of it.
fn give(program: &Path, lesson: &Lesson, arguments: &Arguments) -> Result<Value> {
    let pictures = workspace::root().join("target").join("lessons");
    let pictures = pictures.to_string_lossy();
    let mut words = vec!["lesson", &lesson.name, "--json", "--output", &pictures];
    if arguments.quick {
        words.push("--quick");
    }
    let threads = arguments.threads.map(|threads| threads.to_string());
    if let Some(threads) = &threads {
        words.extend(["--threads", threads]);
    }
    let answer = d2l(program, &words)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let setting = Setting::of_this_machine(arguments.threads.unwrap_or(cores));
    let part = |name: &str| {
        answer
            .pointer(&format!("/0/{name}"))
            .cloned()
            .unwrap_or(Value::Null)
    };
    Ok(json!({
        "quick": arguments.quick,
        "seed": part("seed"),
        "seconds": part("seconds"),
        "rows": part("rows"),
        "setting": setting.to_json(),
    }))
}

/// The JSON that a command of d2l prints.
fn d2l(program: &Path, words: &[&str]) -> Result<Value> {
    let output = Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "d2l {}: {}",
        words.join(" "),
        said.trim()
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("what `d2l {}` printed", words.join(" ")))
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

//! What several runs came to: a table with mean and deviation, files in their folder, JSON.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anstyle::Style;
use d2l_train::{EpochRecord, Spread, metrics::Metric, plot::learning_curves};
use serde_json::{Map, Value, json};

use super::series::Ended;
use crate::failure::{Doing, Result};
use crate::runs::write_file;
use crate::table::{Align, Table};
use crate::ui::{BAD, BOLD, DIM, Ui};

/// The figures of several runs after their last epoch.
pub(crate) struct Summary<'a> {
    /// What the first column is called.
    pub(crate) heading: &'a str,
    pub(crate) runs: &'a [Ended],
    /// Whether a mean over the runs means something: they differ by chance only.
    pub(crate) averaged: bool,
}

impl Summary<'_> {
    /// The metrics that any run has.
    fn metrics(&self) -> Vec<Metric> {
        let last = || self.runs.iter().filter_map(|run| run.records().last());
        let mut metrics: Vec<Metric> = Metric::ALL.to_vec();
        metrics.retain(|metric| last().any(|record| metric.of(record).is_some()));
        metrics
    }

    /// Mean and deviation of a metric over the runs that have it.
    pub(crate) fn spread(&self, metric: Metric) -> Spread {
        let last = self.runs.iter().filter_map(|run| run.records().last());
        Spread::of(last.filter_map(|record| metric.of(record)))
    }

    /// The table on standard output.
    pub(crate) fn print(&self, ui: Ui) -> Result<()> {
        let metrics = self.metrics();
        let mut columns = vec![Align::Right; metrics.len() + 1];
        if let Some(first) = columns.first_mut() {
            *first = Align::Left;
        }
        let mut table = Table::new(&columns);
        let names = metrics.iter().map(|metric| metric.name().replace('_', " "));
        table.row(BOLD, std::iter::once(self.heading.to_owned()).chain(names));
        for run in self.runs {
            let mut row = vec![(run.name.clone(), Style::new())];
            match (run.records().last(), &run.outcome) {
                (Some(last), _) => row.extend(metrics.iter().map(|metric| {
                    let value = metric.of(last).map(|value| format!("{value:.4}"));
                    (value.unwrap_or_default(), Style::new())
                })),
                (None, Err(_)) => row.push(("failed".to_owned(), BAD)),
                (None, Ok(_)) => row.push(("no epoch".to_owned(), DIM)),
            }
            table.styled_row(row);
        }
        if self.averaged && self.runs.len() > 1 {
            let spreads = metrics.iter().map(|&metric| self.spread(metric).to_string());
            table.row(BOLD, std::iter::once("mean ± sd".to_owned()).chain(spreads));
        }
        for line in table.lines() {
            ui.line(line)?;
        }
        Ok(())
    }

    /// As JSON: the runs with their last figures, and the spread of each.
    pub(crate) fn json(&self, folder: &Path) -> Value {
        let metrics = self.metrics();
        let runs: Vec<Value> = self.runs.iter().map(|run| run_json(run, &metrics)).collect();
        let spread: Map<String, Value> = metrics
            .iter()
            .map(|&metric| (metric.name().to_owned(), json!(self.spread(metric))))
            .collect();
        let mut whole = json!({ "folder": folder, "runs": runs });
        if let (true, Some(fields)) = (self.averaged, whole.as_object_mut()) {
            fields.insert("spread".to_owned(), spread.into());
        }
        whole
    }

    /// Writes `results.csv` and the curves over each other into the folder; gives the picture's path.
    pub(crate) fn write(&self, folder: &Path) -> Result<Option<PathBuf>> {
        // Runs that failed before their start have made no folder.
        std::fs::create_dir_all(folder).doing(|| format!("cannot make {}", folder.display()))?;
        write_file(&folder.join("results.csv"), self.csv().as_bytes())?;
        let drawn: Vec<(&str, &[EpochRecord])> = self
            .runs
            .iter()
            .filter(|run| !run.records().is_empty())
            .map(|run| (run.name.as_str(), run.records()))
            .collect();
        if drawn.is_empty() {
            return Ok(None);
        }
        let picture = folder.join("curves.svg");
        learning_curves(&drawn, &picture)?;
        learning_curves(&drawn, &folder.join("curves.png"))?;
        Ok(Some(picture))
    }

    fn csv(&self) -> String {
        let metrics = self.metrics();
        let names: String = metrics
            .iter()
            .map(|metric| format!(",{}", metric.name()))
            .collect();
        let mut text = format!("run,epochs{names},error\n");
        for run in self.runs {
            let last = run.records().last();
            let figures: String = metrics
                .iter()
                .map(|metric| last.and_then(|last| metric.of(last)))
                .map(|value| value.map_or(",".to_owned(), |value| format!(",{value}")))
                .collect();
            let error = run
                .outcome
                .as_ref()
                .err()
                .map_or(String::new(), |error| quoted(error));
            let _ = writeln!(
                text,
                "{},{}{figures},{error}",
                quoted(&run.name),
                run.records().len()
            );
        }
        text
    }
}

fn run_json(run: &Ended, metrics: &[Metric]) -> Value {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), json!(run.name));
    fields.insert("run".to_owned(), json!(run.path));
    fields.insert("kept".to_owned(), json!(run.kept));
    fields.insert("epochs".to_owned(), json!(run.records().len()));
    if let Some(last) = run.records().last() {
        for metric in metrics {
            fields.insert(metric.name().to_owned(), json!(metric.of(last)));
        }
    }
    if let Err(error) = &run.outcome {
        fields.insert("error".to_owned(), json!(error));
    }
    fields.into()
}

/// A cell of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_are_quoted() {
        assert_eq!(quoted("lr=0.1,momentum=0"), "\"lr=0.1,momentum=0\"");
        assert_eq!(quoted("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(quoted("seed-0"), "seed-0");
    }
}

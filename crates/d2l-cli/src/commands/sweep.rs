//! `d2l sweep`: every combination of some settings, or a sample of them, as a run each.

mod file;

use d2l_train::metrics::Metric;
use serde_json::json;

use super::train::series::{Ended, Series};
use super::train::series_folder;
use super::train::summary::Summary;
use crate::args::SweepArgs;
use crate::failure::{Failure, Result};
use crate::ui::Ui;
use file::SweepFile;

/// `d2l sweep`.
pub(crate) fn sweep(args: &SweepArgs, ui: Ui) -> Result<()> {
    let file = SweepFile::read(&args.file)?;
    let metric = match &args.metric {
        Some(name) => {
            let metric = name.parse::<Metric>();
            Some(metric.map_err(|error| Failure::usage(format!("--metric: {error}")))?)
        }
        None => file.metric,
    };
    let folder = series_folder(args.place.name.as_deref(), args.place.out.as_deref(), || {
        let stem = args.file.file_stem().unwrap_or_default();
        Ok(stem.to_string_lossy().into_owned())
    })?;
    let series = Series {
        folder,
        members: file.members,
        offline: args.place.offline,
        overwrite: args.place.overwrite,
        keep_going: true,
        ui: Ui {
            muted: ui.json,
            json: false,
            ..ui
        },
    };
    let mut runs = series.run()?;
    let metric = metric.or_else(|| {
        let mut last = runs.iter().filter_map(|run| run.records().last());
        last.next().map(Metric::natural)
    });
    if let Some(metric) = metric {
        sort(&mut runs, metric);
    }
    let summary = Summary {
        heading: "run",
        runs: &runs,
        averaged: false,
    };
    let curves = summary.write(&series.folder)?;
    if ui.json {
        let mut document = summary.json(&series.folder);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("metric".to_owned(), json!(metric.map(Metric::name)));
        }
        ui.json_document(&document)?;
    } else {
        summary.print(ui)?;
        ui.fact("Results", series.folder.join("results.csv").display());
        if let Some(curves) = curves {
            ui.fact("Curves", curves.display());
        }
    }
    match runs.iter().filter(|run| run.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(Failure::work(format!(
            "{failed} of {} runs failed; the same command tries them again",
            runs.len()
        ))),
    }
}

/// Best first; those without the metric last.
fn sort(runs: &mut [Ended], metric: Metric) {
    let value = |run: &Ended| run.records().last().and_then(|last| metric.of(last));
    runs.sort_by(|a, b| match (value(a), value(b)) {
        (Some(a), Some(b)) if metric.better(a, b, 0.0) => std::cmp::Ordering::Less,
        (Some(a), Some(b)) if metric.better(b, a, 0.0) => std::cmp::Ordering::Greater,
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
}

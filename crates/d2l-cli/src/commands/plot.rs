use std::path::Path;

use d2l_train::{
    EpochRecord,
    metrics::{Record, StepRecord, read_records},
    plot::{Curves, Runs},
};
use serde_json::json;

use crate::args::PlotArgs;
use crate::failure::{Failure, Result};
use crate::runs::find;
use crate::ui::{Ui, terminal_columns};

/// Lines of a panel in the terminal.
const TEXT_ROWS: usize = 24;
/// Columns of one: wider ones are no easier to read.
const TEXT_COLUMNS: usize = 100;

/// `d2l plot`: learning curves of runs over each other.
pub(crate) fn plot(args: &PlotArgs, ui: Ui) -> Result<()> {
    if !(0.0..1.0).contains(&args.smooth) {
        let got = args.smooth;
        return Err(Failure::usage(format!(
            "--smooth: has to be at least 0 and below 1, got {got}"
        )));
    }
    let runs: Vec<Recorded> = args
        .runs
        .iter()
        .map(|run| Recorded::read(run))
        .collect::<Result<_>>()?;
    let epochs: Vec<_> = runs
        .iter()
        .map(|run| (run.name.as_str(), run.epochs.as_slice()))
        .collect();
    let steps: Vec<_> = runs
        .iter()
        .map(|run| (run.name.as_str(), run.steps.as_slice()))
        .collect();
    let curves = Curves {
        runs: if args.steps {
            Runs::Steps(&steps)
        } else {
            Runs::Epochs(&epochs)
        },
        smoothing: args.smooth,
    };
    for run in &runs {
        let (missing, what) = match args.steps {
            true => (run.steps.is_empty(), "logged step: train with --log-every N"),
            false => (run.epochs.is_empty(), "whole epoch yet"),
        };
        if missing {
            return Err(Failure::work(format!("{} has no {what}", run.name)));
        }
    }
    if args.terminal {
        let columns = terminal_columns().unwrap_or(80).clamp(40, TEXT_COLUMNS);
        return ui.line(curves.text(columns, TEXT_ROWS)?);
    }
    let path = match (&args.output, args.runs.as_slice()) {
        (Some(path), _) => path.clone(),
        (None, [one]) => find(one)?.folder().join("curves.svg"),
        (None, _) => "curves.svg".into(),
    };
    curves.save(&path)?;
    if ui.json {
        let runs: Vec<_> = runs
            .iter()
            .map(|run| json!({"name": run.name, "epochs": run.epochs, "steps": run.steps}))
            .collect();
        return ui.json_document(&json!({ "output": path, "runs": runs }));
    }
    ui.line(path.display())
}

/// What a run wrote down.
struct Recorded {
    name: String,
    epochs: Vec<EpochRecord>,
    steps: Vec<StepRecord>,
}

impl Recorded {
    fn read(run: &Path) -> Result<Self> {
        let files = find(run)?;
        let (mut epochs, mut steps) = (Vec::new(), Vec::new());
        for record in read_records(&files.metrics_path())? {
            match record {
                Record::Epoch(epoch) => epochs.push(epoch),
                Record::Step(step) => steps.push(step),
            }
        }
        let name = files.folder().file_name().unwrap_or(run.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            epochs,
            steps,
        })
    }
}

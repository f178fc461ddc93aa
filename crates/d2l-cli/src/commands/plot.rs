use d2l_train::{
    EpochRecord,
    metrics::{Record, read_records},
    plot::learning_curves,
};
use serde_json::json;

use crate::args::PlotArgs;
use crate::failure::{Failure, Result};
use crate::runs::find;
use crate::ui::Ui;

/// `d2l plot`: learning curves of runs over each other.
pub(crate) fn plot(args: &PlotArgs, ui: Ui) -> Result<()> {
    let mut curves: Vec<(String, Vec<EpochRecord>)> = Vec::new();
    for run in &args.runs {
        let files = find(run)?;
        let epochs: Vec<EpochRecord> = read_records(&files.metrics_path())?
            .into_iter()
            .filter_map(|record| match record {
                Record::Epoch(epoch) => Some(epoch),
                Record::Step(_) => None,
            })
            .collect();
        if epochs.is_empty() {
            return Err(Failure::work(format!(
                "{} has no whole epoch yet",
                files.folder().display()
            )));
        }
        let name = files
            .folder()
            .file_name()
            .unwrap_or(run.as_os_str())
            .to_string_lossy()
            .into_owned();
        curves.push((name, epochs));
    }
    let path = match (&args.output, args.runs.as_slice()) {
        (Some(path), _) => path.clone(),
        (None, [one]) => find(one)?.folder().join("curves.svg"),
        (None, _) => "curves.svg".into(),
    };
    let borrowed: Vec<(&str, &[EpochRecord])> = curves
        .iter()
        .map(|(name, epochs)| (name.as_str(), epochs.as_slice()))
        .collect();
    learning_curves(&borrowed, &path)?;
    if ui.json {
        let runs: Vec<_> = curves
            .iter()
            .map(|(name, epochs)| json!({"name": name, "epochs": epochs}))
            .collect();
        return ui.json_document(&json!({ "output": path, "runs": runs }));
    }
    ui.line(path.display())
}

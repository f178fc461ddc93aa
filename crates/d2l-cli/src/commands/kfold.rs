//! `d2l kfold`: k-fold cross-validation of a network over its pictures, or of the house prices.

mod houses;

use d2l_data::{DatasetEntry, datasets};
use serde_json::json;

use super::train::series::{MOST_RUNS, Member, Series};
use super::train::summary::Summary;
use super::train::{model_name, series_folder};
use crate::args::{KfoldArgs, Settings};
use crate::failure::{Failure, Result};
use crate::ui::Ui;

/// `d2l kfold`.
pub(crate) fn kfold(args: &KfoldArgs, ui: Ui) -> Result<()> {
    if args.folds < 2 {
        return Err(Failure::usage(format!(
            "-k: has to be at least 2, got {}",
            args.folds
        )));
    }
    let what = args.settings.model.as_deref().unwrap_or_default();
    match datasets::find_entry(what) {
        Ok(DatasetEntry::Table(_)) => houses::kfold(args, ui),
        Ok(DatasetEntry::Images(spec)) => Err(Failure::usage(format!(
            "{0} has no network of its own: name a network, as in `d2l kfold mlp --dataset {0}`",
            spec.name
        ))),
        Err(_) => of_model(args, ui),
    }
}

fn of_model(args: &KfoldArgs, ui: Ui) -> Result<()> {
    let model = model_name(&args.settings)?;
    if args.submission.is_some() {
        return Err(Failure::usage(
            "--submission: only `d2l kfold house-prices` has something to hand in",
        ));
    }
    if args.settings.validation.is_some() || args.settings.fold.is_some() {
        return Err(Failure::usage(
            "--validation, --fold: the folds themselves are what is held out here",
        ));
    }
    let k = args.folds;
    if k > MOST_RUNS {
        return Err(Failure::usage(format!(
            "-k: every fold is a run, and there can be {MOST_RUNS}, got {k}"
        )));
    }
    let folder = series_folder(args.place.name.as_deref(), args.place.out.as_deref(), || {
        Ok(format!("{model}-{k}-fold"))
    })?;
    let members = (1..=k).map(|number| Member {
        name: format!("fold-{number}"),
        settings: Settings {
            fold: Some(format!("{number}/{k}")),
            ..args.settings.clone()
        },
    });
    let series = Series {
        folder,
        members: members.collect(),
        offline: args.place.offline,
        overwrite: args.place.overwrite,
        keep_going: false,
        ui: Ui {
            muted: ui.json,
            json: false,
            ..ui
        },
    };
    let runs = series.run()?;
    let summary = Summary {
        heading: "fold",
        runs: &runs,
        averaged: true,
    };
    let curves = summary.write(&series.folder)?;
    if ui.json {
        let mut document = summary.json(&series.folder);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("model".to_owned(), json!(model));
            fields.insert("k".to_owned(), json!(k));
        }
        return ui.json_document(&document);
    }
    summary.print(ui)?;
    if let Some(curves) = curves {
        ui.fact("Curves", curves.display());
    }
    Ok(())
}

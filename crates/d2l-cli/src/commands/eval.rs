use std::sync::Arc;

use anstyle::Style;
use d2l_data::LoaderOptions;
use d2l_train::{Evaluation, Task, evaluate, loss::CrossEntropy, metrics::Confusion};
use serde_json::json;

use super::show::{split, split_name};
use crate::args::EvalArgs;
use crate::data::LoaderSource;
use crate::failure::{Failure, Result};
use crate::machine::{answering, device_name, in_pool};
use crate::runs::{StoredRun, Weights, place};
use crate::table::{Align, Table};
use crate::ui::{BAD, BOLD, DIM, GOOD, Ui, thousands};

/// `d2l eval`: how good a trained network is.
pub(crate) fn eval(args: &EvalArgs, ui: Ui) -> Result<()> {
    let (device, threads) = place(args.place.device.as_deref(), args.place.threads)?;
    if args.batch_size == Some(0) {
        return Err(Failure::usage("--batch-size: has to be at least 1, got 0"));
    }
    let run = StoredRun::open(&args.run)?;
    let weights = run.weights(args.weights, ui)?;
    let data = run.data(&args.place, ui)?;
    let set = data.split(split(args.split));
    let evaluation = in_pool(threads, || {
        let device = device.open()?;
        let (model, _) = run.model(&weights, &device)?;
        ui.fact(
            "Run",
            format_args!(
                "{}, {} after epoch {}",
                run.name(),
                run.spec.name,
                weights.checkpoint.position().epoch
            ),
        );
        ui.fact(
            "Data",
            format_args!(
                "{} {} examples from {}",
                thousands(set.len() as u64),
                split_name(args.split),
                data.provenance.source
            ),
        );
        ui.fact(
            "Device",
            format_args!("{}, {threads} threads", device_name(&device)),
        );
        let options = LoaderOptions {
            batch_size: args.batch_size.or(run.settings.batch_size).unwrap_or(256),
            resize: run.settings.resize,
            ..LoaderOptions::default()
        };
        let source = LoaderSource::new(&Arc::clone(set), options, &device)?;
        let module = answering(model.model(), &device);
        Ok(evaluate(
            module.as_ref(),
            &CrossEntropy::default(),
            Task::Classification,
            &source,
        )?)
    })?;
    let classes = &run.record.classes;
    if ui.json {
        return ui.json_document(&to_json(args, &run, &weights, &evaluation));
    }
    ui.line(format_args!("loss      {:.4}", evaluation.loss))?;
    let Some(confusion) = &evaluation.confusion else {
        return Ok(());
    };
    ui.line(format_args!("accuracy  {:.4}", confusion.accuracy()))?;
    ui.line("")?;
    for line in table(confusion, classes).lines() {
        ui.line(line)?;
    }
    Ok(())
}

/// The confusion matrix, a row per true class with its accuracy at the end. The columns have the numbers of the
/// classes for names, or ten of them would be wider than a terminal.
fn table(confusion: &Confusion, classes: &[String]) -> Table {
    let count = confusion.classes();
    let mut columns = vec![Align::Right, Align::Left];
    columns.extend(std::iter::repeat_n(Align::Right, count + 1));
    let mut table = Table::new(&columns);
    let heads = ["".to_owned(), "true \\ predicted".to_owned()].into_iter();
    let numbers = (0..count).map(|class| class.to_string());
    table.row(BOLD, heads.chain(numbers).chain(["accuracy".to_owned()]));
    for (truth, accuracy) in confusion.per_class_accuracy().into_iter().enumerate() {
        let name = classes.get(truth).cloned().unwrap_or_default();
        let mut row = vec![(truth.to_string(), DIM), (name, BOLD)];
        for seen in 0..count {
            let number = confusion.count(truth, seen);
            let text = if number == 0 {
                "·".to_owned()
            } else {
                thousands(number)
            };
            let style = match number {
                _ if truth == seen => GOOD,
                0 => DIM,
                // A tenth of a class taken for one other class is worth a look.
                _ if number * 10 >= row_total(confusion, truth) => BAD,
                _ => Style::new(),
            };
            row.push((text, style));
        }
        row.push((
            accuracy.map_or("–".to_owned(), |accuracy| format!("{accuracy:.3}")),
            BOLD,
        ));
        table.styled_row(row);
    }
    table
}

fn row_total(confusion: &Confusion, truth: usize) -> u64 {
    (0..confusion.classes())
        .map(|seen| confusion.count(truth, seen))
        .sum()
}

fn to_json(
    args: &EvalArgs,
    run: &StoredRun,
    weights: &Weights,
    evaluation: &Evaluation,
) -> serde_json::Value {
    let confusion = evaluation.confusion.as_ref();
    let per_class: Option<serde_json::Map<_, _>> = confusion.map(|confusion| {
        let accuracies = confusion
            .per_class_accuracy()
            .into_iter()
            .map(|accuracy| json!(accuracy));
        run.record.classes.iter().cloned().zip(accuracies).collect()
    });
    let matrix: Option<Vec<Vec<u64>>> = confusion.map(|confusion| {
        let row = |truth| {
            (0..confusion.classes())
                .map(|seen| confusion.count(truth, seen))
                .collect()
        };
        (0..confusion.classes()).map(row).collect()
    });
    json!({
        "run": run.name(),
        "model": run.spec.name,
        "dataset": run.dataset.name,
        "split": split_name(args.split),
        "weights": args.weights.name(),
        "epoch": weights.checkpoint.position().epoch,
        "step": weights.checkpoint.position().step,
        "examples": evaluation.examples,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy(),
        "classes": run.record.classes,
        "per_class_accuracy": per_class,
        "confusion": matrix,
    })
}

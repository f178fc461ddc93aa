//! `d2l kfold house-prices`: the book's section 4.10 with settings of one's own.

use std::path::Path;
use std::sync::atomic::Ordering;

use candle_core::Device;
use d2l_data::house_prices;
use d2l_lessons::mlp::kaggle_house_prices::{Fitted, Houses, Setting, curves, fit, k_fold};
use d2l_train::{Spread, split::Dealing};
use serde_json::{Value, json};

use crate::args::{KfoldArgs, Settings};
use crate::config::table;
use crate::data::{Source, Teller};
use crate::failure::{Doing, Failure, Result};
use crate::interrupt;
use crate::machine::in_pool;
use crate::runs::{place, write_file};
use crate::table::{Align, Table};
use crate::ui::{BOLD, Ui};

/// The settings that this network has.
const KNOWN: &[&str] = &[
    "model",
    "data-dir",
    "lr",
    "epochs",
    "batch-size",
    "weight-decay",
    "seed",
    "threads",
    "device",
];

pub(super) fn kfold(args: &KfoldArgs, ui: Ui) -> Result<()> {
    let setting = checked(args)?;
    let teller = Teller::new(ui);
    let source = Source {
        data_dir: args.settings.data_dir.clone(),
        offline: args.place.offline,
    };
    let data = house_prices::load(&source.options(&teller))?;
    ui.fact(
        "Data",
        format_args!(
            "House prices: {} with a price, {} features, from {}",
            data.prices().len(),
            data.features().names().len(),
            data.provenance.source
        ),
    );
    let (device, threads) = place(args.settings.device.as_deref(), args.settings.threads)?;
    let stop = interrupt::watch_saying("\nstopping; once more stops at once")?;
    let seed = args.settings.seed.unwrap_or(0);
    ui.fact("Training", in_words(&setting, seed));

    in_pool(threads, || {
        let device: Device = device.open()?;
        let houses = Houses::of(&data, &device)?;
        let folds = Dealing::default().folds(houses.count()?, args.folds);
        let folds = folds.map_err(|error| Failure::usage(format!("-k: {error}")))?;
        let fitted = stopping(k_fold(&setting, seed, &houses, &folds, &mut |_, _| {
            stop.load(Ordering::SeqCst)
        }))?;
        let whole = match &args.submission {
            Some(path) => {
                let whole = stopping(fit(&setting, seed, &houses, None, &mut |_| {
                    stop.load(Ordering::SeqCst)
                }))?;
                let prices = whole
                    .predict(&data.test(&device)?)
                    .doing(|| "predicting the test houses")?;
                write_file(path, data.submission(&prices)?.as_bytes())?;
                Some((path.as_path(), whole.train_error()))
            }
            None => None,
        };
        report(args, &setting, seed, &fitted, whole, ui)
    })
}

/// The setting, or what is wrong with it.
fn checked(args: &KfoldArgs) -> Result<Setting> {
    let given = table(&args.settings)?;
    let mut messages: Vec<String> = given
        .keys()
        .filter(|key| !KNOWN.contains(&key.as_str()))
        .map(|key| format!("--{key}: the linear network of the house prices has no such setting"))
        .collect();
    if args.place.name.is_some() {
        messages.push("--name: the house prices make no runs; -o DIR says where the curves go".to_owned());
    }
    let Settings {
        lr,
        weight_decay,
        epochs,
        batch_size,
        ..
    } = args.settings;
    let book = Setting::default();
    let setting = Setting {
        learning_rate: lr.unwrap_or(book.learning_rate),
        weight_decay: weight_decay.unwrap_or(book.weight_decay),
        epochs: epochs.map_or(book.epochs, |epochs| epochs as u64),
        batch_size: batch_size.unwrap_or(book.batch_size),
    };
    for (flag, value, zero_allowed) in [
        ("lr", setting.learning_rate, false),
        ("weight-decay", setting.weight_decay, true),
    ] {
        if !value.is_finite() || value < 0.0 || value == 0.0 && !zero_allowed {
            let range = if zero_allowed { "at least 0" } else { "above 0" };
            messages.push(format!("--{flag}: has to be a number {range}, got {value}"));
        }
    }
    for (flag, value) in [
        ("epochs", setting.epochs),
        ("batch-size", setting.batch_size as u64),
    ] {
        if value == 0 {
            messages.push(format!("--{flag}: has to be at least 1, got 0"));
        }
    }
    if messages.is_empty() {
        Ok(setting)
    } else {
        Err(Failure::Usage(messages))
    }
}

fn in_words(setting: &Setting, seed: u64) -> String {
    format!(
        "a linear network, {} epochs, batch size {}, adam with learning rate {}, weight decay {}, seed {seed}",
        setting.epochs, setting.batch_size, setting.learning_rate, setting.weight_decay
    )
}

/// An interruption is no failure of the work.
fn stopping<T>(result: d2l_lessons::Result<T>) -> Result<T> {
    match result {
        Err(d2l_lessons::Error::Stopped) => Err(Failure::Interrupted),
        result => result.doing(|| "training on the house prices"),
    }
}

fn report(
    args: &KfoldArgs,
    setting: &Setting,
    seed: u64,
    fitted: &[Fitted],
    whole: Option<(&Path, f64)>,
    ui: Ui,
) -> Result<()> {
    let folder = args.place.out.as_deref().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).doing(|| format!("cannot make {}", folder.display()))?;
    let (picture, figure) = (folder.join("house-prices-folds.svg"), curves(fitted));
    for path in [&picture, &picture.with_extension("png")] {
        figure.save(path).doing(|| "drawing the curves")?;
    }
    let train = Spread::of(fitted.iter().map(Fitted::train_error));
    let valid = Spread::of(fitted.iter().map(Fitted::held_out_error));
    if ui.json {
        let folds: Vec<Value> = fitted
            .iter()
            .map(|fold| json!({ "train": fold.train, "valid": fold.held_out }))
            .collect();
        return ui.json_document(&json!({
            "dataset": "house-prices",
            "k": args.folds,
            "metric": "log_rmse",
            "epochs": setting.epochs,
            "batch_size": setting.batch_size,
            "lr": setting.learning_rate,
            "weight_decay": setting.weight_decay,
            "seed": seed,
            "folds": folds,
            "spread": { "train": train, "valid": valid },
            "curves": picture,
            "submission": whole.map(|(path, _)| path),
            "train_on_all": whole.map(|(_, error)| error),
        }));
    }
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Right]);
    table.row(BOLD, ["fold", "train log rmse", "valid log rmse"]);
    for (number, fold) in (1..).zip(fitted) {
        let figures = [fold.train_error(), fold.held_out_error()].map(|error| format!("{error:.4}"));
        table.row(
            anstyle::Style::new(),
            [number.to_string()].into_iter().chain(figures),
        );
    }
    table.row(
        BOLD,
        ["mean ± sd".to_owned(), train.to_string(), valid.to_string()],
    );
    for line in table.lines() {
        ui.line(line)?;
    }
    if let Some((path, error)) = whole {
        ui.line(format_args!("on all houses: train log rmse {error:.4}"))?;
        ui.fact("Submission", path.display());
    }
    ui.fact("Curves", picture.display());
    Ok(())
}

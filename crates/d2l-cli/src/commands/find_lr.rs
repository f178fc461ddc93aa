use std::sync::atomic::Ordering;
use std::time::Duration;

use candle_core::DType;
use d2l_data::LoaderOptions;
use d2l_nn::{ParamStore, Rng};
use d2l_train::{LrFinder, Optimizer, loss::CrossEntropy, plot::learning_rates};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::args::{FindLrArgs, Settings};
use crate::config::{Origins, Plan, resolve};
use crate::data::{LoaderSource, Source};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::machine::in_pool;
use crate::ui::Ui;

/// `d2l find-lr`: the loss at growing learning rates.
pub(crate) fn find_lr(args: &FindLrArgs, ui: Ui) -> Result<()> {
    let plan = plan(args)?;
    plan.device.check()?;
    let finder = LrFinder {
        start: args.from,
        end: args.to,
        steps: args.steps,
        ..LrFinder::default()
    };
    finder.check().map_err(Failure::usage)?;
    let data = Source {
        data_dir: plan.data_dir.clone(),
        offline: args.source.offline,
    }
    .load(plan.dataset, ui)?;
    let stop = interrupt::watch()?;
    let curve = in_pool(plan.threads, || {
        let device = plan.device.open()?;
        let params = ParamStore::new(DType::F32, &device);
        let model = plan
            .supervised
            .network
            .build(&plan.input, &params, &Rng::new(plan.seed))?;
        let options = LoaderOptions {
            batch_size: plan.batch_size,
            shuffle: Some(plan.seed),
            workers: plan.workers,
            resize: plan.resize,
            ..LoaderOptions::default()
        };
        let source = LoaderSource::new(&data.train, options, &device)?;
        let optimizer = Optimizer::new(plan.method, &params)?;
        let progress = progress(args.steps, ui)?;
        let loss = CrossEntropy::default();
        let curve = finder.find(&model, &params, &loss, optimizer, &source, &mut |done| {
            progress.set_position(done as u64);
            !stop.load(Ordering::SeqCst)
        })?;
        progress.finish_and_clear();
        Ok(curve)
    })?;
    if stop.load(Ordering::SeqCst) {
        return Err(Failure::Interrupted);
    }
    learning_rates(&curve, &args.output)?;
    let suggestion = curve.suggestion();
    if ui.json {
        let points = curve.points.iter().map(
            |point| json!({ "lr": point.learning_rate, "loss": point.loss, "smoothed_loss": point.smoothed }),
        );
        return ui.json_document(&json!({
            "model": plan.spec.name,
            "optimizer": plan.method.name(),
            "suggestion": suggestion,
            "diverged": curve.diverged,
            "points": points.collect::<Vec<_>>(),
            "output": args.output,
        }));
    }
    match suggestion {
        Some(rate) => ui.line(format_args!(
            "the loss falls fastest around a learning rate of {rate:.2e}"
        ))?,
        None => {
            ui.line("the loss never fell: look at the picture, and try other rates with --from and --to")?
        }
    }
    ui.line(args.output.display())
}

/// The run that the options describe, were it trained.
fn plan(args: &FindLrArgs) -> Result<Plan> {
    let settings = Settings {
        model: Some(args.model.clone()),
        dataset: args.dataset.clone(),
        data_dir: args.source.data_dir.clone(),
        batch_size: args.batch_size,
        optimizer: args.optimizer.clone(),
        momentum: args.momentum,
        weight_decay: args.weight_decay,
        width: args.width,
        seed: args.seed,
        device: args.device.clone(),
        threads: args.threads,
        ..Settings::default()
    };
    resolve(&settings, &Origins::new(&settings, None)?)
}

fn progress(steps: usize, ui: Ui) -> Result<ProgressBar> {
    if !ui.shows_progress() {
        return Ok(ProgressBar::hidden());
    }
    let template = "{bar:30} step {pos} of {len}, {eta} left";
    let style = ProgressStyle::with_template(template).map_err(Failure::work)?;
    let bar = ProgressBar::new(steps as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

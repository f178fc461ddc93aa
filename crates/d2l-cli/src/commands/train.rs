//! `d2l train`: load, build, fit, and say how it went.

mod checks;
mod extras;
mod folder;
mod report;
mod screen;
mod seeds;
pub(crate) mod series;
pub(crate) mod summary;
mod trainer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device};
use d2l_data::{DataSet, ImageSet, LoaderOptions};
use d2l_nn::{ParamStore, Rng, SupervisedModel};
use d2l_train::{
    BatchSource, Checkpoint, Outcome, RunDir, StopReason, callbacks::Validation, loss::CrossEntropy,
};

use crate::args::TrainArgs;
use crate::config::{ConfigFile, DataRecord, Origins, Plan, Record, merge_for_resume, resolve};
use crate::data::{LoaderSource, Source};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::machine::{Engine, build_name, device_name, in_pool};
use crate::runs::{self, other_data};
use crate::ui::Ui;
use folder::Folder;
pub(crate) use seeds::{Seeds, model_name, series_folder};

/// `d2l train`.
pub(crate) fn train(args: TrainArgs, ui: Ui) -> Result<()> {
    if let Some(seeds) = &args.seeds {
        return seeds::train_with(seeds, &args, ui);
    }
    let offline = args.offline;
    let (plan, folder) = match &args.resume {
        Some(run) => plan_resume(&args, run)?,
        None => plan_new(&args)?,
    };
    plan.device.check()?;
    folder.check()?;
    let data = Source {
        data_dir: plan.data_dir.clone(),
        offline,
    }
    .load(plan.dataset, ui)?;
    execute(&plan, &data, ui, |job| {
        if args.dry_run {
            job.dry_run()
        } else if args.overfit_batch {
            job.overfit_batch()
        } else {
            job.run(folder)
        }
    })
}

/// Does `work` with a run's plan and data, on its threads.
fn execute(
    plan: &Plan,
    data: &DataSet,
    ui: Ui,
    work: impl FnOnce(&Job<'_>) -> Result<()> + Send,
) -> Result<()> {
    let held_out = plan.hold_out(data)?;
    let (data, validation) = match &held_out {
        Some((data, validation)) => (data, Some(validation)),
        None => (data, None),
    };
    in_pool(plan.threads, || {
        work(&Job {
            plan,
            data,
            validation,
            ui,
        })
    })
}

/// A new run: flags over file over book.
fn plan_new(args: &TrainArgs) -> Result<(Plan, Folder)> {
    let file = args
        .config
        .as_ref()
        .map(|path| Ok::<_, Failure>((path, ConfigFile::read(path)?)))
        .transpose()?;
    let origins = Origins::new(
        &args.settings,
        file.as_ref()
            .map(|(path, file)| ((*path).clone(), &file.settings)),
    )?;
    let below = file.map(|(_, file)| file.settings).unwrap_or_default();
    let mut settings = args.settings.clone().or(below);
    if args.overfit_batch {
        checks::overfit_settings(&mut settings);
    }
    let plan = resolve(&settings, &origins)?;
    let folder = Folder::of(args, plan.spec.name)?;
    Ok((plan, folder))
}

/// A stopped run: its own settings, with what may be said anew.
fn plan_resume(args: &TrainArgs, run: &std::path::Path) -> Result<(Plan, Folder)> {
    let files = runs::find(run)?;
    let path = files.config_path();
    let (stored, record) = ConfigFile::read(&path)?.into_run(path.clone())?;
    let settings = merge_for_resume(args.settings.clone(), stored)?;
    let plan = resolve(&settings, &Origins::new(&args.settings, Some((path, &settings)))?)?;
    Ok((
        plan,
        Folder::Resumed {
            path: files.folder().to_owned(),
            record: Box::new(record),
        },
    ))
}

struct Job<'a> {
    plan: &'a Plan,
    data: &'a DataSet,
    /// What of the training pictures is not learned from.
    validation: Option<&'a Arc<ImageSet>>,
    ui: Ui,
}

/// What a run computes with, once everything is open.
struct Parts {
    device: Device,
    /// Plan or autograd.
    engine: Engine,
    params: ParamStore,
    model: SupervisedModel,
    loss: CrossEntropy,
    train: LoaderSource,
    test: LoaderSource,
    validation: Option<LoaderSource>,
}

/// Where a run is, and where it goes on from.
struct Place {
    run: RunDir,
    checkpoint: Option<Checkpoint>,
}

impl Job<'_> {
    fn run(&self, folder: Folder) -> Result<()> {
        let parts = self.build()?;
        let place = self.open_place(folder, &parts)?;
        let stop = interrupt::watch()?;
        let closed = Arc::new(AtomicBool::new(false));
        self.introduce(&parts);
        self.introduce_place(&place);
        if self.ui.json {
            self.ui.json_line(&self.start_record(&parts, Some(&place)))?;
        }
        let outcome = {
            let mut trainer = self.trainer(&parts)?;
            self.add_callbacks(&mut trainer, &place.run, stop, &closed)?;
            if let Some(checkpoint) = &place.checkpoint {
                trainer.resume(checkpoint)?;
            }
            let done = trainer.run().position().epoch;
            if done > self.plan.epochs {
                return Err(Failure::usage(format!(
                    "--epochs: {} has done {done} epochs already, got {}",
                    place.run.path().display(),
                    self.plan.epochs
                )));
            }
            if let Some(source) = &parts.validation {
                trainer.callback(Validation {
                    model: parts.model.model(),
                    loss: Box::new(CrossEntropy::default()),
                    source,
                });
            }
            let outcome = trainer.fit(&parts.train, Some(&parts.test))?;
            self.conclude(&place, trainer.run(), &outcome)?;
            if outcome != Outcome::Stopped(StopReason::Interrupted) {
                self.conclude_averages(&parts, &place, trainer.run())?;
            }
            outcome
        };
        match outcome {
            _ if closed.load(std::sync::atomic::Ordering::SeqCst) => Err(Failure::OutputClosed),
            Outcome::Stopped(StopReason::Interrupted) => Err(Failure::Interrupted),
            _ => Ok(()),
        }
    }

    fn build(&self) -> Result<Parts> {
        let plan = self.plan;
        let device = plan.device.open()?;
        let params = ParamStore::new(DType::F32, &device);
        let model = plan
            .supervised
            .build(&plan.input, &params, &Rng::new(plan.seed))?;
        if let Some(weights) = &plan.init_from {
            d2l_models::load_weights(&plan.supervised.network, &params, weights)?;
        }
        plan.groups.freeze(&params)?;
        let (engine, refused) = plan.engine.choose(model.model(), model.has_heads(), &device)?;
        if let Some(why) = refused {
            self.ui.note(format_args!("the steps go through autograd: {why}"));
        }
        Ok(Parts {
            loss: plan.objective.loss(&self.data.train, plan.train_limit, &device)?,
            train: self.loader(true, &device)?,
            test: self.loader(false, &device)?,
            validation: self
                .validation
                .map(|held_out| LoaderSource::new(held_out, self.loader_options(None), &device))
                .transpose()?,
            device,
            engine,
            params,
            model,
        })
    }

    /// The folder with its configuration, and the checkpoint that a resumed run goes on from.
    fn open_place(&self, folder: Folder, parts: &Parts) -> Result<Place> {
        let resumed = matches!(folder, Folder::Resumed { .. });
        let run = self.open_folder(folder, &parts.params)?;
        let checkpoint = if resumed {
            self.newest_checkpoint(&run)?
        } else {
            None
        };
        let mut settings = self.plan.settings();
        settings.device = Some(device_name(&parts.device));
        settings.engine = Some(parts.engine.to_string());
        let config = ConfigFile {
            settings,
            record: Some(self.record(&parts.params)),
        };
        run.write("config.toml", config.to_text()?.as_bytes())?;
        Ok(Place { run, checkpoint })
    }

    /// The run's folder, locked. One that goes on must find the data it was trained on.
    fn open_folder(&self, folder: Folder, params: &ParamStore) -> Result<RunDir> {
        if let Folder::Resumed { record, path } = &folder {
            if let Some(difference) = other_data(&record.data, self.data) {
                return Err(Failure::work(format!(
                    "{} cannot go on: {difference}",
                    path.display()
                )));
            }
            if record.parameters != params.parameter_count() {
                return Err(Failure::work(format!(
                    "{} cannot go on: its network has {} parameters, this version's {} has {}",
                    path.display(),
                    record.parameters,
                    self.plan.spec.name,
                    params.parameter_count()
                )));
            }
        }
        folder.open()
    }

    fn newest_checkpoint(&self, run: &RunDir) -> Result<Option<Checkpoint>> {
        match run.newest_checkpoint() {
            (Some(checkpoint), fallback) => {
                if let Some(fallback) = fallback {
                    self.ui.warn(fallback);
                }
                Ok(Some(checkpoint))
            }
            (None, Some(fallback)) => Err(Failure::work(fallback)),
            (None, None) => {
                self.ui.note(format_args!(
                    "{} has no checkpoint yet: from the start",
                    run.path().display()
                ));
                Ok(None)
            }
        }
    }

    fn loader(&self, training: bool, device: &Device) -> Result<LoaderSource> {
        let plan = self.plan;
        let options = LoaderOptions {
            shuffle: (training && plan.shuffle).then_some(plan.seed),
            ..self.loader_options(if training {
                plan.train_limit
            } else {
                plan.test_limit
            })
        };
        LoaderSource::new(
            if training {
                &self.data.train
            } else {
                &self.data.test
            },
            options,
            device,
        )
    }

    fn loader_options(&self, limit: Option<usize>) -> LoaderOptions {
        let plan = self.plan;
        LoaderOptions {
            batch_size: plan.batch_size,
            workers: plan.workers,
            limit,
            resize: plan.resize,
            ..LoaderOptions::default()
        }
    }

    fn record(&self, params: &ParamStore) -> Record {
        Record {
            d2l_version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build_name(),
            parameters: params.parameter_count(),
            input: self.plan.input.to_vec(),
            classes: self.data.class_names().to_vec(),
            data: DataRecord::new(self.data),
        }
    }

    /// The sizes that a run is described by: training examples, test examples, steps per epoch.
    fn sizes(&self, parts: &Parts) -> (usize, usize, usize) {
        (
            parts.train.examples(),
            parts.test.examples(),
            parts.train.batches().div_ceil(self.plan.accumulate),
        )
    }
}

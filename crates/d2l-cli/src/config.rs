//! The settings of a run: layers (flags over file over book), one check of every field before any work, and the
//! `config.toml` of a run folder.

mod checkpoint_every;
mod extras;
mod faults;
mod file;
mod groups;
mod held_out;
mod objective;
mod resume;

pub(crate) use checkpoint_every::CheckpointEvery;
pub(crate) use extras::Extras;
use faults::Faults;
pub(crate) use faults::Origins;
pub(crate) use file::{ConfigFile, DataRecord, Record};
pub(crate) use groups::Groups;
pub(crate) use held_out::HeldOut;
pub(crate) use objective::Objective;
pub(crate) use resume::{differences, merge_for_resume};

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Device};
use d2l_data::{DataSet, DatasetSpec, ImageSet};
use d2l_models::{ModelError, ModelOptions, ModelSpec, Task};
use d2l_nn::{ParamStore, Supervised};
use d2l_train::{Method, Optimizer, Schedule};

use crate::args::Settings;
use crate::failure::{Failure, Result};
use crate::machine::{self, DeviceChoice, Engine};

/// What classifiers of pictures are trained on when nobody says otherwise: the book's data set.
const BOOK_DATASET: &str = "fashion-mnist";
const DEFAULT_WORKERS: usize = 2;
/// More threads than any machine of today has cores; beyond it a number is a mistake.
const MOST_THREADS: usize = 1024;
const MOST_WORKERS: usize = 256;

/// A run whose every setting is known and makes sense.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) options: ModelOptions,
    /// The network, with its auxiliary classifiers if it trains with them.
    pub(crate) supervised: Supervised,
    pub(crate) dataset: &'static DatasetSpec,
    pub(crate) data_dir: Option<PathBuf>,
    /// Side of the pictures, where they are resized.
    pub(crate) resize: Option<usize>,
    /// Channels, height and width that reach the network.
    pub(crate) input: [usize; 3],
    pub(crate) train_limit: Option<usize>,
    pub(crate) test_limit: Option<usize>,
    pub(crate) shuffle: bool,
    /// What of the training examples is not learned from.
    pub(crate) held_out: Option<HeldOut>,
    pub(crate) epochs: u64,
    pub(crate) batch_size: usize,
    /// Batches that make one step.
    pub(crate) accumulate: usize,
    pub(crate) objective: Objective,
    pub(crate) groups: Groups,
    pub(crate) method: Method,
    pub(crate) momentum: f64,
    pub(crate) nesterov: bool,
    pub(crate) schedule: Schedule,
    pub(crate) schedule_text: String,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) clip_value: Option<f64>,
    pub(crate) extras: Extras,
    pub(crate) init_from: Option<PathBuf>,
    pub(crate) seed: u64,
    pub(crate) device: DeviceChoice,
    pub(crate) engine: Engine,
    pub(crate) threads: usize,
    pub(crate) workers: usize,
    pub(crate) log_every: Option<u64>,
    pub(crate) checkpoint_every: CheckpointEvery,
}

/// Settings as TOML keys; those that are not set are not there.
pub(crate) fn table(settings: &Settings) -> Result<toml::Table> {
    toml::Table::try_from(settings).map_err(|error| {
        // Run folders keep the settings as TOML, whose integers end there.
        Failure::usage(format!("an option is larger than {}: {error}", i64::MAX))
    })
}

/// Checks the merged settings and works out what they leave open.
pub(crate) fn resolve(settings: &Settings, origins: &Origins) -> Result<Plan> {
    let mut faults = Faults {
        origins,
        messages: Vec::new(),
    };
    let Some(name) = &settings.model else {
        return Err(Failure::usage(
            "no model: name one, as in `d2l train lenet`, or `model` in the configuration",
        ));
    };
    let spec = d2l_models::find(name).map_err(Failure::usage)?;
    if spec.task != Task::Classification {
        let name = spec.name;
        return Err(Failure::usage(format!(
            "{name} tells no classes of pictures apart, and `d2l train` has data for such models only"
        )));
    }
    let dataset = settings.dataset.as_deref().unwrap_or(BOOK_DATASET);
    let dataset = faults.take("dataset", d2l_data::datasets::find(dataset));

    let epochs = settings.epochs.unwrap_or(spec.settings.epochs);
    faults.at_least("epochs", epochs, 1, usize::MAX);
    let batch_size = settings.batch_size.unwrap_or(spec.settings.batch_size);
    faults.at_least("batch-size", batch_size, 1, usize::MAX);
    let accumulate = settings.accumulate.unwrap_or(1);
    faults.at_least("accumulate", accumulate, 1, usize::MAX);
    for (key, limit) in [
        ("train-limit", settings.train_limit),
        ("test-limit", settings.test_limit),
    ] {
        faults.at_least(key, limit.unwrap_or(1), 1, usize::MAX);
    }
    faults.at_least("log-every", settings.log_every.unwrap_or(1), 1, usize::MAX);
    let engine = faults.take(
        "engine",
        settings.engine.as_deref().unwrap_or("auto").parse::<Engine>(),
    );
    let threads = settings.threads.unwrap_or_else(machine::default_threads);
    faults.at_least("threads", threads, 1, MOST_THREADS);
    let workers = settings.workers.unwrap_or(DEFAULT_WORKERS);
    faults.at_least("workers", workers, 0, MOST_WORKERS);
    let seed = settings.seed.unwrap_or(0);
    faults.number("lr", settings.lr, false);
    faults.number("momentum", settings.momentum, true);
    faults.number("weight-decay", settings.weight_decay, true);
    faults.number("clip-norm", settings.clip_norm, false);
    faults.number("clip-value", settings.clip_value, false);
    let extras = Extras::resolve(settings, epochs, &mut faults);
    let held_out = HeldOut::resolve(settings, &mut faults);

    let clean = faults.messages.is_empty();
    let method = method(settings, spec, &mut faults, clean);
    let objective = Objective::resolve(settings, dataset, &mut faults);
    let groups = Groups::resolve(settings, method.as_ref(), &mut faults);
    let schedule_text = settings.schedule.clone().unwrap_or_else(|| "constant".to_owned());
    let schedule = faults.take("schedule", schedule_text.parse::<Schedule>());
    let device = settings.device.as_deref().unwrap_or("auto");
    let device = faults.take("device", device.parse::<DeviceChoice>());
    let every = settings.checkpoint_every.as_deref().unwrap_or("1");
    let every = faults.take("checkpoint-every", every.parse::<CheckpointEvery>());

    let classes = dataset.map(|dataset| dataset.class_names.len());
    let options = faults.take("activation", settings.model_options(classes));
    let options = options.unwrap_or_default();
    let supervised = match settings.supervised(spec, &options) {
        Ok(supervised) => Some(supervised),
        Err(error) => {
            let (ModelError::NoSuchOption { option, .. } | ModelError::BadOption { option, .. }) = &error;
            faults.add(option, &error);
            None
        }
    };
    if engine == Some(Engine::Plan) && supervised.as_ref().is_some_and(|it| !it.heads.is_empty()) {
        faults.add(
            "engine",
            "a plan has no auxiliary classifiers: leave out `aux`, or let it be autograd",
        );
    }
    let sizes = dataset.map(|dataset| sizes(settings, spec, dataset));
    if let (Some(supervised), Some((_, input))) = (&supervised, &sizes)
        && let Err(error) = supervised.output_shape(input)
    {
        let shape = input.map(|n| n.to_string()).join("×");
        faults.add(
            "resize",
            format!("{} does not work on {shape} pictures: {error}", spec.name),
        );
    }

    let (
        Some(dataset),
        Some((resize, input)),
        Some(supervised),
        Some(method),
        Some(schedule),
        Some(device),
        Some(engine),
        Some(every),
        true,
    ) = (
        dataset,
        sizes,
        supervised,
        method,
        schedule,
        device,
        engine,
        every,
        faults.messages.is_empty(),
    )
    else {
        return Err(Failure::Usage(faults.messages));
    };
    Ok(Plan {
        spec,
        options,
        supervised,
        dataset,
        data_dir: settings
            .data_dir
            .as_deref()
            .map(std::path::absolute)
            .transpose()?,
        resize,
        input,
        train_limit: settings.train_limit,
        test_limit: settings.test_limit,
        shuffle: !settings.no_shuffle.unwrap_or(false),
        held_out,
        epochs: epochs as u64,
        batch_size,
        accumulate,
        objective,
        groups,
        method,
        momentum: settings.momentum.unwrap_or(0.0),
        nesterov: settings.nesterov.unwrap_or(false),
        schedule,
        schedule_text,
        clip_norm: settings.clip_norm,
        clip_value: settings.clip_value,
        extras,
        init_from: settings
            .init_from
            .as_deref()
            .map(std::path::absolute)
            .transpose()?,
        seed,
        device,
        engine,
        threads,
        workers,
        log_every: settings.log_every.map(|n| n as u64),
        checkpoint_every: every,
    })
}

/// The optimiser's method. `checked` says that the numbers in it have passed already.
fn method(settings: &Settings, spec: &ModelSpec, faults: &mut Faults<'_>, checked: bool) -> Option<Method> {
    let name = settings.optimizer.as_deref().unwrap_or("sgd");
    let mut method = faults.take("optimizer", name.parse::<Method>())?;
    let book = (method.name() == "sgd").then_some(spec.settings.learning_rate);
    if let Some(rate) = settings.lr.or(book) {
        method = method.with_learning_rate(rate);
    }
    if let Some(decay) = settings.weight_decay {
        method = method.with_weight_decay(decay);
    }
    let momentum = settings.momentum.unwrap_or(0.0);
    let nesterov = settings.nesterov.unwrap_or(false);
    if nesterov && momentum == 0.0 {
        faults.add("nesterov", "needs a --momentum above 0");
    } else if settings.momentum.is_some() || nesterov {
        let key = if nesterov && name != "sgd" {
            "nesterov"
        } else {
            "momentum"
        };
        method = faults.take(key, method.with_momentum(momentum, nesterov))?;
    }
    if checked {
        // The optimiser knows its own rules; asked with nothing to optimise it only checks them.
        let nothing = ParamStore::new(DType::F32, &Device::Cpu);
        faults.take("optimizer", Optimizer::new(method, &nothing))?;
    }
    Some(method)
}

/// What to resize to, if at all, and the shape that reaches the network.
fn sizes(settings: &Settings, spec: &ModelSpec, dataset: &DatasetSpec) -> (Option<usize>, [usize; 3]) {
    let [channels, height, width] = dataset.shape;
    let side = settings
        .resize
        .or_else(|| spec.input.get(1).copied())
        .unwrap_or(height);
    let resize = (side != height || side != width).then_some(side);
    (
        resize,
        if resize.is_some() {
            [channels, side, side]
        } else {
            dataset.shape
        },
    )
}

impl Plan {
    /// The settings that give this plan again, with nothing left open.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings {
            model: Some(self.spec.name.to_owned()),
            dataset: Some(self.dataset.name.to_owned()),
            data_dir: self.data_dir.clone(),
            resize: self.resize,
            train_limit: self.train_limit,
            test_limit: self.test_limit,
            no_shuffle: Some(!self.shuffle),
            epochs: Some(self.epochs as usize),
            batch_size: Some(self.batch_size),
            accumulate: (self.accumulate > 1).then_some(self.accumulate),
            lr: Some(self.method.learning_rate()),
            optimizer: Some(self.method.name().to_owned()),
            momentum: (self.momentum != 0.0).then_some(self.momentum),
            nesterov: self.nesterov.then_some(true),
            weight_decay: Some(self.method.weight_decay()),
            schedule: Some(self.schedule_text.clone()),
            clip_norm: self.clip_norm,
            clip_value: self.clip_value,
            init_from: self.init_from.clone(),
            seed: Some(self.seed),
            dropout: self.options.dropout,
            width: self.options.width,
            hidden: self.options.hidden.clone(),
            activation: self.options.activation.map(|activation| activation.to_string()),
            local_response_norm: self.options.local_response_norm,
            aux: (!self.supervised.heads.is_empty()).then_some(true),
            device: Some(self.device.to_string()),
            engine: Some(self.engine.to_string()),
            threads: Some(self.threads),
            workers: Some(self.workers),
            log_every: self.log_every.map(|n| n as usize),
            checkpoint_every: Some(self.checkpoint_every.to_string()),
            ..Settings::default()
        };
        if let Some(held_out) = self.held_out {
            held_out.into_settings(&mut settings);
        }
        let settings = self.objective.clone().into_settings(settings);
        let settings = self.groups.clone().into_settings(settings);
        self.extras.clone().into_settings(settings)
    }

    /// The data with what is held out taken from the training pictures, and what is; nothing if nothing is.
    pub(crate) fn hold_out(&self, data: &DataSet) -> Result<Option<(DataSet, Arc<ImageSet>)>> {
        let Some(held_out) = self.held_out else {
            return Ok(None);
        };
        let (train, held_out) = held_out.split(&data.train, self.train_limit, self.seed)?;
        let rest = DataSet {
            train,
            ..data.clone()
        };
        Ok(Some((rest, held_out)))
    }

    /// Whether this is the book's run of the model, so that its figures may stand beside the book's.
    pub(crate) fn is_the_books(&self) -> bool {
        let book = self.spec.settings;
        self.dataset.name == BOOK_DATASET
            && self.input == *self.spec.input
            && self.epochs == book.epochs as u64
            && self.batch_size == book.batch_size
            && self.accumulate == 1
            && self.method == Method::sgd(book.learning_rate)
            && self.objective == Objective::default()
            && self.groups == Groups::default()
            && self.supervised.heads.is_empty()
            && self.schedule == Schedule::default()
            && self.options
                == ModelOptions {
                    classes: self.options.classes,
                    ..ModelOptions::default()
                }
            && (self.train_limit, self.test_limit) == (None, None)
            && (self.clip_norm, self.clip_value, self.extras.patience) == (None, None, None)
            && self.init_from.is_none()
            && self.held_out.is_none()
            && self.shuffle
    }
}

#[cfg(test)]
mod tests;

//! Run folders: where new ones go, and what the commands after training read from them.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use d2l_data::{DataSet, DatasetSpec};
use d2l_models::ModelSpec;
use d2l_nn::{Network, ParamStore, Rng, Supervised, SupervisedModel};
use d2l_train::{Checkpoint, CheckpointKind, RunFiles};

use crate::args::{PlaceArgs, Settings, WeightsName};
use crate::config::{ConfigFile, DataRecord, Record};
use crate::data::Source;
use crate::failure::{Failure, Result};
use crate::machine::{self, DeviceChoice};
use crate::ui::Ui;

/// Where runs live that are called by a name.
pub(crate) const RUNS: &str = "runs";

/// The folder that the user means by `run`: a path, or a name under `runs/`.
pub(crate) fn find(run: &Path) -> Result<RunFiles> {
    let named = Path::new(RUNS).join(run);
    for folder in [run, &named] {
        if let Ok(files) = RunFiles::open(folder) {
            return Ok(files);
        }
    }
    let known = names();
    let remedy = if known.is_empty() {
        format!("there are no runs under {RUNS}/ yet; `d2l train lenet` makes one")
    } else {
        format!("the runs under {RUNS}/ are: {}", known.join(", "))
    };
    Err(Failure::work(format!("no run `{}`; {remedy}", run.display())))
}

/// The names of the runs under `runs/`, sorted.
fn names() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(RUNS) else {
        return Vec::new();
    };
    let runs = entries
        .flatten()
        .filter(|entry| RunFiles::open(entry.path()).is_ok());
    let mut names: Vec<String> = runs
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A run read from its folder.
pub(crate) struct StoredRun {
    pub(crate) files: RunFiles,
    pub(crate) settings: Settings,
    pub(crate) record: Record,
    pub(crate) spec: &'static ModelSpec,
    pub(crate) dataset: &'static DatasetSpec,
}

/// Weights of a run.
pub(crate) struct Weights {
    /// The checkpoint that they are in.
    pub(crate) checkpoint: Checkpoint,
    /// Whether they are the averages that it keeps.
    averaged: bool,
}

impl StoredRun {
    /// Reads the configuration of a run.
    pub(crate) fn open(run: &Path) -> Result<Self> {
        let files = find(run)?;
        let path = files.config_path();
        let (settings, record) = ConfigFile::read(&path)?.into_run(path.clone())?;
        let lacks = |key| Failure::work(format!("{}: no `{key}`", path.display()));
        let spec = d2l_models::find(settings.model.as_deref().ok_or_else(|| lacks("model"))?)?;
        let dataset = settings.dataset.as_deref().ok_or_else(|| lacks("dataset"))?;
        Ok(Self {
            files,
            spec,
            dataset: d2l_data::datasets::find(dataset)?,
            settings,
            record,
        })
    }

    /// The run's folder, as shown to the user.
    pub(crate) fn name(&self) -> String {
        self.files.folder().display().to_string()
    }

    /// Weights of the run. Without a whole `last` checkpoint an older one will do, with a warning.
    pub(crate) fn weights(&self, which: WeightsName, ui: Ui) -> Result<Weights> {
        let averaged = match which {
            WeightsName::Last => false,
            WeightsName::Best => {
                let checkpoint = self.files.checkpoints().open(CheckpointKind::Best)?;
                return Ok(Weights {
                    checkpoint,
                    averaged: false,
                });
            }
            WeightsName::Ema | WeightsName::Swa => {
                self.check_averages(which)?;
                true
            }
        };
        let (checkpoint, fallback) = self.files.newest_checkpoint();
        let checkpoint = match (checkpoint, fallback) {
            (Some(checkpoint), None) => checkpoint,
            (Some(checkpoint), Some(fallback)) => {
                ui.warn(&fallback);
                checkpoint
            }
            (None, Some(fallback)) => return Err(Failure::work(fallback)),
            (None, None) => {
                return Err(Failure::work(format!(
                    "{} has no checkpoint yet; `d2l train --resume {0}` starts it",
                    self.name()
                )));
            }
        };
        Ok(Weights { checkpoint, averaged })
    }

    /// Refuses averaged weights of a kind that the run does not keep.
    fn check_averages(&self, which: WeightsName) -> Result<()> {
        let (kept, option, value) = match which {
            WeightsName::Swa => (self.settings.swa.is_some(), "swa", "EPOCH"),
            _ => (self.settings.ema.is_some(), "ema", "DECAY"),
        };
        if kept {
            return Ok(());
        }
        Err(Failure::work(format!(
            "--weights {option}: {} keeps no such average; only a run of `d2l train --{option} {value}` does",
            self.name()
        )))
    }

    /// The description of the network, with the auxiliary classifiers that it was trained with.
    fn supervised(&self) -> Result<Supervised> {
        let options = self.settings.model_options(Some(self.record.classes.len()))?;
        Ok(self.settings.supervised(self.spec, &options)?)
    }

    /// The description of the network.
    pub(crate) fn network(&self) -> Result<Network> {
        Ok(self.supervised()?.network)
    }

    /// The network with weights of the run.
    pub(crate) fn model(&self, weights: &Weights, device: &Device) -> Result<(SupervisedModel, ParamStore)> {
        let params = ParamStore::new(DType::F32, device);
        let model = self
            .supervised()?
            .build(&self.record.input, &params, &Rng::new(0))?;
        weights.checkpoint.load_weights(&params)?;
        if weights.averaged {
            let averages = weights.checkpoint.averages(&params)?;
            let Some(averages) = averages.filter(|averages| averages.moments() > 0) else {
                return Err(Failure::work(format!(
                    "{} has averaged no weights yet: it has done {} epochs",
                    self.name(),
                    weights.checkpoint.position().epoch
                )));
            };
            averages.load_into(&params)?;
        }
        Ok((model, params))
    }

    /// The run's data set, with a warning where it is not the data that the run was trained on.
    pub(crate) fn data(&self, place: &PlaceArgs, ui: Ui) -> Result<DataSet> {
        let data_dir = place
            .source
            .data_dir
            .clone()
            .or_else(|| self.settings.data_dir.clone());
        let data = Source {
            data_dir,
            offline: place.source.offline,
        }
        .load(self.dataset, ui)?;
        if let Some(difference) = other_data(&self.record.data, &data) {
            ui.warn(difference);
        }
        Ok(data)
    }
}

/// What to say if `data` is not what `record` remembers.
pub(crate) fn other_data(record: &DataRecord, data: &DataSet) -> Option<String> {
    let here = data.provenance.digest();
    (here != record.digest).then(|| {
        format!(
            "the run was trained on other data: {} (digest {}), here is {} (digest {here})",
            record.source, record.digest, data.provenance.source
        )
    })
}

/// The device and the number of threads that the user asked for.
pub(crate) fn place(device: Option<&str>, threads: Option<usize>) -> Result<(DeviceChoice, usize)> {
    let device = device.unwrap_or("auto").parse::<DeviceChoice>();
    let device = device.map_err(|error| Failure::usage(format!("--device: {error}")))?;
    device.check()?;
    match threads {
        Some(0) => Err(Failure::usage("--threads: has to be at least 1, got 0")),
        threads => Ok((device, threads.unwrap_or_else(machine::default_threads))),
    }
}

/// Writes a file as a whole: beside, synced, renamed.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let mut name = std::ffi::OsString::from(".writing-");
    name.push(path.file_name().unwrap_or_default());
    let beside: PathBuf = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        Failure::Work(anyhow::Error::new(error).context(format!("cannot write {}", path.display())))
    })
}

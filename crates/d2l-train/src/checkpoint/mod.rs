//! Checkpoints: folders that hold a run as it was at one moment.
//!
//! ```text
//! weights.safetensors     parameters and buffers by name
//! optimizer.safetensors   the optimiser's state by name
//! averages.safetensors    averaged weights, of a run that keeps them
//! state.json              everything else, with the length and SHA-256 of the two others and of itself
//! ```
//!
//! A checkpoint is written as a whole under another name, synced, and renamed into place ([`CheckpointFolder`]), so a
//! run killed at any moment leaves a usable one.

mod epochs;
mod folder;
mod state_file;

pub use folder::{CheckpointFolder, Fallback, Kind};
pub(crate) use state_file::STATE;
use state_file::{AVERAGES, OPTIMIZER, StateFile, WEIGHTS};

use crate::{
    Averages, CheckpointFault, Error, Result, Run, atomic,
    metrics::EpochRecord,
    run::{Position, RunState},
};
use candle_core::{Device, Tensor};
use d2l_nn::ParamStore;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// A checkpoint that was read and found whole.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    weights: HashMap<String, Tensor>,
    optimizer: HashMap<String, Tensor>,
    averages: Option<HashMap<String, Tensor>>,
    state: RunState,
}

impl Checkpoint {
    /// Reads the checkpoint in a folder and checks that it is what was written.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], which says what is missing, cut, changed or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).map_err(|fault| Error::Checkpoint {
            path: path.to_owned(),
            fault,
        })
    }

    fn read(path: &Path) -> Result<Self, CheckpointFault> {
        if !path.is_dir() {
            return Err(CheckpointFault::Missing);
        }
        let state = StateFile::parse(&read_file(path, STATE)?)?;
        let tensors = |file: &'static str| {
            let bytes = read_file(path, file)?;
            state.check(file, &bytes)?;
            candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| {
                CheckpointFault::Unreadable {
                    file,
                    message: e.to_string(),
                }
            })
        };
        let (weights, optimizer) = (tensors(WEIGHTS)?, tensors(OPTIMIZER)?);
        let averages = state.lists(AVERAGES).then(|| tensors(AVERAGES)).transpose()?;
        Ok(Self {
            path: path.to_owned(),
            weights,
            optimizer,
            averages,
            state: state.run,
        })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the model it is of.
    pub fn model(&self) -> &str {
        &self.state.model
    }

    /// Where in the run it was written.
    pub fn position(&self) -> Position {
        self.state.position
    }

    /// The records of the epochs done by then.
    pub fn history(&self) -> &[EpochRecord] {
        &self.state.history
    }

    /// The parameters and buffers by name, on the CPU.
    pub fn weights(&self) -> &HashMap<String, Tensor> {
        &self.weights
    }

    /// Copies parameters and buffers into `params`.
    ///
    /// # Errors
    /// When names or shapes differ; the differences are named, and nothing has been changed.
    pub fn load_weights(&self, params: &ParamStore) -> Result<()> {
        let differences = differences(params, &self.weights);
        if !differences.is_empty() {
            return Err(self.fault(CheckpointFault::Tensors { differences }));
        }
        Ok(params.load_tensors(&self.weights)?)
    }

    /// The averaged weights of a run that keeps them, for the parameters of `params`
    /// ([`Averages::load_into`] puts them there).
    ///
    /// # Errors
    /// When they are of another model.
    pub fn averages(&self, params: &ParamStore) -> Result<Option<Averages>> {
        let averages = self.averages.as_ref();
        let averages = averages.map(|state| Averages::from_state(state, params));
        averages.transpose().map_err(|fault| self.fault(fault))
    }

    /// Brings a run to this checkpoint's moment.
    pub(crate) fn restore(&self, run: &mut Run<'_>) -> Result<()> {
        run.set_state(&self.state).map_err(|fault| self.fault(fault))?;
        let store = run.store.clone();
        self.load_weights(&store)?;
        run.averages = self.averages(&store)?;
        run.optimizer
            .set_state(&self.optimizer)
            .map_err(|fault| self.fault(fault))?;
        run.adopt_optimizer_state()?;
        run.parameters_changed()
    }

    /// Writes a run as it is now to a new folder.
    pub(super) fn write(run: &mut Run<'_>, path: &Path) -> Result<()> {
        if let Some(name) = run.first_non_finite_parameter()? {
            return Err(run.non_finite("a weight to be saved", f64::NAN, Some(name)));
        }
        let weights: BTreeMap<String, Tensor> = run
            .store()?
            .all()
            .into_iter()
            .map(|(name, var)| (name, var.as_detached_tensor()))
            .collect();
        let (weights, optimizer) = (serialize(&weights)?, serialize(&run.optimizer_state()?)?);
        let mut state = StateFile::new(run.state()?);
        fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let averages = match &run.averages {
            Some(averages) => Some((AVERAGES, serialize(&averages.state()?)?)),
            None => None,
        };
        for (name, bytes) in [(WEIGHTS, weights), (OPTIMIZER, optimizer)]
            .into_iter()
            .chain(averages)
        {
            state.add(name, &bytes);
            atomic::write_new(&path.join(name), &bytes)?;
        }
        atomic::write_new(&path.join(STATE), state.to_json()?.as_bytes())?;
        atomic::sync_folder(path)
    }

    fn fault(&self, fault: CheckpointFault) -> Error {
        Error::Checkpoint {
            path: self.path.clone(),
            fault,
        }
    }
}

fn read_file(folder: &Path, file: &'static str) -> Result<Vec<u8>, CheckpointFault> {
    fs::read(folder.join(file)).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => CheckpointFault::MissingFile { file },
        _ => CheckpointFault::Unreadable {
            file,
            message: e.to_string(),
        },
    })
}

/// The safetensors file of `tensors`, the same bytes for the same values.
fn serialize(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let host: BTreeMap<&str, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.to_device(&Device::Cpu)?.contiguous()?)))
        .collect::<Result<_>>()?;
    safetensors::serialize(host.iter(), None).map_err(|e| Error::Candle(candle_core::Error::wrap(e)))
}

/// How a checkpoint's tensors differ from a model's, the first few of them.
fn differences(params: &ParamStore, tensors: &HashMap<String, Tensor>) -> Vec<String> {
    const SHOWN: usize = 5;
    let mine = params.all();
    let mut found: Vec<String> = mine
        .iter()
        .filter_map(|(name, var)| match tensors.get(name) {
            None => Some(format!("`{name}` {:?} is not in it", var.dims())),
            Some(t) if t.dims() != var.dims() => Some(format!(
                "`{name}` is {:?} in it and {:?} in the model",
                t.dims(),
                var.dims()
            )),
            Some(_) => None,
        })
        .collect();
    let mut extra: Vec<&String> = tensors.keys().filter(|name| params.get(name).is_none()).collect();
    extra.sort_unstable();
    found.extend(extra.iter().map(|name| format!("`{name}` is not in the model")));
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

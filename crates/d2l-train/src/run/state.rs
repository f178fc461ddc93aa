//! The part of a run that a checkpoint keeps as JSON.

use super::{Run, TrainOptions};
use crate::{
    BoxError, CheckpointFault, Error, Result, metrics::EpochRecord, metrics::Running, schedule::Schedule,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The epochs done.
    pub epoch: u64,
    /// The batches of the next epoch that are done.
    pub batch: usize,
    /// The steps done since the run began.
    pub step: u64,
}

/// The size of the training set; a run cannot be resumed on one of another size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataSize {
    pub(crate) batches: usize,
    pub(crate) examples: usize,
}

/// Something that draws random numbers during training (dropout, an augmentation) and whose state is a few words.
pub trait RandomState {
    /// The state.
    fn random_state(&self) -> Vec<u64>;

    /// Goes to a state that [`Self::random_state`] gave.
    ///
    /// # Errors
    /// When the words are not such a state.
    fn set_random_state(&self, state: &[u64]) -> Result<(), BoxError>;
}

/// The state of a model's dropout: the number of training passes made.
impl RandomState for d2l_nn::Model {
    fn random_state(&self) -> Vec<u64> {
        vec![self.step()]
    }

    fn set_random_state(&self, state: &[u64]) -> Result<(), BoxError> {
        match state {
            [step] => {
                self.set_step(*step);
                Ok(())
            }
            _ => Err(format!("a model's random state is one number, got {}", state.len()).into()),
        }
    }
}

fn one() -> usize {
    1
}

/// What a checkpoint keeps beside tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunState {
    pub(crate) model: String,
    pub(crate) optimizer: String,
    pub(crate) learning_rate: f64,
    pub(crate) schedule: Schedule,
    pub(crate) data: DataSize,
    /// Batches of a step; a checkpoint from before there could be more has none.
    #[serde(default = "one")]
    pub(crate) accumulate: usize,
    #[serde(flatten)]
    pub(crate) position: Position,
    pub(crate) running: Running,
    pub(crate) generators: BTreeMap<String, Vec<u64>>,
    pub(crate) history: Vec<EpochRecord>,
}

impl Run<'_> {
    /// The state as it is now, with all losses read from the device.
    pub(crate) fn state(&mut self) -> Result<RunState> {
        self.read_losses()?;
        Ok(RunState {
            model: self.options.model.clone(),
            optimizer: self.optimizer.method().name().to_owned(),
            learning_rate: self.optimizer.learning_rate(),
            schedule: self.options.schedule.clone(),
            data: self.size,
            accumulate: self.options.accumulate,
            position: self.position,
            running: self.running.clone(),
            generators: self
                .random
                .iter()
                .map(|(name, random)| (name.clone(), random.random_state()))
                .collect(),
            history: self.history.clone(),
        })
    }

    /// Goes to a state; what does not fit this run is the fault.
    pub(crate) fn set_state(&mut self, state: &RunState) -> Result<(), CheckpointFault> {
        let TrainOptions {
            model, accumulate, ..
        } = &self.options;
        let same = |what, saved: &str, here: &str| {
            if saved == here {
                return Ok(());
            }
            Err(CheckpointFault::Other {
                what,
                saved: format!("`{saved}`"),
                here: format!("`{here}`"),
            })
        };
        same("the model", &state.model, model)?;
        same("the optimiser", &state.optimizer, self.optimizer.method().name())?;
        let batches = |n: usize| format!("{n} batches a step");
        same(
            "an accumulation of",
            &batches(state.accumulate),
            &batches(*accumulate),
        )?;
        let names = |names: Vec<&str>| names.join(", ");
        same(
            "the generators",
            &names(state.generators.keys().map(String::as_str).collect()),
            &names({
                let mut here: Vec<&str> = self.random.iter().map(|(name, _)| name.as_str()).collect();
                here.sort_unstable();
                here
            }),
        )?;
        for (name, random) in &self.random {
            let words = state.generators.get(name).map_or(&[][..], Vec::as_slice);
            random
                .set_random_state(words)
                .map_err(|e| CheckpointFault::Unreadable {
                    file: crate::checkpoint::STATE,
                    message: format!("generator {name}: {e}"),
                })?;
        }
        self.size = state.data;
        self.position = state.position;
        self.running = state.running.clone();
        self.history = state.history.clone();
        self.pending.clear();
        Ok(())
    }

    /// Fixes the size of the training set at the start of a fit; a resumed run's must not have changed.
    pub(crate) fn set_size(&mut self, size: DataSize) -> Result<()> {
        if size.batches == 0 || size.examples == 0 {
            return Err(Error::Invalid(format!(
                "the training set has {} batches of {} examples in all: nothing to train on",
                size.batches, size.examples
            )));
        }
        if self.position != super::Position::default() && self.size != size {
            let text = |s: DataSize| format!("{} batches of {} examples", s.batches, s.examples);
            return Err(Error::Invalid(format!(
                "the run was trained on {}; it cannot go on with {}",
                text(self.size),
                text(size)
            )));
        }
        self.size = size;
        Ok(())
    }
}

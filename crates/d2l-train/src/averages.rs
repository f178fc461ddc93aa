//! Averages of the weights over a run, which often generalise better than the last weights.

use crate::{CheckpointFault, Error, Result};
use candle_core::{Device, Tensor};
use d2l_nn::ParamStore;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// How weights are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Averaging {
    /// Exponential moving average, after every step: decay · average + (1 − decay) · weight.
    Ema {
        /// How much of the average stays, 0 to 1; 0.999 or so.
        decay: f64,
    },
    /// Stochastic weight averaging: the mean of the weights after each epoch from `start` (1 is the first) on
    /// ([Izmailov et al. 2018](https://arxiv.org/abs/1803.05407)).
    Swa {
        /// The first epoch that counts.
        start: u64,
    },
}

impl Averaging {
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Ema { decay } if !(0.0..1.0).contains(&decay) => Err(Error::Invalid(format!(
                "the decay of averaged weights must be at least 0 and below 1, got {decay}"
            ))),
            _ => Ok(()),
        }
    }
}

/// The averaged parameters of a run, and of how many moments. (PyTorch's `AveragedModel`: the first moment is taken as
/// it is, and buffers, such as running means, are not averaged.)
#[derive(Clone, Debug, Default)]
pub struct Averages {
    weights: BTreeMap<String, Tensor>,
    moments: u64,
}

/// As in PyTorch's state dictionary.
const MOMENTS: &str = "n_averaged";

impl Averages {
    /// The averages by the parameters' names; empty before the first moment.
    pub fn weights(&self) -> &BTreeMap<String, Tensor> {
        &self.weights
    }

    /// The moments averaged.
    pub fn moments(&self) -> u64 {
        self.moments
    }

    /// Takes the parameters as they are now into the averages.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn take(&mut self, averaging: Averaging, params: &ParamStore) -> Result<()> {
        let share = match averaging {
            Averaging::Ema { decay } => 1.0 - decay,
            Averaging::Swa { .. } => 1.0 / (self.moments + 1) as f64,
        };
        for (name, var) in params.parameters() {
            let now = var.as_detached_tensor();
            let average = match self.weights.get(&name) {
                Some(average) => (average + ((now - average)? * share)?)?,
                // A tensor of its own: the parameter's is updated in place.
                None => now.copy()?,
            };
            self.weights.insert(name, average);
        }
        self.moments += 1;
        Ok(())
    }

    /// Sets the parameters of `params` to the averages; its buffers stay.
    ///
    /// # Errors
    /// When there are no averages yet, or they are of another model.
    pub fn load_into(&self, params: &ParamStore) -> Result<()> {
        let names: Vec<String> = params.parameters().into_iter().map(|(name, _)| name).collect();
        if names.len() != self.weights.len() || names.iter().any(|name| !self.weights.contains_key(name)) {
            return Err(Error::Invalid(format!(
                "the averaged weights are of {} parameters, the model has {}",
                self.weights.len(),
                names.len()
            )));
        }
        for (name, average) in &self.weights {
            params.set(name, average)?;
        }
        Ok(())
    }

    /// As a checkpoint holds them.
    pub(crate) fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = self.weights.clone();
        state.insert(MOMENTS.into(), Tensor::new(self.moments as i64, &Device::Cpu)?);
        Ok(state)
    }

    /// Those that [`Self::state`] gave, for the parameters of `params`.
    pub(crate) fn from_state(
        state: &HashMap<String, Tensor>,
        params: &ParamStore,
    ) -> Result<Self, CheckpointFault> {
        let fault = |difference: String| CheckpointFault::Tensors {
            differences: vec![difference],
        };
        let failed = |e: candle_core::Error| fault(format!("averaged weights: {e}"));
        let moments = state.get(MOMENTS).map(Tensor::to_scalar::<i64>);
        let mut averages = Self {
            weights: BTreeMap::new(),
            moments: moments.transpose().map_err(failed)?.unwrap_or(0) as u64,
        };
        for (name, tensor) in state.iter().filter(|(name, _)| *name != MOMENTS) {
            let var = params.get(name).filter(|var| var.dims() == tensor.dims());
            let var = var.ok_or_else(|| {
                fault(format!(
                    "the averaged `{name}` {:?} is not of this model",
                    tensor.dims()
                ))
            })?;
            let tensor = tensor
                .to_device(var.device())
                .and_then(|t| t.to_dtype(var.dtype()));
            averages.weights.insert(name.clone(), tensor.map_err(failed)?);
        }
        Ok(averages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Var};
    use d2l_nn::ParamKind;

    /// The averages of 1, 2, 4 as they come.
    fn averages(averaging: Averaging) -> Vec<f32> {
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let var = Var::new(&[1f32], &Device::Cpu).unwrap();
        params.insert("a", var.clone(), ParamKind::Parameter);
        let mut averages = Averages::default();
        let mut found = Vec::new();
        for value in [1f32, 2.0, 4.0] {
            var.set(&Tensor::new(&[value], &Device::Cpu).unwrap()).unwrap();
            averages.take(averaging, &params).unwrap();
            found.push(averages.weights()["a"].to_vec1::<f32>().unwrap()[0]);
        }
        let state: HashMap<String, Tensor> = averages.state().unwrap().into_iter().collect();
        let again = Averages::from_state(&state, &params).unwrap();
        again.load_into(&params).unwrap();
        assert_eq!(var.to_vec1::<f32>().unwrap()[0], found[2]);
        assert_eq!(again.moments(), 3);
        found
    }

    #[test]
    fn moving_and_plain_means_by_hand() {
        assert_eq!(averages(Averaging::Ema { decay: 0.75 }), [1.0, 1.25, 1.9375]);
        let means = averages(Averaging::Swa { start: 1 });
        assert!(
            (means[2] - 7.0 / 3.0).abs() < 1e-6 && means[..2] == [1.0, 1.5],
            "{means:?}"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        params.insert(
            "a",
            Var::new(&[1f32], &Device::Cpu).unwrap(),
            ParamKind::Parameter,
        );
        assert!(Averages::default().load_into(&params).is_err(), "no averages yet");
        let state = HashMap::from([("b".to_owned(), Tensor::new(&[1f32], &Device::Cpu).unwrap())]);
        assert!(
            Averages::from_state(&state, &params)
                .unwrap_err()
                .to_string()
                .contains("`b`")
        );
        assert!(Averaging::Ema { decay: 1.0 }.check().is_err());
    }
}

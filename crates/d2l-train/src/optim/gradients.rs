//! The gradients of one step.

use crate::{Clip, Result, metrics::to_f64, run::is_finite};
use candle_core::{CpuStorage, Storage, Tensor};

/// The gradients of an optimiser's parameters, in its order; `None` where the loss does not depend on the parameter.
#[derive(Debug, Default)]
pub struct Gradients {
    list: Vec<(String, Option<Tensor>)>,
}

impl Gradients {
    pub(super) fn new(list: Vec<(String, Option<Tensor>)>) -> Self {
        Self { list }
    }

    /// Each parameter's name and gradient.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&Tensor>)> {
        self.list
            .iter()
            .map(|(name, gradient)| (name.as_str(), gradient.as_ref()))
    }

    /// The L2 norm of all gradients taken as one vector, summed in f64.
    ///
    /// # Errors
    /// When the device fails.
    pub fn norm(&self) -> Result<f64> {
        let squares = self
            .iter()
            .filter_map(|(_, gradient)| gradient.map(sum_of_squares));
        Ok(squares.sum::<Result<f64>>()?.sqrt())
    }

    /// Brings the gradients within the limits; returns their norm from before it was limited, if it was looked at.
    ///
    /// # Errors
    /// When the device fails.
    pub fn clip(&mut self, clip: &Clip) -> Result<Option<f64>> {
        if let Some(value) = clip.value {
            self.map(|gradient| gradient.clamp(-value, value))?;
        }
        let Some(limit) = clip.norm else { return Ok(None) };
        let norm = self.norm()?;
        // PyTorch's guard against a norm of 0.
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            self.map(|gradient| gradient * factor)?;
        }
        Ok(Some(norm))
    }

    /// `before · self + own · other`, of two passes through one model.
    pub(crate) fn mixed(&self, before: f64, other: &Self, own: f64) -> Result<Self> {
        let both = self.list.iter().zip(&other.list);
        let list = both.map(|((name, earlier), (_, gradient))| {
            let mixed = match (earlier, gradient) {
                (Some(a), Some(b)) => Some(((a * before)? + (b * own)?)?),
                (Some(only), None) => Some((only * before)?),
                (None, Some(only)) => Some((only * own)?),
                (None, None) => None,
            };
            Ok((name.clone(), mixed))
        });
        Ok(Self::new(list.collect::<Result<_>>()?))
    }

    /// The name of the first gradient that is not finite.
    pub(crate) fn first_non_finite(&self) -> Option<&str> {
        let bad = |gradient: Option<&Tensor>| gradient.is_some_and(|g| matches!(is_finite(g), Ok(false)));
        let mut gradients = self.iter();
        gradients
            .find(|(_, gradient)| bad(*gradient))
            .map(|(name, _)| name)
    }

    fn map(&mut self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<()> {
        for gradient in self.list.iter_mut().filter_map(|(_, gradient)| gradient.as_mut()) {
            *gradient = f(gradient)?;
        }
        Ok(())
    }
}

fn sum_of_squares(gradient: &Tensor) -> Result<f64> {
    let (storage, layout) = gradient.storage_and_layout();
    if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
        (&*storage, layout.contiguous_offsets())
        && let Some(values) = values.get(start..end)
    {
        return Ok(d2l_kernels::optim::sum_of_squares(values));
    }
    drop(storage);
    to_f64(&gradient.sqr()?.sum_all()?)
}

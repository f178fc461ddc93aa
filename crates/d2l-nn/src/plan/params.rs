//! The parameters a plan works with: those that lie in memory as the kernels want them are used where they are, in the
//! store's variables; convolution weights, which the store keeps as OIHW, have a working copy as HWIO.

use crate::{Error, ParamStore, Result};
use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Var};
use d2l_kernels::layout;
use std::{
    cell::RefCell,
    collections::HashSet,
    ops::{Deref, Range},
};

/// A parameter or buffer of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ParamId(usize);

/// Where a parameter's values come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// The variable itself.
    Var(String),
    /// A copy of an OIHW variable as HWIO; sizes: out, in (of a group), window.
    Hwio(String, [usize; 3]),
    /// The same times the factor of the batch norm that follows; for inference.
    FoldedWeight(String, [usize; 3], Fold),
    /// The bias (0 if absent) after that batch norm, for so many channels; for inference.
    FoldedBias(Option<String>, usize, Fold),
}

/// A batch norm that is folded into the convolution before it: `y = (x − mean)·weight/√(var + eps) + bias`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fold {
    /// What the names of its variables begin with.
    pub(super) path: String,
    pub(super) eps: f64,
}

impl Source {
    /// The variable that is learned through this parameter.
    fn learned(&self) -> Option<&str> {
        match self {
            Self::Var(name) | Self::Hwio(name, _) => Some(name),
            _ => None,
        }
    }
}

/// What a plan needs to know of its parameters before they exist.
#[derive(Debug, Default)]
pub(super) struct ParamList(Vec<Source>);

impl ParamList {
    pub(super) fn add(&mut self, source: Source) -> ParamId {
        self.0.push(source);
        ParamId(self.0.len() - 1)
    }

    /// f32s of all working copies.
    pub(super) fn copied(&self) -> usize {
        let elements = |source: &Source| match source {
            Source::Var(_) => 0,
            Source::Hwio(_, dims) | Source::FoldedWeight(_, dims, _) => dims.iter().product(),
            Source::FoldedBias(_, channels, _) => *channels,
        };
        self.0.iter().map(elements).sum()
    }

    /// Refuses a variable that more than one layer learns: a plan has a gradient for each of them, and no sum.
    pub(super) fn check(&self, learned: &HashSet<ParamId>) -> Result<()> {
        let mut seen = HashSet::new();
        for (index, source) in self.0.iter().enumerate() {
            if let Some(name) = source.learned()
                && learned.contains(&ParamId(index))
                && !seen.insert(name)
            {
                return Err(Error::msg(format!(
                    "`{name}` is used by more than one layer, which a plan cannot train"
                )));
            }
        }
        Ok(())
    }

    /// The learned variable behind a parameter.
    pub(super) fn name(&self, id: ParamId) -> Option<&str> {
        self.0.get(id.0).and_then(Source::learned)
    }
}

/// A parameter at work.
struct Param {
    source: Source,
    var: Option<Var>,
    /// Empty where the variable is used in place.
    copy: Vec<f32>,
    /// Empty where there is none to learn. In the order of the copy, or of the variable.
    gradient: Vec<f32>,
}

/// The parameters of a plan with their gradients.
pub(super) struct Params(Vec<Param>);

/// Elements of a parameter; `G` is the lock on a variable's storage.
enum Values<'a, G> {
    Copy(&'a [f32]),
    Var(G, Range<usize>),
}

impl<G: Deref<Target = Storage>> Deref for Values<'_, G> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Copy(values) => values,
            // A variable that is not f32 on the CPU has no elements here; the kernels refuse that by its length.
            Self::Var(storage, range) => match &**storage {
                Storage::Cpu(CpuStorage::F32(values)) => values.get(range.clone()).unwrap_or_default(),
                _ => &[],
            },
        }
    }
}

impl Params {
    /// Binds the parameters to the variables of `store`; `learned` says which need a gradient.
    pub(super) fn new(
        list: ParamList,
        store: &ParamStore,
        learned: impl Fn(ParamId) -> bool,
    ) -> Result<Self> {
        let mut params = Vec::with_capacity(list.0.len());
        for (index, source) in list.0.into_iter().enumerate() {
            let var = source.learned().map(|name| variable(store, name)).transpose()?;
            let elements = var.as_ref().map_or(0, |var| var.elem_count());
            let gradient = if learned(ParamId(index)) { elements } else { 0 };
            params.push(Param {
                source,
                var,
                copy: Vec::new(),
                gradient: super::memory::zeros(gradient),
            });
        }
        let mut params = Self(params);
        params.pull(store)?;
        Ok(params)
    }

    /// Reads the working copies anew from the store.
    pub(super) fn pull(&mut self, store: &ParamStore) -> Result<()> {
        for param in &mut self.0 {
            match &param.source {
                Source::Var(_) => {}
                &Source::Hwio(ref name, dims) => hwio(store, name, dims, &mut param.copy)?,
                &Source::FoldedWeight(ref name, dims, ref fold) => {
                    hwio(store, name, dims, &mut param.copy)?;
                    let factors = fold.factors(store)?;
                    for row in param.copy.chunks_exact_mut(factors.len().max(1)) {
                        row.iter_mut()
                            .zip(&factors)
                            .for_each(|(w, (factor, _))| *w *= factor);
                    }
                }
                Source::FoldedBias(name, channels, fold) => {
                    let bias = match name {
                        Some(name) => floats(store, name)?,
                        None => vec![0.0; *channels],
                    };
                    let factors = fold.factors(store)?;
                    param.copy = bias
                        .iter()
                        .zip(factors)
                        .map(|(bias, (factor, addend))| bias * factor + addend)
                        .collect();
                }
            }
        }
        Ok(())
    }

    /// Writes the working copies back to the store's variables.
    pub(super) fn push(&self) -> Result<()> {
        for param in &self.0 {
            if let (&Source::Hwio(_, [o, i, window]), Some(var)) = (&param.source, &param.var) {
                mutate(var, |values| {
                    Ok(layout::hwio_to_oihw(o, i, window, &param.copy, values)?)
                })?;
            }
        }
        Ok(())
    }

    /// The values of a parameter as the kernels want them.
    pub(super) fn values(&self, id: ParamId) -> Result<impl Deref<Target = [f32]> + '_> {
        match self.0.get(id.0) {
            Some(Param {
                source: Source::Var(name),
                var: Some(var),
                ..
            }) => {
                let (storage, layout) = var.storage_and_layout();
                let (start, end) = layout
                    .contiguous_offsets()
                    .ok_or_else(|| Error::msg(format!("`{name}` does not lie in one piece")))?;
                Ok(Values::Var(storage, start..end))
            }
            Some(param) => Ok(Values::Copy(&param.copy)),
            None => Err(Error::msg("a plan has lost a parameter")),
        }
    }

    /// Changes a variable that is used in place, such as a running mean.
    pub(super) fn change(&self, id: ParamId, change: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
        match self.0.get(id.0) {
            Some(Param {
                source: Source::Var(_),
                var: Some(var),
                ..
            }) => mutate(var, change),
            _ => Err(Error::msg("a plan has lost a buffer")),
        }
    }

    /// Takes a parameter's gradient out to be written; `None` if it is not learned.
    pub(super) fn take_gradient(&mut self, id: ParamId) -> Option<Vec<f32>> {
        let gradient = std::mem::take(&mut self.0.get_mut(id.0)?.gradient);
        (!gradient.is_empty()).then_some(gradient)
    }

    /// Puts a gradient back.
    pub(super) fn put_gradient(&mut self, id: ParamId, gradient: Vec<f32>) {
        if let Some(param) = self.0.get_mut(id.0) {
            param.gradient = gradient;
        }
    }

    /// Whether a parameter is learned.
    pub(super) fn is_learned(&self, id: ParamId) -> bool {
        self.0.get(id.0).is_some_and(|param| !param.gradient.is_empty())
    }

    /// The names of the learned parameters with their gradients.
    pub(super) fn gradients_mut(&mut self) -> impl Iterator<Item = (&str, &mut [f32])> {
        self.0
            .iter_mut()
            .filter(|param| !param.gradient.is_empty())
            .filter_map(|param| Some((param.source.learned()?, param.gradient.as_mut_slice())))
    }

    /// As [`Self::gradients_mut`], to read.
    pub(super) fn gradients(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.0
            .iter()
            .filter(|param| !param.gradient.is_empty())
            .filter_map(|param| Some((param.source.learned()?, param.gradient.as_slice())))
    }

    /// The gradient of `name`, in the plan's order.
    pub(super) fn gradient(&self, name: &str) -> Option<&[f32]> {
        self.gradients()
            .find(|(found, _)| *found == name)
            .map(|(_, gradient)| gradient)
    }

    /// Values that belong to the elements of `name`, from the plan's order to the variable's or back.
    pub(super) fn reorder(&self, name: &str, values: &[f32], to_variable: bool) -> Result<Vec<f32>> {
        let mut out = values.to_vec();
        let param = self.0.iter().find(|param| param.source.learned() == Some(name));
        if let Some(&Source::Hwio(_, [o, i, window])) = param.map(|param| &param.source) {
            match to_variable {
                true => layout::hwio_to_oihw(o, i, window, values, &mut out)?,
                false => layout::oihw_to_hwio(o, i, window, values, &mut out)?,
            }
        }
        Ok(out)
    }

    /// Shows `update` each learned parameter's name, values and gradient. Values and gradient are in the same order.
    pub(super) fn update(&mut self, update: &mut super::Update<'_>) -> Result<()> {
        for param in self.0.iter_mut().filter(|param| !param.gradient.is_empty()) {
            let (Some(name), Some(var)) = (param.source.learned(), &param.var) else {
                continue;
            };
            match &param.source {
                Source::Var(_) => mutate(var, |values| update(name, values, &param.gradient))?,
                _ => update(name, &mut param.copy, &param.gradient)?,
            }
        }
        Ok(())
    }
}

impl Fold {
    /// Factor and addend of every channel.
    fn factors(&self, store: &ParamStore) -> Result<Vec<(f32, f32)>> {
        let read = |name: &str| floats(store, &format!("{}.{name}", self.path));
        let (weight, bias) = (read("weight")?, read("bias")?);
        let (mean, var) = (read("running_mean")?, read("running_var")?);
        let affine = weight.iter().zip(bias).zip(mean.iter().zip(var));
        Ok(affine
            .map(|((weight, bias), (mean, var))| {
                let factor = f64::from(*weight) / (f64::from(var) + self.eps).sqrt();
                (
                    factor as f32,
                    (f64::from(bias) - f64::from(*mean) * factor) as f32,
                )
            })
            .collect())
    }
}

fn variable(store: &ParamStore, name: &str) -> Result<Var> {
    store
        .get(name)
        .ok_or_else(|| Error::msg(format!("there is no parameter `{name}`")))
}

fn floats(store: &ParamStore, name: &str) -> Result<Vec<f32>> {
    Ok(variable(store, name)?
        .as_detached_tensor()
        .flatten_all()?
        .to_vec1()?)
}

fn hwio(store: &ParamStore, name: &str, [o, i, window]: [usize; 3], copy: &mut Vec<f32>) -> Result<()> {
    let var = variable(store, name)?;
    copy.resize(o * i * window, 0.0);
    crate::ops::storage::with_elements("plan", [var.as_tensor()], |[values]| {
        Ok(layout::oihw_to_hwio(o, i, window, values, copy).map_err(Error::from)?)
    })?;
    Ok(())
}

/// Lets `change` write the elements of an f32 variable in main memory.
fn mutate(var: &Var, change: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
    struct Change<F>(RefCell<Option<F>>);
    impl<F: FnOnce(&mut [f32]) -> Result<()>> InplaceOp1 for Change<F> {
        fn name(&self) -> &'static str {
            "plan"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
            let CpuStorage::F32(values) = storage else {
                candle_core::bail!("plan: parameters must be f32");
            };
            let values = layout
                .contiguous_offsets()
                .and_then(|(start, end)| values.get_mut(start..end));
            match (values, self.0.borrow_mut().take()) {
                (Some(values), Some(change)) => Ok(change(values)?),
                _ => candle_core::bail!("plan: a parameter does not lie in one piece"),
            }
        }
    }
    Ok(var.inplace_op1(&Change(RefCell::new(Some(change))))?)
}

//! Optimisers over the parameters of a [`ParamStore`], with parameter groups and state that saves and loads.
//!
//! The formulas are those of PyTorch. f32 parameters on the CPU are updated in place by d2l-kernels without a copy
//! or an allocation (`host`); others go through candle operations (`compose`), which are also the reference in the
//! tests.

mod compose;
mod gradients;
mod group;
mod host;
mod method;
#[cfg(test)]
mod tests;

pub use gradients::Gradients;
pub use group::{Group, Select};
pub use method::{AdadeltaOptions, AdagradOptions, AdamOptions, Method, RmsPropOptions, SgdOptions};

use crate::{CheckpointFault, Error, Result};
use candle_core::{DType, Device, Tensor, Var, backprop::GradStore};
use d2l_nn::ParamStore;
use std::collections::{BTreeMap, HashMap};

/// An optimiser: a [`Method`] and its state for every trainable parameter.
#[derive(Clone, Debug)]
pub struct Optimizer {
    method: Method,
    members: Vec<Member>,
    /// The place of each parameter in `members`.
    index: HashMap<String, usize>,
}

/// A parameter with what the optimiser knows about it.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    var: Var,
    /// The parameter's own factor on the learning rate.
    learning_rate_factor: f64,
    weight_decay: f64,
    /// Updates made so far.
    steps: u64,
    slots: Slots,
}

/// The state buffers of a parameter, in the order of [`Method::slots`]; empty before its first update.
#[derive(Clone, Debug)]
enum Slots {
    /// For [`host`].
    Host(Vec<Vec<f32>>),
    /// For [`compose`].
    Device(Vec<Tensor>),
}

impl Optimizer {
    /// An optimiser of the trainable parameters of `params`.
    ///
    /// # Errors
    /// When the method has a value that no training can work with.
    pub fn new(method: Method, params: &ParamStore) -> Result<Self> {
        Self::with_groups(method, params, &[])
    }

    /// An optimiser in which parameters that a group selects have values of their own. Groups apply in order, so a
    /// later one wins.
    ///
    /// # Errors
    /// When the method has a value that no training can work with, or a group selects no parameter.
    pub fn with_groups(method: Method, params: &ParamStore, groups: &[Group]) -> Result<Self> {
        method.check()?;
        let mut members: Vec<Member> = params
            .trainable()
            .into_iter()
            .map(|(name, var)| {
                let host = var.dtype() == DType::F32 && var.device().is_cpu();
                let slots = if host {
                    Slots::Host(Vec::new())
                } else {
                    Slots::Device(Vec::new())
                };
                Member {
                    name,
                    var,
                    learning_rate_factor: 1.0,
                    weight_decay: method.weight_decay(),
                    steps: 0,
                    slots,
                }
            })
            .collect();
        for group in groups {
            let mut selected = 0;
            for member in members
                .iter_mut()
                .filter(|m| group.select.selects(&m.name, m.var.rank()))
            {
                selected += 1;
                member.learning_rate_factor =
                    group.learning_rate_factor.unwrap_or(member.learning_rate_factor);
                member.weight_decay = group.weight_decay.unwrap_or(member.weight_decay);
            }
            if selected == 0 {
                let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
                return Err(Error::Invalid(format!(
                    "the parameter group {:?} selects none of the trainable parameters: {}",
                    group.select,
                    names.join(", ")
                )));
            }
        }
        let names = members.iter().enumerate();
        let index = names
            .map(|(place, member)| (member.name.clone(), place))
            .collect();
        Ok(Self {
            method,
            members,
            index,
        })
    }

    /// The method, with its values.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The base learning rate, which a schedule multiplies.
    pub fn learning_rate(&self) -> f64 {
        self.method.learning_rate()
    }

    /// The gradients of this optimiser's parameters.
    ///
    /// # Errors
    /// When a gradient cannot be brought into one piece of memory.
    pub fn gradients(&self, store: &GradStore) -> Result<Gradients> {
        let gradients = self.members.iter().map(|m| {
            let gradient = store.get(m.var.as_tensor()).map(Tensor::contiguous).transpose()?;
            Ok((m.name.clone(), gradient))
        });
        Ok(Gradients::new(gradients.collect::<Result<_>>()?))
    }

    /// Updates every parameter that has a gradient.
    ///
    /// # Errors
    /// When the gradients are not this optimiser's, or the device fails.
    pub fn step(&mut self, gradients: &Gradients, learning_rate: f64) -> Result<()> {
        for (member, (_, gradient)) in self.members.iter_mut().zip(gradients.iter()) {
            let Some(gradient) = gradient else { continue };
            let method = member.next_step(&self.method, learning_rate);
            match &mut member.slots {
                Slots::Host(slots) => {
                    fill(slots, &method, member.var.elem_count());
                    host::update(&method, member.steps, member.var.as_tensor(), gradient, slots)?;
                }
                Slots::Device(slots) => {
                    if slots.is_empty() {
                        let fresh = |&(_, value): &(_, f64)| {
                            Tensor::full(value, member.var.shape(), member.var.device())?
                                .to_dtype(member.var.dtype())
                        };
                        *slots = method.slots().iter().map(fresh).collect::<Result<_, _>>()?;
                    }
                    let parameter = member.var.as_tensor().detach();
                    member.var.set(&compose::update(
                        &method,
                        member.steps,
                        &parameter,
                        gradient,
                        slots,
                    )?)?;
                }
            }
        }
        Ok(())
    }

    /// Updates the parameter `name`, whose elements are at hand: `values` and `gradient` are in the same order, which
    /// need not be that of the parameter's variable but has to be the same in every step ([`Self::reordered`]).
    ///
    /// # Errors
    /// When `name` is no parameter of this optimiser, or the numbers of elements differ.
    pub fn step_slice(
        &mut self,
        name: &str,
        values: &mut [f32],
        gradient: &[f32],
        learning_rate: f64,
    ) -> Result<()> {
        let member = self
            .index
            .get(name)
            .and_then(|&place| self.members.get_mut(place));
        let Some(member) = member else {
            return Err(Error::Invalid(format!("the optimiser has no parameter `{name}`")));
        };
        let method = member.next_step(&self.method, learning_rate);
        let Slots::Host(slots) = &mut member.slots else {
            return Err(Error::Invalid(format!("`{name}` is not f32 on the CPU")));
        };
        fill(slots, &method, values.len());
        host::update_slice(&method, member.steps, values, gradient, slots)
            .map_err(|error| Error::Candle(candle_core::Error::wrap(error)))
    }

    /// The same optimiser with the state of every parameter on the CPU in another order of elements: `reorder` gets
    /// the parameter's name and one of its buffers.
    ///
    /// # Errors
    /// Those of `reorder`.
    pub fn reordered(&self, reorder: impl Fn(&str, &[f32]) -> Result<Vec<f32>>) -> Result<Self> {
        let mut other = self.clone();
        for member in &mut other.members {
            if let Slots::Host(slots) = &mut member.slots {
                for slot in slots {
                    *slot = reorder(&member.name, slot)?;
                }
            }
        }
        Ok(other)
    }

    /// The names of the parameters that were never updated.
    pub fn without_gradient(&self) -> Vec<String> {
        self.members
            .iter()
            .filter(|m| m.steps == 0)
            .map(|m| m.name.clone())
            .collect()
    }

    /// The state as named tensors: `<parameter>.<buffer>` with PyTorch's names of the buffers, and
    /// `<parameter>.step`. Parameters that were never updated have none.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for member in self.members.iter().filter(|m| m.steps > 0) {
            state.insert(
                format!("{}.step", member.name),
                Tensor::new(member.steps as i64, &Device::Cpu)?,
            );
            for (i, (slot, _)) in self.method.slots().iter().enumerate() {
                let tensor = match &member.slots {
                    Slots::Host(slots) => {
                        let values = slots.get(i).map_or(&[][..], Vec::as_slice);
                        Some(Tensor::from_slice(values, member.var.shape(), &Device::Cpu)?)
                    }
                    Slots::Device(slots) => slots.get(i).cloned(),
                };
                state.extend(tensor.map(|tensor| (format!("{}.{slot}", member.name), tensor)));
            }
        }
        Ok(state)
    }

    /// Goes to a state that [`Self::state`] gave.
    ///
    /// # Errors
    /// When the tensors are not those of this method and these parameters; nothing has been changed then.
    pub fn set_state(&mut self, state: &HashMap<String, Tensor>) -> Result<(), CheckpointFault> {
        let mut differences = Vec::new();
        let mut used = 0;
        let mut members = self.members.clone();
        for member in &mut members {
            match member.set_state(&self.method, state) {
                Ok(tensors) => used += tensors,
                Err(difference) => differences.push(difference),
            }
        }
        if differences.is_empty() && used != state.len() {
            differences.push(format!(
                "the optimiser has {used} tensors of state, the checkpoint {}",
                state.len()
            ));
        }
        if !differences.is_empty() {
            differences.truncate(5);
            return Err(CheckpointFault::Tensors { differences });
        }
        self.members = members;
        Ok(())
    }
}

/// The state of a parameter before its first update.
fn fill(slots: &mut Vec<Vec<f32>>, method: &Method, elements: usize) {
    if slots.is_empty() {
        let fresh = |&(_, value): &(_, f64)| vec![value as f32; elements];
        *slots = method.slots().iter().map(fresh).collect();
    }
}

impl Member {
    /// Counts a step; the method with this parameter's own values.
    fn next_step(&mut self, method: &Method, learning_rate: f64) -> Method {
        self.steps += 1;
        method
            .with_learning_rate(learning_rate * self.learning_rate_factor)
            .with_weight_decay(self.weight_decay)
    }

    /// Takes this parameter's state out of `state`; returns how many tensors it was.
    fn set_state(&mut self, method: &Method, state: &HashMap<String, Tensor>) -> Result<usize, String> {
        let named = |e: candle_core::Error, name: &str| format!("`{name}`: {e}");
        let name = format!("{}.step", self.name);
        let Some(steps) = state.get(&name) else {
            self.steps = 0;
            match &mut self.slots {
                Slots::Host(slots) => slots.clear(),
                Slots::Device(slots) => slots.clear(),
            }
            return Ok(0);
        };
        self.steps = steps.to_scalar::<i64>().map_err(|e| named(e, &name))? as u64;
        let mut tensors = Vec::new();
        for (slot, _) in method.slots() {
            let name = format!("{}.{slot}", self.name);
            let tensor = state.get(&name).ok_or_else(|| format!("`{name}` is missing"))?;
            if tensor.dims() != self.var.dims() {
                return Err(format!(
                    "`{name}` is {:?}, the parameter {:?}",
                    tensor.dims(),
                    self.var.dims()
                ));
            }
            let tensor = tensor
                .to_dtype(self.var.dtype())
                .and_then(|t| t.to_device(self.var.device()));
            tensors.push(tensor.map_err(|e| named(e, &name))?);
        }
        let count = tensors.len() + 1;
        match &mut self.slots {
            Slots::Device(slots) => *slots = tensors,
            Slots::Host(slots) => {
                *slots = tensors
                    .iter()
                    .map(|t| {
                        t.flatten_all()
                            .and_then(|t| t.to_vec1())
                            .map_err(|e| named(e, &self.name))
                    })
                    .collect::<Result<_, _>>()?;
            }
        }
        Ok(count)
    }
}

//! Parameters to and from safetensors files, under the store's names or others.

use super::ParamStore;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

/// PyTorch's count of the batches that a batch norm has seen; nothing here needs it.
const COUNTER: &str = "num_batches_tracked";
/// How many of the differences between a file and a network an error names.
const SHOWN: usize = 5;

/// What a tensor is called in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorName {
    /// Its name in the file.
    pub in_file: String,
    /// Its name in the store; `None` for a count that PyTorch keeps and this crate does not: it is written as 0, and
    /// passed over in reading.
    pub in_store: Option<String>,
}

impl ParamStore {
    /// Copies the values of every tensor in `tensors` into the store.
    ///
    /// # Errors
    /// When the names or shapes of the two are not the same; the first ones that differ are named, and nothing has
    /// been changed.
    pub fn load_tensors(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.assign(tensors, &HashMap::new())
    }

    /// Writes all parameters and buffers to a safetensors file, replacing it. The file is written beside and
    /// renamed, so that no partial file can be seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors = self.all().into_iter();
        let tensors = tensors.map(|(name, var)| (name, var.as_tensor().clone()));
        write(&tensors.collect(), path)
    }

    /// As [`Self::save`], under other names.
    ///
    /// # Errors
    /// When the store lacks a tensor that `names` speaks of, or the file cannot be written.
    pub fn save_as(&self, path: &Path, names: &[TensorName]) -> Result<()> {
        let tensor = |name: &TensorName| {
            let values = match &name.in_store {
                None => Tensor::new(0i64, &Device::Cpu)?,
                Some(mine) => self
                    .get(mine)
                    .ok_or_else(|| Error::msg(format!("there is no parameter `{mine}`")))?
                    .as_tensor()
                    .clone(),
            };
            Ok((name.in_file.clone(), values))
        };
        write(&names.iter().map(tensor).collect::<Result<_>>()?, path)
    }

    /// Reads parameters and buffers from a safetensors file. PyTorch's counts of batches (`num_batches_tracked`) are
    /// passed over.
    ///
    /// # Errors
    /// When the file cannot be read or does not fit ([`Self::load_tensors`]).
    pub fn load(&self, path: &Path) -> Result<()> {
        self.load_as(path, |_| Vec::new())
    }

    /// As [`Self::load`], where `names` says what the tensors are called in the file, whose own names it gets,
    /// sorted. Names that it does not speak of are the store's own.
    ///
    /// # Errors
    /// As [`Self::load`]; a tensor that does not fit is called by both names.
    pub fn load_as(&self, path: &Path, names: impl FnOnce(&[String]) -> Vec<TensorName>) -> Result<()> {
        let load = || {
            let mut tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
            tensors.retain(|name, _| name.rsplit('.').next() != Some(COUNTER));
            let mut in_file: Vec<String> = tensors.keys().cloned().collect();
            in_file.sort_unstable();
            let renamed = names(&in_file).into_iter();
            let renamed = renamed.filter_map(|name| Some((name.in_store?, name.in_file)));
            self.assign(&tensors, &renamed.collect())
        };
        load().map_err(|e| Error::msg(format!("{}: {e}", path.display())))
    }

    /// `renamed`: from the store's name to the one in `tensors`, where it is another.
    fn assign(&self, tensors: &HashMap<String, Tensor>, renamed: &HashMap<String, String>) -> Result<()> {
        let mine = self.all();
        let theirs = |name: &str| renamed.get(name).map_or_else(|| name.to_owned(), Clone::clone);
        let both = |name: &str| match renamed.get(name) {
            Some(other) if other != name => format!("`{other}` (here `{name}`)"),
            _ => format!("`{name}`"),
        };
        let known: HashSet<String> = mine.iter().map(|(name, _)| theirs(name)).collect();
        let mut differences: Vec<String> = mine
            .iter()
            .filter_map(|(name, var)| match tensors.get(&theirs(name)) {
                None => Some(format!("{} {:?} is missing", both(name), var.dims())),
                Some(t) if t.dims() != var.dims() => Some(format!(
                    "{} is {:?}, the network has {:?}",
                    both(name),
                    t.dims(),
                    var.dims()
                )),
                Some(_) => None,
            })
            .collect();
        let mut unknown: Vec<&String> = tensors.keys().filter(|name| !known.contains(*name)).collect();
        unknown.sort_unstable();
        differences.extend(
            unknown
                .iter()
                .map(|name| format!("`{name}` is not in the network")),
        );
        if !differences.is_empty() {
            let more = differences.len().saturating_sub(SHOWN);
            differences.truncate(SHOWN);
            let tail = if more > 0 {
                format!("; and {more} more")
            } else {
                String::new()
            };
            return Err(Error::msg(format!(
                "the tensors do not fit: {}{tail}",
                differences.join("; ")
            )));
        }
        for (name, _) in &mine {
            if let Some(values) = tensors.get(&theirs(name)) {
                self.set(name, values)?;
            }
        }
        Ok(())
    }
}

fn write(tensors: &HashMap<String, Tensor>, path: &Path) -> Result<()> {
    let beside = path.with_extension(format!("tmp-{}", std::process::id()));
    let written = candle_core::safetensors::save(tensors, &beside)
        .map_err(Error::from)
        .and_then(|()| std::fs::rename(&beside, path).map_err(|e| Error::msg(e.to_string())));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(|e| Error::msg(format!("writing {}: {e}", path.display())))
}

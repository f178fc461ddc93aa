//! The named parameters and buffers of a network.

use crate::{Error, Fan, Init, Result, Rng};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{VarBuilder, VarMap, var_builder::SimpleBackend};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

/// What a stored tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// Learned by an optimiser.
    Parameter,
    /// State that training updates itself, such as batch norm's running statistics: saved, but neither counted as
    /// a parameter nor touched by an optimiser.
    Buffer,
}

#[derive(Clone)]
struct Entry {
    name: String,
    var: Var,
    kind: ParamKind,
    frozen: bool,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    index: HashMap<String, usize>,
}

/// The parameters and buffers of a network by name, in the order in which its layers were written.
///
/// candle's `VarMap` keeps no order and does not tell buffers from parameters; this does, and gives a `VarMap`
/// ([`Self::to_var_map`]) or a `VarBuilder` ([`Self::var_builder`]) over the same variables to code that wants one.
/// Clones share the variables.
#[derive(Clone)]
pub struct ParamStore {
    entries: Arc<Mutex<Entries>>,
    dtype: DType,
    device: Device,
}

impl ParamStore {
    /// An empty store whose tensors will be of `dtype` on `device`.
    pub fn new(dtype: DType, device: &Device) -> Self {
        Self {
            entries: Arc::default(),
            dtype,
            device: device.clone(),
        }
    }

    /// The element type of the stored tensors.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of the stored tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The variable `name`, created by `init` if the store has none of that name (an existing one is shared: tied
    /// parameters).
    ///
    /// # Errors
    /// When a variable of that name but another shape or kind exists, or the device cannot hold it.
    pub fn get_or_init(
        &self,
        name: &str,
        shape: &[usize],
        fan: Fan,
        init: Init,
        kind: ParamKind,
        rng: &Rng,
    ) -> Result<Var> {
        if let Some(entry) = self.entry(name) {
            if entry.var.dims() != shape {
                return Err(mismatch(name, shape, entry.var.dims()));
            }
            if entry.kind != kind {
                return Err(Error::msg(format!(
                    "`{name}` is a {:?} in the store, not a {kind:?}",
                    entry.kind
                )));
            }
            return Ok(entry.var);
        }
        let values = init.tensor(shape, fan, &mut rng.split(name), self.dtype, &self.device)?;
        let var = Var::from_tensor(&values)?;
        self.insert(name, var.clone(), kind);
        Ok(var)
    }

    /// Adds a variable, or replaces the one of that name.
    pub fn insert(&self, name: &str, var: Var, kind: ParamKind) {
        let mut entries = self.lock();
        let entry = Entry {
            name: name.to_owned(),
            var,
            kind,
            frozen: false,
        };
        match entries
            .index
            .get(name)
            .copied()
            .and_then(|i| entries.list.get_mut(i))
        {
            Some(slot) => *slot = entry,
            None => {
                let position = entries.list.len();
                entries.index.insert(name.to_owned(), position);
                entries.list.push(entry);
            }
        }
    }

    /// All parameters, frozen ones too, in order.
    pub fn parameters(&self) -> Vec<(String, Var)> {
        self.select(|entry| entry.kind == ParamKind::Parameter)
    }

    /// The parameters that an optimiser is to change, in order.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        self.select(|entry| entry.kind == ParamKind::Parameter && !entry.frozen)
    }

    /// All buffers, in order.
    pub fn buffers(&self) -> Vec<(String, Var)> {
        self.select(|entry| entry.kind == ParamKind::Buffer)
    }

    /// Parameters and buffers, in the order in which they were created.
    pub fn all(&self) -> Vec<(String, Var)> {
        self.select(|_| true)
    }

    /// The variable of that name.
    pub fn get(&self, name: &str) -> Option<Var> {
        self.entry(name).map(|entry| entry.var)
    }

    /// The number of elements in all parameters (buffers are not counted).
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// Gives `name` new values; every module built on the store sees them.
    ///
    /// # Errors
    /// When there is no such name, or the shape differs.
    pub fn set(&self, name: &str, values: &Tensor) -> Result<()> {
        let var = self
            .get(name)
            .ok_or_else(|| Error::msg(format!("there is no parameter `{name}`")))?;
        if var.dims() != values.dims() {
            return Err(mismatch(name, var.dims(), values.dims()));
        }
        Ok(var.set(&values.to_dtype(self.dtype)?.to_device(&self.device)?)?)
    }

    /// Freezes (or thaws) the parameters whose name satisfies `which`; returns how many there are.
    /// Frozen parameters stay in [`Self::parameters`] and leave [`Self::trainable`].
    pub fn freeze(&self, frozen: bool, which: impl Fn(&str) -> bool) -> usize {
        let mut entries = self.lock();
        let chosen = entries
            .list
            .iter_mut()
            .filter(|e| e.kind == ParamKind::Parameter && which(&e.name));
        chosen.map(|entry| entry.frozen = frozen).count()
    }

    /// Copies the values of every tensor in `tensors` into the store.
    ///
    /// # Errors
    /// When the names or shapes of the two are not the same; the first ones that differ are named, and nothing has
    /// been changed.
    pub fn load_tensors(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        const SHOWN: usize = 5;
        let mine = self.all();
        let known: HashSet<&str> = mine.iter().map(|(name, _)| name.as_str()).collect();
        let mut differences: Vec<String> = mine
            .iter()
            .filter_map(|(name, var)| match tensors.get(name) {
                None => Some(format!("`{name}` {:?} is missing", var.dims())),
                Some(t) if t.dims() != var.dims() => Some(format!(
                    "`{name}` is {:?}, the network has {:?}",
                    t.dims(),
                    var.dims()
                )),
                Some(_) => None,
            })
            .collect();
        let mut unknown: Vec<&str> = tensors
            .keys()
            .map(String::as_str)
            .filter(|name| !known.contains(name))
            .collect();
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
            if let Some(values) = tensors.get(name) {
                self.set(name, values)?;
            }
        }
        Ok(())
    }

    /// Writes all parameters and buffers to a safetensors file, replacing it. The file is written beside and
    /// renamed, so that no partial file can be seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors: HashMap<String, Tensor> = self
            .all()
            .into_iter()
            .map(|(name, var)| (name, var.as_tensor().clone()))
            .collect();
        let beside = path.with_extension(format!("tmp-{}", std::process::id()));
        let written = candle_core::safetensors::save(&tensors, &beside)
            .map_err(Error::from)
            .and_then(|()| std::fs::rename(&beside, path).map_err(|e| Error::msg(e.to_string())));
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written.map_err(|e| Error::msg(format!("writing {}: {e}", path.display())))
    }

    /// Reads parameters and buffers from a safetensors file.
    ///
    /// # Errors
    /// When the file cannot be read or does not fit ([`Self::load_tensors`]).
    pub fn load(&self, path: &Path) -> Result<()> {
        candle_core::safetensors::load(path, &Device::Cpu)
            .map_err(Error::from)
            .and_then(|tensors| self.load_tensors(&tensors))
            .map_err(|e| Error::msg(format!("{}: {e}", path.display())))
    }

    /// A candle `VarMap` over the same variables (buffers included).
    pub fn to_var_map(&self) -> VarMap {
        let map = VarMap::new();
        if let Ok(mut data) = map.data().lock() {
            data.extend(self.all());
        }
        map
    }

    /// A candle `VarBuilder` that hands out this store's variables, for code written against candle-nn. It creates
    /// none: a name that the store lacks is an error.
    pub fn var_builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), self.dtype, self.device.clone())
    }

    fn select(&self, which: impl Fn(&Entry) -> bool) -> Vec<(String, Var)> {
        let entries = self.lock();
        entries
            .list
            .iter()
            .filter(|e| which(e))
            .map(|e| (e.name.clone(), e.var.clone()))
            .collect()
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let entries = self.lock();
        entries
            .index
            .get(name)
            .and_then(|&i| entries.list.get(i))
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Every change below the lock is complete before anything can panic, so a poisoned lock is still sound.
        self.entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ParamStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.lock();
        f.debug_map()
            .entries(
                entries
                    .list
                    .iter()
                    .map(|e| (&e.name, (e.kind, e.var.dims().to_vec()))),
            )
            .finish()
    }
}

impl SimpleBackend for ParamStore {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if tensor.shape() != &shape {
            candle_core::bail!(
                "`{name}` is {:?} in the store, {shape:?} was asked for",
                tensor.shape()
            );
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        match Self::get(self, name) {
            Some(var) => var.as_tensor().to_device(device)?.to_dtype(dtype),
            None => candle_core::bail!("there is no parameter `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        Self::get(self, name).is_some()
    }
}

fn mismatch(name: &str, expected: &[usize], got: &[usize]) -> Error {
    Error::msg(format!("`{name}`: expected shape {expected:?}, got {got:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> ParamStore {
        let store = ParamStore::new(DType::F32, &Device::Cpu);
        let rng = Rng::new(0);
        for (name, kind) in [
            ("b.weight", ParamKind::Parameter),
            ("b.running_mean", ParamKind::Buffer),
            ("a.weight", ParamKind::Parameter),
        ] {
            store
                .get_or_init(
                    name,
                    &[2, 3],
                    Fan::of_weight(&[2, 3]),
                    Init::normal(1.0),
                    kind,
                    &rng,
                )
                .unwrap();
        }
        store
    }

    fn names(list: &[(String, Var)]) -> Vec<&str> {
        list.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn order_kinds_and_freezing() {
        let store = store();
        assert_eq!(names(&store.parameters()), ["b.weight", "a.weight"]);
        assert_eq!(names(&store.buffers()), ["b.running_mean"]);
        assert_eq!(store.parameter_count(), 12);
        assert_eq!(store.freeze(true, |name| name.starts_with('b')), 1);
        assert_eq!(names(&store.trainable()), ["a.weight"]);
        store.freeze(false, |_| true);
        assert_eq!(store.trainable().len(), 2);
    }

    #[test]
    fn the_same_name_is_the_same_variable_and_other_shapes_are_refused() {
        let store = store();
        let again = |shape: &[usize], kind| {
            let fan = Fan::of_weight(shape);
            store.get_or_init("a.weight", shape, fan, Init::Constant(0.0), kind, &Rng::new(5))
        };
        let tied = again(&[2, 3], ParamKind::Parameter).unwrap();
        store
            .set(
                "a.weight",
                &Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap(),
            )
            .unwrap();
        assert_eq!(tied.to_vec2::<f32>().unwrap(), [[1.0; 3]; 2]);
        assert!(
            again(&[3, 2], ParamKind::Parameter)
                .unwrap_err()
                .to_string()
                .contains("[3, 2]")
        );
        assert!(again(&[2, 3], ParamKind::Buffer).is_err());
    }

    #[test]
    fn save_and_load_keep_every_bit() {
        let folder = std::env::temp_dir().join(format!("d2l-nn-params-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("weights.safetensors");
        let (one, two) = (store(), store());
        one.save(&path).unwrap();
        for (_, var) in two.all() {
            var.set(&var.zeros_like().unwrap()).unwrap();
        }
        two.load(&path).unwrap();
        for ((_, a), (_, b)) in one.all().iter().zip(two.all()) {
            assert_eq!(a.to_vec2::<f32>().unwrap(), b.to_vec2::<f32>().unwrap());
        }
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            1,
            "no file is left beside"
        );
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            one.save(&path)
                .unwrap_err()
                .to_string()
                .contains("weights.safetensors")
        );
    }

    #[test]
    fn tensors_that_do_not_fit_are_named_and_nothing_changes() {
        let store = store();
        let before = store.get("b.weight").unwrap().to_vec2::<f32>().unwrap();
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let tensors = HashMap::from([
            ("b.weight".to_owned(), zeros(&[2, 3])),
            ("a.weight".to_owned(), zeros(&[3, 2])),
            ("c".to_owned(), zeros(&[1])),
        ]);
        let message = store.load_tensors(&tensors).unwrap_err().to_string();
        for part in [
            "`b.running_mean` [2, 3] is missing",
            "`a.weight` is [3, 2]",
            "`c` is not in the network",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(store.get("b.weight").unwrap().to_vec2::<f32>().unwrap(), before);
    }

    #[test]
    fn candles_own_holders_share_the_variables() {
        let store = store();
        let map = store.to_var_map();
        let ones = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
        map.data()
            .lock()
            .unwrap()
            .get("a.weight")
            .unwrap()
            .set(&ones)
            .unwrap();
        let seen = store.var_builder().pp("a").get((2, 3), "weight").unwrap();
        assert_eq!(seen.to_vec2::<f32>().unwrap(), [[1.0; 3]; 2]);
        assert!(store.var_builder().get((3, 2), "a.weight").is_err());
        assert!(store.var_builder().get((3, 2), "z").is_err());
    }
}

//! The named parameters and buffers of a network.

mod files;

pub use files::TensorName;

use crate::{Error, Fan, Init, Result, Rng};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{VarBuilder, VarMap, var_builder::SimpleBackend};
use std::{
    collections::HashMap,
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
    source: Option<VarBuilder<'static>>,
}

impl ParamStore {
    /// An empty store whose tensors will be of `dtype` on `device`.
    pub fn new(dtype: DType, device: &Device) -> Self {
        Self {
            entries: Arc::default(),
            dtype,
            device: device.clone(),
            source: None,
        }
    }

    /// An empty store that takes its tensors from a candle `VarBuilder`, of its data type and on its device: what is
    /// there is used as it is, so weights in a safetensors file, or a module of somebody else's, go into a network.
    /// Over a `VarMap` the variables are shared with it, and what it lacks is created in it, by this crate's
    /// initialisers.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use candle_nn::{VarBuilder, VarMap};
    /// use d2l_nn::{Network, ParamStore, Rng, layers::Linear};
    /// # fn main() -> d2l_nn::Result<()> {
    /// let map = VarMap::new();
    /// let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    /// let params = ParamStore::from_var_builder(vb.pp("head"));
    /// Network::new("head").add("output", Linear::new(3)).build(&[4], &params, &Rng::new(0))?;
    /// assert!(map.data().lock().unwrap().contains_key("head.output.weight"));
    /// # Ok(()) }
    /// ```
    pub fn from_var_builder(source: VarBuilder<'static>) -> Self {
        Self {
            source: Some(source.clone()),
            ..Self::new(source.dtype(), source.device())
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
        let create = || init.tensor(shape, fan, &mut rng.split(name), self.dtype, &self.device);
        let var = match &self.source {
            // Without the copy that `Var::from_tensor` makes: the largest weight would be there twice.
            None if self.dtype == DType::F32 => {
                let values = init.values(shape.iter().product(), fan, &mut rng.split(name));
                Var::from_vec(values, shape, &self.device)?
            }
            None => Var::from_tensor(&create()?)?,
            Some(source) => {
                let new = !source.contains_tensor(name);
                // A `VarMap` creates what it lacks, so the values come after; any other source refuses.
                let var = Var::from_tensor(&source.get(shape, name)?)?;
                if new {
                    var.set(&create()?)?;
                }
                var
            }
        };
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

    #[test]
    fn a_store_over_candles_var_builder() {
        let map = VarMap::new();
        let vb = || VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let theirs = vb()
            .get_with_hints((2, 3), "net.a", candle_nn::Init::Const(7.0))
            .unwrap();
        let params = ParamStore::from_var_builder(vb().pp("net"));
        let make = |params: &ParamStore, name: &str| {
            let (shape, rng) = ([2, 3], Rng::new(0));
            params.get_or_init(
                name,
                &shape,
                Fan::of_weight(&shape),
                Init::Constant(1.5),
                ParamKind::Parameter,
                &rng,
            )
        };
        let a = make(&params, "a").unwrap();
        assert_eq!(
            a.to_vec2::<f32>().unwrap(),
            [[7.0; 3]; 2],
            "what is there is kept"
        );
        a.set(&a.ones_like().unwrap()).unwrap();
        assert_eq!(theirs.to_vec2::<f32>().unwrap(), [[1.0; 3]; 2], "and shared");
        let b = make(&params, "b").unwrap();
        assert_eq!(
            b.to_vec2::<f32>().unwrap(),
            [[1.5; 3]; 2],
            "what is not there starts by our rule"
        );
        assert!(map.data().lock().unwrap().contains_key("net.b"));
        assert!(
            ParamStore::from_var_builder(vb())
                .get_or_init(
                    "net.a",
                    &[3],
                    Fan::of_weight(&[3]),
                    Init::Constant(0.0),
                    ParamKind::Parameter,
                    &Rng::new(0)
                )
                .is_err(),
            "another shape"
        );

        let fixed = HashMap::from([("a".to_owned(), theirs)]);
        let params = ParamStore::from_var_builder(VarBuilder::from_tensors(fixed, DType::F32, &Device::Cpu));
        assert!(make(&params, "a").is_ok());
        assert!(make(&params, "b").unwrap_err().to_string().contains('b'));
    }

    #[test]
    fn a_file_under_other_names() {
        let folder = std::env::temp_dir().join(format!("d2l-nn-renamed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("weights.safetensors");
        let renamed = |in_file: &str, in_store: Option<&str>| TensorName {
            in_file: in_file.to_owned(),
            in_store: in_store.map(str::to_owned),
        };
        let names = [
            renamed("0.weight", Some("b.weight")),
            renamed("1.mean", Some("b.running_mean")),
            renamed("2.weight", Some("a.weight")),
            renamed("1.num_batches_tracked", None),
        ];
        let store = store();
        store.save_as(&path, &names).unwrap();
        let written = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        assert_eq!(written["1.num_batches_tracked"].to_scalar::<i64>().unwrap(), 0);
        let before = store.get("b.weight").unwrap().to_vec2::<f32>().unwrap();
        for (_, var) in store.all() {
            var.set(&var.zeros_like().unwrap()).unwrap();
        }
        let mut seen = Vec::new();
        let load = |seen: &mut Vec<String>| {
            store.load_as(&path, |in_file| {
                *seen = in_file.to_vec();
                names.to_vec()
            })
        };
        load(&mut seen).unwrap();
        assert_eq!(seen, ["0.weight", "1.mean", "2.weight"]);
        assert_eq!(store.get("b.weight").unwrap().to_vec2::<f32>().unwrap(), before);

        let message = store.load(&path).unwrap_err().to_string();
        assert!(message.contains("`0.weight` is not in the network"), "{message}");
        let short = names[..2].to_vec();
        let message = store.load_as(&path, |_| short).unwrap_err().to_string();
        assert!(
            message.contains("`a.weight` [2, 3] is missing; `2.weight` is not in the network"),
            "{message}"
        );
        let turned = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        let other = ParamStore::new(DType::F32, &Device::Cpu);
        other.insert(
            "a.weight",
            Var::from_tensor(&turned).unwrap(),
            ParamKind::Parameter,
        );
        let message = other.load_as(&path, |_| names.to_vec()).unwrap_err().to_string();
        assert!(
            message.contains("`2.weight` (here `a.weight`) is [2, 3], the network has [3, 2]"),
            "{message}"
        );
        assert!(other.save_as(&path, &names).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

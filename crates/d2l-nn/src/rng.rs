//! The seeded generator that everything random draws from (candle's own CPU generator cannot be seeded).

use crate::Result;
use candle_core::{DType, Device, Tensor};
use d2l_kernels::rng::Philox;

/// A counter-based generator (Philox 4×32-10): equal seeds give equal draws on every machine and device.
///
/// Draws are made on the CPU in f32 and then moved, so that they do not depend on where the tensor lives.
///
/// ```
/// use candle_core::{DType, Device};
/// use d2l_nn::Rng;
/// # fn main() -> d2l_nn::Result<()> {
/// let draw = |seed| Rng::new(seed).normal(&[2, 3], 0.0, 1.0, DType::F32, &Device::Cpu)?.to_vec2::<f32>();
/// assert_eq!(draw(1)?, draw(1)?);
/// assert_ne!(draw(1)?, draw(2)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u64,
    /// The hash of the names on the way here, if it was split off.
    names: Option<u64>,
    philox: Philox,
}

impl Rng {
    /// A generator that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            names: None,
            philox: Philox::new(seed, 0),
        }
    }

    /// The seed that this generator (and all that were split off it) started from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An independent generator for the thing called `name`: what it draws depends on the seed and the name alone (and
    /// the names of the generators it was split off), never on what was drawn before. So a layer's first weights do not
    /// change when another layer is added.
    pub fn split(&self, name: &str) -> Self {
        let names = match self.names {
            None => hash_name(name),
            // A byte that no name has, so that "a", "bc" and "ab", "c" differ.
            Some(names) => hash_on(hash_on(names, [0xff]), name.bytes()),
        };
        Self {
            seed: self.seed,
            names: Some(names),
            philox: Philox::new(self.seed, names),
        }
    }

    /// `n` draws from N(mean, std²).
    pub fn normal_vec(&mut self, n: usize, mean: f32, std: f32) -> Vec<f32> {
        let mut values = vec![0.0; n];
        self.philox.fill_normal(mean, std, &mut values);
        values
    }

    /// `n` draws from U[low, high).
    pub fn uniform_vec(&mut self, n: usize, low: f32, high: f32) -> Vec<f32> {
        let mut values = vec![0.0; n];
        self.philox.fill_uniform(low, high, &mut values);
        values
    }

    /// Brings `items` into an order drawn at random (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.philox.shuffle(items);
    }

    /// A tensor of draws from N(mean, std²).
    ///
    /// # Errors
    /// When the device cannot hold it.
    pub fn normal(
        &mut self,
        shape: &[usize],
        mean: f64,
        std: f64,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let values = self.normal_vec(shape.iter().product(), mean as f32, std as f32);
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
    }

    /// A tensor of draws from U[low, high).
    ///
    /// # Errors
    /// When the device cannot hold it.
    pub fn uniform(
        &mut self,
        shape: &[usize],
        low: f64,
        high: f64,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let values = self.uniform_vec(shape.iter().product(), low as f32, high as f32);
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
    }
}

/// A 64-bit hash of a name that is the same on every machine and in every version (FNV-1a).
pub(crate) fn hash_name(name: &str) -> u64 {
    hash_on(0xcbf2_9ce4_8422_2325, name.bytes())
}

fn hash_on(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_depends_on_seed_and_name_alone() {
        let mut rng = Rng::new(7);
        let before = rng.split("conv1.weight").uniform_vec(5, 0.0, 1.0);
        rng.normal_vec(100, 0.0, 1.0);
        assert_eq!(before, rng.split("conv1.weight").uniform_vec(5, 0.0, 1.0));
        assert_ne!(before, rng.split("conv1.bias").uniform_vec(5, 0.0, 1.0));
        assert_ne!(before, Rng::new(8).split("conv1.weight").uniform_vec(5, 0.0, 1.0));
    }

    #[test]
    fn a_split_of_a_split_depends_on_both_names() {
        let draw = |names: &[&str]| {
            let rng = names.iter().fold(Rng::new(7), |rng, name| rng.split(name));
            rng.clone().uniform_vec(5, 0.0, 1.0)
        };
        let different = [
            &["a"][..],
            &["b"],
            &["x", "b"],
            &["a", "b"],
            &["ab"],
            &["a", "bc"],
            &["ab", "c"],
        ];
        for (index, one) in different.iter().enumerate() {
            for other in &different[..index] {
                assert_ne!(draw(one), draw(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash_name(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash_name("foobar"), 0x8594_4171_f739_67e8);
    }
}

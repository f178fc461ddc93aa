//! Initialisers: how a parameter gets its first values, as a value that a description carries.

use crate::{Result, Rng};
use candle_core::{DType, Device, Tensor};

/// The number of inputs that feed one output of a layer, and of outputs that one input feeds.
///
/// For a weight of shape `[out, in]`: `in` and `out`; for a convolution's `[out, in/groups, kh, kw]`: each times
/// `kh·kw` (as `torch.nn.init._calculate_fan_in_and_fan_out`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fan {
    /// Inputs per output.
    pub fan_in: usize,
    /// Outputs per input.
    pub fan_out: usize,
}

impl Fan {
    /// The fans of a weight whose first two dimensions are outputs and inputs and whose others are the kernel.
    pub fn of_weight(shape: &[usize]) -> Self {
        let receptive: usize = shape.iter().skip(2).product();
        let dimension = |i: usize| shape.get(i).copied().unwrap_or(1);
        Self {
            fan_in: dimension(1) * receptive,
            fan_out: dimension(0) * receptive,
        }
    }
}

/// How a parameter is filled when it is created.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Every element the same.
    Constant(f64),
    /// Normal distribution.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform distribution on `[low, high)`.
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// U(±√(6 / (fan_in + fan_out))) (Glorot & Bengio 2010, the book's section 4.8).
    XavierUniform,
    /// N(0, 2 / (fan_in + fan_out)).
    XavierNormal,
    /// U(±√(6 / fan_in)), for ReLU (He et al. 2015).
    HeUniform,
    /// N(0, 2 / fan_in), for ReLU.
    HeNormal,
    /// What PyTorch gives linear and convolutional layers' weights and biases alike: U(±1/√fan_in).
    TorchDefault,
    /// A rule of the user's: gets the generator, the fans and the number of elements, returns as many values.
    Custom(fn(&mut Rng, Fan, usize) -> Vec<f32>),
}

impl Init {
    /// The standard choice for weights drawn from N(0, std²).
    pub const fn normal(std: f64) -> Self {
        Self::Normal { mean: 0.0, std }
    }

    /// A tensor of `shape` filled by this rule from `rng`.
    ///
    /// # Errors
    /// When the device cannot hold it, or a custom rule returns the wrong number of values.
    pub fn tensor(
        &self,
        shape: &[usize],
        fan: Fan,
        rng: &mut Rng,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let values = self.values(shape.iter().product(), fan, rng);
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
    }

    /// `n` values by this rule.
    pub(crate) fn values(&self, n: usize, fan: Fan, rng: &mut Rng) -> Vec<f32> {
        let fan_in = fan.fan_in.max(1) as f64;
        let fan_sum = (fan.fan_in + fan.fan_out).max(1) as f64;
        let normal = |std: f64, rng: &mut Rng| rng.normal_vec(n, 0.0, std as f32);
        let bounded = |bound: f64, rng: &mut Rng| rng.uniform_vec(n, -bound as f32, bound as f32);
        match *self {
            Self::Constant(value) => vec![value as f32; n],
            Self::Normal { mean, std } => rng.normal_vec(n, mean as f32, std as f32),
            Self::Uniform { low, high } => rng.uniform_vec(n, low as f32, high as f32),
            Self::XavierUniform => bounded((6.0 / fan_sum).sqrt(), rng),
            Self::XavierNormal => normal((2.0 / fan_sum).sqrt(), rng),
            Self::HeUniform => bounded((6.0 / fan_in).sqrt(), rng),
            Self::HeNormal => normal((2.0 / fan_in).sqrt(), rng),
            Self::TorchDefault => bounded(1.0 / fan_in.sqrt(), rng),
            Self::Custom(rule) => rule(rng, fan, n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(init: Init, shape: &[usize]) -> Vec<f32> {
        let mut rng = Rng::new(1);
        let tensor = init
            .tensor(shape, Fan::of_weight(shape), &mut rng, DType::F32, &Device::Cpu)
            .unwrap();
        assert_eq!(tensor.dims(), shape);
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn mean_std(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn fans_follow_pytorch() {
        assert_eq!(
            Fan::of_weight(&[10, 784]),
            Fan {
                fan_in: 784,
                fan_out: 10
            }
        );
        assert_eq!(
            Fan::of_weight(&[16, 6, 5, 3]),
            Fan {
                fan_in: 90,
                fan_out: 240
            }
        );
    }

    #[test]
    fn each_rule_has_its_spread() {
        let shape = [64, 20, 5, 5]; // fan_in 500, fan_out 1600: 32,000 draws, so the spread is known to about 1 %
        let uniform_std = |bound: f64| bound / 3f64.sqrt();
        for (init, std, bound) in [
            (Init::normal(0.01), 0.01, f64::INFINITY),
            (Init::Uniform { low: -2.0, high: 2.0 }, uniform_std(2.0), 2.0),
            (
                Init::XavierUniform,
                uniform_std((6f64 / 2100.0).sqrt()),
                (6f64 / 2100.0).sqrt(),
            ),
            (Init::XavierNormal, (2f64 / 2100.0).sqrt(), f64::INFINITY),
            (
                Init::HeUniform,
                uniform_std((6f64 / 500.0).sqrt()),
                (6f64 / 500.0).sqrt(),
            ),
            (Init::HeNormal, (2f64 / 500.0).sqrt(), f64::INFINITY),
            (
                Init::TorchDefault,
                uniform_std(1.0 / 500f64.sqrt()),
                1.0 / 500f64.sqrt(),
            ),
        ] {
            let values = draw(init, &shape);
            let (mean, measured) = mean_std(&values);
            assert!(
                (measured / std - 1.0).abs() < 0.03,
                "{init:?}: {measured} for {std}"
            );
            assert!(mean.abs() < 0.03 * std, "{init:?}: mean {mean}");
            assert!(
                values.iter().all(|v| f64::from(v.abs()) <= bound * 1.000001),
                "{init:?}"
            );
        }
        assert_eq!(draw(Init::Constant(1.5), &[2, 2]), [1.5; 4]);
    }

    #[test]
    fn a_rule_of_ones_own() {
        // The book's section 5.2: U(-10, 10), masked where |w| < 5.
        let rule = |rng: &mut Rng, _: Fan, n: usize| {
            let mut values = rng.uniform_vec(n, -10.0, 10.0);
            values.iter_mut().filter(|v| v.abs() < 5.0).for_each(|v| *v = 0.0);
            values
        };
        let values = draw(Init::Custom(rule), &[8, 8]);
        assert!(
            values
                .iter()
                .all(|v| *v == 0.0 || (5.0..=10.0).contains(&v.abs()))
        );
        assert!(values.contains(&0.0) && values.iter().any(|v| *v != 0.0));
        let short = Init::Custom(|_, _, _| vec![0.0]);
        assert!(
            short
                .tensor(
                    &[2],
                    Fan::of_weight(&[2]),
                    &mut Rng::new(0),
                    DType::F32,
                    &Device::Cpu
                )
                .is_err()
        );
    }
}

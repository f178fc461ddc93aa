//! Metrics of predicted values.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// Sums over predicted values and their targets, batch by batch: every element counts once, however large its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RegressionMetrics {
    count: u64,
    squares: f64,
    absolutes: f64,
    /// Of ln(prediction) − ln(target), both at least 1.
    log_squares: f64,
    /// Mean of the targets so far, and the sum of their squared distances from it (Welford).
    mean: f64,
    spread: f64,
}

impl RegressionMetrics {
    /// Counts a batch.
    ///
    /// # Shapes
    /// `outputs` and `targets` of one shape
    ///
    /// # Errors
    /// When the shapes differ or the device fails.
    pub fn add(&mut self, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        if outputs.dims() != targets.dims() {
            return Err(Error::Invalid(format!(
                "metrics of outputs {:?} for targets {:?}: the shapes have to be the same",
                outputs.dims(),
                targets.dims()
            )));
        }
        let values = |tensor: &Tensor| {
            let host = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            host.flatten_all()?.to_vec1::<f64>()
        };
        for (output, target) in values(outputs)?.into_iter().zip(values(targets)?) {
            self.count += 1;
            self.squares += (output - target).powi(2);
            self.absolutes += (output - target).abs();
            self.log_squares += (output.max(1.0).ln() - target.max(1.0).ln()).powi(2);
            let distance = target - self.mean;
            self.mean += distance / self.count as f64;
            self.spread += distance * (target - self.mean);
        }
        Ok(())
    }

    /// The elements counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// √ mean (prediction − target)²
    pub fn rmse(&self) -> f64 {
        self.mean_of(self.squares).sqrt()
    }

    /// mean |prediction − target|
    pub fn mae(&self) -> f64 {
        self.mean_of(self.absolutes)
    }

    /// √ mean (ln prediction − ln target)², where everything below 1 counts as 1: the book's measure of house prices
    /// (section 4.10).
    pub fn log_rmse(&self) -> f64 {
        self.mean_of(self.log_squares).sqrt()
    }

    /// 1 − Σ (prediction − target)² / Σ (target − mean target)²; `None` where all targets are the same.
    pub fn r_squared(&self) -> Option<f64> {
        (self.spread > 0.0).then(|| 1.0 - self.squares / self.spread)
    }

    fn mean_of(&self, sum: f64) -> f64 {
        sum / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(batches: &[(&[f64], &[f64])]) -> RegressionMetrics {
        let mut metrics = RegressionMetrics::default();
        for (outputs, targets) in batches {
            let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap();
            metrics.add(&tensor(outputs), &tensor(targets)).unwrap();
        }
        metrics
    }

    #[test]
    fn values_by_hand_whatever_the_batches() {
        let whole = of(&[(&[2.0, 0.5, 8.0, 4.0], &[1.0, 2.0, 4.0, 5.0])]);
        let split = of(&[(&[2.0, 0.5, 8.0], &[1.0, 2.0, 4.0]), (&[4.0], &[5.0])]);
        let ln = f64::ln;
        for metrics in [whole, split] {
            let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got} {want}");
            close(metrics.rmse(), ((1.0 + 2.25 + 16.0 + 1.0) / 4.0_f64).sqrt());
            close(metrics.mae(), 7.5 / 4.0);
            // The 0.5 counts as 1.
            let logs = ln(2.0).powi(2) + ln(2.0).powi(2) + ln(2.0).powi(2) + ln(5.0 / 4.0).powi(2);
            close(metrics.log_rmse(), (logs / 4.0).sqrt());
            close(metrics.r_squared().unwrap(), 1.0 - 20.25 / 10.0);
            assert_eq!(metrics.count(), 4);
        }
    }

    #[test]
    fn equal_targets_have_no_r_squared_and_shapes_are_checked() {
        assert_eq!(of(&[(&[1.0, 2.0], &[3.0, 3.0])]).r_squared(), None);
        assert_eq!(RegressionMetrics::default().rmse(), 0.0);
        let row = Tensor::new(&[[1f32, 2.0]], &Device::Cpu).unwrap();
        let error = RegressionMetrics::default().add(&row, &row.flatten_all().unwrap());
        assert!(error.unwrap_err().to_string().contains("[1, 2]"));
    }
}

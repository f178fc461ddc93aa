//! Looking for a learning rate: a short training at growing rates
//! ([Smith 2015](https://arxiv.org/abs/1506.01186)).

use crate::{
    Batch, BatchSource, Error, Optimizer, Result,
    loss::{Loss, scalar},
    metrics::to_f64,
};
use candle_core::Tensor;
use candle_nn::ModuleT;
use d2l_nn::ParamStore;
use std::collections::HashMap;

/// The part of all steps that the smoothed loss looks back over, on average: it lags that far behind the rates.
const LOOK_BACK: f64 = 0.1;

/// A range of learning rates to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrFinder {
    /// The first rate.
    pub start: f64,
    /// The last rate.
    pub end: f64,
    /// Steps from the first to the last, each by the same factor.
    pub steps: usize,
    /// The smoothed loss, as a multiple of the lowest one, at which the search ends.
    pub diverges_at: f64,
}

impl Default for LrFinder {
    fn default() -> Self {
        Self {
            start: 1e-6,
            end: 10.0,
            steps: 200,
            diverges_at: 4.0,
        }
    }
}

/// The loss at every rate that was tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LrCurve {
    /// The rates in the order tried.
    pub points: Vec<LrPoint>,
    /// Whether the loss went up beyond the limit, or was no longer finite.
    pub diverged: bool,
}

/// One step of the search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrPoint {
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The loss of the batch before the step.
    pub loss: f64,
    /// The exponentially smoothed loss, without its bias to the start.
    pub smoothed: f64,
}

impl LrFinder {
    /// Trains `model` at growing rates on batches of `source`, and then puts the parameters and buffers back. The
    /// optimiser is used up. `seen` is told the number of steps done after each; the search ends when it says no.
    ///
    /// # Errors
    /// When the range makes no sense, or the data or the model fails. A loss that is not finite is an end, not an
    /// error.
    pub fn find(
        &self,
        model: &dyn ModuleT,
        params: &ParamStore,
        loss: &dyn Loss,
        mut optimizer: Optimizer,
        source: &dyn BatchSource,
        seen: &mut dyn FnMut(usize) -> bool,
    ) -> Result<LrCurve> {
        self.check()?;
        let before: HashMap<String, Tensor> = params
            .all()
            .into_iter()
            .map(|(name, var)| Ok((name, var.as_detached_tensor().copy()?)))
            .collect::<Result<_>>()?;
        let curve = self.train(model, loss, &mut optimizer, source, seen);
        params.load_tensors(&before)?;
        curve
    }

    fn train(
        &self,
        model: &dyn ModuleT,
        loss: &dyn Loss,
        optimizer: &mut Optimizer,
        source: &dyn BatchSource,
        seen: &mut dyn FnMut(usize) -> bool,
    ) -> Result<LrCurve> {
        let mut curve = LrCurve::default();
        let smoothing = 1.0 - 1.0 / (LOOK_BACK * self.steps as f64).max(1.0);
        let (mut average, mut lowest) = (0.0, f64::INFINITY);
        for (step, batch) in (0..self.steps).zip(batches(source)) {
            let batch = batch?;
            let value = scalar(loss.loss(&model.forward_t(&batch.xs, true)?, &batch.ys)?)?;
            let gradients = optimizer.gradients(&value.backward()?)?;
            let learning_rate = self.rate(step);
            optimizer.step(&gradients, learning_rate)?;

            let loss = to_f64(&value)?;
            average = smoothing * average + (1.0 - smoothing) * loss;
            let smoothed = average / (1.0 - smoothing.powi(step as i32 + 1));
            if !smoothed.is_finite() || smoothed > self.diverges_at * lowest {
                curve.diverged = true;
                break;
            }
            lowest = lowest.min(smoothed);
            curve.points.push(LrPoint {
                learning_rate,
                loss,
                smoothed,
            });
            if !seen(step + 1) {
                break;
            }
        }
        Ok(curve)
    }

    fn rate(&self, step: usize) -> f64 {
        let done = step as f64 / (self.steps - 1) as f64;
        self.start * (self.end / self.start).powf(done)
    }

    /// Refuses a range that makes no sense.
    ///
    /// # Errors
    /// When the first rate is not above 0 and below the last, there are fewer than two steps, or the limit is not
    /// above 1.
    pub fn check(&self) -> Result<()> {
        let Self {
            start,
            end,
            steps,
            diverges_at,
        } = *self;
        let good = start > 0.0 && end > start && end.is_finite() && steps >= 2 && diverges_at > 1.0;
        if good {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "learning rates from {start} to {end} in {steps} steps, up to {diverges_at} times the lowest loss: the \
             first must be above 0 and below the last, the steps at least 2, the limit above 1"
        )))
    }
}

impl LrCurve {
    /// The rate around which the smoothed loss fell fastest, per logarithm of the rate, on its way to the lowest one;
    /// `None` where it never fell, or there are too few points.
    pub fn suggestion(&self) -> Option<f64> {
        // The first points are still those of the start, and between neighbours the batches differ more than the
        // rates: a tenth is left out, and the fall is measured over a tenth.
        let tenth = (self.points.len() / 10).max(1);
        let slope = |window: &[LrPoint]| {
            let (first, last) = (window.first()?, window.last()?);
            let distance = (last.learning_rate / first.learning_rate).ln();
            let middle = (first.learning_rate * last.learning_rate).sqrt();
            Some(((last.smoothed - first.smoothed) / distance, middle))
        };
        // What falls behind the lowest point is only the way back from where it exploded.
        let lowest =
            |(_, a): &(usize, &LrPoint), (_, b): &(usize, &LrPoint)| a.smoothed.total_cmp(&b.smoothed);
        let (lowest, _) = self.points.iter().enumerate().min_by(lowest)?;
        let windows = self.points.get(tenth..=lowest)?.windows(tenth + 1);
        let steepest = windows.filter_map(slope).min_by(|a, b| a.0.total_cmp(&b.0))?;
        (steepest.0 < 0.0).then_some(steepest.1)
    }
}

/// The batches of one epoch after another.
fn batches(source: &dyn BatchSource) -> impl Iterator<Item = Result<Batch>> + '_ {
    (0..)
        .take_while(|_| source.batches() > 0)
        .flat_map(|epoch| {
            source
                .epoch(epoch, 0)
                .enumerate()
                .map(move |batch| (epoch, batch))
        })
        .map(|(epoch, (index, batch))| {
            batch.map_err(|source| Error::Data {
                epoch: epoch + 1,
                batch: index,
                source,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, TensorSource, loss::Elementwise};
    use candle_core::{DType, Device};
    use d2l_nn::{Network, Rng, layers::Linear};

    fn curve(finder: LrFinder) -> (LrCurve, bool) {
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let network = Network::new("line").add("linear", Linear::new(1));
        let model = network.build(&[2], &params, &Rng::new(1)).unwrap();
        let noise = Rng::new(2).normal_vec(64 * 2, 0.0, 1.0);
        let xs = Tensor::from_vec(noise, (64, 2), &Device::Cpu).unwrap();
        let ys = (xs.sum_keepdim(1).unwrap() * 3.0).unwrap();
        let source = TensorSource::new(xs, ys, 16, Some(3)).unwrap();
        let optimizer = Optimizer::new(Method::sgd(1.0), &params).unwrap();
        let values = || -> Vec<f32> {
            let all = params.all();
            let flat = all
                .iter()
                .map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            flat.flatten().collect()
        };
        let before = values();
        let loss = Elementwise::default();
        let curve = finder
            .find(&model, &params, &loss, optimizer, &source, &mut |_| true)
            .unwrap();
        (curve, before == values())
    }

    #[test]
    fn the_loss_falls_then_diverges_and_the_weights_are_as_before() {
        let (curve, untouched) = curve(LrFinder::default());
        assert!(untouched && curve.diverged, "{curve:?}");
        // Squared errors of two unit inputs: descent is stable up to a rate of about 1.
        let rate = curve.suggestion().unwrap();
        assert!((1e-3..1.0).contains(&rate), "{rate}");
        let first = curve.points[0];
        assert_eq!(first.learning_rate, 1e-6);
        assert!((first.smoothed / first.loss - 1.0).abs() < 1e-12, "{first:?}");
    }

    #[test]
    fn rates_grow_by_the_same_factor_up_to_the_last() {
        let finder = LrFinder {
            start: 1e-6,
            end: 1e-4,
            steps: 3,
            ..LrFinder::default()
        };
        let (curve, _) = curve(finder);
        assert!(!curve.diverged);
        let rates: Vec<f64> = curve.points.iter().map(|point| point.learning_rate).collect();
        for (rate, want) in rates.into_iter().zip([1e-6, 1e-5, 1e-4]) {
            assert!((rate / want - 1.0).abs() < 1e-12, "{rate} {want}");
        }
        assert!(LrFinder { end: 1e-7, ..finder }.check().is_err());
        assert_eq!(LrCurve::default().suggestion(), None);
    }

    #[test]
    fn the_way_back_from_an_explosion_is_no_fall() {
        let falls = [(0, 3.0), (10, 3.0), (20, 2.0), (25, 1.9), (30, 9.0), (40, 2.0)];
        let point = |step: usize| {
            let at = falls.windows(2).find(|pair| step <= pair[1].0).unwrap();
            let done = (step - at[0].0) as f64 / (at[1].0 - at[0].0) as f64;
            let loss = at[0].1 + done * (at[1].1 - at[0].1);
            LrPoint {
                learning_rate: 1e-4 * 1.5f64.powi(step as i32),
                loss,
                smoothed: loss,
            }
        };
        let mut curve = LrCurve {
            points: (0..=40).map(point).collect(),
            diverged: false,
        };
        let rate = curve.suggestion().unwrap();
        assert!(
            (point(10).learning_rate..point(20).learning_rate).contains(&rate),
            "{rate}"
        );
        // Rising from the start.
        curve.points.drain(..25);
        assert_eq!(curve.suggestion(), None);
    }
}

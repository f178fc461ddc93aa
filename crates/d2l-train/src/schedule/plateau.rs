//! The reduction of the learning rate when a metric no longer improves.

use crate::metrics::{EpochRecord, Metric};
use serde::{Deserialize, Serialize};

/// When, and by how much, the rate falls because a metric has not improved (PyTorch's `ReduceLROnPlateau` with its
/// relative threshold). It is worked out from the records of the epochs done, so a resumed run needs nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The metric; `None` for the loss on the part held out, else the test loss, else the training loss.
    pub metric: Option<Metric>,
    /// What the rate is multiplied by.
    pub gamma: f64,
    /// How many epochs without improvement are let pass.
    pub patience: u64,
    /// What counts as an improvement: a change by more than this part of the best value.
    pub threshold: f64,
    /// Epochs after a reduction that are not counted.
    pub cooldown: u64,
    /// The lowest factor on the base rate.
    pub floor: f64,
}

/// PyTorch's defaults.
impl Default for Plateau {
    fn default() -> Self {
        Self {
            metric: None,
            gamma: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            floor: 0.0,
        }
    }
}

impl Plateau {
    /// What the base rate is multiplied by after these epochs.
    pub(super) fn factor(&self, history: &[EpochRecord]) -> f64 {
        let (mut factor, mut best, mut bad, mut cooldown) = (1.0, None, 0, 0);
        for record in history {
            let losses = [Metric::ValidationLoss, Metric::TestLoss];
            let mut told = losses.into_iter().filter(|metric| metric.of(record).is_some());
            let metric = self.metric.or_else(|| told.next()).unwrap_or(Metric::TrainLoss);
            let Some(value) = metric.of(record) else { continue };
            match best {
                Some(best) if !metric.better(value, best, self.threshold * best) => bad += 1,
                _ => (best, bad) = (Some(value), 0),
            }
            if cooldown > 0 {
                (cooldown, bad) = (cooldown - 1, 0);
            }
            if bad > self.patience {
                factor = (factor * self.gamma).max(self.floor);
                (cooldown, bad) = (self.cooldown, 0);
            }
        }
        factor
    }
}

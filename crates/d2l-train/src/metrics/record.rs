//! The lines of `metrics.jsonl`.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// A step.
    Step(StepRecord),
    /// An epoch.
    Epoch(EpochRecord),
}

/// What one step measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The step, counted over the run from 1.
    pub step: u64,
    /// The loss of the step's batch.
    pub loss: f64,
    /// The learning rate of the step.
    pub lr: f64,
}

/// What one epoch measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The steps done since the run began.
    pub step: u64,
    /// The mean training loss over the epoch's examples, each measured when its batch came.
    pub train_loss: f64,
    /// The part of the epoch's examples that were classified rightly when their batch came (classification).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// The mean loss over the test set after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// The part of the test set classified rightly after the epoch (classification).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// The mean loss over the part of the training data held out, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// The part of the held-out examples classified rightly (classification).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Training examples per second of training (evaluation and callbacks left out).
    pub examples_per_second: f64,
    /// Seconds of training and evaluation (callbacks, such as writing checkpoints, left out).
    pub seconds: f64,
}

/// A number of an [`EpochRecord`] that says how good the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The training loss; lower is better.
    TrainLoss,
    /// The training accuracy; higher is better.
    TrainAccuracy,
    /// The test loss; lower is better.
    TestLoss,
    /// The test accuracy; higher is better.
    TestAccuracy,
    /// The loss on the part held out; lower is better.
    ValidationLoss,
    /// The accuracy on the part held out; higher is better.
    ValidationAccuracy,
}

impl Metric {
    /// All metrics, by name.
    pub const ALL: [Self; 6] = [
        Self::TrainLoss,
        Self::TrainAccuracy,
        Self::TestLoss,
        Self::TestAccuracy,
        Self::ValidationLoss,
        Self::ValidationAccuracy,
    ];

    /// The metric's name, as in `metrics.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrainLoss => "train_loss",
            Self::TrainAccuracy => "train_accuracy",
            Self::TestLoss => "test_loss",
            Self::TestAccuracy => "test_accuracy",
            Self::ValidationLoss => "validation_loss",
            Self::ValidationAccuracy => "validation_accuracy",
        }
    }

    /// The metric's value in a record, if the record has it.
    pub fn of(self, record: &EpochRecord) -> Option<f64> {
        match self {
            Self::TrainLoss => Some(record.train_loss),
            Self::TrainAccuracy => record.train_accuracy,
            Self::TestLoss => record.test_loss,
            Self::TestAccuracy => record.test_accuracy,
            Self::ValidationLoss => record.validation_loss,
            Self::ValidationAccuracy => record.validation_accuracy,
        }
    }

    /// Whether `a` is better than `b` by more than `by`.
    pub fn better(self, a: f64, b: f64, by: f64) -> bool {
        match self {
            Self::TrainLoss | Self::TestLoss | Self::ValidationLoss => a < b - by,
            Self::TrainAccuracy | Self::TestAccuracy | Self::ValidationAccuracy => a > b + by,
        }
    }

    /// The best thing that `record` tells: accuracy before loss, on the part held out before the test set before the
    /// training data.
    pub fn natural(record: &EpochRecord) -> Self {
        let told = [
            Self::ValidationAccuracy,
            Self::ValidationLoss,
            Self::TestAccuracy,
            Self::TestLoss,
        ];
        let mut told = told.into_iter().filter(|metric| metric.of(record).is_some());
        told.next().unwrap_or(Self::TrainLoss)
    }

    /// The epoch with the best value in `records` (the earliest of equal ones), and the value.
    pub fn best(self, records: &[EpochRecord]) -> Option<(u64, f64)> {
        records
            .iter()
            .filter_map(|record| Some((record.epoch, self.of(record)?)))
            .reduce(|best, next| {
                if self.better(next.1, best.1, 0.0) {
                    next
                } else {
                    best
                }
            })
    }
}

impl std::str::FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        const NAMES: &[&str] = &[
            "train_loss",
            "train_accuracy",
            "test_loss",
            "test_accuracy",
            "validation_loss",
            "validation_accuracy",
        ];
        Self::ALL
            .into_iter()
            .find(|m| m.name() == name)
            .ok_or_else(|| Error::unknown("metric", name, NAMES))
    }
}

/// Reads a `metrics.jsonl`. A last line without its end, as a killed run may leave it, is left out.
///
/// # Errors
/// When the file cannot be read, or another line is not a record; the line's number is named.
pub fn read_records(path: &Path) -> Result<Vec<Record>> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let whole = text.rfind('\n').map_or("", |end| text.split_at(end).0);
    let lines = whole.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|e| Error::Format {
                path: path.to_owned(),
                message: format!("line {}: {e}", index + 1),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u64, test_accuracy: Option<f64>) -> EpochRecord {
        EpochRecord {
            epoch,
            step: epoch * 235,
            train_loss: 0.1 + 0.2,
            train_accuracy: None,
            test_loss: None,
            test_accuracy,
            validation_loss: None,
            validation_accuracy: None,
            examples_per_second: 1e3,
            seconds: 1.0,
        }
    }

    #[test]
    fn lines_read_as_the_command_line_promises() {
        let line = serde_json::to_string(&Record::Epoch(epoch(1, None))).unwrap();
        let start =
            r#"{"type":"epoch","epoch":1,"step":235,"train_loss":0.30000000000000004,"examples_per_second":"#;
        assert!(line.starts_with(start), "{line}");
        let step = Record::Step(StepRecord {
            epoch: 1,
            step: 10,
            loss: 0.5,
            lr: 0.9,
        });
        let line = serde_json::to_string(&step).unwrap();
        assert_eq!(line, r#"{"type":"step","epoch":1,"step":10,"loss":0.5,"lr":0.9}"#);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_another_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let line = serde_json::to_string(&Record::Epoch(epoch(1, Some(0.5)))).unwrap();
        std::fs::write(&path, format!("{line}\n{{\"type\":\"ep")).unwrap();
        assert_eq!(read_records(&path).unwrap(), [Record::Epoch(epoch(1, Some(0.5)))]);
        std::fs::write(&path, format!("{line}\nnot a record\n{line}\n")).unwrap();
        assert!(read_records(&path).unwrap_err().to_string().contains("line 2"));
        std::fs::write(&path, "").unwrap();
        assert_eq!(read_records(&path).unwrap(), []);
    }

    #[test]
    fn the_best_of_equal_epochs_is_the_first() {
        let records = [
            epoch(1, Some(0.5)),
            epoch(2, Some(0.75)),
            epoch(3, Some(0.75)),
            epoch(4, None),
        ];
        assert_eq!(Metric::TestAccuracy.best(&records), Some((2, 0.75)));
        assert_eq!(Metric::TestLoss.best(&records), None);
        let held_out = EpochRecord {
            validation_loss: Some(0.5),
            ..epoch(1, Some(0.5))
        };
        assert_eq!(
            Metric::natural(&held_out),
            Metric::ValidationLoss,
            "what was held out decides"
        );
        assert_eq!(Metric::natural(&epoch(1, Some(0.5))), Metric::TestAccuracy);
        assert!(Metric::TestLoss.better(0.1, 0.2, 0.05) && !Metric::TestLoss.better(0.1, 0.2, 0.2));
        assert_eq!("test_loss".parse::<Metric>().unwrap(), Metric::TestLoss);
        assert!("loss".parse::<Metric>().is_err());
    }
}

use crate::{Callback, Flow, Result, Run, atomic, callback::order, metrics::EpochRecord};
use std::path::PathBuf;

const COLUMNS: &str = "epoch,step,train_loss,train_accuracy,test_loss,test_accuracy,examples_per_second,seconds,validation_loss,validation_accuracy";

/// Keeps the epochs as a table of comma-separated values, with a line of names first: what `metrics.jsonl` has of
/// them, for spreadsheets. What a run has not measured is empty.
///
/// The file is written as a whole after every epoch, so it is right after a resume too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvLog(pub PathBuf);

impl Callback for CsvLog {
    fn order(&self) -> i32 {
        order::LOG
    }

    fn before_fit(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.after_epoch(run)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        atomic::write(&self.0, table(run.history()).as_bytes())?;
        Ok(Flow::Continue)
    }
}

fn table(history: &[EpochRecord]) -> String {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let line = |r: &EpochRecord| {
        let cells = [
            r.epoch.to_string(),
            r.step.to_string(),
            r.train_loss.to_string(),
            number(r.train_accuracy),
            number(r.test_loss),
            number(r.test_accuracy),
            r.examples_per_second.to_string(),
            r.seconds.to_string(),
            number(r.validation_loss),
            number(r.validation_accuracy),
        ];
        cells.join(",") + "\n"
    };
    let lines: String = history.iter().map(line).collect();
    format!("{COLUMNS}\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_lines_and_gaps_are_empty() {
        let record = |epoch, test_loss| EpochRecord {
            epoch,
            step: 10 * epoch,
            train_loss: 0.5,
            train_accuracy: Some(0.25),
            test_loss,
            test_accuracy: None,
            validation_loss: None,
            validation_accuracy: None,
            examples_per_second: 1000.0,
            seconds: 1.5,
        };
        let text = table(&[record(1, Some(1e-7)), record(2, None)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                COLUMNS,
                "1,10,0.5,0.25,0.0000001,,1000,1.5,,",
                "2,20,0.5,0.25,,,1000,1.5,,"
            ]
        );
        assert_eq!(COLUMNS.split(',').count(), 10);
    }
}

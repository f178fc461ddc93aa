use crate::{
    Callback, Error, Flow, Outcome, Result, Run,
    callback::order,
    metrics::{Record, StepRecord},
};
use serde_json::json;
use std::io::Write;

/// Writes the run as JSON lines to any writer: the lines of `metrics.jsonl`, a `warning` for each warning, and at the
/// end `{"type":"end","outcome":"finished"}` or `{"type":"end","outcome":"stopped","reason":…}`.
#[derive(Debug)]
pub struct JsonLines<W> {
    writer: W,
    log_every: u64,
    warnings: usize,
}

impl<W: Write> JsonLines<W> {
    /// Writes a line per epoch, and one per `log_every` steps; 0 for none.
    pub fn new(writer: W, log_every: u64) -> Self {
        Self {
            writer,
            log_every,
            warnings: 0,
        }
    }

    fn line(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let failed = |e: std::io::Error| Error::Callback(Box::new(e));
        let text = serde_json::to_string(value).map_err(|e| failed(e.into()))?;
        writeln!(self.writer, "{text}")
            .and_then(|()| self.writer.flush())
            .map_err(failed)
    }

    fn warnings(&mut self, run: &Run<'_>) -> Result<()> {
        for warning in run.warnings().iter().skip(self.warnings) {
            self.line(&json!({"type": "warning", "message": warning.to_string()}))?;
        }
        self.warnings = run.warnings().len();
        Ok(())
    }
}

/// The record of the last step, if it is one to be logged.
pub(super) fn step_record(run: &mut Run<'_>, log_every: u64) -> Result<Option<Record>> {
    if log_every == 0 || !run.step().is_multiple_of(log_every) {
        return Ok(None);
    }
    let Some(loss) = run.last_loss()? else {
        return Ok(None);
    };
    let record = StepRecord {
        epoch: run.epoch(),
        step: run.step(),
        loss,
        lr: run.last_learning_rate(),
    };
    Ok(Some(Record::Step(record)))
}

impl<W: Write> Callback for JsonLines<W> {
    fn order(&self) -> i32 {
        order::LOG
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.warnings(run)?;
        if let Some(record) = step_record(run, self.log_every)? {
            self.line(&record)?;
        }
        Ok(Flow::Continue)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        if let Some(record) = run.history().last() {
            self.line(&Record::Epoch(record.clone()))?;
        }
        Ok(Flow::Continue)
    }

    fn after_fit(&mut self, run: &mut Run<'_>, outcome: &Outcome) -> Result<()> {
        self.warnings(run)?;
        self.line(&match outcome {
            Outcome::Finished => json!({"type": "end", "outcome": "finished"}),
            Outcome::Stopped(reason) => {
                json!({"type": "end", "outcome": "stopped", "reason": reason.to_string()})
            }
        })
    }
}

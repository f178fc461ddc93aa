use super::json_lines::step_record;
use crate::{Callback, Error, Flow, Outcome, Result, Run, callback::order, metrics::Record, run::Position};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Keeps `metrics.jsonl`: a line per epoch, and one per so many steps.
///
/// When a run is resumed, the lines after the checkpoint are cut off, so that in the end the file has the lines of a
/// run that was never stopped. The file is synced when a checkpoint may follow.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    log_every: u64,
    file: Option<File>,
}

impl MetricsLog {
    /// Logs to the file at `path`, with a line per `log_every` steps; 0 for none.
    pub fn new(path: impl Into<PathBuf>, log_every: u64) -> Self {
        Self {
            path: path.into(),
            log_every,
            file: None,
        }
    }

    fn line(&mut self, record: &Record) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_string(record).map_err(|e| Error::Format {
            path: self.path.clone(),
            message: e.to_string(),
        })?;
        line.push('\n');
        // In one piece: a run killed here leaves whole lines, or at most one torn line at the end.
        file.write_all(line.as_bytes())
            .map_err(Error::io("write", &self.path))
    }

    fn sync(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| {
            file.sync_data().map_err(Error::io("sync", &self.path))
        })
    }
}

impl Callback for MetricsLog {
    fn order(&self) -> i32 {
        order::LOG
    }

    fn before_fit(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let kept = kept_bytes(&self.path, run.position())?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(Error::io("open", &self.path))?;
        file.set_len(kept).map_err(Error::io("cut", &self.path))?;
        self.file = Some(file);
        Ok(Flow::Continue)
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        if let Some(record) = step_record(run, self.log_every)? {
            self.line(&record)?;
        }
        Ok(Flow::Continue)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        if let Some(record) = run.history().last() {
            self.line(&Record::Epoch(record.clone()))?;
        }
        self.sync()?;
        Ok(Flow::Continue)
    }

    fn after_fit(&mut self, _: &mut Run<'_>, _: &Outcome) -> Result<()> {
        self.sync()
    }
}

/// How many bytes of a log are lines of before `position`. The rest, from the first line that is torn or of later,
/// is to be cut off.
fn kept_bytes(path: &Path, position: Position) -> Result<u64> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let done = |line: &&[u8]| {
        line.ends_with(b"\n")
            && match serde_json::from_slice(line) {
                Ok(Record::Step(record)) => record.step <= position.step,
                Ok(Record::Epoch(record)) => record.epoch <= position.epoch,
                Err(_) => false,
            }
    };
    Ok(bytes
        .split_inclusive(|&byte| byte == b'\n')
        .take_while(done)
        .map(|line| line.len() as u64)
        .sum())
}

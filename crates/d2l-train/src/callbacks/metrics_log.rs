use super::json_lines::step_record;
use crate::{
    Callback, Error, Flow, Outcome, Result, Run, atomic, callback::order, metrics::Record, run::Position,
};
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
        // In one piece: a run killed here leaves whole lines, or at most one torn line at the end.
        file.write_all(line(record, &self.path)?.as_bytes())
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
        let (kept, epochs) = kept_lines(&self.path, run.position())?;
        if epochs != run.history().len() {
            // The file was lost or changed; what the checkpoint knows is the epochs.
            let lines = run
                .history()
                .iter()
                .map(|record| line(&Record::Epoch(record.clone()), &self.path));
            atomic::write(&self.path, lines.collect::<Result<String>>()?.as_bytes())?;
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(Error::io("open", &self.path))?;
        if epochs == run.history().len() {
            file.set_len(kept).map_err(Error::io("cut", &self.path))?;
        }
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

/// A record as a line of the file at `path`.
fn line(record: &Record, path: &Path) -> Result<String> {
    let text = serde_json::to_string(record).map_err(|e| Error::Format {
        path: path.to_owned(),
        message: e.to_string(),
    })?;
    Ok(text + "\n")
}

/// How many bytes of a log are lines of before `position`, and how many of the lines are epochs. The rest, from the
/// first line that is torn or of later, is to be cut off.
fn kept_lines(path: &Path, position: Position) -> Result<(u64, usize)> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let (mut kept, mut epochs) = (0, 0);
    for line in bytes
        .split_inclusive(|&byte| byte == b'\n')
        .take_while(|line| line.ends_with(b"\n"))
    {
        match serde_json::from_slice(line) {
            Ok(Record::Step(record)) if record.step <= position.step => {}
            Ok(Record::Epoch(record)) if record.epoch <= position.epoch => epochs += 1,
            _ => break,
        }
        kept += line.len() as u64;
    }
    Ok((kept, epochs))
}

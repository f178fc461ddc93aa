//! Several runs, one after the other, in one folder: one per seed, per fold, per point of a grid.

use std::path::{Path, PathBuf};

use d2l_data::DataSet;
use d2l_train::{
    EpochRecord, RunFiles,
    metrics::{Record as Line, read_records},
};

use super::{Folder, execute};
use crate::args::Settings;
use crate::config::{ConfigFile, Origins, Plan, differences, resolve};
use crate::data::Source;
use crate::failure::{Failure, Result, causes};
use crate::runs::other_data;
use crate::ui::Ui;

/// More runs than anybody waits for.
pub(crate) const MOST_RUNS: usize = 1000;

/// One run to be.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its folder's name in the folder of the series.
    pub(crate) name: String,
    pub(crate) settings: Settings,
}

/// Runs that share a folder. What is finished there is kept, what was stopped goes on.
pub(crate) struct Series {
    pub(crate) folder: PathBuf,
    pub(crate) members: Vec<Member>,
    pub(crate) offline: bool,
    /// Replace the runs that are there.
    pub(crate) overwrite: bool,
    /// Go on after a run that failed.
    pub(crate) keep_going: bool,
    pub(crate) ui: Ui,
}

/// A run that is over.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Whether it had been finished before.
    pub(crate) kept: bool,
    /// Its epochs, or why it failed.
    pub(crate) outcome: Result<Vec<EpochRecord>, String>,
}

impl Ended {
    /// The epochs of a run that did not fail.
    pub(crate) fn records(&self) -> &[EpochRecord] {
        self.outcome.as_deref().unwrap_or_default()
    }
}

impl Series {
    /// Runs all of them. An interruption ends the series; the same command goes on with it.
    pub(crate) fn run(&self) -> Result<Vec<Ended>> {
        if RunFiles::open(&self.folder).is_ok() {
            return Err(Failure::work(format!(
                "{} is the folder of a single run: take another --name",
                self.folder.display()
            )));
        }
        let mut data = DataSets::default();
        let mut ended = Vec::with_capacity(self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            let number = format!("{} of {}", index + 1, self.members.len());
            let path = self.folder.join(&member.name);
            self.ui.fact("Run", format_args!("{number}: {}", path.display()));
            let (outcome, kept) = match self.one(member, &path, &mut data) {
                Ok((records, kept)) => (Ok(records), kept),
                Err(failure @ (Failure::Interrupted | Failure::OutputClosed)) => {
                    self.ui.fact(
                        "Stopped",
                        format_args!("in run {number}; the same command goes on"),
                    );
                    return Err(failure);
                }
                Err(failure) if self.keep_going => {
                    let reason = in_words(&failure);
                    self.ui.warn(format_args!("{} failed: {reason}", path.display()));
                    (Err(reason), false)
                }
                Err(failure) => return Err(failure),
            };
            ended.push(Ended {
                name: member.name.clone(),
                path,
                kept,
                outcome,
            });
        }
        Ok(ended)
    }

    /// The epochs of a member, and whether they were there already.
    fn one(&self, member: &Member, path: &Path, data: &mut DataSets) -> Result<(Vec<EpochRecord>, bool)> {
        let origins = Origins::new(&member.settings, None)?;
        let plan = resolve(&member.settings, &origins)?;
        plan.device.check()?;
        let data = data.load(&plan, self.offline, self.ui)?;
        let (folder, done) = match RunFiles::open(path) {
            Ok(files) if !self.overwrite => self.earlier(&plan, &files, &data)?,
            _ => {
                let (path, overwrite) = (path.to_owned(), self.overwrite);
                (Folder::Named { path, overwrite }, Vec::new())
            }
        };
        if done.last().is_some_and(|last| last.epoch == plan.epochs) {
            self.ui.fact("", "finished before, kept");
            return Ok((done, true));
        }
        let ui = Ui {
            member: true,
            ..self.ui
        };
        execute(&plan, &data, ui, |job| job.run(folder))?;
        Ok((epochs(&RunFiles::open(path)?)?, false))
    }

    /// The run that is in the folder already, if it is the one that is wanted.
    fn earlier(&self, plan: &Plan, files: &RunFiles, data: &DataSet) -> Result<(Folder, Vec<EpochRecord>)> {
        let config = files.config_path();
        let (stored, record) = ConfigFile::read(&config)?.into_run(config)?;
        let mut differ = differences(&stored, &plan.settings())?;
        differ.extend(other_data(&record.data, data));
        if !differ.is_empty() {
            return Err(Failure::work(format!(
                "{} holds another run: {}; --overwrite replaces it, another --name keeps it",
                files.folder().display(),
                differ.join(", ")
            )));
        }
        let done = if files.metrics_path().exists() {
            epochs(files)?
        } else {
            Vec::new()
        };
        let folder = Folder::Resumed {
            path: files.folder().to_owned(),
            record: Box::new(record),
        };
        Ok((folder, done))
    }
}

/// The data sets loaded so far: most series need one only.
#[derive(Default)]
struct DataSets(Vec<(&'static str, Option<PathBuf>, DataSet)>);

impl DataSets {
    fn load(&mut self, plan: &Plan, offline: bool, ui: Ui) -> Result<DataSet> {
        let (name, data_dir) = (plan.dataset.name, plan.data_dir.clone());
        let mut loaded = self.0.iter();
        if let Some((.., data)) = loaded.find(|(other, place, _)| *other == name && *place == data_dir) {
            return Ok(data.clone());
        }
        let source = Source {
            data_dir: data_dir.clone(),
            offline,
        };
        let data = source.load(plan.dataset, ui)?;
        self.0.push((name, data_dir, data.clone()));
        Ok(data)
    }
}

fn epochs(files: &RunFiles) -> Result<Vec<EpochRecord>> {
    let lines = read_records(&files.metrics_path())?.into_iter();
    Ok(lines
        .filter_map(|line| match line {
            Line::Epoch(epoch) => Some(epoch),
            Line::Step(_) => None,
        })
        .collect())
}

fn in_words(failure: &Failure) -> String {
    match failure {
        Failure::Usage(messages) => messages.join("; "),
        Failure::Work(error) => {
            let parts = [vec![error.to_string()], causes(error)].concat();
            parts.join(": ")
        }
        Failure::Interrupted | Failure::OutputClosed => "stopped".to_owned(),
    }
}

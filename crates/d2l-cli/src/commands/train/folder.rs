//! Where a run goes.

use std::path::{Component, Path, PathBuf};

use d2l_train::{Error, RunDir, RunFiles, RunFolderFault};

use crate::args::TrainArgs;
use crate::config::Record;
use crate::failure::{Failure, Result};
use crate::runs::RUNS;

/// More runs of one model under its own name than anybody keeps.
const MOST_NUMBERED: usize = 9999;

/// The folder that a run is to have.
#[derive(Debug)]
pub(super) enum Folder {
    /// `runs/MODEL`, numbered if that is taken: nobody wants an error for the plainest command.
    Default { model: &'static str },
    /// The one the user named; with `overwrite`, a run that is there goes.
    Named { path: PathBuf, overwrite: bool },
    /// That of a run that goes on.
    Resumed { path: PathBuf, record: Box<Record> },
}

impl Folder {
    /// What the arguments of a new run ask for.
    pub(super) fn of(args: &TrainArgs, model: &'static str) -> Result<Self> {
        let overwrite = args.overwrite;
        match (&args.out, &args.name) {
            (Some(path), _) => Ok(Self::Named {
                path: path.clone(),
                overwrite,
            }),
            (None, Some(name)) => {
                checked_name(name)?;
                Ok(Self::Named {
                    path: Path::new(RUNS).join(name),
                    overwrite,
                })
            }
            (None, None) if overwrite => Ok(Self::Named {
                path: Path::new(RUNS).join(model),
                overwrite,
            }),
            (None, None) => Ok(Self::Default { model }),
        }
    }

    /// Refuses a folder that is taken, before anything is done.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Named {
                path,
                overwrite: false,
            } if RunFiles::open(path).is_ok() => Err(taken(path)),
            _ => Ok(()),
        }
    }

    /// Makes or opens the folder, and holds it.
    pub(super) fn open(self) -> Result<RunDir> {
        match self {
            Self::Resumed { path, .. } => Ok(RunDir::open(path)?),
            Self::Named { path, overwrite } => match RunDir::create(&path, overwrite) {
                Err(Error::RunFolder {
                    fault: RunFolderFault::Exists,
                    ..
                }) => Err(taken(&path)),
                result => Ok(result?),
            },
            Self::Default { model } => {
                for number in 1..=MOST_NUMBERED {
                    let name = if number == 1 {
                        model.to_owned()
                    } else {
                        format!("{model}-{number}")
                    };
                    match RunDir::create(Path::new(RUNS).join(name), false) {
                        Err(Error::RunFolder { .. }) => {}
                        result => return Ok(result?),
                    }
                }
                Err(Failure::work(format!(
                    "{RUNS}/{model} and {MOST_NUMBERED} more are taken: use --name"
                )))
            }
        }
    }
}

/// Refuses what is no name for a folder under `runs/`.
pub(super) fn checked_name(name: &str) -> Result<()> {
    let mut parts = Path::new(name).components();
    if !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_))) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--name: `{name}` is no name for a folder under {RUNS}/; --out takes any path"
    )))
}

fn taken(path: &Path) -> Failure {
    let name = path.strip_prefix(RUNS).unwrap_or(path).display();
    Failure::work(format!(
        "{} holds a run already: --resume {name} goes on with it, --overwrite replaces it, \
         another --name keeps it",
        path.display()
    ))
}

/// What a run is called: its folder's own name.
pub(super) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

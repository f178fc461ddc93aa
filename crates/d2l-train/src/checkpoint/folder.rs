//! The folder `checkpoints/` of a run: `last`, `best`, and `previous`, the former `last`.

use super::Checkpoint;
use crate::{CheckpointFault, Error, Result, Run, atomic};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The checkpoints of a run.
///
/// `last` is replaced in four steps, after each of which a whole checkpoint is there: write `.last.new` and sync it;
/// remove `previous`; rename `last` to `previous`; rename `.last.new` to `last`. [`Self::recover`] finishes what a
/// killed run left half done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder {
    path: PathBuf,
}

/// Which of a run's checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The newest.
    Last,
    /// The one with the best metric.
    Best,
}

/// Which checkpoint was used instead of the newest one, and why.
#[derive(Debug)]
pub struct Fallback {
    /// The one used; `None` if no checkpoint could be.
    pub used: Option<PathBuf>,
    /// What was wrong with each newer one.
    pub refused: Vec<Error>,
}

impl std::fmt::Display for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for error in &self.refused {
            write!(f, "{error}; ")?;
        }
        match &self.used {
            Some(path) => write!(f, "using {} instead", path.display()),
            None => f.write_str("there is no other one"),
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Best => "best",
        }
    }
}

impl CheckpointFolder {
    /// The checkpoints in the folder at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Where a checkpoint is.
    pub fn path(&self, kind: Kind) -> PathBuf {
        self.path.join(kind.name())
    }

    fn fresh(&self, kind: Kind) -> PathBuf {
        self.path.join(format!(".{}.new", kind.name()))
    }

    fn previous(&self) -> PathBuf {
        self.path.join("previous")
    }

    /// Reads a checkpoint, also one that is whole but was not yet put in place when the run was killed.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn open(&self, kind: Kind) -> Result<Checkpoint> {
        let path = self.path(kind);
        if !path.exists()
            && let Ok(checkpoint) = Checkpoint::open(&self.fresh(kind))
        {
            return Ok(checkpoint);
        }
        let state = || fs::read(path.join(super::STATE)).ok();
        let before = state();
        match Checkpoint::open(&path) {
            // A run may have replaced it between the reading of two files.
            Err(_) if state() != before => Checkpoint::open(&path),
            result => result,
        }
    }

    /// Reads the newest checkpoint that is whole: `last`, or else `previous`, or else `best`. The second value says
    /// which damaged ones were passed over; there is none when `last` was good, or when there is no checkpoint at all.
    pub fn open_newest(&self) -> (Option<Checkpoint>, Option<Fallback>) {
        let mut refused = Vec::new();
        let previous = || Checkpoint::open(&self.previous());
        let candidates: [&dyn Fn() -> Result<Checkpoint>; 3] =
            [&|| self.open(Kind::Last), &previous, &|| self.open(Kind::Best)];
        for open in candidates {
            match open() {
                Ok(checkpoint) => {
                    let used = Some(checkpoint.path().to_owned());
                    let fallback = (!refused.is_empty()).then_some(Fallback { used, refused });
                    return (Some(checkpoint), fallback);
                }
                Err(Error::Checkpoint {
                    fault: CheckpointFault::Missing,
                    ..
                }) => {}
                Err(error) => refused.push(error),
            }
        }
        (
            None,
            (!refused.is_empty()).then_some(Fallback { used: None, refused }),
        )
    }

    /// Writes a run as it is now.
    ///
    /// # Errors
    /// When it cannot be written, or a parameter is not finite; the former checkpoints are then as they were.
    pub fn save(&self, run: &mut Run<'_>, kind: Kind) -> Result<()> {
        let (fresh, path) = (self.fresh(kind), self.path(kind));
        atomic::remove_folder(&fresh)?;
        if let Err(error) = Checkpoint::write(run, &fresh) {
            // What is half written helps nobody; the error that matters is the first one.
            let _ = atomic::remove_folder(&fresh);
            return Err(error);
        }
        self.put_in_place(&fresh, &path, kind)?;
        if kind == Kind::Last {
            run.saved = Some(run.position());
        }
        Ok(())
    }

    fn put_in_place(&self, fresh: &Path, path: &Path, kind: Kind) -> Result<()> {
        match kind {
            Kind::Last => {
                if path.exists() {
                    let previous = self.previous();
                    atomic::remove_folder(&previous)?;
                    rename(path, &previous)?;
                }
            }
            Kind::Best => atomic::remove_folder(path)?,
        }
        rename(fresh, path)?;
        atomic::sync_folder(&self.path)
    }

    /// Finishes or undoes what a killed run was doing to its checkpoints. Call it only as the owner of the run.
    ///
    /// # Errors
    /// When files cannot be renamed or removed.
    pub fn recover(&self) -> Result<()> {
        for kind in [Kind::Last, Kind::Best] {
            let (fresh, path) = (self.fresh(kind), self.path(kind));
            if !fresh.exists() {
                continue;
            }
            if !path.exists() && Checkpoint::open(&fresh).is_ok() {
                rename(&fresh, &path)?;
                atomic::sync_folder(&self.path)?;
            } else {
                atomic::remove_folder(&fresh)?;
            }
        }
        Ok(())
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io("rename to", to))
}

//! The folder of a run.

use crate::{
    Checkpoint, CheckpointFolder, Error, Result, RunFolderFault, atomic, checkpoint::Fallback, tensorboard,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";
/// What a run makes in its folder, and what is removed when another run overwrites it.
const OWN: [&str; 8] = [
    CONFIG,
    METRICS,
    "metrics.csv",
    "averaged.safetensors",
    CHECKPOINTS,
    "curves.svg",
    "curves.png",
    LOCK,
];

/// The folder of a run, held by this process as long as the value lives:
///
/// ```text
/// config.toml          every option of the run, written first
/// metrics.jsonl        a line per step or epoch;   metrics.csv, events.out.tfevents.…  where they are asked for
/// curves.svg, .png     the learning curves
/// checkpoints/last     the newest checkpoint;   best, previous beside it
/// .lock                locked by the process that trains (the lock goes with the process, not with the file)
/// ```
///
/// To read a run that another process may be writing, use [`RunFiles`].
#[derive(Debug)]
pub struct RunDir {
    files: RunFiles,
    lock: File,
}

/// The files of a run, for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFiles {
    path: PathBuf,
}

impl RunDir {
    /// Makes the folder of a new run. With `overwrite`, an older run's files there are removed.
    ///
    /// # Errors
    /// When the folder holds a run already (without `overwrite`) or files that are not a run's, when another process
    /// holds it, or it cannot be made.
    pub fn create(path: impl Into<PathBuf>, overwrite: bool) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(Error::io("create the run folder", &path))?;
        let files = RunFiles { path };
        let path = &files.path;
        let refuse = |fault| {
            Err(Error::RunFolder {
                path: path.clone(),
                fault,
            })
        };
        let names = names(path)?;
        if !files.is_run()
            && names
                .iter()
                .any(|name| name != LOCK && !name.starts_with(atomic::PREFIX))
        {
            return refuse(RunFolderFault::NotARun);
        }
        let lock = lock(path)?;
        files.remove_half_written()?;
        if files.is_run() {
            if !overwrite {
                return refuse(RunFolderFault::Exists);
            }
            let events = |name: &&String| name.starts_with(tensorboard::FILE_PREFIX);
            let events = names.iter().filter(events).map(String::as_str);
            for own in OWN.into_iter().filter(|&own| own != LOCK).chain(events) {
                let own = path.join(own);
                let removed = if own.is_dir() {
                    fs::remove_dir_all(&own)
                } else {
                    fs::remove_file(&own)
                };
                match removed {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::io("remove", own)(e));
                    }
                    _ => {}
                }
            }
        }
        Ok(Self { files, lock })
    }

    /// Opens the folder of a run to go on with it, and finishes what a killed process left half done there.
    ///
    /// # Errors
    /// When there is no run, or another process holds it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let files = RunFiles::open(path)?;
        let lock = lock(&files.path)?;
        files.remove_half_written()?;
        files.checkpoints().recover()?;
        Ok(Self { files, lock })
    }

    /// The files.
    pub fn files(&self) -> &RunFiles {
        &self.files
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.files.path
    }

    /// The path of a file in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.files.path.join(name)
    }

    /// Writes config.toml.
    ///
    /// # Errors
    /// When the value does not fit TOML, or the file cannot be written.
    pub fn write_config<T: Serialize>(&self, config: &T) -> Result<()> {
        let path = self.join(CONFIG);
        let text = toml::to_string_pretty(config).map_err(|e| Error::Format {
            path: path.clone(),
            message: e.to_string(),
        })?;
        atomic::write(&path, text.as_bytes())
    }

    /// Writes a file of the run: beside, synced, renamed.
    ///
    /// # Errors
    /// When it cannot be written; a former file of that name is then as it was.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        atomic::write(&self.join(name), bytes)
    }
}

/// Unlocks, rather than leaving that to the file's closing: a process that another thread is just starting may hold a
/// copy of the open file for a moment longer.
impl Drop for RunDir {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// The files are those of the folder held.
impl std::ops::Deref for RunDir {
    type Target = RunFiles;

    fn deref(&self) -> &RunFiles {
        &self.files
    }
}

impl RunFiles {
    /// The files of the run in a folder.
    ///
    /// # Errors
    /// When there is none (no config.toml).
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let files = Self { path: path.into() };
        if files.config_path().is_file() {
            return Ok(files);
        }
        Err(Error::RunFolder {
            path: files.path,
            fault: RunFolderFault::Missing,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Where config.toml is.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Where metrics.jsonl is.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// The checkpoints.
    pub fn checkpoints(&self) -> CheckpointFolder {
        CheckpointFolder::new(self.path.join(CHECKPOINTS))
    }

    /// The newest checkpoint that is whole (see [`CheckpointFolder::open_newest`]).
    pub fn newest_checkpoint(&self) -> (Option<Checkpoint>, Option<Fallback>) {
        self.checkpoints().open_newest()
    }

    /// Reads config.toml.
    ///
    /// # Errors
    /// When it cannot be read or is not of that type.
    pub fn read_config<T: DeserializeOwned>(&self) -> Result<T> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        toml::from_str(&text).map_err(|e| Error::Format {
            path,
            message: e.to_string(),
        })
    }

    /// Removes what a process that was killed while it wrote a file left beside.
    fn remove_half_written(&self) -> Result<()> {
        for name in names(&self.path)?
            .iter()
            .filter(|name| name.starts_with(atomic::PREFIX))
        {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(Error::io("remove", path))?;
        }
        Ok(())
    }

    /// Whether the folder holds a run, be it one that was killed before it wrote its config.
    fn is_run(&self) -> bool {
        self.config_path().exists() || self.metrics_path().exists() || self.path.join(CHECKPOINTS).exists()
    }
}

/// The names in a folder.
fn names(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).map_err(Error::io("read the folder", path))?;
    let name = |entry: std::io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries
        .map(name)
        .collect::<std::io::Result<_>>()
        .map_err(Error::io("read the folder", path))
}

/// Takes the folder's lock.
fn lock(path: &Path) -> Result<File> {
    let file = path.join(LOCK);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .map_err(Error::io("create", &file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::RunFolder {
            path: path.to_owned(),
            fault: RunFolderFault::InUse,
        }),
        Err(TryLockError::Error(source)) => Err(Error::Io {
            action: "lock",
            path: file,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(result: Result<RunDir>) -> RunFolderFault {
        match result {
            Err(Error::RunFolder { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_is_made_once_held_once_and_overwritten_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/a");
        assert_eq!(fault(RunDir::open(&path)), RunFolderFault::Missing);
        let run = RunDir::create(&path, false).unwrap();
        run.write_config(&std::collections::BTreeMap::from([("seed", 7)]))
            .unwrap();
        fs::write(run.metrics_path(), "x\n").unwrap();
        let events = path.join("events.out.tfevents.0000000000.0.d2l");
        fs::write(&events, "x").unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        assert_eq!(fault(RunDir::create(&path, true)), RunFolderFault::InUse);
        assert_eq!(fault(RunDir::open(&path)), RunFolderFault::InUse);
        assert!(RunFiles::open(&path).is_ok(), "reading needs no lock");
        drop(run);
        assert_eq!(fault(RunDir::create(&path, false)), RunFolderFault::Exists);
        assert_eq!(
            RunDir::open(&path).unwrap().read_config::<toml::Table>().unwrap()["seed"].as_integer(),
            Some(7)
        );
        let run = RunDir::create(&path, true).unwrap();
        assert!(
            !events.exists(),
            "an older run's curves would stay in TensorBoard"
        );
        assert!(!run.metrics_path().exists() && path.join("notes.txt").exists());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years").unwrap();
        assert_eq!(
            fault(RunDir::create(folder.path(), true)),
            RunFolderFault::NotARun
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

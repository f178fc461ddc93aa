//! Checkpoints of single epochs, of which the newest few are kept.

use super::{Checkpoint, CheckpointFolder};
use crate::{Error, Result, Run, atomic};
use std::{fs, path::PathBuf};

const PREFIX: &str = "epoch-";
/// A checkpoint of an epoch that is not yet whole.
const UNFINISHED: &str = ".epoch-";

impl CheckpointFolder {
    /// The checkpoints of single epochs, oldest first, each with its epoch (from 1).
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn epochs(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut epochs: Vec<(u64, PathBuf)> = self
            .named(PREFIX)?
            .into_iter()
            .filter_map(|(rest, path)| Some((rest.parse().ok()?, path)))
            .collect();
        epochs.sort();
        Ok(epochs)
    }

    /// Writes the run, which has just ended an epoch, as that epoch's checkpoint, and removes those of all but the
    /// newest `keep` epochs.
    ///
    /// # Errors
    /// When it cannot be written, or a parameter is not finite; the former checkpoints are then as they were.
    pub fn save_epoch(&self, run: &mut Run<'_>, keep: usize) -> Result<()> {
        let epoch = run.position().epoch;
        for (_, unfinished) in self.named(UNFINISHED)? {
            atomic::remove_folder(&unfinished)?;
        }
        let fresh = self.folder().join(format!("{UNFINISHED}{epoch:04}"));
        let path = self.folder().join(format!("{PREFIX}{epoch:04}"));
        if let Err(error) = Checkpoint::write(run, &fresh) {
            // What is half written helps nobody; the error that matters is the first one.
            let _ = atomic::remove_folder(&fresh);
            return Err(error);
        }
        atomic::remove_folder(&path)?;
        fs::rename(&fresh, &path).map_err(Error::io("rename to", &path))?;
        atomic::sync_folder(self.folder())?;
        let epochs = self.epochs()?;
        let old = epochs.len().saturating_sub(keep.max(1));
        for (_, path) in epochs.iter().take(old) {
            atomic::remove_folder(path)?;
        }
        Ok(())
    }

    /// What is in the folder under a name that begins with `prefix`, with the rest of the name.
    fn named(&self, prefix: &str) -> Result<Vec<(String, PathBuf)>> {
        let entries = match fs::read_dir(self.folder()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::io("read the folder", self.folder()))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read the folder", self.folder()))?;
            if let Some(rest) = entry.file_name().to_string_lossy().strip_prefix(prefix) {
                found.push((rest.to_owned(), entry.path()));
            }
        }
        Ok(found)
    }
}

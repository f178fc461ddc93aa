//! Files that are either the old one or the new one, whatever happens in between.

use crate::{Error, Result};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

/// How the name of a file begins that is being written.
pub(crate) const PREFIX: &str = ".writing-";

/// Replaces the file at `path`: written beside, synced, renamed. A failure leaves the old file and nothing else.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As for every other new file: what the umask leaves, and not the owner alone.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder
        .prefix(PREFIX)
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("sync", path))?;
    file.persist(path)
        .map_err(|e| e.error)
        .map_err(Error::io("replace", path))?;
    sync_folder(folder)
}

/// Writes a new file in a folder that nobody reads yet, and syncs it.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Makes renames in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    // Only Unix lets a folder be opened for this.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(Error::io("sync the folder", folder))?;
    }
    Ok(())
}

/// Removes a folder with all it holds, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::io("remove", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_failure_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let into_a_folder = folder.path().join("b");
        fs::create_dir_all(into_a_folder.join("c")).unwrap();
        let error = write(&into_a_folder, b"x").unwrap_err().to_string();
        assert!(error.contains("replace") && error.contains("b"), "{error}");
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.txt", "b"]);
    }
}

//! The directory that files are fetched into.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::datasets::ParquetFile;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::official::OfficialFile;
use crate::progress::Progress;

const PREFIX: &str = ".d2l-";
const SUFFIX: &str = ".part";
/// After this long a temporary file is no running fetch's any more.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a file was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not the file, or not all of it.
    Because(String),
    /// No connection came about: nothing else is to be had there either.
    Unreachable(String),
    Cancelled,
}

impl Refused {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}

/// A directory whose files are complete and checked.
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Makes the directory if need be and removes what a killed process left long ago.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| Error::io("make the directory", directory, error))?;
        let store = Self {
            directory: directory.to_path_buf(),
        };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let old = modified.is_ok_and(|time| {
                SystemTime::now()
                    .duration_since(time)
                    .is_ok_and(|age| age > STALE)
            });
            if name.starts_with(PREFIX) && name.ends_with(SUFFIX) && old {
                // Somebody else may have removed it first.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(store)
    }

    /// Removes the directory if nothing came to be in it.
    pub(crate) fn close(&self) {
        // Fails, as it should, where there is anything in it.
        let _ = fs::remove_dir(&self.directory);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Lets `fill` write one file, plain or gzip; keeps it if it has the official content.
    pub(crate) fn receive(
        &self,
        file: &OfficialFile,
        fill: impl FnOnce(&mut Incoming) -> std::result::Result<(), Refused>,
    ) -> std::result::Result<PathBuf, Refused> {
        let mut incoming = Incoming::new(&self.directory, file.limit)?;
        fill(&mut incoming)?;
        let name = if incoming.start.starts_with(&[0x1f, 0x8b]) {
            format!("{}.gz", file.name)
        } else {
            file.name.to_owned()
        };
        let temporary = incoming.finish()?;
        if !file.is_known(&temporary.sha256) {
            file.check(temporary.file.path()).map_err(|reason| {
                let bytes = temporary.bytes;
                Refused::Because(format!("what came ({bytes} bytes) is not the file: {reason}"))
            })?;
        }
        self.persist(temporary.file, file, &name)
    }

    /// Copies a file from elsewhere on this machine, by the same rules.
    pub(crate) fn copy(
        &self,
        from: &Path,
        file: &OfficialFile,
        progress: &dyn Progress,
    ) -> std::result::Result<PathBuf, Refused> {
        self.receive(file, |incoming| {
            let failed = |error: std::io::Error| Refused::Because(format!("cannot be read: {error}"));
            let mut reader = File::open(from).map_err(failed)?;
            let mut buffer = vec![0; 1 << 16];
            loop {
                if progress.cancelled() {
                    return Err(Refused::Cancelled);
                }
                match reader.read(&mut buffer).map_err(failed)? {
                    0 => return Ok(()),
                    read => incoming.write(buffer.get(..read).unwrap_or_default())?,
                }
            }
        })
    }

    /// Lets `fill` write a Parquet file, checks its size and digest, and hands it over; it is
    /// removed when dropped.
    pub(crate) fn receive_parquet(
        &self,
        file: &ParquetFile,
        fill: impl FnOnce(&mut Incoming) -> std::result::Result<(), Refused>,
    ) -> std::result::Result<NamedTempFile, Refused> {
        let mut incoming = Incoming::new(&self.directory, file.bytes)?;
        fill(&mut incoming)?;
        let temporary = incoming.finish()?;
        if temporary.bytes != file.bytes || temporary.sha256 != file.sha256 {
            return Err(Refused::Because(format!(
                "what came ({} bytes, SHA-256 {}) is not the file ({} bytes, SHA-256 {})",
                temporary.bytes, temporary.sha256, file.bytes, file.sha256
            )));
        }
        Ok(temporary.file)
    }

    /// Gives a checked file its name and removes others that would be found in its stead.
    fn persist(
        &self,
        temporary: NamedTempFile,
        file: &OfficialFile,
        name: &str,
    ) -> std::result::Result<PathBuf, Refused> {
        let path = self.path(name);
        temporary
            .persist(&path)
            .map_err(|error| Refused::Because(format!("cannot be renamed: {}", error.error)))?;
        for other in file.variants().iter().filter(|other| *other != name) {
            let _ = fs::remove_file(self.path(other));
        }
        // The name is lasting once the directory is synced; not every system can do that.
        let _ = File::open(&self.directory).and_then(|directory| directory.sync_all());
        Ok(path)
    }
}

/// A file on its way in: bounded, hashed, and gone when dropped.
pub(crate) struct Incoming {
    file: NamedTempFile,
    hash: Sha256,
    bytes: u64,
    limit: u64,
    start: Vec<u8>,
}

/// A file that is complete and synced, but has no name yet.
struct Received {
    file: NamedTempFile,
    bytes: u64,
    sha256: String,
}

impl Incoming {
    fn new(directory: &Path, limit: u64) -> std::result::Result<Self, Refused> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any new file: readable as far as the user's umask lets it be.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory).map_err(cannot_write)?;
        Ok(Self {
            file,
            hash: Sha256::new(),
            bytes: 0,
            limit,
            start: Vec::new(),
        })
    }

    /// The most bytes it may have.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) -> std::result::Result<(), Refused> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.limit {
            return Err(Refused::Because(format!(
                "longer than the {} bytes the file can have",
                self.limit
            )));
        }
        if self.start.len() < 16 {
            self.start.extend(chunk.iter().take(16 - self.start.len()));
            if self.start.trim_ascii_start().starts_with(b"<") {
                return Err(Refused::because(
                    "a web page came instead of the file (a login page or a proxy in between?)",
                ));
            }
        }
        self.hash.update(chunk);
        self.file.write_all(chunk).map_err(cannot_write)
    }

    fn finish(mut self) -> std::result::Result<Received, Refused> {
        if self.bytes == 0 {
            return Err(Refused::because("it is empty"));
        }
        self.file.flush().map_err(cannot_write)?;
        self.file.as_file().sync_all().map_err(cannot_write)?;
        self.file.seek(SeekFrom::Start(0)).map_err(cannot_write)?;
        Ok(Received {
            file: self.file,
            bytes: self.bytes,
            sha256: self.hash.finish(),
        })
    }
}

fn cannot_write(error: std::io::Error) -> Refused {
    Refused::Because(format!(
        "cannot be written to the cache: {error}; is the disk full?"
    ))
}

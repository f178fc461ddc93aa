//! Fetching a data set into a directory, in such a way that only right files ever appear there.
//!
//! What arrives is written to a temporary file beside its place, with a bound on size, silence and
//! time. It is accepted when it is the official file by SHA-256, or any file whose uncompressed
//! content has the official SHA-256 (mirrors compress anew); then it is synced and renamed.
//! Otherwise it is removed and the next place is tried. Two processes that fetch at once each
//! rename a complete, checked file over the other's equal one.
//!
//! The Hub is reached through `hf-hub`, at a pinned commit. That crate has no time-outs, no offline
//! switch and no check of what it stores, so its cache is not used: its byte stream goes through
//! the same sink as any other, and this crate's own cache is what is looked at next time. Both it
//! and the plain hosts run on one `reqwest` (the one copy in the tree) and a private
//! single-threaded runtime that ends with the call.

mod download;
mod hub;
mod parquet;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::datasets::DatasetEntry;
use crate::error::{Error, Result};
use crate::official::OfficialFile;
use crate::progress::{Event, Progress};
use crate::provenance::SourceKind;
use download::Downloader;
use store::{Refused, Store};

/// The Hub's public address.
pub const HUB_ENDPOINT: &str = "https://huggingface.co";

/// How to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address of the Hugging Face Hub or a mirror of it; nothing leaves the Hub out.
    pub hub_endpoint: Option<String>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub stall_timeout: Duration,
    /// How long one file may take in all.
    pub file_timeout: Duration,
}

impl Default for Network {
    /// The public Hub; 8 s to connect, 20 s of silence, 15 min a file.
    fn default() -> Self {
        Self {
            hub_endpoint: Some(HUB_ENDPOINT.to_owned()),
            connect_timeout: Duration::from_secs(8),
            stall_timeout: Duration::from_secs(20),
            file_timeout: Duration::from_secs(15 * 60),
        }
    }
}

/// Where to fetch from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// The Hugging Face Hub, then the data set's hosts.
    #[default]
    Network,
    /// A directory that holds the files, or a subdirectory named after the data set that does.
    Directory(PathBuf),
    /// The address of a directory that holds the files as the data set's own hosts do.
    Url(String),
    /// Nowhere: only check what is there.
    Nowhere,
}

/// What a fetch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where the files are.
    pub directory: PathBuf,
    /// The kind of place they came from; [`SourceKind::Cache`] if they were all there already.
    pub kind: SourceKind,
    /// The place in words.
    pub source: String,
}

/// Makes sure that `root/NAME` holds the official files of `dataset`, fetching what is missing or
/// has gone bad.
///
/// # Errors
/// [`Error::NoSource`] with every failure if a file could not be had, [`Error::Io`] if the
/// directory cannot be made, [`Error::Cancelled`] on request.
pub fn fetch_to<'a>(
    dataset: impl Into<DatasetEntry<'a>>,
    root: &Path,
    from: &From,
    network: &Network,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let entry = dataset.into();
    let directory = root.join(entry.name());
    let mut job = Job {
        entry,
        store: Store::open(&directory)?,
        missing: Vec::new(),
        tried: Vec::new(),
        progress,
        last: (
            SourceKind::Cache,
            format!("{} (already there)", directory.display()),
        ),
    };
    let outcome = job.run(from, network);
    let finished = job.missing.is_empty();
    // Whatever happened, an empty directory made for nothing goes again.
    job.store.close();
    outcome?;
    if finished {
        let (kind, source) = job.last;
        return Ok(Fetched {
            directory,
            kind,
            source,
        });
    }
    let missing: Vec<&str> = job.missing.iter().map(|file| file.name).collect();
    let remedy = format!(
        "missing {}; try again where there is a network, or take the files from elsewhere with \
         `cargo xtask fetch-data {} --from DIR|URL`",
        missing.join(", "),
        entry.name()
    );
    Err(Error::NoSource {
        dataset: entry.title().to_owned(),
        tried: job.tried,
        remedy,
    })
}

/// One fetch.
struct Job<'a> {
    entry: DatasetEntry<'a>,
    store: Store,
    missing: Vec<OfficialFile>,
    tried: Vec<String>,
    progress: &'a dyn Progress,
    last: (SourceKind, String),
}

impl Job<'_> {
    fn run(&mut self, from: &From, network: &Network) -> Result<()> {
        self.find_missing();
        if self.missing.is_empty() {
            return Ok(());
        }
        match from {
            From::Nowhere => {
                let (source, reason) = ("the network".to_owned(), "not tried: offline".to_owned());
                let event = Event::Skipped {
                    source,
                    reason,
                    broken: false,
                };
                self.tried.push(format!("  {event}"));
                self.progress.event(&event);
                Ok(())
            }
            From::Directory(path) => self.copy_from(path),
            From::Url(base) => self.with_downloader(network, |job, downloader| {
                job.download_from(downloader, &with_slash(base))
            }),
            From::Network => self.with_downloader(network, |job, downloader| {
                if let (DatasetEntry::Images(spec), Some(endpoint)) = (job.entry, &network.hub_endpoint)
                    && let Some(hub) = &spec.hub
                {
                    hub::fetch(job, downloader, spec, hub, endpoint)?;
                }
                for host in job.entry.hosts() {
                    if !job.missing.is_empty() {
                        job.download_from(downloader, host)?;
                    }
                }
                Ok(())
            }),
        }
    }

    /// Fills `missing` with the files that are not there with the official content.
    fn find_missing(&mut self) {
        for file in self.entry.official_files() {
            let path = file
                .variants()
                .into_iter()
                .map(|name| self.store.path(&name))
                .find(|p| p.is_file());
            let reason = match path.as_deref().map(|path| file.check(path)) {
                Some(Ok(())) => continue,
                Some(Err(reason)) => Some(reason),
                None => None,
            };
            if let (Some(reason), Some(path)) = (reason, path) {
                let source = path.display().to_string();
                self.progress.event(&Event::Skipped {
                    source,
                    reason,
                    broken: true,
                });
            }
            self.missing.push(file);
        }
    }

    fn copy_from(&mut self, path: &Path) -> Result<()> {
        self.each_missing(|job, file| {
            let inner = path.join(job.entry.name());
            let mut places = [inner.as_path(), path]
                .into_iter()
                .flat_map(|directory| file.variants().into_iter().map(|name| directory.join(name)));
            match places.find(|place| place.is_file()) {
                None => (
                    path.display().to_string(),
                    Err(Refused::because("there is no such file")),
                ),
                Some(found) => {
                    let outcome = job.store.copy(&found, file, job.progress);
                    (found.display().to_string(), outcome)
                }
            }
        })?;
        self.done(SourceKind::DataDir, path.display().to_string());
        Ok(())
    }

    /// Tries every missing file at one place; `try_one` gives where it looked and what came of it.
    /// A place that cannot be reached is asked for nothing more.
    fn each_missing(
        &mut self,
        mut try_one: impl FnMut(&Self, &OfficialFile) -> (String, std::result::Result<PathBuf, Refused>),
    ) -> Result<()> {
        let mut reachable = true;
        for file in std::mem::take(&mut self.missing) {
            if reachable {
                let (from, outcome) = try_one(self, &file);
                reachable = self.settle(file, &from, outcome)?;
            } else {
                self.missing.push(file);
            }
        }
        Ok(())
    }

    fn with_downloader(
        &mut self,
        network: &Network,
        work: impl FnOnce(&mut Self, &Downloader<'_>) -> Result<()> + Send,
    ) -> Result<()> {
        let progress = self.progress;
        // A thread of its own: the caller may be inside an async runtime, where another one must
        // not be blocked on.
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(self, &Downloader::new(network, progress)?));
            worker
                .join()
                .unwrap_or_else(|_| Err(Error::Options("the download thread panicked".to_owned())))
        })
    }

    fn download_from(&mut self, downloader: &Downloader<'_>, base: &str) -> Result<()> {
        self.each_missing(|job, file| {
            let url = format!("{base}{}", file.remote_name());
            let outcome = job
                .store
                .receive(file, |incoming| downloader.get(&url, file.name, incoming));
            (url, outcome)
        })?;
        self.done(SourceKind::Host, base.to_owned());
        Ok(())
    }

    /// Notes what became of a file: stored, or still missing and why. False if the place cannot be
    /// reached.
    fn settle(
        &mut self,
        file: OfficialFile,
        from: &str,
        outcome: std::result::Result<PathBuf, Refused>,
    ) -> Result<bool> {
        match outcome {
            Ok(path) => {
                let file = file.name.to_owned();
                self.progress.event(&Event::Stored { file, path });
                Ok(true)
            }
            Err(refused) => {
                self.missing.push(file);
                self.failed(file.name, from, refused)
            }
        }
    }

    /// Notes a failure. False if the place cannot be reached.
    fn failed(&mut self, file: &str, from: &str, refused: Refused) -> Result<bool> {
        let (reachable, reason) = match refused {
            Refused::Cancelled => return Err(Error::Cancelled),
            Refused::Because(reason) => (true, reason),
            Refused::Unreachable(reason) => (false, reason),
        };
        let event = Event::Failed {
            file: file.to_owned(),
            from: from.to_owned(),
            reason,
        };
        self.tried.push(format!("  {event}"));
        self.progress.event(&event);
        Ok(reachable)
    }

    fn done(&mut self, kind: SourceKind, place: String) {
        if self.missing.is_empty() {
            self.last = (kind, format!("{place}, now in {}", self.store.path("").display()));
        }
    }
}

fn with_slash(base: &str) -> String {
    if base.ends_with('/') {
        base.to_owned()
    } else {
        format!("{base}/")
    }
}

//! Finding a data set. The sources, in the order in which they are tried, each reported through
//! [`Progress`]:
//!
//! 1. the directory the caller names, if one is named: then it is this or an error;
//! 2. the user's cache, whose files must have the official digests;
//! 3. a system-wide package: `/usr/share/datasets/NAME`, where Debian's `dataset-fashion-mnist`
//!    puts the full data set;
//! 4. unless offline, the Hugging Face Hub, then the hosts of the original files: what they send
//!    is checked and kept in the cache;
//! 5. the sample inside this crate, if there is one and if nothing was found broken on the way:
//!    data that went bad is an error, never quietly replaced by a sample.
//!
//! A data set that is inside this crate as a whole is taken from there before the network is asked
//! for the same bytes.

mod images;
mod place;

use std::path::PathBuf;

use crate::datasets::{DatasetEntry, DatasetSpec};
use crate::error::{Error, Result};
use crate::fetch::{self, Network};
use crate::image_set::DataSet;
use crate::progress::{Event, Progress, Silent};
use crate::provenance::{Provenance, SourceKind};

pub(crate) use place::Place;

/// Where Linux distributions put data sets.
pub const SYSTEM_DIR: &str = "/usr/share/datasets";

/// Where to look for data, and how.
#[derive(Clone)]
pub struct SourceOptions<'a> {
    /// A directory to take the data from and from nowhere else. It holds the data set's files,
    /// plain or `.gz`, or a subdirectory named after the data set that does.
    pub data_dir: Option<PathBuf>,
    /// The user's cache; each data set has a subdirectory. Without one nothing is downloaded.
    pub cache_dir: Option<PathBuf>,
    /// The root of system-wide data sets.
    pub system_dir: Option<PathBuf>,
    /// Never touch the network.
    pub offline: bool,
    /// Whether what is inside this crate will do.
    pub sample: bool,
    /// How to download.
    pub network: Network,
    /// Who is told of each step.
    pub progress: &'a dyn Progress,
}

impl Default for SourceOptions<'_> {
    /// No directory, no cache, the system's data sets, the network allowed, the sample allowed.
    fn default() -> Self {
        Self {
            data_dir: None,
            cache_dir: None,
            system_dir: Some(PathBuf::from(SYSTEM_DIR)),
            offline: false,
            sample: true,
            network: Network::default(),
            progress: &Silent,
        }
    }
}

/// The cache directory by the rules of the platform: `$XDG_CACHE_HOME/d2l` or `~/.cache/d2l` on
/// Linux, the equivalents elsewhere. Nothing where the user has no home. This is the one function
/// here that looks at the user's environment, and nothing in this crate calls it: pass its result
/// as [`SourceOptions::cache_dir`].
pub fn default_cache_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy()
        .ok()
        .map(|strategy| strategy.cache_dir().join("d2l"))
}

/// Loads `spec` from the first source that has it.
///
/// # Errors
/// If a named directory lacks files or a file in it is broken, or if no source has the data set.
pub fn load(spec: &DatasetSpec, options: &SourceOptions<'_>) -> Result<DataSet> {
    first_of(spec.into(), options, |place| {
        let data = images::read_dataset(spec, place)?;
        let provenance = data.provenance.clone();
        Ok((data, provenance))
    })
}

/// Reads a data set with `read` from the first source that has it.
pub(crate) fn first_of<T>(
    entry: DatasetEntry<'_>,
    options: &SourceOptions<'_>,
    read: impl Fn(&Place) -> Result<(T, Provenance)>,
) -> Result<T> {
    let finish = |(data, provenance)| announce(data, &provenance, options.progress);
    if let Some(directory) = &options.data_dir {
        return read(&Place::find_in(entry, SourceKind::DataDir, directory)?).map(finish);
    }
    let mut search = Search {
        tried: Vec::new(),
        broken: false,
        progress: options.progress,
    };
    let roots = [
        (SourceKind::Cache, &options.cache_dir),
        (SourceKind::System, &options.system_dir),
    ];
    for (kind, root) in roots {
        let Some(root) = root else { continue };
        let directory = root.join(entry.name());
        if !directory.is_dir() {
            search.skip(place::describe(kind, &directory), "not there".to_owned(), false);
            continue;
        }
        match Place::find_in(entry, kind, &directory).and_then(|place| read(&place)) {
            Ok(found) => return Ok(finish(found)),
            Err(error) => {
                let broken = !matches!(error, Error::Missing { .. });
                search.skip(place::describe(kind, &directory), error.to_string(), broken);
            }
        }
    }
    let inside = Place::inside(entry).filter(|_| options.sample && !search.broken);
    let whole = inside
        .as_ref()
        .is_some_and(|place| place.kind == SourceKind::Inside);
    if !whole && let Some(place) = search.fetch(entry, options)? {
        return read(&place).map(finish);
    }
    match inside {
        Some(place) => read(&place).map(finish),
        None => Err(search.into_error(entry)),
    }
}

/// The cache, the system's directory or what is inside this crate: what [`load`] would use without
/// the network, without reading it.
pub fn locate<'a>(
    dataset: impl Into<DatasetEntry<'a>>,
    options: &SourceOptions<'_>,
) -> Option<(SourceKind, Option<PathBuf>)> {
    let entry = dataset.into();
    let under = |kind, root: &Option<PathBuf>| {
        let directory = root.as_ref()?.join(entry.name());
        Place::find_in(entry, kind, &directory)
            .ok()
            .map(|_| (kind, Some(directory)))
    };
    if let Some(directory) = &options.data_dir {
        let place = Place::find_in(entry, SourceKind::DataDir, directory).ok()?;
        return Some((SourceKind::DataDir, place.directory().map(PathBuf::from)));
    }
    under(SourceKind::Cache, &options.cache_dir)
        .or_else(|| under(SourceKind::System, &options.system_dir))
        .or_else(|| {
            let inside = entry.inside().filter(|_| options.sample)?;
            Some((place::kind_inside(inside.whole), None))
        })
}

fn announce<T>(data: T, provenance: &Provenance, progress: &dyn Progress) -> T {
    progress.event(&Event::Found {
        source: provenance.source.clone(),
    });
    if let Some(warning) = provenance.warning() {
        progress.event(&Event::Warning(warning));
    }
    data
}

struct Search<'a> {
    tried: Vec<String>,
    broken: bool,
    progress: &'a dyn Progress,
}

impl Search<'_> {
    fn skip(&mut self, source: String, reason: String, broken: bool) {
        let event = Event::Skipped {
            source,
            reason,
            broken,
        };
        self.tried.push(format!("  {event}"));
        self.broken |= broken;
        self.progress.event(&event);
    }

    /// Fetches the data set into the cache; nothing where that failed and other sources may do.
    fn fetch(&mut self, entry: DatasetEntry<'_>, options: &SourceOptions<'_>) -> Result<Option<Place>> {
        let reason = match &options.cache_dir {
            _ if options.offline => "not tried: offline",
            None => "not tried: no cache directory to keep it in",
            Some(cache_dir) => {
                let from = fetch::From::Network;
                match fetch::fetch_to(entry, cache_dir, &from, &options.network, options.progress) {
                    Ok(fetched) => {
                        let place = Place::find_in(entry, fetched.kind, &fetched.directory)?;
                        return Ok(Some(place.described(fetched.source)));
                    }
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(Error::NoSource { tried, .. }) => self.tried.extend(tried),
                    Err(error) => self.tried.push(error.to_string()),
                }
                return Ok(None);
            }
        };
        self.skip("the network".to_owned(), reason.to_owned(), false);
        Ok(None)
    }

    fn into_error(self, entry: DatasetEntry<'_>) -> Error {
        let files = entry.official_files();
        let names: Vec<&str> = files.iter().map(|file| file.name).collect();
        let remedy = format!(
            "fetch it with `d2l data fetch {0}` where there is a network, or name a directory that holds {1} \
             (plain or .gz) with --data-dir",
            entry.name(),
            names.join(", ")
        );
        Error::NoSource {
            dataset: entry.title().to_owned(),
            tried: self.tried,
            remedy,
        }
    }
}

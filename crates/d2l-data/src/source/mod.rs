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

mod local;

use std::path::PathBuf;

use crate::datasets::{DatasetSpec, Role};
use crate::error::{Error, Result};
use crate::fetch::{self, Network};
use crate::image_set::DataSet;
use crate::progress::{Event, Progress, Silent};
use crate::provenance::SourceKind;

pub(crate) use local::{Place, read_dataset, variants};

/// Where Linux distributions put data sets.
pub const SYSTEM_DIR: &str = "/usr/share/datasets";

/// Where to look for data, and how.
#[derive(Clone)]
pub struct SourceOptions<'a> {
    /// A directory to take the data from and from nowhere else. It holds the four IDX files,
    /// plain or `.gz`, or a subdirectory named after the data set that does.
    pub data_dir: Option<PathBuf>,
    /// The user's cache; each data set has a subdirectory. Without one nothing is downloaded.
    pub cache_dir: Option<PathBuf>,
    /// The root of system-wide data sets.
    pub system_dir: Option<PathBuf>,
    /// Never touch the network.
    pub offline: bool,
    /// Whether the sample inside this crate will do.
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
    if let Some(directory) = &options.data_dir {
        let place = Place::find_in(spec, SourceKind::DataDir, directory)?;
        return finish(read_dataset(spec, &place)?, options);
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
        let directory = root.join(spec.name);
        if !directory.is_dir() {
            search.skip(local::describe(kind, &directory), "not there".to_owned(), false);
            continue;
        }
        let read = Place::find_in(spec, kind, &directory).and_then(|place| read_dataset(spec, &place));
        match read {
            Ok(data) => return finish(data, options),
            Err(error) => {
                let broken = !matches!(error, Error::Missing { .. });
                search.skip(local::describe(kind, &directory), error.to_string(), broken);
            }
        }
    }
    match (&options.cache_dir, options.offline) {
        (_, true) => search.skip("the network".to_owned(), "not tried: offline".to_owned(), false),
        (None, _) => {
            search.skip(
                "the network".to_owned(),
                "not tried: no cache directory to keep it in".to_owned(),
                false,
            );
        }
        (Some(cache_dir), false) => {
            match fetch::fetch_to(
                spec,
                cache_dir,
                &fetch::From::Network,
                &options.network,
                options.progress,
            ) {
                Ok(fetched) => {
                    let place = Place::find_in(spec, fetched.kind, &fetched.directory)?;
                    return finish(read_dataset(spec, &place.described(fetched.source))?, options);
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(Error::NoSource { tried, .. }) => search.tried.extend(tried),
                Err(error) => search.tried.push(error.to_string()),
            }
        }
    }
    match &spec.sample {
        Some(sample) if options.sample && !search.broken => {
            finish(read_dataset(spec, &Place::sample(sample))?, options)
        }
        _ => Err(search.into_error(spec)),
    }
}

/// The cache, the system's directory or the sample: what [`load`] would use without the network,
/// without reading it.
pub fn locate(spec: &DatasetSpec, options: &SourceOptions<'_>) -> Option<(SourceKind, Option<PathBuf>)> {
    let under = |kind, root: &Option<PathBuf>| {
        let directory = root.as_ref()?.join(spec.name);
        Place::find_in(spec, kind, &directory)
            .ok()
            .map(|_| (kind, Some(directory)))
    };
    if let Some(directory) = &options.data_dir {
        let place = Place::find_in(spec, SourceKind::DataDir, directory).ok()?;
        return Some((SourceKind::DataDir, place.directory));
    }
    under(SourceKind::Cache, &options.cache_dir)
        .or_else(|| under(SourceKind::System, &options.system_dir))
        .or_else(|| (options.sample && spec.sample.is_some()).then_some((SourceKind::Sample, None)))
}

fn finish(data: DataSet, options: &SourceOptions<'_>) -> Result<DataSet> {
    options.progress.event(&Event::Found {
        source: data.provenance.source.clone(),
    });
    if let Some(warning) = data.provenance.warning() {
        options.progress.event(&Event::Warning(warning));
    }
    Ok(data)
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

    fn into_error(self, spec: &DatasetSpec) -> Error {
        let names: Vec<&str> = spec.files.iter().map(|file| file.stem).collect();
        let remedy = format!(
            "fetch it with `d2l data fetch {0}` where there is a network, or name a directory that holds {1} \
             (plain or .gz) with --data-dir",
            spec.name,
            names.join(", ")
        );
        Error::NoSource {
            dataset: spec.title.to_owned(),
            tried: self.tried,
            remedy,
        }
    }
}

/// The four files of a data set by role, with what is needed to speak of each.
pub(crate) fn by_role<T>(files: &[T; 4]) -> impl Iterator<Item = (Role, &T)> {
    Role::ALL.into_iter().zip(files)
}

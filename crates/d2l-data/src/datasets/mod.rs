//! The data sets this crate knows: what they are, which files they have and where those are to be
//! had. Data, no code: a new data set of IDX files is one more entry in [`REGISTRY`], a new one of
//! CSV files in [`TABLES`]. [`DatasetEntry`] is one of either kind, for what does not care.

mod entry;
mod list;

pub use entry::{DatasetEntry, TableFile, TableSpec, entries, find_entry};
pub use list::{FASHION_MNIST, HOUSE_PRICES, MNIST};

use crate::error::{Error, Result};
use crate::image_set::DataSet;
use crate::source::{self, SourceOptions};

/// A data set of four IDX files.
#[derive(Clone, Debug)]
pub struct DatasetSpec {
    /// Its name, also of its subdirectory in a cache.
    pub name: &'static str,
    /// Other names that find it.
    pub aliases: &'static [&'static str],
    /// Its name as people write it.
    pub title: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// Where to read more.
    pub homepage: &'static str,
    /// The names of the classes, by label.
    pub class_names: &'static [&'static str],
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The files, in the order of [`Role::ALL`].
    pub files: [FileSpec; 4],
    /// Where it is on the Hugging Face Hub.
    pub hub: Option<HubSpec>,
    /// Addresses of directories that hold the files under their own names with `.gz`, ending in `/`.
    pub hosts: &'static [&'static str],
    /// A part of it inside this crate.
    pub sample: Option<SampleSpec>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Pictures to learn from.
    TrainImages,
    /// Their labels.
    TrainLabels,
    /// Pictures to judge by.
    TestImages,
    /// Their labels.
    TestLabels,
}

impl Role {
    /// All, in the order in which every list of four files in this crate is.
    pub const ALL: [Self; 4] = [
        Self::TrainImages,
        Self::TrainLabels,
        Self::TestImages,
        Self::TestLabels,
    ];

    /// Whether it holds pictures.
    pub fn is_images(self) -> bool {
        matches!(self, Self::TrainImages | Self::TestImages)
    }
}

/// One official file. Its content is known by the digest of the uncompressed IDX bytes, which any
/// copy has however it is compressed; the digest of the original gzip file only saves unpacking.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// Its name without `.gz`.
    pub stem: &'static str,
    /// The number of examples in it.
    pub examples: usize,
    /// SHA-256 of the uncompressed IDX content, in hexadecimal.
    pub sha256: &'static str,
    /// The size of the original gzip file.
    pub gzip_bytes: u64,
    /// SHA-256 of the original gzip file.
    pub gzip_sha256: &'static str,
}

/// A data set repository on the Hugging Face Hub, at one commit.
#[derive(Clone, Debug)]
pub struct HubSpec {
    /// `owner/name`.
    pub repository: &'static str,
    /// The commit, 40 hexadecimal digits: a branch could change under us.
    pub revision: &'static str,
    /// What the repository holds.
    pub files: HubFiles,
}

/// The form of a data set's files on the Hub.
#[derive(Clone, Debug)]
pub enum HubFiles {
    /// The IDX files themselves, in the order of [`Role::ALL`].
    Idx([&'static str; 4]),
    /// Parquet with the columns `image` (a struct with PNG `bytes`) and `label`.
    Parquet {
        /// The training split.
        train: ParquetFile,
        /// The test split.
        test: ParquetFile,
    },
}

/// A Parquet file on the Hub.
#[derive(Clone, Debug)]
pub struct ParquetFile {
    /// Its path in the repository.
    pub path: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
}

/// A part of a data set inside this crate.
#[derive(Clone, Debug)]
pub struct SampleSpec {
    /// What it is, in words.
    pub source: &'static str,
    /// The files, in the order of [`Role::ALL`].
    pub files: [&'static [u8]; 4],
    /// SHA-256 of their uncompressed IDX content.
    pub sha256: [&'static str; 4],
}

/// All data sets of pictures, in the order in which they are listed.
pub static REGISTRY: &[DatasetSpec] = &[FASHION_MNIST, MNIST];

/// All data sets of tables.
pub static TABLES: &[TableSpec] = &[HOUSE_PRICES];

/// The names of all data sets of pictures.
pub fn names() -> Vec<&'static str> {
    REGISTRY.iter().map(|spec| spec.name).collect()
}

/// The data set of pictures of this name or alias; case and `_` for `-` do not matter.
///
/// # Errors
/// [`Error::UnknownDataset`], with the nearest name and all known ones; [`Error::NotPictures`] for
/// the name of a table.
pub fn find(name: &str) -> Result<&'static DatasetSpec> {
    match find_entry(name) {
        Ok(DatasetEntry::Images(spec)) => Ok(spec),
        Ok(DatasetEntry::Table(spec)) => Err(Error::NotPictures {
            name: spec.name,
            known: names(),
        }),
        Err(error) => Err(error),
    }
}

/// Loads a data set by name from the first source that has it; see [`crate::source`] for the order.
///
/// # Errors
/// If the name is unknown, a file is broken, or no source has the data set.
pub fn load(name: &str, options: &SourceOptions<'_>) -> Result<DataSet> {
    source::load(find(name)?, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_find() {
        for name in ["fashion-mnist", "Fashion_MNIST", "fm", "FashionMNIST"] {
            assert_eq!(find(name).unwrap().name, "fashion-mnist");
        }
        assert_eq!(find("mnist").unwrap().name, "mnist");
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let message = find("fashion-mnits").unwrap_err().to_string();
        assert!(message.contains("did you mean `fashion-mnist`?"), "{message}");
        assert!(
            message.contains("known: fashion-mnist, mnist, house-prices"),
            "{message}"
        );
        let message = find("zebra-photographs").unwrap_err().to_string();
        assert!(!message.contains("did you mean"), "{message}");
    }

    #[test]
    fn a_table_is_no_data_set_of_pictures() {
        for name in ["house-prices", "House_Prices", "kaggle-house"] {
            assert_eq!(find_entry(name).unwrap().name(), "house-prices");
            let message = find(name).unwrap_err().to_string();
            assert!(message.contains("house-prices is a table"), "{message}");
            assert!(message.contains("fashion-mnist, mnist"), "{message}");
        }
    }

    #[test]
    fn every_entry_is_sound() {
        for entry in entries() {
            assert!(entry.official_files().iter().all(|file| file.sha256.len() == 64));
            let hosts = entry.hosts();
            assert!(
                hosts
                    .iter()
                    .all(|host| host.ends_with('/') && host.starts_with("http"))
            );
        }
        for spec in REGISTRY {
            for (file, role) in spec.files.iter().zip(Role::ALL) {
                assert!(file.gzip_sha256.len() == 64);
                assert_eq!(role.is_images(), file.stem.contains("images"));
            }
            if let Some(hub) = &spec.hub {
                assert_eq!(hub.revision.len(), 40);
                assert!(hub.revision.chars().all(|c| c.is_ascii_hexdigit()));
            }
        }
    }
}

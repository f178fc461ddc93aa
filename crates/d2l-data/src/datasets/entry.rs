//! A data set of any kind: pictures or a table.

use super::{DatasetSpec, REGISTRY, Role, TABLES};
use crate::error::{Error, Result};
use crate::official::OfficialFile;

/// A data set of two CSV files, one to learn from and one to judge by.
#[derive(Clone, Debug)]
pub struct TableSpec {
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
    /// The files: training, test.
    pub files: [TableFile; 2],
    /// Addresses of directories that hold the files under their own names, ending in `/`.
    pub hosts: &'static [&'static str],
    /// The whole of both files, gzip, inside this crate.
    pub inside: Option<[&'static [u8]; 2]>,
}

/// One official CSV file.
#[derive(Clone, Debug)]
pub struct TableFile {
    /// Its name.
    pub name: &'static str,
    /// Other names under which people have it.
    pub other_names: &'static [&'static str],
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
}

/// A data set of any kind.
#[derive(Clone, Copy, Debug)]
pub enum DatasetEntry<'a> {
    /// Pictures with labels, in four IDX files.
    Images(&'a DatasetSpec),
    /// A table, in two CSV files.
    Table(&'a TableSpec),
}

impl<'a> From<&'a DatasetSpec> for DatasetEntry<'a> {
    fn from(spec: &'a DatasetSpec) -> Self {
        Self::Images(spec)
    }
}

impl<'a> From<&'a TableSpec> for DatasetEntry<'a> {
    fn from(spec: &'a TableSpec) -> Self {
        Self::Table(spec)
    }
}

/// What is inside this crate of a data set.
pub(crate) struct Inside {
    /// In words.
    pub(crate) source: String,
    pub(crate) files: Vec<&'static [u8]>,
    /// SHA-256 of their uncompressed content.
    pub(crate) sha256: Vec<&'static str>,
    /// Whether it is all of it.
    pub(crate) whole: bool,
}

macro_rules! field {
    ($(#[$doc:meta])* $name:ident: $type:ty) => {
        $(#[$doc])*
        pub fn $name(&self) -> $type {
            match self {
                Self::Images(spec) => spec.$name,
                Self::Table(spec) => spec.$name,
            }
        }
    };
}

impl DatasetEntry<'_> {
    field! {
        /// Its name, also of its subdirectory in a cache.
        name: &'static str
    }
    field! {
        /// Other names that find it.
        aliases: &'static [&'static str]
    }
    field! {
        /// Its name as people write it.
        title: &'static str
    }
    field! {
        /// What it is, in a sentence.
        about: &'static str
    }
    field! {
        /// Its licence.
        licence: &'static str
    }
    field! {
        /// Where to read more.
        homepage: &'static str
    }
    field! {
        /// Addresses of directories that hold its files.
        hosts: &'static [&'static str]
    }

    pub(crate) fn official_files(&self) -> Vec<OfficialFile> {
        match self {
            Self::Images(spec) => Role::ALL
                .into_iter()
                .zip(&spec.files)
                .map(|(role, file)| OfficialFile::of_images(spec, role, file))
                .collect(),
            Self::Table(spec) => spec.files.iter().map(OfficialFile::of_table).collect(),
        }
    }

    pub(crate) fn inside(&self) -> Option<Inside> {
        match self {
            Self::Images(spec) => spec.sample.as_ref().map(|sample| Inside {
                source: sample.source.to_owned(),
                files: sample.files.to_vec(),
                sha256: sample.sha256.to_vec(),
                whole: false,
            }),
            Self::Table(spec) => spec.inside.map(|files| Inside {
                source: format!("the copy of {} inside d2l-data", spec.title),
                files: files.to_vec(),
                sha256: spec.files.each_ref().map(|file| file.sha256).to_vec(),
                whole: true,
            }),
        }
    }
}

/// All data sets, of pictures and of tables, in the order in which they are listed.
pub fn entries() -> impl Iterator<Item = DatasetEntry<'static>> {
    let images = REGISTRY.iter().map(DatasetEntry::Images);
    images.chain(TABLES.iter().map(DatasetEntry::Table))
}

/// The data set of this name or alias, of any kind; case and `_` for `-` do not matter.
///
/// # Errors
/// [`Error::UnknownDataset`], with the nearest name and all known ones.
pub fn find_entry(name: &str) -> Result<DatasetEntry<'static>> {
    let wanted = name.to_lowercase().replace('_', "-");
    let is_named = |candidate: &str| candidate.replace('_', "-") == wanted;
    entries()
        .find(|entry| is_named(entry.name()) || entry.aliases().iter().any(|alias| is_named(alias)))
        .ok_or_else(|| Error::UnknownDataset {
            name: name.to_owned(),
            nearest: nearest(&wanted),
            known: entries().map(|entry| entry.name()).collect(),
        })
}

fn nearest(wanted: &str) -> Option<&'static str> {
    let all = entries().flat_map(|entry| {
        std::iter::once(entry.name())
            .chain(entry.aliases().iter().copied())
            .map(move |name| (name, entry.name()))
    });
    let (distance, name) = all
        .map(|(name, target)| (strsim::levenshtein(wanted, name), target))
        .min_by_key(|&(distance, _)| distance)?;
    (distance <= 2.max(wanted.chars().count() / 3)).then_some(name)
}

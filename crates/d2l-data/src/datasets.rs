//! The data sets this crate knows: what they are, which files they have and where those are to be
//! had. Data, no code: a new data set of IDX files is one more entry in [`REGISTRY`].

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

/// All data sets, in the order in which they are listed.
pub static REGISTRY: &[DatasetSpec] = &[FASHION_MNIST, MNIST];

/// Zalando's clothes. The IDX digests are of the content of Debian's package
/// `dataset-fashion-mnist`; the gzip digests belong to the MD5 sums on the project's page.
pub const FASHION_MNIST: DatasetSpec = DatasetSpec {
    name: "fashion-mnist",
    aliases: &["fm", "fmnist", "fashion", "fashion_mnist", "fashionmnist"],
    title: "Fashion-MNIST",
    about: "70,000 grey pictures, 28×28, of clothes in 10 classes",
    licence: "MIT, Copyright 2017 Zalando SE",
    homepage: "https://github.com/zalandoresearch/fashion-mnist",
    class_names: &[
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ],
    shape: [1, 28, 28],
    files: [
        FileSpec {
            stem: "train-images-idx3-ubyte",
            examples: 60_000,
            sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            gzip_bytes: 26_421_880,
            gzip_sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        },
        FileSpec {
            stem: "train-labels-idx1-ubyte",
            examples: 60_000,
            sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            gzip_bytes: 29_515,
            gzip_sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        },
        FileSpec {
            stem: "t10k-images-idx3-ubyte",
            examples: 10_000,
            sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            gzip_bytes: 4_422_102,
            gzip_sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        },
        FileSpec {
            stem: "t10k-labels-idx1-ubyte",
            examples: 10_000,
            sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            gzip_bytes: 5_148,
            gzip_sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ],
    hub: Some(HubSpec {
        repository: "zalando-datasets/fashion_mnist",
        revision: "7ef1216ad86ef4618d6d23cc3ac90be00aa9aa15",
        files: HubFiles::Parquet {
            train: ParquetFile {
                path: "fashion_mnist/train/0000.parquet",
                bytes: 30_931_277,
                sha256: "a5769a70af055b15ada8bd3dad9057557554fdd30e17cba45e7ef0f8bf79c5bb",
            },
            test: ParquetFile {
                path: "fashion_mnist/test/0000.parquet",
                bytes: 5_175_617,
                sha256: "fb36d8b5b74a491bce99357dcee62a32d347a356ea2a35d1c9057e7a7435ca5a",
            },
        },
    }),
    hosts: &[
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ],
    sample: Some(SampleSpec {
        source: "the sample of Fashion-MNIST inside d2l-data: 3,500 of 60,000 training and 1,000 of 10,000 test \
                 pictures",
        files: [
            include_bytes!("../sample/train-images-idx3-ubyte.gz"),
            include_bytes!("../sample/train-labels-idx1-ubyte.gz"),
            include_bytes!("../sample/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../sample/t10k-labels-idx1-ubyte.gz"),
        ],
        sha256: [
            "9d7da3e8b71e81e7263643bf28d40fc976c9461be0fb245f94428e4b12f851c1",
            "c1ca2e6e88ad0f1c5c47dff7d7c93aab8cd726a4940837d4e87bc3d33e90ceb6",
            "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef",
            "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909",
        ],
    }),
};

/// The hand-written digits.
pub const MNIST: DatasetSpec = DatasetSpec {
    name: "mnist",
    aliases: &["digits"],
    title: "MNIST",
    about: "70,000 grey pictures, 28×28, of hand-written digits",
    licence: "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    homepage: "http://yann.lecun.com/exdb/mnist/",
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    shape: [1, 28, 28],
    files: [
        FileSpec {
            stem: "train-images-idx3-ubyte",
            examples: 60_000,
            sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            gzip_bytes: 9_912_422,
            gzip_sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        },
        FileSpec {
            stem: "train-labels-idx1-ubyte",
            examples: 60_000,
            sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            gzip_bytes: 28_881,
            gzip_sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        },
        FileSpec {
            stem: "t10k-images-idx3-ubyte",
            examples: 10_000,
            sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            gzip_bytes: 1_648_877,
            gzip_sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        },
        FileSpec {
            stem: "t10k-labels-idx1-ubyte",
            examples: 10_000,
            sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            gzip_bytes: 4_542,
            gzip_sha256: "f7ae60f92e00ed6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ],
    hub: Some(HubSpec {
        repository: "dmitva/the-mnist-database",
        revision: "7f936b52eb9730084a2b45ded636f6b90aabf30b",
        files: HubFiles::Idx([
            "train-images.idx3-ubyte",
            "train-labels.idx1-ubyte",
            "t10k-images.idx3-ubyte",
            "t10k-labels.idx1-ubyte",
        ]),
    }),
    hosts: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ],
    sample: None,
};

/// The names of all data sets.
pub fn names() -> Vec<&'static str> {
    REGISTRY.iter().map(|spec| spec.name).collect()
}

/// The data set of this name or alias; case and `_` for `-` do not matter.
///
/// # Errors
/// [`Error::UnknownDataset`], with the nearest name and all known ones.
pub fn find(name: &str) -> Result<&'static DatasetSpec> {
    let wanted = name.to_lowercase().replace('_', "-");
    let is_named = |candidate: &str| candidate.replace('_', "-") == wanted;
    let found = REGISTRY
        .iter()
        .find(|spec| is_named(spec.name) || spec.aliases.iter().any(|a| is_named(a)));
    found.ok_or_else(|| Error::UnknownDataset {
        name: name.to_owned(),
        nearest: nearest(&wanted),
        known: names(),
    })
}

fn nearest(wanted: &str) -> Option<&'static str> {
    let all = REGISTRY.iter().flat_map(|spec| {
        std::iter::once(spec.name)
            .chain(spec.aliases.iter().copied())
            .map(move |name| (name, spec.name))
    });
    let (distance, name) = all
        .map(|(name, target)| (strsim::levenshtein(wanted, name), target))
        .min_by_key(|&(distance, _)| distance)?;
    (distance <= 2.max(wanted.chars().count() / 3)).then_some(name)
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
        assert!(message.contains("known: fashion-mnist, mnist"), "{message}");
        let message = find("zebra-photographs").unwrap_err().to_string();
        assert!(!message.contains("did you mean"), "{message}");
    }

    #[test]
    fn every_entry_is_sound() {
        for spec in REGISTRY {
            assert!(
                spec.hosts
                    .iter()
                    .all(|host| host.ends_with('/') && host.starts_with("http"))
            );
            for (file, role) in spec.files.iter().zip(Role::ALL) {
                assert!(file.sha256.len() == 64 && file.gzip_sha256.len() == 64);
                assert_eq!(role.is_images(), file.stem.contains("images"));
            }
            if let Some(hub) = &spec.hub {
                assert_eq!(hub.revision.len(), 40);
                assert!(hub.revision.chars().all(|c| c.is_ascii_hexdigit()));
            }
        }
    }
}

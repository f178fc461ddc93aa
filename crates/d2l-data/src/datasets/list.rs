//! The data sets themselves.

use super::{DatasetSpec, FileSpec, HubFiles, HubSpec, ParquetFile, SampleSpec, TableFile, TableSpec};

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
            include_bytes!("../../sample/fashion-mnist/train-images-idx3-ubyte.gz"),
            include_bytes!("../../sample/fashion-mnist/train-labels-idx1-ubyte.gz"),
            include_bytes!("../../sample/fashion-mnist/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../../sample/fashion-mnist/t10k-labels-idx1-ubyte.gz"),
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
    sample: Some(SampleSpec {
        source: "the sample of MNIST inside d2l-data: 2,000 of 60,000 training and 500 of 10,000 test pictures",
        files: [
            include_bytes!("../../sample/mnist/train-images-idx3-ubyte.gz"),
            include_bytes!("../../sample/mnist/train-labels-idx1-ubyte.gz"),
            include_bytes!("../../sample/mnist/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../../sample/mnist/t10k-labels-idx1-ubyte.gz"),
        ],
        sha256: [
            "04f1a442a46ecdc540275b8172f4bef2501e93471d3fa9dc2f32e3d61d57994f",
            "b33749c7c2e9d2f4c1bf83eabba5701e22d5f0f34c40627c5eaeeffeb374ba82",
            "d8cf2835de2805c4940fd941fef8d35816d770b6cdd3f420f21dde7ac58e37a6",
            "817dc521d96524abf527df2fe023851ad9285150eabb56e6ed2ec1484f8d6e31",
        ],
    }),
};

/// The house prices of Ames, Iowa, in the form and split of Kaggle's competition. The book knows the
/// files by their SHA-1: 585e9cc93e70b39160e7921475f9bcd7d31219ce (training) and
/// fa19780a7b011d9b009e8bff8e99922a8ee2eb90 (test); the SHA-256 here are those of the same files.
pub const HOUSE_PRICES: TableSpec = TableSpec {
    name: "house-prices",
    aliases: &["kaggle-house", "kaggle-house-prices", "houses", "ames"],
    title: "House prices",
    about: "2,919 houses sold in Ames, Iowa: 79 facts about each, 1,460 with the price",
    licence: "published for teaching, Dean De Cock 2011",
    homepage: "http://jse.amstat.org/v19n3/decock.pdf",
    files: [
        TableFile {
            name: "kaggle_house_pred_train.csv",
            other_names: &["train.csv"],
            bytes: 460_676,
            sha256: "1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
        },
        TableFile {
            name: "kaggle_house_pred_test.csv",
            other_names: &["test.csv"],
            bytes: 451_405,
            sha256: "8fdd3d829d4d986b58f845c9553b225e67dd8383624d90fb6ca1d4bed5798c1e",
        },
    ],
    hosts: &["http://d2l-data.s3-accelerate.amazonaws.com/"],
    inside: Some([
        include_bytes!("../../sample/house-prices/kaggle_house_pred_train.csv.gz"),
        include_bytes!("../../sample/house-prices/kaggle_house_pred_test.csv.gz"),
    ]),
};

//! Loading from directories, from the system's package and from the sample; and every way in
//! which a directory can be wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use candle_core::DType;
use d2l_data::source::{SYSTEM_DIR, load, locate};
use d2l_data::{Error, SourceKind, SourceOptions, Split, datasets};
use support::{Recorder, SIDE, STEMS, TRAIN, contents, directory, gzip, idx, nowhere, spec};

#[test]
fn with_nothing_anywhere_the_sample_is_used_and_says_so() {
    let progress = Recorder::default();
    let options = SourceOptions {
        progress: &progress,
        ..nowhere()
    };
    let data = datasets::load("fashion-mnist", &options).unwrap();
    assert!(data.provenance.is_sample && !data.provenance.is_official());
    assert_eq!(data.provenance.kind, SourceKind::Sample);
    assert!(
        progress.text().contains("warning: the sample of Fashion-MNIST"),
        "{}",
        progress.text()
    );
    assert_eq!((data.train.len(), data.test.len()), (3500, 1000));
    assert_eq!(data.train.class_counts(), [350; 10]);
    assert_eq!(data.split(Split::Test).class_counts(), [100; 10]);
    assert_eq!(data.class_names()[9], "ankle boot");
    assert_eq!(
        locate(&datasets::FASHION_MNIST, &options),
        Some((SourceKind::Sample, None))
    );

    let error = datasets::load(
        "fashion-mnist",
        &SourceOptions {
            sample: false,
            ..nowhere()
        },
    );
    assert!(matches!(error, Err(Error::NoSource { .. })));
}

#[test]
fn the_sample_of_mnist_is_of_digits() {
    let data = datasets::load("mnist", &nowhere()).unwrap();
    assert!(data.provenance.is_sample && data.provenance.warning().unwrap().contains("the sample of MNIST"));
    assert_eq!(data.train.class_counts(), [200; 10]);
    assert_eq!(data.test.class_counts(), [50; 10]);
    // A one has less ink than a zero.
    let ink = |digit: u32| -> u64 {
        let pictures = (0..data.train.len()).filter_map(|index| data.train.image(index));
        let of_digit = pictures.filter(|(_, label)| *label == digit);
        of_digit
            .flat_map(|(pixels, _)| pixels)
            .map(|&pixel| u64::from(pixel))
            .sum()
    };
    assert!(ink(1) * 3 < ink(0) * 2, "{} {}", ink(1), ink(0));
}

#[test]
fn without_a_sample_the_error_gives_the_remedy() {
    let options = SourceOptions {
        sample: false,
        ..nowhere()
    };
    let error = datasets::load("mnist", &options).unwrap_err().to_string();
    for expected in [
        "MNIST could not be had",
        "offline",
        "d2l data fetch mnist",
        "--data-dir",
    ] {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_system_package_is_the_official_data_set() {
    if !Path::new(SYSTEM_DIR).join("fashion-mnist").is_dir() {
        eprintln!("skipped: dataset-fashion-mnist is not installed here");
        return;
    }
    let options = SourceOptions {
        offline: true,
        ..SourceOptions::default()
    };
    let data = datasets::load("fm", &options).unwrap();
    assert_eq!(data.provenance.kind, SourceKind::System);
    assert!(data.provenance.is_official());
    assert_eq!(data.provenance.warning(), None);
    assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
    assert_eq!(data.train.class_counts(), [6000; 10]);
    // The first training picture is an ankle boot.
    assert_eq!(data.train.image(0).unwrap().1, 9);

    // The sample is what its script says: the first 350 and 100 of each class, in file order.
    let sample = datasets::load("fm", &nowhere()).unwrap();
    for (split, per_class) in [(Split::Train, 350), (Split::Test, 100)] {
        let full = data.split(split);
        let mut taken = [0; 10];
        let chosen: Vec<usize> = (0..full.len())
            .filter(|&i| {
                let class = &mut taken[usize::from(full.labels()[i])];
                *class += 1;
                *class <= per_class
            })
            .collect();
        assert_eq!(full.subset(&chosen).unwrap(), **sample.split(split));
    }
}

#[test]
fn plain_or_packed_flat_or_in_a_subdirectory() {
    let inner = tempfile::tempdir().unwrap();
    std::fs::create_dir(inner.path().join("tiny")).unwrap();
    for (stem, content) in STEMS.iter().zip(contents()) {
        let name = format!("tiny/{}", stem.replace("-idx", ".idx"));
        std::fs::write(inner.path().join(name), content).unwrap();
    }
    let mut digests = Vec::new();
    for directory in [directory(true, |_| {}), directory(false, |_| {}), inner] {
        let options = SourceOptions {
            data_dir: Some(directory.path().to_owned()),
            ..nowhere()
        };
        let data = load(&spec(None), &options).unwrap();
        assert_eq!(data.provenance.kind, SourceKind::DataDir);
        assert!(data.provenance.is_official());
        assert_eq!(data.train.len(), TRAIN);
        assert_eq!(data.train.shape(), [1, SIDE, SIDE]);
        digests.push(data.provenance.digest());
    }
    assert!(
        digests
            .iter()
            .all(|digest| *digest == digests[0] && digest.len() == 16),
        "{digests:?}"
    );
}

#[test]
fn a_directory_of_ones_own_may_hold_other_data_and_says_so() {
    let mut labels = contents()[1].clone();
    *labels.last_mut().unwrap() = 1;
    let directory = directory(true, |path| {
        std::fs::write(path.join(format!("{}.gz", STEMS[1])), gzip(&labels, 6)).unwrap();
    });
    let options = SourceOptions {
        data_dir: Some(directory.path().to_owned()),
        ..nowhere()
    };
    let data = load(&spec(None), &options).unwrap();
    assert!(
        data.provenance
            .warning()
            .unwrap()
            .contains("train-labels-idx1-ubyte")
    );

    // In a cache the same file is damage.
    let cache = tempfile::tempdir().unwrap();
    std::fs::rename(directory.path(), cache.path().join("tiny")).unwrap();
    let error = load(
        &spec(None),
        &SourceOptions {
            cache_dir: Some(cache.path().to_owned()),
            ..nowhere()
        },
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("is official"), "{error}");
}

#[test]
fn missing_files_are_named() {
    let directory = directory(true, |path| {
        std::fs::remove_file(path.join(format!("{}.gz", STEMS[2]))).unwrap()
    });
    let options = SourceOptions {
        data_dir: Some(directory.path().to_owned()),
        ..nowhere()
    };
    let error = load(&spec(None), &options).unwrap_err().to_string();
    assert!(error.contains("missing t10k-images-idx3-ubyte;"), "{error}");
    let options = SourceOptions {
        data_dir: Some("/does/not/exist".into()),
        ..nowhere()
    };
    let error = load(&spec(None), &options).unwrap_err().to_string();
    assert!(error.starts_with("/does/not/exist:"), "{error}");
}

/// Replaces one file of the tiny data set; gives the message, which must name the file.
fn spoiled(position: usize, content: &[u8]) -> String {
    let name = format!("{}.gz", STEMS[position]);
    let directory = directory(true, |path| std::fs::write(path.join(&name), content).unwrap());
    let options = SourceOptions {
        data_dir: Some(directory.path().to_owned()),
        ..nowhere()
    };
    let message = load(&spec(None), &options).unwrap_err().to_string();
    assert!(
        message.starts_with(&directory.path().join(&name).display().to_string()),
        "{message}"
    );
    assert!(message.contains("; replace it with an intact copy"), "{message}");
    message
}

#[test]
fn every_spoiled_file_gives_an_error_that_names_it() {
    let contents = contents();
    let packed = |content: &[u8]| gzip(content, 6);
    let check = |position, content: &[u8], expected: &str| {
        let message = spoiled(position, content);
        assert!(message.contains(expected), "expected {expected}: {message}");
    };
    check(0, b"", "the file is empty");
    check(
        0,
        &packed(&contents[0])[..100],
        "the gzip stream is damaged or cut off",
    );
    check(
        0,
        &contents[0][..100],
        "cut off: the header claims 1080 bytes of data",
    );
    check(0, &contents[0][..7], "the header is cut off after 7 bytes");
    check(0, &packed(&contents[1]), "holds labels");
    check(1, &packed(&contents[0]), "holds images");
    check(1, &packed(&contents[3]), "holds 20 labels for the 30 images");
    check(
        0,
        &packed(&[&contents[0][..], &[0]].concat()),
        "bytes after the 1080",
    );
    check(
        1,
        &packed(&idx(&[TRAIN], vec![3; TRAIN])),
        "example 0 has label 3, there are 3 classes",
    );
    check(
        0,
        &packed(&idx(&[TRAIN, 5, 5], vec![0; TRAIN * 25])),
        "holds 5×5 pictures, Tiny has 6×6",
    );
    check(0, b"<!DOCTYPE html><html></html>", "looks like a web page");
    check(0, b"PK\x03\x04rest", "zip archive");
    check(1, &[0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0], "32-bit floats");
    let mut corrupt = packed(&contents[0]);
    let last = corrupt.len() - 6;
    corrupt[last] ^= 1;
    check(0, &corrupt, "the gzip stream is damaged or cut off");
    let oversized = [&[0, 0, 8, 3], &[0xff; 12][..], &[1; 50][..]].concat();
    check(0, &oversized, "the header claims");
    check(2, &packed(&oversized), "the header claims");
}

/// The same numbers as the reader of candle-datasets, but for its multiplication by 1/255.
#[test]
fn agrees_with_candle_datasets() {
    let directory = directory(false, |_| {});
    let theirs = candle_datasets::vision::mnist::load_dir(directory.path()).unwrap();
    let options = SourceOptions {
        data_dir: Some(directory.path().to_owned()),
        ..nowhere()
    };
    let ours = load(&spec(None), &options).unwrap();
    for (set, images, labels) in [
        (&ours.train, &theirs.train_images, &theirs.train_labels),
        (&ours.test, &theirs.test_images, &theirs.test_labels),
    ] {
        let images = images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(images.len(), set.pixels().len());
        for (&theirs, &ours) in images.iter().zip(set.pixels()) {
            assert!((theirs - f32::from(ours) / 255.0).abs() <= f32::EPSILON);
        }
        let labels = labels.to_dtype(DType::U32).unwrap().to_vec1::<u32>().unwrap();
        assert!(
            labels
                .iter()
                .zip(set.labels())
                .all(|(&theirs, &ours)| theirs == u32::from(ours))
        );
    }
}

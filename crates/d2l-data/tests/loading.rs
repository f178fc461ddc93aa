//! Loading from directories and from the sample.

use std::path::Path;

use d2l_data::{SourceKind, SourceOptions, Split, datasets};

fn nowhere() -> SourceOptions<'static> {
    SourceOptions {
        system_dir: None,
        offline: true,
        ..SourceOptions::default()
    }
}

#[test]
fn with_nothing_anywhere_the_sample_is_used_and_says_so() {
    let data = datasets::load("fashion-mnist", &nowhere()).unwrap();
    assert!(data.provenance.is_sample);
    assert_eq!(data.provenance.kind, SourceKind::Sample);
    assert!(data.provenance.warning().unwrap().contains("sample"));
    assert_eq!((data.train.len(), data.test.len()), (3500, 1000));
    assert_eq!(data.train.class_counts(), [350; 10]);
    assert_eq!(data.split(Split::Test).class_counts(), [100; 10]);
    assert_eq!(data.class_names()[9], "ankle boot");
}

#[test]
fn without_a_sample_the_error_gives_the_remedy() {
    let error = datasets::load("mnist", &nowhere()).unwrap_err().to_string();
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
    if !Path::new("/usr/share/datasets/fashion-mnist").is_dir() {
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
}

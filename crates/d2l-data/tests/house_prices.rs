//! The house prices against pandas, from every source, and every way in which the files can be wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use candle_core::Device;
use d2l_data::datasets::{HOUSE_PRICES, TableFile, TableSpec};
use d2l_data::fetch::{From, fetch_to};
use d2l_data::source::locate;
use d2l_data::table::{Numbers, Table};
use d2l_data::{Error, HousePrices, Network, Silent, SourceKind, SourceOptions, house_prices};
use support::server::{Answer, Server};
use support::{Recorder, files_under, leak, nowhere, sha256};

fn golden(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    Table::read_file(&path).unwrap()
}

#[test]
fn features_are_those_of_pandas() {
    let houses = house_prices::load(&nowhere()).unwrap();
    let features = houses.features();
    assert_eq!((features.rows(), features.names().len()), (2919, 331));
    let columns = golden("house_prices_columns.csv");
    let names: Vec<String> = columns.cells("name").unwrap().iter().flatten().cloned().collect();
    assert_eq!(features.names(), names);

    let [sums, squares, by_row] =
        ["sum", "squares", "by_row"].map(|name| columns.complete_numbers(name).unwrap());
    for (column, name) in names.iter().enumerate() {
        let (mut sum, mut square, mut weighted) = (0.0, 0.0, 0.0);
        for row in 0..features.rows() {
            let x = f64::from(features.row(row).unwrap()[column]);
            sum += x;
            square += x * x;
            weighted += x * (row + 1) as f64;
        }
        // The values are rounded to f32, a relative 6e-8 each.
        assert!((sum - sums[column]).abs() < 1e-3, "{name}: {sum}");
        assert!((square - squares[column]).abs() < 1e-3, "{name}: {square}");
        assert!((weighted - by_row[column]).abs() < 1.0, "{name}: {weighted}");
    }
    let rows = golden("house_prices_rows.csv");
    for (index, &row) in rows.complete_numbers("row").unwrap().iter().enumerate() {
        for (column, found) in features.row(row as usize).unwrap().iter().enumerate() {
            let expected = rows.complete_numbers(&format!("f{column}")).unwrap()[index];
            assert!(
                (f64::from(*found) - expected).abs() < 1e-6,
                "row {row}, {}",
                names[column]
            );
        }
    }
    assert_eq!(houses.prices()[..3], [208_500.0, 181_500.0, 223_500.0]);
    assert_eq!((houses.test_ids()[0], houses.test_ids()[1458]), (1461, 2919));
    let (xs, ys) = houses.train(&Device::Cpu).unwrap();
    assert_eq!(
        (xs.dims2().unwrap(), ys.dims2().unwrap()),
        ((1460, 331), (1460, 1))
    );
    let test = houses.test(&Device::Cpu).unwrap();
    assert_eq!(test.dims2().unwrap(), (1459, 331));
    assert_eq!(
        test.get(0).unwrap().to_vec1::<f32>().unwrap(),
        features.row(1460).unwrap()
    );
}

#[test]
fn the_copy_inside_is_the_official_one_and_no_sample() {
    let progress = Recorder::default();
    let options = SourceOptions {
        progress: &progress,
        ..nowhere()
    };
    let houses = house_prices::load(&options).unwrap();
    assert_eq!(houses.provenance.kind, SourceKind::Inside);
    assert!(houses.provenance.is_official() && houses.provenance.warning().is_none());
    assert!(!progress.text().contains("warning"), "{}", progress.text());
    assert_eq!(locate(&HOUSE_PRICES, &options), Some((SourceKind::Inside, None)));
    let none = SourceOptions {
        sample: false,
        ..nowhere()
    };
    assert!(matches!(house_prices::load(&none), Err(Error::NoSource { .. })));
}

#[test]
fn a_submission_is_what_kaggle_takes() {
    let houses = house_prices::load(&nowhere()).unwrap();
    let text = houses.submission(&vec![123_456.5; 1459]).unwrap();
    assert!(
        text.starts_with("Id,SalePrice\n1461,123456.5\n1462,"),
        "{}",
        &text[..40]
    );
    assert_eq!(text.lines().count(), 1460);
    assert!(
        houses
            .submission(&[1.0])
            .unwrap_err()
            .to_string()
            .contains("1459 test houses")
    );
    assert!(
        houses
            .submission(&vec![f32::NAN; 1459])
            .unwrap_err()
            .to_string()
            .contains("house 1461")
    );
}

const TRAIN: &str = "Id,Area,Street,SalePrice\n1,10,Pave,100\n2,NA,Grvl,200\n3,30,NA,300\n";
const TEST: &str = "Id,Area,Street\n4,20,Pave\n5,40,Mud\n";

fn in_folder(train: &str, test: &str) -> d2l_data::Result<HousePrices> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.csv"), train).unwrap();
    std::fs::write(folder.path().join("test.csv"), test).unwrap();
    let options = SourceOptions {
        data_dir: Some(folder.path().to_owned()),
        ..nowhere()
    };
    house_prices::load(&options).inspect(|houses| {
        let warning = houses.provenance.warning().unwrap();
        assert!(warning.contains("not the official files"), "{warning}");
    })
}

#[test]
fn a_folder_of_ones_own_is_read_under_kaggles_names() {
    let houses = in_folder(TRAIN, TEST).unwrap();
    let names = ["Area", "Street_Grvl", "Street_Mud", "Street_Pave", "Street_nan"];
    assert_eq!(houses.features().names(), names);
    assert_eq!(houses.features().row(1).unwrap(), [0., 1., 0., 0., 0.]);
    assert_eq!(houses.test_ids(), [4, 5]);
}

#[test]
fn broken_files_are_named_with_line_and_column() {
    for (train, test, parts) in [
        (&TRAIN[..60], TEST, &["train.csv", "line 4", "cut off"][..]),
        (
            &TRAIN.replace("200", "dear"),
            TEST,
            &["train.csv", "line 3", "`SalePrice`", "`dear`"],
        ),
        (
            &TRAIN.replace(",200", ","),
            TEST,
            &["line 3", "`SalePrice`", "no value"],
        ),
        (
            &TRAIN.replace("200", "-1"),
            TEST,
            &["line 3", "`SalePrice`", "above 0"],
        ),
        (
            &TRAIN.replace("SalePrice", "Price"),
            TEST,
            &["train.csv", "`SalePrice`", "no such column"],
        ),
        (TRAIN, &TEST.replace("Id", "Number"), &["test.csv", "`Id`"]),
        (
            TRAIN,
            &TEST.replace("\n5,", "\n5.5,"),
            &["test.csv", "line 3", "`Id`", "whole number"],
        ),
        (
            TRAIN,
            &TEST.replace("Street", "Road"),
            &["test.csv", "`Road`", "`Street`"],
        ),
        ("", TEST, &["train.csv", "empty"]),
        (TRAIN, "<html>", &["test.csv"]),
    ] {
        let message = in_folder(train, test).unwrap_err().to_string();
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{parts:?}: {message}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let options = SourceOptions {
        data_dir: Some(folder.path().to_owned()),
        ..nowhere()
    };
    let message = house_prices::load(&options).unwrap_err().to_string();
    assert!(
        message.contains("missing kaggle_house_pred_train.csv"),
        "{message}"
    );
}

/// A gzip file of a few kilobytes that unfolds to more than a table may have.
#[test]
fn a_decompression_bomb_is_refused() {
    let bomb = support::gzip(&vec![b'1'; 65 << 20], 9);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.csv.gz"), &bomb).unwrap();
    std::fs::write(folder.path().join("test.csv"), TEST).unwrap();
    let options = SourceOptions {
        data_dir: Some(folder.path().to_owned()),
        ..nowhere()
    };
    let message = house_prices::load(&options).unwrap_err().to_string();
    assert!(
        message.contains("train.csv.gz") && message.contains("64 MiB"),
        "{message}"
    );
}

/// No Hub; the time-outs of a user, which a busy machine does not reach.
fn patient() -> Network {
    Network {
        hub_endpoint: None,
        ..Network::default()
    }
}

/// The small tables, on `host`.
fn small(host: &str) -> TableSpec {
    let file = |name, content: &'static str| TableFile {
        name,
        other_names: &[],
        bytes: content.len() as u64,
        sha256: sha256(content.as_bytes()),
    };
    TableSpec {
        name: "small-houses",
        files: [file("small_train.csv", TRAIN), file("small_test.csv", TEST)],
        hosts: vec![leak(host.to_owned())].leak(),
        inside: None,
        ..HOUSE_PRICES
    }
}

#[test]
fn files_are_fetched_whole_and_official_or_not_at_all() {
    let good = |train: &str| {
        [("small_train.csv", train), ("small_test.csv", TEST)]
            .map(|(name, text)| (name.to_owned(), Answer::Content(text.into())))
            .to_vec()
    };
    let server = Server::start(good(TRAIN));
    let cache = tempfile::tempdir().unwrap();
    let fetch = |spec: &TableSpec| fetch_to(spec, cache.path(), &From::Network, &patient(), &Silent);
    let fetched = fetch(&small(&server.base)).unwrap();
    assert_eq!(fetched.kind, SourceKind::Host);
    assert_eq!(
        std::fs::read_to_string(fetched.directory.join("small_train.csv")).unwrap(),
        TRAIN
    );
    let asked = server.requests().len();
    assert_eq!(fetch(&small(&server.base)).unwrap().kind, SourceKind::Cache);
    assert_eq!(server.requests().len(), asked, "nothing is asked the second time");

    let server = Server::start(good(&TRAIN.replace("100", "101")));
    let cache = tempfile::tempdir().unwrap();
    let error = fetch_to(
        &small(&server.base),
        cache.path(),
        &From::Network,
        &patient(),
        &Silent,
    )
    .unwrap_err();
    assert!(error.to_string().contains("not the official one"), "{error}");
    let names: Vec<_> = files_under(cache.path());
    assert_eq!(names.len(), 1, "the good file alone: {names:?}");
}

/// A file in the cache that has gone bad is no reason to take the copy inside without a word.
#[test]
fn a_broken_cache_is_an_error() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("house-prices");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("kaggle_house_pred_train.csv"), TRAIN).unwrap();
    std::fs::write(folder.join("kaggle_house_pred_test.csv"), TEST).unwrap();
    let options = SourceOptions {
        cache_dir: Some(cache.path().to_owned()),
        ..nowhere()
    };
    let error = house_prices::load(&options).unwrap_err().to_string();
    assert!(
        error.contains("SHA-256") && error.contains("d2l data fetch house-prices"),
        "{error}"
    );
}

#[test]
fn a_table_of_both_kinds_keeps_the_order_of_pandas() {
    let table = Table::read(TRAIN.as_bytes(), "t.csv").unwrap();
    let names = table.features(Numbers::MeanFilled).unwrap().names().to_vec();
    assert_eq!(
        names,
        [
            "Id",
            "Area",
            "SalePrice",
            "Street_Grvl",
            "Street_Pave",
            "Street_nan"
        ]
    );
}

//! Where data comes from, and data that is broken.

use crate::Place;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// An IDX file of bytes: `count` items of the given shape, all of one value below 10.
fn idx(shape: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|n| n.to_be_bytes()));
    let items: u32 = shape.iter().product();
    bytes.extend((0..items).map(|i| (i % 10) as u8));
    bytes
}

fn own_data(place: &Place) {
    std::fs::create_dir_all(place.path("own")).unwrap();
    for (name, shape) in FILES.iter().zip([&[40, 28, 28][..], &[40], &[20, 28, 28], &[20]]) {
        std::fs::write(place.path("own").join(name), idx(shape)).unwrap();
    }
}

#[test]
fn a_folder_of_the_users_own_is_used_and_remembered() {
    let place = Place::new();
    own_data(&place);
    let words = [
        "train",
        "softmax",
        "--data-dir",
        "own",
        "--epochs",
        "1",
        "--batch-size",
        "16",
    ];
    let done = place.ok(&words);
    assert!(
        done.stderr.contains("40 training and 20 test examples"),
        "{}",
        done.stderr
    );
    // The run knows its folder: no option is needed to evaluate or to go on.
    assert_eq!(place.json(&["eval", "softmax"])["examples"], 20);
    place.ok(&["train", "--resume", "softmax", "--epochs", "2"]);
    let shown = place.json(&[
        "show",
        "mnist",
        "--data-dir",
        "own",
        "--count",
        "9",
        "-o",
        "grid.png",
    ]);
    assert_eq!(shown["shown"], 9);
    assert!(image::open(place.path("grid.png")).is_ok());
}

#[test]
fn broken_files_are_named() {
    let place = Place::new();
    let train = ["train", "softmax", "--data-dir", "own", "--epochs", "1"];
    let broken: [(&str, usize, Vec<u8>); 4] = [
        ("truncated", 0, idx(&[40, 28, 28])[..500].to_vec()),
        ("empty", 2, Vec::new()),
        ("labels as images", 0, idx(&[40])),
        (
            "a header of far too many",
            0,
            [&[0, 0, 8, 3][..], &[0xff; 12]].concat(),
        ),
    ];
    for (what, file, bytes) in broken {
        own_data(&place);
        std::fs::write(place.path("own").join(FILES[file]), bytes).unwrap();
        let message = place.fails(1, &train);
        assert!(message.contains(FILES[file]), "{what}: {message}");
        assert!(!place.path("runs").exists(), "{what}");
    }
    std::fs::remove_file(place.path("own").join(FILES[1])).unwrap();
    let message = place.fails(1, &train);
    assert!(message.contains(FILES[1]) && message.contains("own"), "{message}");
}

#[test]
fn data_says_what_is_here() {
    let place = Place::new();
    let all = place.json(&["data"]);
    let fashion = &all.as_array().unwrap()[0];
    assert_eq!(
        (fashion["name"].as_str(), fashion["source"].as_str()),
        (Some("fashion-mnist"), Some("sample"))
    );
    assert_eq!(fashion["here"], false);
    assert!(place.ok(&["data", "list"]).stdout.contains("sample"));
    assert_eq!(place.json(&["data", "where", "mnist"])["here"], false);
    assert!(place.ok(&["data", "where", "mnist"]).stdout.contains("sample"));
    std::fs::create_dir(place.path("empty")).unwrap();
    let nowhere = ["data", "where", "mnist", "--data-dir", "empty"];
    assert!(place.fails(1, &nowhere).contains("d2l data fetch mnist"));
    own_data(&place);
    assert_eq!(
        place.json(&["data", "where", "mnist", "--data-dir", "own"])["here"],
        true
    );
    place.fails(2, &["data", "fetch", "mnist", "--offline"]);
    let done = place.train("softmax", &["--dataset", "mnist"]);
    assert!(done.stderr.contains("the sample of MNIST"), "{}", done.stderr);
}

#[test]
fn a_table_is_listed_and_found_but_not_trained_on() {
    let place = Place::new();
    let listed = place.json(&["list", "datasets"]);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["fashion-mnist", "mnist", "house-prices"]);
    let houses = place.json(&["data", "where", "house-prices"]);
    assert_eq!(
        (houses["here"].as_bool(), houses["source"].as_str()),
        (Some(true), Some("inside"))
    );
    let message = place.fails(2, &["train", "softmax", "--dataset", "house-prices"]);
    assert!(message.contains("is a table"), "{message}");
}

//! `d2l features`: pictures of what the convolutions see.

use crate::{Place, names};

#[test]
fn every_convolution_gets_its_sheet() {
    let place = Place::new();
    place.train("lenet", &[]);
    let json = place.json(&["features", "lenet", "--test", "3", "--offline"]);
    let pictures = json["pictures"].as_array().unwrap();
    let shapes: Vec<(&str, String)> = pictures
        .iter()
        .map(|picture| (picture["name"].as_str().unwrap(), picture["shape"].to_string()))
        .collect();
    let expected = [
        ("input", "[1,28,28]"),
        ("kernels", "[6,1,5,5]"),
        ("conv1", "[6,28,28]"),
        ("conv2", "[16,10,10]"),
    ];
    assert_eq!(shapes, expected.map(|(name, shape)| (name, shape.to_owned())));
    let files = names(&place.path("runs/lenet/features"));
    assert_eq!(
        files,
        ["00-input.png", "01-kernels.png", "02-conv1.png", "03-conv2.png"]
    );
    for file in &files {
        let bytes = std::fs::read(place.path("runs/lenet/features").join(file)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 500, "{file}");
    }

    // A picture of the user's, of another size, into a folder of the user's.
    let input = place.path("runs/lenet/features/00-input.png");
    let words = [
        "features",
        "lenet",
        input.to_str().unwrap(),
        "--invert",
        "-o",
        "mine",
    ];
    assert!(place.ok(&words).stdout.contains("02-conv1.png"));
    assert_eq!(names(&place.path("mine")).len(), 4);
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let place = Place::new();
    place.train("softmax", &[]);
    let message = place.fails(1, &["features", "softmax", "--test", "0", "--offline"]);
    assert!(message.contains("softmax has no convolution"), "{message}");
    place.fails(2, &["features", "softmax"]);
    place.train("lenet", &[]);
    let message = place.fails(2, &["features", "lenet", "--test", "100000", "--offline"]);
    assert!(message.contains("pictures 0 to"), "{message}");
    let message = place.fails(1, &["features", "lenet", "nowhere.png"]);
    assert!(message.contains("nowhere.png"), "{message}");
}

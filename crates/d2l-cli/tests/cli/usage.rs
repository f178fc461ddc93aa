//! Wrong usage: exit code 2, a line per bad field, before any work.

use crate::Place;

#[test]
fn every_bad_field_is_reported_at_once() {
    let place = Place::new();
    let message = place.fails(
        2,
        &[
            "train",
            "lenet",
            "--epochs",
            "0",
            "--lr=-1",
            "--optimizer",
            "adm",
            "--dropout",
            "0.5",
        ],
    );
    assert_eq!(
        message.lines().filter(|line| line.starts_with("error")).count(),
        4,
        "{message}"
    );
    for part in [
        "--epochs",
        "--lr",
        "did you mean `adam`",
        "--dropout: lenet has no dropout",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn unknown_names_get_the_nearest() {
    let place = Place::new();
    let message = place.fails(2, &["train", "lenett"]);
    assert!(message.contains("did you mean `lenet`"), "{message}");
    let message = place.fails(2, &["train", "lenet", "--dataset", "mnits"]);
    assert!(message.contains("did you mean `mnist`"), "{message}");
    let message = place.fails(2, &["show", "fashion-mnits"]);
    assert!(message.contains("did you mean `fashion-mnist`"), "{message}");
    let message = place.fails(2, &["summary", "transformer"]);
    assert!(message.contains("no model `transformer`"), "{message}");
    place.fails(2, &["trian", "lenet"]);
    place.fails(2, &["train"]);
    place.fails(2, &["train", "lenet", "--epochs", "many"]);
    place.fails(2, &["train", "lenet", "--name", "a", "--out", "b"]);
    place.fails(2, &["train", "lenet", "--name", "../up"]);
    let message = place.fails(1, &["eval", "nothing"]);
    assert!(
        message.contains("no run `nothing`") && message.contains("d2l train lenet"),
        "{message}"
    );
}

#[test]
fn a_configuration_file_is_checked_like_flags() {
    let place = Place::new();
    std::fs::write(
        place.path("c.toml"),
        "model = \"lenet\"\nepochs = 0\nepoch = 2\nlr = \"high\"\n",
    )
    .unwrap();
    let message = place.fails(2, &["train", "--config", "c.toml"]);
    assert!(
        message.contains("`epoch`") && message.contains("`lr`"),
        "{message}"
    );
    std::fs::write(place.path("c.toml"), "model = \"lenet\"\nepochs = 0\n").unwrap();
    let message = place.fails(2, &["train", "--config", "c.toml"]);
    assert!(
        message.contains("`epochs` in c.toml: has to be at least 1"),
        "{message}"
    );
    std::fs::write(
        place.path("c.toml"),
        "model = \"softmax\"\ntrain-limit = 256\nepochs = 1\nlr = 0.5\n",
    )
    .unwrap();
    place.ok(&[
        "train",
        "--config",
        "c.toml",
        "--lr",
        "0.25",
        "--offline",
        "--name",
        "c",
    ]);
    let config = std::fs::read_to_string(place.path("runs/c/config.toml")).unwrap();
    assert!(
        config.contains("lr = 0.25") && config.contains("train-limit = 256"),
        "{config}"
    );
    assert!(
        place
            .fails(1, &["train", "--config", "nowhere.toml"])
            .contains("nowhere.toml")
    );
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn a_device_that_is_not_built_in_names_the_feature() {
    let place = Place::new();
    for (device, feature) in [("cuda", "cuda"), ("cuda:1", "cuda"), ("metal", "metal")] {
        let message = place.fails(1, &["train", "lenet", "--device", device]);
        assert!(message.contains(&format!("--features {feature}")), "{message}");
        place.fails(1, &["bench", "lenet", "--device", device]);
    }
    place.fails(2, &["train", "lenet", "--device", "gpu"]);
    place.fails(2, &["eval", "lenet", "--device", "gpu"]);
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let place = Place::new();
    place.train("softmax", &[]);
    place.ok(&["export", "softmax", "-o", "w.safetensors"]);
    let message = place.fails(1, &["train", "mlp", "--init-from", "w.safetensors", "--offline"]);
    assert!(
        message.contains("w.safetensors") && message.contains("hidden1.weight"),
        "{message}"
    );
    std::fs::write(place.path("bad.safetensors"), "nonsense").unwrap();
    let message = place.fails(
        1,
        &["train", "mlp", "--init-from", "bad.safetensors", "--offline"],
    );
    assert!(message.contains("bad.safetensors"), "{message}");
    assert!(
        !place.path("runs/mlp").exists(),
        "nothing is left of a run that did not start"
    );
}

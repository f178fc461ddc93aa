//! Weights out of a run and into another, in each layout; and the options of networks.

use crate::Place;

#[test]
fn weights_go_out_and_in_in_every_layout() {
    let place = Place::new();
    place.train("lenet", &["--name", "first"]);
    let loss = |run: &str| place.json(&["eval", run, "--offline"])["loss"].as_f64().unwrap();
    for layout in ["d2l", "torch"] {
        let file = format!("{layout}.safetensors");
        let json = place.json(&["export", "first", "-o", &file, "--layout", layout]);
        assert_eq!(json["layout"], layout);
        // With a learning rate of next to nothing the weights stay what was read.
        let name = format!("from-{layout}");
        place.train("lenet", &["--name", &name, "--init-from", &file, "--lr", "1e-30"]);
        assert_eq!(loss(&name), loss("first"), "{layout}");
    }
    let message = place.fails(
        1,
        &[
            "export",
            "first",
            "-o",
            "x.safetensors",
            "--layout",
            "torchvision",
        ],
    );
    assert!(
        message.contains("there is no layout `torchvision` for lenet"),
        "{message}"
    );
    let message = place.fails(
        1,
        &[
            "train",
            "mlp",
            "--offline",
            "--init-from",
            "torch.safetensors",
            "--name",
            "no",
        ],
    );
    for part in ["torch.safetensors", "is missing", "for mlp"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn an_mlp_of_any_shape() {
    let place = Place::new();
    let more = [
        "--hidden",
        "64,32",
        "--activation",
        "tanh",
        "--dropout",
        "0.1",
        "--name",
        "deep",
    ];
    place.train("mlp", &more);
    let config = std::fs::read_to_string(place.path("runs/deep/config.toml")).unwrap();
    for key in ["hidden = [64, 32]", "activation = \"tanh\"", "parameters = 52650"] {
        assert!(config.contains(key), "{key}: {config}");
    }
    // What reads the run back builds the same network.
    assert!(
        place.json(&["eval", "deep", "--offline"])["loss"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let tree = place
        .ok(&[
            "summary",
            "mlp",
            "--hidden",
            "64,32",
            "--activation",
            "tanh",
            "--tree",
        ])
        .stdout;
    assert!(
        tree.contains("├─ hidden2: Linear 32") && tree.contains("activation1: Tanh"),
        "{tree}"
    );
    let message = place.fails(2, &["train", "mlp", "--activation", "relo", "--hidden", "0"]);
    assert!(
        message.contains("--activation") && message.contains("`relo`"),
        "{message}"
    );
    let message = place.fails(2, &["train", "lenet", "--hidden", "5"]);
    assert!(
        message.contains("--hidden: lenet has no hidden to choose"),
        "{message}"
    );
    let message = place.fails(2, &["train", "perceptron"]);
    assert!(message.contains("perceptron"), "{message}");
    let summary = place.json(&["summary", "alexnet", "--local-response-norm"]);
    let kinds: Vec<&str> = summary["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|l| l["kind"].as_str())
        .collect();
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "LocalResponseNorm").count(),
        2
    );
}

//! The names of torchvision's networks.

use d2l_nn::{Network, layers::Layer};

/// Every layer of `network` with its name in torchvision, if there is such a network there.
pub(super) fn paths(network: &Network) -> Option<Vec<(String, String)>> {
    type Rename = fn(&str) -> Option<String>;
    let family: [(&str, Rename); 3] = [
        ("googlenet", googlenet),
        ("resnet", resnet),
        ("densenet", densenet),
    ];
    if ["alexnet", "vgg"]
        .iter()
        .any(|name| network.name.starts_with(name))
    {
        return Some(features_and_classifier(network));
    }
    let (_, rename) = family
        .into_iter()
        .find(|(name, _)| network.name.starts_with(name))?;
    let mut ours = leaves(network, "");
    if network.name == "googlenet" {
        // The auxiliary classifiers are built beside the network, into the same store.
        for head in ["aux1", "aux2"] {
            ours.extend(["conv", "norm", "linear", "output"].map(|layer| format!("{head}.{layer}")));
        }
    }
    let renamed = ours.into_iter().filter_map(|path| {
        let theirs = rename(&path)?;
        Some((path, theirs))
    });
    Some(renamed.collect())
}

/// The paths of all layers that are not made of others.
fn leaves(network: &Network, prefix: &str) -> Vec<String> {
    let inside = |node: &d2l_nn::Node| {
        let path = format!("{prefix}{}", node.name);
        match &node.layer {
            Layer::Sequence(inner) => leaves(inner, &format!("{path}.")),
            layer if layer.children().is_empty() => vec![path],
            layer => layer
                .children()
                .into_iter()
                .flat_map(|child| leaves(child, &format!("{path}.{}.", child.name)))
                .collect(),
        }
    };
    network.nodes.iter().flat_map(inside).collect()
}

/// AlexNet and VGG: everything up to the flattening is `features`, with numbers that go on through the stages. In
/// AlexNet's `classifier` a dropout comes before each hidden layer, in VGG's after it, as here.
fn features_and_classifier(network: &Network) -> Vec<(String, String)> {
    let dropout_first = network.name == "alexnet";
    let classifier = |name: &str| match (name, dropout_first) {
        ("linear1", true) => Some(1),
        ("linear2", true) => Some(4),
        ("linear1", false) => Some(0),
        ("linear2", false) => Some(3),
        ("output", _) => Some(6),
        _ => None,
    };
    let features = |path: &String| path.contains('.') || !path.starts_with("norm");
    let all = leaves(network, "");
    let is_classifier = |path: &&String| path.starts_with("linear") || *path == "output";
    let mut paths: Vec<(String, String)> = all
        .iter()
        .take_while(|path| *path != "flatten")
        .filter(|path| features(path))
        .enumerate()
        .map(|(place, path)| (path.clone(), format!("features.{place}")))
        .collect();
    paths.extend(all.iter().filter(is_classifier).filter_map(|path| {
        let place = classifier(path)?;
        Some((path.clone(), format!("classifier.{place}")))
    }));
    paths
}

/// `stage2.block1.main.conv1` → `layer2.0.conv1`
fn resnet(path: &str) -> Option<String> {
    let words: Vec<&str> = path.split('.').collect();
    Some(match words.as_slice() {
        ["stem", "conv"] => "conv1".to_owned(),
        ["stem", "norm"] => "bn1".to_owned(),
        ["output"] => "fc".to_owned(),
        [stage, block, side, layer] => {
            let block = before(block, "block")?;
            let stage = stage.strip_prefix("stage")?;
            let layer = match (*side, *layer) {
                ("shortcut", "conv") => "downsample.0".to_owned(),
                ("shortcut", "norm") => "downsample.1".to_owned(),
                (_, layer) => layer.replace("norm", "bn"),
            };
            format!("layer{stage}.{block}.{layer}")
        }
        _ => return None,
    })
}

/// `block2.dense1.grown.conv2` → `features.denseblock2.denselayer1.conv2`
fn densenet(path: &str) -> Option<String> {
    let words: Vec<&str> = path.split('.').collect();
    Some(match words.as_slice() {
        ["stem", layer @ ("conv" | "norm")] => format!("features.{layer}0"),
        ["norm"] => "features.norm5".to_owned(),
        ["output"] => "classifier".to_owned(),
        [transition, layer @ ("conv" | "norm")] => format!("features.{transition}.{layer}"),
        [block, dense, "grown", layer] => {
            let dense = dense.strip_prefix("dense")?;
            // The book's dense layer has one convolution and no numbers.
            let number = if layer.ends_with(char::is_numeric) {
                ""
            } else {
                "1"
            };
            format!("features.dense{block}.denselayer{dense}.{layer}{number}")
        }
        _ => return None,
    })
}

/// `stage4.inception2.path3.conv2` → `inception4b.branch3.1.conv`
fn googlenet(path: &str) -> Option<String> {
    let words: Vec<&str> = path.split('.').collect();
    let norm_or_conv = |layer: &str| if layer.starts_with("norm") { "bn" } else { "conv" };
    Some(match words.as_slice() {
        ["stage1", layer @ ("conv" | "norm")] => format!("conv1.{}", norm_or_conv(layer)),
        ["stage2", layer @ ("conv1" | "norm1")] => format!("conv2.{}", norm_or_conv(layer)),
        ["stage2", layer @ ("conv2" | "norm2")] => format!("conv3.{}", norm_or_conv(layer)),
        ["output"] => "fc".to_owned(),
        [aux @ ("aux1" | "aux2"), layer] => match *layer {
            "linear" => format!("{aux}.fc1"),
            "output" => format!("{aux}.fc2"),
            layer => format!("{aux}.conv.{}", norm_or_conv(layer)),
        },
        [stage, inception, branch, layer] => {
            let stage = stage.strip_prefix("stage")?;
            let letter = char::from(b'a' + u8::try_from(before(inception, "inception")?).ok()?);
            let branch = branch.strip_prefix("path")?;
            let place = match (branch, layer.ends_with('2')) {
                ("1", _) => "",
                ("4", _) | (_, true) => ".1",
                _ => ".0",
            };
            let layer = norm_or_conv(layer);
            format!("inception{stage}{letter}.branch{branch}{place}.{layer}")
        }
        _ => return None,
    })
}

/// The number behind `prefix`, less one.
fn before(word: &str, prefix: &str) -> Option<usize> {
    word.strip_prefix(prefix)?.parse::<usize>().ok()?.checked_sub(1)
}

//! The names of the book's `nn.Sequential`: a layer is called by its place, and the layers of the book's own blocks by
//! the block's attributes.

use d2l_nn::{
    Network, Node,
    layers::{Layer, Residual},
};

/// Every layer of `network` with its name in the book's definition, in the order of the state dict.
pub(super) fn paths(network: &Network) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    sequence(network, "", "", &mut paths);
    paths
}

/// The layers of a sequence; both prefixes are empty or end in a dot.
fn sequence(network: &Network, ours: &str, theirs: &str, paths: &mut Vec<(String, String)>) {
    let (mut place, mut in_residual) = (0, false);
    for node in &network.nodes {
        if in_residual && matches!(node.layer, Layer::Activation(_)) {
            // The book's residual block has its last ReLU inside.
            in_residual = false;
            continue;
        }
        if network.name == "googlenet" && matches!(node.layer, Layer::Flatten(_)) {
            // The book flattens at the end of the last stage.
            continue;
        }
        in_residual = matches!(node.layer, Layer::Residual(_));
        let (path, name) = (format!("{ours}{}", node.name), format!("{theirs}{place}"));
        match &node.layer {
            Layer::Sequence(inner) if is_dense_block(inner) => {
                for (n, dense) in inner.nodes.iter().enumerate() {
                    for branch in dense.layer.children() {
                        let ours = format!("{path}.{}.{}.", dense.name, branch.name);
                        sequence(branch, &ours, &format!("{name}.net.{n}."), paths);
                    }
                }
            }
            Layer::Sequence(inner) => sequence(inner, &format!("{path}."), &format!("{name}."), paths),
            Layer::Residual(block) => residual(block, &path, &name, paths),
            Layer::Branches(branches) => inception(branches, &path, &name, paths),
            _ => paths.push((path, name)),
        }
        place += 1;
    }
}

/// The book's `DenseBlock`: layers that join what they compute to what they got.
fn is_dense_block(network: &Network) -> bool {
    let grows = |node: &Node| match &node.layer {
        Layer::Branches(branches) => branches.first().is_some_and(|same| same.nodes.is_empty()),
        _ => false,
    };
    !network.nodes.is_empty() && network.nodes.iter().all(grows)
}

/// The book's `Residual`: `conv1`, `conv2`, `conv3` for the shortcut, then `bn1`, `bn2`. Blocks that the book does not
/// have are named in the same way.
fn residual(block: &Residual, ours: &str, theirs: &str, paths: &mut Vec<(String, String)>) {
    let kinds = [("Conv2d", "conv"), ("BatchNorm", "bn")];
    for (kind, short) in kinds {
        let of_kind = [&block.main, &block.shortcut].into_iter().flat_map(|path| {
            let nodes = path.nodes.iter().filter(|node| node.layer.kind() == kind);
            nodes.map(|node| format!("{ours}.{}.{}", path.name, node.name))
        });
        paths.extend(
            (1..)
                .zip(of_kind)
                .map(|(n, path)| (path, format!("{theirs}.{short}{n}"))),
        );
    }
}

/// The book's `Inception`: `p2_1` is the first layer of the second path. A norm, which the book does not have, is
/// `p2_1_bn`.
fn inception(branches: &[Network], ours: &str, theirs: &str, paths: &mut Vec<(String, String)>) {
    for (p, branch) in (1..).zip(branches) {
        let mut place = 0;
        for node in &branch.nodes {
            let norm = match node.layer.kind() {
                "ReLU" => continue,
                "BatchNorm" => "_bn",
                _ => {
                    place += 1;
                    ""
                }
            };
            let path = format!("{ours}.{}.{}", branch.name, node.name);
            paths.push((path, format!("{theirs}.p{p}_{place}{norm}")));
        }
    }
}

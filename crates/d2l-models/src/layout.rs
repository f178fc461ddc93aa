//! What the tensors of a weights file are called: here, in the book's PyTorch code, and in torchvision.

mod torch;
mod torchvision;

use d2l_nn::{Error, Network, ParamKind, ParamStore, Result, TensorName};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
};

/// A way of naming the tensors of a network in a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// This project's names: `conv1.weight`, `stage2.block1.main.conv1.weight`.
    D2l,
    /// The state-dict names of the book's PyTorch definition, an `nn.Sequential`: `0.weight`, `2.0.conv1.weight`.
    Torch,
    /// The state-dict names of torchvision's network of the same kind, for AlexNet, VGG, GoogLeNet, ResNet and
    /// DenseNet: `features.0.weight`, `layer2.0.conv1.weight`. Its weights themselves fit where the network is the
    /// same, see [`crate::AlexNet::one_tower`], [`crate::ResNet::paper`], [`crate::DenseNet::deep`] and
    /// [`crate::GoogLeNet::torchvision`]; VGG's are.
    Torchvision,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::D2l => "d2l",
            Self::Torch => "torch",
            Self::Torchvision => "torchvision",
        })
    }
}

impl Layout {
    /// What the tensors of `params`, which `network` was built on, are called in this layout, in the order of
    /// PyTorch's state dict. Tensors of other modules in the store keep their names and come last. `None` if there is
    /// no such layout for the network.
    pub fn names(self, network: &Network, params: &ParamStore) -> Option<Vec<TensorName>> {
        let paths = match self {
            Self::D2l => Vec::new(),
            Self::Torch => torch::paths(network),
            Self::Torchvision => torchvision::paths(network)?,
        };
        let mut of_layer: HashMap<String, Vec<(String, ParamKind)>> = HashMap::new();
        let (parameters, buffers) = (params.parameters(), params.buffers());
        let parameters = parameters.iter().map(|(name, _)| (name, ParamKind::Parameter));
        let buffers = buffers.iter().map(|(name, _)| (name, ParamKind::Buffer));
        for (name, kind) in parameters.chain(buffers) {
            if let Some((layer, parameter)) = name.rsplit_once('.') {
                of_layer
                    .entry(layer.to_owned())
                    .or_default()
                    .push((parameter.to_owned(), kind));
            }
        }
        let mut names = Vec::new();
        for (layer, theirs) in paths {
            for (parameter, kind) in of_layer.remove(&layer).unwrap_or_default() {
                names.push(TensorName {
                    in_file: format!("{theirs}.{parameter}"),
                    in_store: Some(format!("{layer}.{parameter}")),
                });
                // PyTorch counts batches behind the running statistics.
                if kind == ParamKind::Buffer && parameter == "running_var" {
                    names.push(TensorName {
                        in_file: format!("{theirs}.num_batches_tracked"),
                        in_store: None,
                    });
                }
            }
        }
        let named: HashSet<String> = names.iter().filter_map(|name| name.in_store.clone()).collect();
        let rest = params.all().into_iter().map(|(name, _)| name);
        names.extend(rest.filter(|name| !named.contains(name)).map(|name| TensorName {
            in_file: name.clone(),
            in_store: Some(name),
        }));
        Some(names)
    }
}

/// Writes the weights of `network`, which was built on `params`, to a safetensors file under the names of `layout`.
///
/// # Errors
/// When there is no such layout for the network, or the file cannot be written.
pub fn save_weights(network: &Network, params: &ParamStore, layout: Layout, path: &Path) -> Result<()> {
    let names = layout.names(network, params).ok_or_else(|| {
        Error::msg(format!(
            "there is no layout `{layout}` for {}; `torch` and `d2l` exist for every network",
            network.name
        ))
    })?;
    params.save_as(path, &names)
}

/// Reads weights from a safetensors file into `params`, which `network` was built on. The layout is told from the
/// names in the file.
///
/// # Errors
/// When the file cannot be read, or does not fit: the first tensors that differ are named, in the file's names and
/// the network's own, and nothing has been changed.
pub fn load_weights(network: &Network, params: &ParamStore, path: &Path) -> Result<Layout> {
    let mut found = Layout::D2l;
    let choose = |in_file: &[String]| {
        let in_file: HashSet<&String> = in_file.iter().collect();
        let (mut best, mut most) = (Vec::new(), 0);
        for layout in [Layout::D2l, Layout::Torch, Layout::Torchvision] {
            let names = layout.names(network, params).unwrap_or_default();
            let known = names
                .iter()
                .filter(|name| in_file.contains(&name.in_file))
                .count();
            if known > most {
                (best, most, found) = (names, known, layout);
            }
        }
        best
    };
    let loaded = params.load_as(path, choose);
    loaded.map_err(|error| {
        let name = &network.name;
        Error::msg(format!(
            "{error} (read in the layout `{found}` for {name}: is it of another network, width or number of classes?)"
        ))
    })?;
    Ok(found)
}

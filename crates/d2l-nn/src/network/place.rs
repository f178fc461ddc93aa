//! Every layer of a network with the shapes around it: what summaries, builds and error messages are made from.

use super::{Network, Node};
use crate::{
    Error, Result,
    layers::{Layer, ParamSpec},
};
use std::collections::HashSet;

/// A node with the shape that reaches it, the shape that leaves it, and what it needs.
pub(crate) struct Placed<'a> {
    /// Its name with those of the layers around it: `block1.conv2`.
    pub path: String,
    pub node: &'a Node,
    pub input: Vec<usize>,
    pub output: Vec<usize>,
    pub params: Vec<ParamSpec>,
    /// The layers of the networks inside it, in the order of [`Layer::children`].
    pub children: Vec<Vec<Placed<'a>>>,
}

/// Places the layers of `network`, whose own path is `prefix` (empty, or ending in a dot).
pub(super) fn place<'a>(network: &'a Network, input: &[usize], prefix: &str) -> Result<Vec<Placed<'a>>> {
    let mut shape = input.to_vec();
    let mut names = HashSet::new();
    let mut before: Option<String> = None;
    let mut placed = Vec::with_capacity(network.nodes.len());
    for node in &network.nodes {
        let path = format!("{prefix}{}", node.name);
        if node.name.is_empty() || node.name.contains('.') {
            return Err(Error::msg("a layer's name has to have a letter and no dot").in_layer(&path));
        }
        if !names.insert(node.name.as_str()) {
            return Err(Error::msg("another layer has the same name").in_layer(&path));
        }
        let at = place_node(node, path, &shape, before.as_deref())?;
        before = Some(at.path.clone());
        shape.clone_from(&at.output);
        placed.push(at);
    }
    Ok(placed)
}

fn place_node<'a>(node: &'a Node, path: String, input: &[usize], before: Option<&str>) -> Result<Placed<'a>> {
    let input = input.to_vec();
    let Some(spec) = node.layer.spec() else {
        let single = matches!(node.layer, Layer::Sequence(_));
        let inside = |child: &'a Network| {
            let prefix = if single {
                format!("{path}.")
            } else {
                format!("{path}.{}.", child.name)
            };
            place(child, &input, &prefix)
        };
        let children = node
            .layer
            .children()
            .into_iter()
            .map(inside)
            .collect::<Result<Vec<_>>>()?;
        let outputs: Vec<&[usize]> = children
            .iter()
            .map(|c| c.last().map_or(input.as_slice(), |last| &last.output))
            .collect();
        let output = join(&node.layer, &outputs).map_err(|e| e.in_layer(&path))?;
        return Ok(Placed {
            path,
            node,
            input,
            output,
            params: Vec::new(),
            children,
        });
    };
    let fit = spec
        .output_shape(&input)
        .and_then(|output| Ok((output, spec.params(&input)?)));
    let after = before.map_or_else(|| "the input".to_owned(), |before| format!("`{before}`"));
    let (output, params) = fit.map_err(|e| e.in_layer_after(&path, &after))?;
    Ok(Placed {
        path,
        node,
        input,
        output,
        params,
        children: Vec::new(),
    })
}

/// The shape that leaves a layer made of others, from those that leave its children.
fn join(layer: &Layer, outputs: &[&[usize]]) -> Result<Vec<usize>> {
    match (layer, outputs) {
        (Layer::Residual(_), [main, shortcut]) if main != shortcut => Err(Error::msg(format!(
            "cannot add the paths' outputs {main:?} and {shortcut:?}"
        ))),
        (Layer::Branches(_), [first, rest @ ..]) => {
            let fits = |other: &&&[usize]| other.len() == first.len() && other.get(1..) == first.get(1..);
            if let Some(other) = rest.iter().find(|other| !fits(other)) {
                return Err(Error::msg(format!(
                    "cannot join the branches' outputs {first:?} and {other:?}"
                )));
            }
            let channels = outputs.iter().filter_map(|shape| shape.first()).sum();
            Ok([&[channels], first.get(1..).unwrap_or_default()].concat())
        }
        (_, [first, ..]) => Ok(first.to_vec()),
        (_, []) => Err(Error::msg("has no branches")),
    }
}

impl Placed<'_> {
    /// Itself and all layers inside it, depth first, with `visit`.
    pub(crate) fn walk<'s>(&'s self, visit: &mut dyn FnMut(&'s Self) -> Result<()>) -> Result<()> {
        visit(self)?;
        self.children
            .iter()
            .flatten()
            .try_for_each(|child| child.walk(visit))
    }
}

//! A network printed as a tree.

use super::{Network, Node};
use std::fmt;

/// The tree of the layers, each with its kind and hyper-parameters.
///
/// ```
/// use d2l_nn::{Network, layers::{Activation, Linear}};
/// let block = Network::new("block").add("hidden", Linear::new(8)).add("relu", Activation::Relu);
/// let network = Network::new("small").add("block", block).add("output", Linear::new(2));
/// assert_eq!(network.to_string(), "\
/// small
/// ├─ block: Sequence
/// │  ├─ hidden: Linear 8
/// │  └─ relu: ReLU
/// └─ output: Linear 2
/// ");
/// ```
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        write_nodes(f, &self.nodes, "")
    }
}

fn write_nodes(f: &mut fmt::Formatter<'_>, nodes: &[Node], indent: &str) -> fmt::Result {
    for (i, node) in nodes.iter().enumerate() {
        let inside = write_head(f, indent, i + 1 == nodes.len(), &node.name)?;
        write!(f, ": {}", node.layer.kind())?;
        let details = node
            .layer
            .spec()
            .map(|spec| spec.details())
            .filter(|text| !text.is_empty());
        writeln!(
            f,
            "{}",
            details.map(|text| format!(" {text}")).unwrap_or_default()
        )?;
        match node.layer.children().as_slice() {
            [] => {}
            // A sequence has the layers themselves; paths are shown by their names first.
            [only] if node.layer.kind() == "Sequence" => write_nodes(f, &only.nodes, &inside)?,
            paths => {
                for (i, path) in paths.iter().enumerate() {
                    let inner = write_head(f, &inside, i + 1 == paths.len(), &path.name)?;
                    let passes = if path.nodes.is_empty() {
                        ": passes its input on"
                    } else {
                        ""
                    };
                    writeln!(f, "{passes}")?;
                    write_nodes(f, &path.nodes, &inner)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes the branch and the name; gives the indent of what is inside.
fn write_head(
    f: &mut fmt::Formatter<'_>,
    indent: &str,
    last: bool,
    name: &str,
) -> Result<String, fmt::Error> {
    let (branch, below) = if last {
        ("└─", "   ")
    } else {
        ("├─", "│  ")
    };
    write!(f, "{indent}{branch} {name}")?;
    Ok(format!("{indent}{below}"))
}

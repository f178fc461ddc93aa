//! What a network costs, from its description alone.

use super::{
    Network,
    place::{Placed, place},
};
use crate::{ParamKind, Result};
use std::fmt;

/// One layer of a [`Summary`]; a layer made of others comes before them, with its output shape and no costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSummary {
    /// Its name in the network.
    pub name: String,
    /// Its kind, such as `Conv2d`.
    pub kind: String,
    /// The shape that leaves it, for one example.
    pub output_shape: Vec<usize>,
    /// Learned numbers in it.
    pub parameters: usize,
    /// Multiply-adds for one example.
    pub multiply_adds: u64,
}

/// Shapes, parameters and costs of a network for one example. `Display` prints it as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The network's name.
    pub network: String,
    /// The shape that enters.
    pub input: Vec<usize>,
    /// A row per layer.
    pub layers: Vec<LayerSummary>,
    /// Learned numbers in all.
    pub parameters: usize,
    /// Numbers in buffers, such as running statistics.
    pub buffers: usize,
    /// Multiply-adds for one example.
    pub multiply_adds: u64,
}

impl Summary {
    pub(super) fn new(network: &Network, input: &[usize]) -> Result<Self> {
        let mut summary = Self {
            network: network.name.clone(),
            input: input.to_vec(),
            layers: Vec::new(),
            parameters: 0,
            buffers: 0,
            multiply_adds: 0,
        };
        for at in &place(network, input, "")? {
            at.walk(&mut |at| summary.add(at))?;
        }
        Ok(summary)
    }

    fn add(&mut self, at: &Placed<'_>) -> Result<()> {
        let count = |kind| {
            at.params
                .iter()
                .filter(|p| p.kind == kind)
                .map(|p| p.elements())
                .sum()
        };
        let parameters = count(ParamKind::Parameter);
        let work = at
            .node
            .layer
            .spec()
            .map(|spec| spec.multiply_adds(&at.input))
            .transpose();
        let multiply_adds = work.map_err(|e| e.in_layer(&at.path))?.unwrap_or(0);
        self.parameters += parameters;
        self.buffers += count(ParamKind::Buffer);
        self.multiply_adds += multiply_adds;
        self.layers.push(LayerSummary {
            name: at.path.clone(),
            kind: at.node.layer.kind().to_owned(),
            output_shape: at.output.clone(),
            parameters,
            multiply_adds,
        });
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: &str, kind: &str, shape: &[usize], parameters: String, multiply_adds: String| {
            [
                name.to_owned(),
                kind.to_owned(),
                dimensions(shape),
                parameters,
                multiply_adds,
            ]
        };
        let heads = ["layer", "kind", "output", "parameters", "multiply-adds"].map(str::to_owned);
        let mut rows = vec![heads, row("input", "", &self.input, String::new(), String::new())];
        rows.extend(self.layers.iter().map(|l| {
            let (parameters, work) = (l.parameters as u64, l.multiply_adds);
            row(
                &l.name,
                &l.kind,
                &l.output_shape,
                thousands(parameters),
                thousands(work),
            )
        }));
        let total = thousands(self.parameters as u64);
        rows.push(row("total", "", &[], total, thousands(self.multiply_adds)));
        let mut widths = [0; 5];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let [a, b, c, d, e] = widths;
        for [name, kind, shape, parameters, work] in &rows {
            let line = format!("{name:a$}  {kind:b$}  {shape:c$}  {parameters:>d$}  {work:>e$}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn dimensions(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// `1234567` as `1,234,567`; nothing for zero, so that layers without a cost stay quiet.
fn thousands(n: u64) -> String {
    if n == 0 {
        return String::new();
    }
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

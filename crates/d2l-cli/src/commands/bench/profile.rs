//! Where the time of a step goes.

use anstyle::Style;
use d2l_nn::plan::NodeTime;
use serde_json::json;

use crate::failure::Result;
use crate::table::{Align, Table};
use crate::ui::{BOLD, DIM, Ui};

/// The times of a node over all steps.
pub(super) struct NodeMean {
    node: NodeTime,
    sums: [f64; 2],
    steps: usize,
}

impl NodeMean {
    pub(super) fn new(node: &NodeTime) -> Self {
        Self {
            node: node.clone(),
            sums: [0.0; 2],
            steps: 0,
        }
    }

    pub(super) fn add(&mut self, time: &NodeTime) {
        self.steps += 1;
        for (sum, seconds) in self.sums.iter_mut().zip(time.seconds) {
            *sum += seconds;
        }
    }

    /// Seconds of a forward and of a backward pass.
    fn seconds(&self) -> [f64; 2] {
        self.sums.map(|sum| sum / self.steps.max(1) as f64)
    }

    /// GFLOP/s and GB/s of a forward and of a backward pass, which moves twice as many bytes.
    fn rates(&self) -> [[f64; 2]; 2] {
        let [forward, backward] = self.seconds();
        let [forward_flops, backward_flops] = self.node.flops;
        let rate = |amount: f64, seconds: f64| {
            if seconds > 0.0 {
                1e-9 * amount / seconds
            } else {
                0.0
            }
        };
        let bytes = self.node.bytes as f64;
        [
            [rate(forward_flops, forward), rate(bytes, forward)],
            [rate(backward_flops, backward), rate(2.0 * bytes, backward)],
        ]
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let ([forward, backward], [[f_flops, f_bytes], [b_flops, b_bytes]]) = (self.seconds(), self.rates());
        json!({
            "layer": self.node.layer,
            "kind": self.node.kind,
            "forward": { "ms": 1e3 * forward, "gflops_per_second": f_flops, "gb_per_second": f_bytes },
            "backward": { "ms": 1e3 * backward, "gflops_per_second": b_flops, "gb_per_second": b_bytes },
        })
    }
}

/// A row per node: milliseconds, GFLOP/s where there are products, GB/s elsewhere; forward, then backward.
pub(super) fn show_profile(nodes: &[NodeMean], infer: bool, ui: Ui) -> Result<()> {
    use Align::{Left, Right};
    let mut table = Table::new(&[Left, Left, Right, Right, Right, Right]);
    table.row(DIM, ["layer", "kind", "forward ms", "", "backward ms", ""]);
    let rate = |[flops, bytes]: [f64; 2]| match flops > 0.0 {
        true => format!("{flops:.0} GFLOP/s"),
        false => format!("{bytes:.1} GB/s"),
    };
    let mut sums = [0.0; 2];
    for node in nodes {
        let (seconds, rates) = (node.seconds(), node.rates());
        let mut cells = vec![node.node.layer.clone(), node.node.kind.to_owned()];
        for (pass, (seconds, rates)) in seconds.into_iter().zip(rates).enumerate() {
            sums[pass] += seconds;
            let shown = pass == 0 || (!infer && seconds > 0.0);
            cells.push(if shown {
                format!("{:.3}", 1e3 * seconds)
            } else {
                String::new()
            });
            cells.push(if shown { rate(rates) } else { String::new() });
        }
        table.row(Style::new(), cells);
    }
    let total = |seconds: f64| format!("{:.3}", 1e3 * seconds);
    let backward = if infer { String::new() } else { total(sums[1]) };
    let blank = String::new;
    table.row(
        BOLD,
        [
            "all".to_owned(),
            blank(),
            total(sums[0]),
            blank(),
            backward,
            blank(),
        ],
    );
    table.lines().into_iter().try_for_each(|line| ui.line(line))
}

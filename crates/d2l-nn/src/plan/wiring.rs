//! From a graph to nodes with buffers: which gradients are needed, when each buffer lives, and where it lies.

use super::{
    PlanMemory, Planned, ScratchNeed,
    graph::{Graph, INPUT, Mode, Node},
    io::{Wire, Wiring},
    memory::{BufferId, Layout, Needs},
    ops::Passes,
    params::{ParamId, ParamList},
};
use std::collections::{HashMap, HashSet};

/// A graph with its buffers, without memory.
pub(super) struct Wired {
    pub(super) nodes: Vec<Planned>,
    pub(super) layout: Layout,
    pub(super) params: ParamList,
    /// The parameters that get a gradient.
    pub(super) learned: HashSet<ParamId>,
    /// f32s of an example that comes in.
    input: usize,
    pub(super) output: Wire,
    pub(super) output_shape: Vec<usize>,
}

impl Wired {
    /// The memory it will take for `batch` examples of a model whose parameters and buffers have so many `elements`.
    pub(super) fn bytes(&self, batch: usize, elements: &HashMap<String, usize>) -> PlanMemory {
        const FLOAT: usize = size_of::<f32>();
        let own: usize = self.nodes.iter().map(|node| node.op.bytes()).sum();
        let size = |name: &str| elements.get(name).copied().unwrap_or(0);
        let learned = self.learned.iter().filter_map(|&id| self.params.name(id));
        PlanMemory {
            parameters: (FLOAT * elements.values().sum::<usize>()) as u64,
            copies: (FLOAT * self.params.copied()) as u64,
            gradients: (FLOAT * learned.map(size).sum::<usize>()) as u64,
            activations: batch.saturating_mul(FLOAT * self.layout.len() + own) as u64,
            input: batch.saturating_mul(FLOAT * self.input) as u64,
            scratch: self.scratch(batch),
        }
    }

    fn scratch(&self, batch: usize) -> ScratchNeed {
        self.nodes.iter().fold(ScratchNeed::default(), |need, node| {
            let learns = node.op.params().iter().any(|id| self.learned.contains(id));
            let passes = Passes {
                weight_gradient: node.backward && learns,
                input_gradient: node.wiring.inputs.iter().any(|wire| wire.gradient.is_some()),
            };
            need.max(node.op.scratch(batch, passes))
        })
    }
}

/// The buffers of every value while they are being found.
struct Values {
    lens: Vec<usize>,
    needs: Needs,
    values: HashMap<usize, BufferId>,
    gradients: HashMap<usize, BufferId>,
    /// Values that a learned parameter has a part in.
    learned: HashSet<usize>,
}

impl Values {
    fn len(&self, value: usize) -> usize {
        self.lens.get(value).copied().unwrap_or(0)
    }

    /// `value` is written or read at `time`.
    fn touch(&mut self, value: usize, time: usize) {
        if value == INPUT {
            return;
        }
        let len = self.len(value);
        let needs = &mut self.needs;
        let buffer = *self.values.entry(value).or_insert_with(|| needs.add(len, time));
        needs.touch(buffer, time);
    }

    fn wire(&self, value: usize) -> Wire {
        Wire {
            len: self.len(value),
            values: self.values.get(&value).copied(),
            gradient: self.gradients.get(&value).copied(),
            adds: false,
            addend: None,
        }
    }
}

/// Gives a graph its buffers; `is_learned` says which variables an optimiser learns.
pub(super) fn wire(graph: Graph, mode: Mode, is_learned: &dyn Fn(&str) -> bool) -> Wired {
    let count = graph.nodes.len();
    let trains = mode == Mode::Train;
    let learned: HashSet<ParamId> = graph
        .nodes
        .iter()
        .flat_map(|node| node.op.params())
        .filter(|&id| trains && graph.params.name(id).is_some_and(is_learned))
        .collect();
    let mut values = Values {
        lens: graph.lens,
        needs: Needs::default(),
        values: HashMap::new(),
        gradients: HashMap::new(),
        learned: HashSet::new(),
    };
    for (time, node) in graph.nodes.iter().enumerate() {
        let reached = node.inputs.iter().any(|input| values.learned.contains(input));
        let learns = reached || node.op.params().iter().any(|id| learned.contains(id));
        if learns {
            values.learned.insert(node.output);
        }
        for &value in node.inputs.iter().chain([&node.output]) {
            values.touch(value, time);
        }
        let reads = node.op.reads();
        let back = 2 * count - time;
        if learns && reads.inputs {
            node.inputs.iter().for_each(|&input| values.touch(input, back));
        }
        if learns && reads.output {
            values.touch(node.output, back);
        }
    }
    values.touch(graph.output, count);
    if values.learned.contains(&graph.output) {
        let gradient = values.needs.add(values.len(graph.output), count);
        values.gradients.insert(graph.output, gradient);
    }
    let mut nodes: Vec<Planned> = Vec::with_capacity(count);
    for (time, node) in graph.nodes.into_iter().enumerate().rev() {
        let back = 2 * count - time;
        nodes.push(backward_wires(node, back, &mut values));
    }
    nodes.reverse();
    let output = values.wire(graph.output);
    Wired {
        input: values.len(INPUT),
        nodes,
        layout: values.needs.place(),
        params: graph.params,
        learned,
        output,
        output_shape: graph.output_shape,
    }
}

/// Finds the gradients that a node's backward pass at `time` reads and writes. The nodes after it have been through.
fn backward_wires(node: Node, time: usize, values: &mut Values) -> Planned {
    let gradient = values.gradients.get(&node.output).copied();
    let output = values.wire(node.output);
    let in_place = node.in_place();
    let mut inputs: Vec<Wire> = Vec::with_capacity(node.inputs.len());
    for (index, &value) in node.inputs.iter().enumerate() {
        let mut wire = values.wire(value);
        wire.gradient = None;
        if let Some(gradient) = gradient
            && values.learned.contains(&value)
        {
            values.needs.touch(gradient, time);
            match values.gradients.get(&value).copied() {
                _ if in_place && index == 0 => wire.gradient = Some(gradient),
                Some(found) => {
                    values.needs.touch(found, time);
                    wire.gradient = Some(found);
                    wire.adds = true;
                    if !node.op.adds_directly(index) {
                        wire.addend = Some(values.needs.add(wire.len, time));
                    }
                }
                None => {
                    let found = values.needs.add(wire.len, time);
                    values.gradients.insert(value, found);
                    wire.gradient = Some(found);
                }
            }
        }
        inputs.push(wire);
    }
    if let Some(gradient) = gradient {
        values.needs.touch(gradient, time);
    }
    Planned {
        path: node.path,
        op: node.op,
        wiring: Wiring { inputs, output },
        backward: gradient.is_some(),
        seconds: [0.0; 2],
    }
}

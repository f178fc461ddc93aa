//! From a network's layers to a list of nodes over values: which layers become one node, which work in place, and
//! which values need a gradient.

use super::{
    ops::{Add, Concat, Op, Permute},
    params::{ParamId, ParamList, Source},
};
use crate::{
    Error, Result,
    layers::{Forward, Layer},
    network::Placed,
};
use candle_core::Var;
use std::{collections::HashSet, iter::Peekable, sync::Arc};

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Training: activations are kept for the backward pass, which needs gradients beside them.
    Train,
    /// Inference: batch norm is folded into the convolution before it, dropout is left out.
    Infer,
}

/// A value between nodes.
pub(super) type ValueId = usize;

/// The batch itself.
pub(super) const INPUT: ValueId = 0;

/// A node: what it does, and to which values. It works in place where the output is its first input.
pub(super) struct Node {
    /// The path of its (first) layer.
    pub(super) path: String,
    pub(super) op: Box<dyn Op>,
    pub(super) inputs: Vec<ValueId>,
    pub(super) output: ValueId,
}

impl Node {
    pub(super) fn in_place(&self) -> bool {
        self.inputs.first() == Some(&self.output)
    }
}

/// The nodes of a network in the order in which they run.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// f32s per example of every value.
    pub(super) lens: Vec<usize>,
    pub(super) params: ParamList,
    /// What leaves the network, and its shape.
    pub(super) output: ValueId,
    pub(super) output_shape: Vec<usize>,
}

/// Finds the built module and the variables of a user's own layer.
pub(super) type FindLayer<'a> = &'a dyn Fn(&str) -> Option<(Arc<dyn Forward>, Vec<Var>)>;

impl Graph {
    /// The graph of placed layers; `seed` is that of the network's dropout.
    pub(super) fn new(
        placed: &[Placed<'_>],
        input: &[usize],
        mode: Mode,
        seed: u64,
        find: FindLayer<'_>,
    ) -> Result<Self> {
        let mut builder = Builder {
            mode,
            seed,
            find,
            nodes: Vec::new(),
            lens: vec![input.iter().product()],
            params: ParamList::default(),
            shared: HashSet::from([INPUT]),
        };
        let flow = Flow {
            value: INPUT,
            shape: input.to_vec(),
            channels_last: false,
        };
        let flow = builder.sequence(placed, flow)?;
        let flow = builder.channels_first(flow);
        let mut graph = Self {
            nodes: builder.nodes,
            lens: builder.lens,
            params: builder.params,
            output: flow.value,
            output_shape: flow.shape,
        };
        graph.move_masks();
        Ok(graph)
    }

    /// Where the only reader of a convolution with ReLU is max pooling, pooling's backward pass applies ReLU's mask
    /// too, and the convolution's output need not be kept.
    fn move_masks(&mut self) {
        for reader in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(reader) else {
                continue;
            };
            let (can, inputs) = (node.op.can_mask(), node.inputs.clone());
            let (true, &[value]) = (can, inputs.as_slice()) else {
                continue;
            };
            let readers = self
                .nodes
                .iter()
                .filter(|node| node.inputs.contains(&value))
                .count();
            if readers != 1 || value == self.output {
                continue;
            }
            let mut before = self.nodes.iter_mut().take(reader).rev();
            let writer = before.find(|node| node.output == value);
            if writer.is_some_and(|writer| writer.op.leave_mask_to_consumer())
                && let Some(node) = self.nodes.get_mut(reader)
            {
                node.op.take_mask();
            }
        }
    }
}

/// A value on its way through the network: the shape of an example as the layers see it, and how it lies.
#[derive(Clone)]
pub(super) struct Flow {
    pub(super) value: ValueId,
    /// `[features]` or `[channels, height, width]`
    pub(super) shape: Vec<usize>,
    pub(super) channels_last: bool,
}

impl Flow {
    /// Channels and the size of the area they extend over.
    pub(super) fn channels_area(&self) -> (usize, usize) {
        let area = self.shape.iter().skip(1).product();
        (self.shape.first().copied().unwrap_or(1), area)
    }
}

pub(super) struct Builder<'a> {
    pub(super) mode: Mode,
    pub(super) seed: u64,
    pub(super) find: FindLayer<'a>,
    pub(super) nodes: Vec<Node>,
    lens: Vec<usize>,
    pub(super) params: ParamList,
    /// Values that more than one path reads, which none of them may change.
    pub(super) shared: HashSet<ValueId>,
}

pub(super) type Rest<'p, 'n> = Peekable<std::slice::Iter<'p, Placed<'n>>>;

impl Builder<'_> {
    fn sequence(&mut self, placed: &[Placed<'_>], mut flow: Flow) -> Result<Flow> {
        let mut rest = placed.iter().peekable();
        while let Some(at) = rest.next() {
            flow = self.layer(at, flow, &mut rest).map_err(|error| match error {
                inner @ Error::Layer { .. } => inner,
                other => other.in_layer(&at.path),
            })?;
        }
        Ok(flow)
    }

    fn layer(&mut self, at: &Placed<'_>, flow: Flow, rest: &mut Rest<'_, '_>) -> Result<Flow> {
        Ok(match &at.node.layer {
            Layer::Sequence(_) => {
                let inner = at.children.first().map_or(&[][..], Vec::as_slice);
                self.sequence(inner, flow)?
            }
            Layer::Residual(_) => self.residual(at, flow)?,
            Layer::Branches(_) => self.branches(at, &flow)?,
            Layer::Flatten(_) => Flow {
                shape: at.output.clone(),
                channels_last: false,
                ..self.channels_first(flow)
            },
            Layer::Activation(function) => self.activation(at, function, flow),
            Layer::Dropout(layer) => self.dropout(at, layer, flow),
            Layer::Linear(layer) => self.linear(at, layer, flow),
            Layer::Conv2d(layer) => self.conv2d(at, layer, flow, rest),
            Layer::Pool2d(layer) => self.pool2d(at, layer, flow),
            Layer::AdaptivePool2d(layer) => self.adaptive_pool2d(at, layer, flow),
            Layer::BatchNorm(layer) => self.batch_norm(at, layer, flow),
            Layer::LocalResponseNorm(layer) => self.local_response_norm(at, layer, flow),
            Layer::Custom(_) => self.custom(at, flow),
        })
    }

    fn residual(&mut self, at: &Placed<'_>, flow: Flow) -> Result<Flow> {
        let child = |index: usize| at.children.get(index).map_or(&[][..], Vec::as_slice);
        self.shared.insert(flow.value);
        let other = self.sequence(child(1), flow.clone())?;
        let main = self.sequence(child(0), flow)?;
        let other = if main.channels_last {
            self.channels_last(other)
        } else {
            self.channels_first(other)
        };
        let free = main.value != other.value && !self.shared.contains(&main.value);
        if let Some(last) = self.nodes.last_mut()
            && last.output == main.value
            && free
            && last.op.fuse_add()
        {
            last.inputs.push(other.value);
            return Ok(main);
        }
        let writer = self.nodes.iter().rev().find(|node| node.output == main.value);
        let survives = writer.is_some_and(|writer| !writer.op.reads().output);
        let in_place = survives && free;
        let op = Add {
            relu: false,
            in_place,
        };
        if in_place {
            self.push(at, op, vec![main.value, other.value], main.value);
            return Ok(main);
        }
        let channels_last = main.channels_last;
        Ok(self.node(at, op, &[main.value, other.value], channels_last))
    }

    fn branches(&mut self, at: &Placed<'_>, flow: &Flow) -> Result<Flow> {
        self.shared.insert(flow.value);
        let mut parts = Vec::new();
        for child in &at.children {
            let part = self.sequence(child, flow.clone())?;
            let part = self.channels_last(part);
            self.shared.insert(part.value);
            parts.push(part);
        }
        let op = Concat {
            area: parts.first().map_or(1, |part| part.channels_area().1),
            channels: parts.iter().map(|part| part.channels_area().0).collect(),
        };
        let values: Vec<ValueId> = parts.iter().map(|part| part.value).collect();
        let channels_last = parts.first().is_some_and(|part| part.channels_last);
        Ok(self.node(at, op, &values, channels_last))
    }

    /// A parameter that is used where it is.
    pub(super) fn var(&mut self, at: &Placed<'_>, name: &str) -> ParamId {
        self.params.add(Source::Var(format!("{}.{name}", at.path)))
    }

    /// Adds a node with a new output, shaped as the layer's.
    pub(super) fn node(
        &mut self,
        at: &Placed<'_>,
        op: impl Op + 'static,
        inputs: &[ValueId],
        channels_last: bool,
    ) -> Flow {
        let value = self.value(at.output.iter().product());
        self.push(at, op, inputs.to_vec(), value);
        Flow {
            value,
            shape: at.output.clone(),
            channels_last: channels_last && at.output.len() == 3,
        }
    }

    fn value(&mut self, len: usize) -> ValueId {
        self.lens.push(len);
        self.lens.len() - 1
    }

    pub(super) fn push(
        &mut self,
        at: &Placed<'_>,
        op: impl Op + 'static,
        inputs: Vec<ValueId>,
        output: ValueId,
    ) {
        self.nodes.push(Node {
            path: at.path.clone(),
            op: Box::new(op),
            inputs,
            output,
        });
    }

    pub(super) fn channels_last(&mut self, flow: Flow) -> Flow {
        self.permuted(flow, true)
    }

    pub(super) fn channels_first(&mut self, flow: Flow) -> Flow {
        self.permuted(flow, false)
    }

    /// The flow with the channels last or first; only a new name where they lie the same.
    fn permuted(&mut self, flow: Flow, to_channels_last: bool) -> Flow {
        if flow.channels_last == to_channels_last || flow.shape.len() != 3 {
            return flow;
        }
        let (channels, area) = flow.channels_area();
        let value = if channels == 1 || area == 1 {
            flow.value
        } else {
            let value = self.value(channels * area);
            self.nodes.push(Node {
                path: String::new(),
                op: Box::new(Permute {
                    channels,
                    area,
                    to_channels_last,
                }),
                inputs: vec![flow.value],
                output: value,
            });
            value
        };
        Flow {
            value,
            channels_last: to_channels_last,
            ..flow
        }
    }
}

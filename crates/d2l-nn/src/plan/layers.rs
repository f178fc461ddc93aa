//! The nodes of single layers.

use super::{
    graph::{Builder, Flow, Mode, Rest},
    ops::{Activation, BatchNorm, Conv2d, Custom, Dropout, Linear, LocalResponseNorm, Pool2d, Windows},
    params::{Fold, Source},
};
use crate::{
    layers::{self, Activation as Function, Layer, MemoryFormat, Pool2d as PoolLayer},
    network::Placed,
    rng::hash_name,
};
use d2l_kernels::{
    activation::{self as kernel, Saved},
    conv2d::Conv2dShape,
    lrn,
    pool::{AdaptivePool2dShape, Pool2dShape},
};

impl Builder<'_> {
    pub(super) fn dropout(&mut self, at: &Placed<'_>, layer: &layers::Dropout, flow: Flow) -> Flow {
        if self.mode == Mode::Infer || layer.p == 0.0 {
            return flow;
        }
        let op = Dropout {
            p: layer.p as f32,
            key: self.seed ^ hash_name(&at.path),
        };
        let channels_last = flow.channels_last;
        self.node(at, op, &[flow.value], channels_last)
    }

    pub(super) fn linear(&mut self, at: &Placed<'_>, layer: &layers::Linear, flow: Flow) -> Flow {
        let flow = self.channels_first(flow);
        let rows = flow.shape.iter().rev().skip(1).product();
        let op = Linear {
            rows,
            in_features: flow.shape.last().copied().unwrap_or(0),
            out_features: layer.out_features,
            weight: self.var(at, "weight"),
            bias: layer.bias.then(|| self.var(at, "bias")),
            relu: false,
        };
        self.node(at, op, &[flow.value], false)
    }

    /// A convolution; in inference with the batch norm that follows, which is taken from `rest`.
    pub(super) fn conv2d(
        &mut self,
        at: &Placed<'_>,
        layer: &layers::Conv2d,
        flow: Flow,
        rest: &mut Rest<'_, '_>,
    ) -> Flow {
        let in_channels = flow.shape.first().copied().unwrap_or(0);
        let flow = self.channels_last(flow);
        let [height, width] = [1, 2].map(|i| flow.shape.get(i).copied().unwrap_or(0));
        let shape = Conv2dShape {
            batch: 1,
            in_height: height,
            in_width: width,
            in_channels,
            out_channels: layer.out_channels,
            kernel: layer.kernel,
            stride: layer.stride,
            padding: layer.padding,
            dilation: layer.dilation,
            groups: layer.groups,
        };
        let dims = [
            layer.out_channels,
            in_channels / layer.groups.max(1),
            layer.kernel.iter().product(),
        ];
        let name = |name: &str| format!("{}.{name}", at.path);
        let mut relu = false;
        let folded = rest
            .next_if(|next| self.mode == Mode::Infer && matches!(next.node.layer, Layer::BatchNorm(_)))
            .and_then(|next| match &next.node.layer {
                Layer::BatchNorm(norm) => Some((next.path.clone(), norm.options)),
                _ => None,
            });
        let (weight, bias) = match folded {
            Some((path, options)) => {
                relu = options.relu;
                let fold = Fold {
                    path,
                    eps: options.eps,
                };
                let bias = layer.bias.then(|| name("bias"));
                let bias = Source::FoldedBias(bias, layer.out_channels, fold.clone());
                (Source::FoldedWeight(name("weight"), dims, fold), Some(bias))
            }
            None => (
                Source::Hwio(name("weight"), dims),
                layer.bias.then(|| Source::Var(name("bias"))),
            ),
        };
        let op = Conv2d {
            shape,
            weight: self.params.add(weight),
            bias: bias.map(|bias| self.params.add(bias)),
            relu,
            masked: false,
        };
        self.node(at, op, &[flow.value], true)
    }

    pub(super) fn adaptive_pool2d(
        &mut self,
        at: &Placed<'_>,
        layer: &layers::AdaptivePool2d,
        flow: Flow,
    ) -> Flow {
        let in_channels = flow.shape.first().copied().unwrap_or(0);
        let flow = self.channels_last(flow);
        let windows = Windows::Adaptive(AdaptivePool2dShape {
            batch: 1,
            height: flow.shape.get(1).copied().unwrap_or(0),
            width: flow.shape.get(2).copied().unwrap_or(0),
            channels: in_channels,
            out_height: layer.output[0],
            out_width: layer.output[1],
        });
        self.pool_node(at, layer.kind, windows, flow)
    }

    pub(super) fn batch_norm(&mut self, at: &Placed<'_>, layer: &layers::BatchNorm, flow: Flow) -> Flow {
        let flow = self.channels_last(flow);
        let (channels, area) = flow.channels_area();
        let op = BatchNorm {
            rows: area,
            channels,
            options: layer.options,
            vars: ["weight", "bias", "running_mean", "running_var"].map(|name| self.var(at, name)),
            relu: layer.options.relu,
            adds: false,
            moments: Default::default(),
        };
        let channels_last = flow.channels_last;
        self.node(at, op, &[flow.value], channels_last)
    }

    pub(super) fn local_response_norm(
        &mut self,
        at: &Placed<'_>,
        layer: &layers::LocalResponseNorm,
        flow: Flow,
    ) -> Flow {
        let flow = self.channels_last(flow);
        let (channels, area) = flow.channels_area();
        let op = LocalResponseNorm {
            norm: lrn::LocalResponseNorm {
                rows: area,
                channels,
                size: layer.size,
                alpha: layer.alpha as f32,
                beta: layer.beta as f32,
                k: layer.k as f32,
            },
        };
        self.node(at, op, &[flow.value], true)
    }

    pub(super) fn pool2d(&mut self, at: &Placed<'_>, layer: &PoolLayer, flow: Flow) -> Flow {
        let flow = self.channels_last(flow);
        let size = |i: usize| flow.shape.get(i).copied().unwrap_or(0);
        let windows = Windows::Sliding(Pool2dShape {
            batch: 1,
            height: size(1),
            width: size(2),
            channels: size(0),
            kernel: layer.options.kernel,
            stride: layer.options.stride,
            padding: layer.options.padding,
            ceil_mode: layer.options.ceil_mode,
            count_include_pad: layer.options.count_include_pad,
        });
        self.pool_node(at, layer.kind, windows, flow)
    }

    fn pool_node(
        &mut self,
        at: &Placed<'_>,
        kind: crate::layers::PoolKind,
        windows: Windows,
        flow: Flow,
    ) -> Flow {
        let op = Pool2d {
            kind,
            windows,
            len: at.output.iter().product(),
            masks: false,
            argmax: Vec::new(),
        };
        self.node(at, op, &[flow.value], true)
    }

    pub(super) fn activation(&mut self, at: &Placed<'_>, function: &Function, flow: Flow) -> Flow {
        let shared = self.shared.contains(&flow.value);
        let writer = self.nodes.iter_mut().rev().find(|node| node.output == flow.value);
        let relu = *function == Function::Relu;
        if let Some(writer) = writer.filter(|_| relu && !shared)
            && writer.op.fuse_relu()
        {
            return flow;
        }
        let function = kernel_function(function);
        let writer = self.nodes.iter().rev().find(|node| node.output == flow.value);
        let survives = writer.is_some_and(|writer| match relu {
            true => writer.op.survives_relu(),
            false => !writer.op.reads().output,
        });
        let in_place = !shared && survives && function.saved() == Saved::Output;
        let op = Activation { function, in_place };
        let channels_last = flow.channels_last;
        if in_place {
            self.push(at, op, vec![flow.value], flow.value);
            return flow;
        }
        self.node(at, op, &[flow.value], channels_last)
    }

    pub(super) fn custom(&mut self, at: &Placed<'_>, flow: Flow) -> Flow {
        let layer = (self.find)(&at.path);
        let format = layer.as_ref().map(|(layer, _)| layer.memory_format());
        let flow = match format {
            Some(MemoryFormat::ChannelsLast) => self.channels_last(flow),
            Some(MemoryFormat::Any) => flow,
            _ => self.channels_first(flow),
        };
        let lying = |shape: &[usize]| match (flow.channels_last, shape) {
            (true, &[c, h, w]) => vec![h, w, c],
            _ => shape.to_vec(),
        };
        let op = Custom {
            input: lying(&at.input),
            output: lying(&at.output),
            layer,
            params: at.params.iter().map(|param| self.var(at, param.name)).collect(),
            kept: None,
        };
        let channels_last = flow.channels_last;
        self.node(at, op, &[flow.value], channels_last)
    }
}

fn kernel_function(function: &Function) -> kernel::Function {
    match *function {
        Function::Relu => kernel::Function::Relu,
        Function::Sigmoid => kernel::Function::Sigmoid,
        Function::Tanh => kernel::Function::Tanh,
        Function::Gelu => kernel::Function::Gelu,
        Function::Silu => kernel::Function::Silu,
        Function::LeakyRelu { slope } => kernel::Function::LeakyRelu {
            negative_slope: slope as f32,
        },
    }
}

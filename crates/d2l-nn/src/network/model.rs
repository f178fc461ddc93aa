//! A network with its parameters.

use super::place::Placed;
use super::{Network, place::place};
use crate::{
    Error, ParamStore, Result, Rng,
    layers::{Activation, Context, Forward, Layer, LayerSpec, MemoryFormat, ParamSpec},
    ops,
    plan::{Blueprint, Mode, Plan},
    rng::hash_name,
};
use candle_core::{Tensor, Var};
use candle_nn::ModuleT;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A built network: candle's `ModuleT` over `[batch, …]` inputs.
///
/// The only state beside the parameters is the number of training passes made, which determines what dropout drops;
/// a checkpoint holds it.
pub struct Model {
    network: Network,
    params: ParamStore,
    seed: u64,
    input: Vec<usize>,
    layers: Vec<Built>,
    step: AtomicU64,
}

/// A layer of a model.
struct Built {
    path: String,
    kind: BuiltKind,
}

enum BuiltKind {
    Leaf(Arc<dyn Forward>),
    Sequence(Vec<Built>),
    Residual(Vec<Built>, Vec<Built>),
    Branches(Vec<Vec<Built>>),
}

impl Model {
    pub(super) fn build(network: &Network, input: &[usize], params: &ParamStore, rng: &Rng) -> Result<Self> {
        let layers = build_all(&place(network, input, "")?, params, rng)?;
        Ok(Self {
            network: network.clone(),
            params: params.clone(),
            seed: rng.seed(),
            input: input.to_vec(),
            layers,
            step: AtomicU64::new(0),
        })
    }

    /// The shape of one example that the model was built for.
    pub fn input_shape(&self) -> &[usize] {
        &self.input
    }

    /// The number of training passes made so far.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// Goes to where the model was after that many training passes, as far as randomness is concerned.
    pub fn set_step(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// A plan of this model for batches of up to `batch` examples: the same computation over buffers laid out once.
    ///
    /// # Errors
    /// When the model is not f32 on the CPU, or a parameter that is learned serves more than one layer.
    pub fn plan(&self, mode: Mode, batch: usize) -> Result<Plan> {
        self.with_blueprint(mode, |blueprint| blueprint.plan(batch, &self.params))
    }

    /// Refuses what [`Self::plan`] would refuse of this model, without laying anything out.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub fn check_plan(&self, mode: Mode) -> Result<()> {
        self.with_blueprint(mode, |blueprint| blueprint.check(&self.params))
    }

    fn with_blueprint<R>(&self, mode: Mode, act: impl FnOnce(Blueprint<'_>) -> Result<R>) -> Result<R> {
        let mut leaves = HashMap::new();
        collect_leaves(&self.layers, &mut leaves);
        let find = |path: &str| {
            let prefix = format!("{path}.");
            let own = |name: &String| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('.'));
            let vars = self.params.all().into_iter().filter(|(name, _)| own(name));
            let leaf: &Arc<dyn Forward> = leaves.get(path)?;
            Some((Arc::clone(leaf), vars.map(|(_, var)| var).collect()))
        };
        act(Blueprint {
            placed: &place(&self.network, &self.input, "")?,
            input: &self.input,
            mode,
            seed: self.seed,
            find: &find,
        })
    }

    /// The parameters that the model was built with.
    pub fn params(&self) -> &ParamStore {
        &self.params
    }

    /// A forward pass that shows each layer's output to `visit`, channels first, the layers inside another before it.
    /// A ReLU that follows a convolution is computed with it, so the pair is shown once, under the ReLU's name.
    ///
    /// # Errors
    /// When the batch does not have the shape that the model was built for.
    pub fn forward_with(
        &self,
        xs: &Tensor,
        train: bool,
        visit: &mut dyn FnMut(&str, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.run(xs, train, &mut |path, flow| {
            visit(path, &flow.clone().into_channels_first()?)
        })
    }

    /// A forward pass with the outputs of the layers `at`, in that order, channels first. A convolution that a ReLU
    /// follows has to be asked for by the ReLU's name.
    ///
    /// # Errors
    /// When the batch does not have the shape that the model was built for, or there is no such layer.
    pub fn forward_at(&self, xs: &Tensor, train: bool, at: &[&str]) -> Result<(Tensor, Vec<Tensor>)> {
        let mut seen = vec![None; at.len()];
        let output = self.run(xs, train, &mut |path, flow| {
            for (_, seen) in at.iter().zip(&mut seen).filter(|(wanted, _)| **wanted == path) {
                *seen = Some(flow.clone().into_channels_first()?);
            }
            Ok(())
        })?;
        let found = at
            .iter()
            .zip(seen)
            .map(|(path, ys)| ys.ok_or_else(|| Error::msg(format!("no layer shows its output as `{path}`"))));
        Ok((output, found.collect::<Result<_>>()?))
    }

    fn run(&self, xs: &Tensor, train: bool, visit: &mut Visit<'_>) -> Result<Tensor> {
        if xs.dims().get(1..) != Some(self.input.as_slice()) {
            let (input, got) = (&self.input, xs.dims());
            return Err(Error::msg(format!(
                "the model was built for batches of {input:?}, got {got:?}"
            )));
        }
        let step = if train {
            self.step.fetch_add(1, Ordering::Relaxed)
        } else {
            self.step()
        };
        let flow = Flow {
            xs: xs.clone(),
            channels_last: false,
        };
        forward_all(&self.layers, flow, &Context { train, step }, visit)?.into_channels_first()
    }
}

fn collect_leaves<'m>(layers: &'m [Built], leaves: &mut HashMap<&'m str, &'m Arc<dyn Forward>>) {
    for layer in layers {
        match &layer.kind {
            BuiltKind::Leaf(leaf) => {
                leaves.insert(&layer.path, leaf);
            }
            BuiltKind::Sequence(inner) => collect_leaves(inner, leaves),
            BuiltKind::Residual(main, shortcut) => {
                [main, shortcut]
                    .into_iter()
                    .for_each(|path| collect_leaves(path, leaves));
            }
            BuiltKind::Branches(branches) => branches.iter().for_each(|path| collect_leaves(path, leaves)),
        }
    }
}

fn build_all(placed: &[Placed<'_>], params: &ParamStore, rng: &Rng) -> Result<Vec<Built>> {
    let mut built = Vec::with_capacity(placed.len());
    let mut rest = placed.iter().peekable();
    while let Some(at) = rest.next() {
        let relu = rest.next_if(|next| {
            let is_relu = matches!(next.node.layer, Layer::Activation(Activation::Relu));
            is_relu && matches!(at.node.layer, Layer::Conv2d(_))
        });
        let kind = build_one(at, relu.is_some(), params, rng).map_err(|e| match e {
            inner @ Error::Layer { .. } => inner,
            other => other.in_layer(&at.path),
        })?;
        built.push(Built {
            path: relu.unwrap_or(at).path.clone(),
            kind,
        });
    }
    Ok(built)
}

fn build_one(at: &Placed<'_>, fused_relu: bool, params: &ParamStore, rng: &Rng) -> Result<BuiltKind> {
    let mut children = at.children.iter().map(|child| build_all(child, params, rng));
    let mut child = || children.next().unwrap_or_else(|| Ok(Vec::new()));
    let create = |spec: &ParamSpec| {
        let name = format!("{}.{}", at.path, spec.name);
        params.get_or_init(&name, &spec.shape, spec.fan, spec.init, spec.kind, rng)
    };
    let vars = || at.params.iter().map(create).collect::<Result<Vec<Var>>>();
    Ok(match &at.node.layer {
        Layer::Sequence(_) => BuiltKind::Sequence(child()?),
        Layer::Residual(_) => BuiltKind::Residual(child()?, child()?),
        Layer::Branches(_) => BuiltKind::Branches(children.collect::<Result<_>>()?),
        Layer::Conv2d(layer) => BuiltKind::Leaf(layer.build_with(vars()?, fused_relu)?.into()),
        layer => {
            let key = rng.seed() ^ hash_name(&at.path);
            let build = |spec: &dyn LayerSpec| spec.build(&at.input, vars()?, key);
            let built = layer
                .spec()
                .map(build)
                .ok_or_else(|| Error::msg("cannot be built"))??;
            BuiltKind::Leaf(built.into())
        }
    })
}

type Visit<'v> = dyn FnMut(&str, &Flow) -> Result<()> + 'v;

/// An activation on its way through a model, and how it lies.
#[derive(Clone)]
struct Flow {
    xs: Tensor,
    channels_last: bool,
}

impl Flow {
    fn into_channels_first(self) -> Result<Tensor> {
        if self.channels_last && self.xs.rank() == 4 {
            ops::to_nchw(&self.xs)
        } else {
            Ok(self.xs)
        }
    }

    fn into_format(self, format: MemoryFormat) -> Result<Self> {
        match format {
            MemoryFormat::ChannelsFirst if self.channels_last => Ok(Self {
                xs: self.into_channels_first()?,
                channels_last: false,
            }),
            MemoryFormat::ChannelsLast if !self.channels_last => Ok(Self {
                xs: ops::to_nhwc(&self.xs)?,
                channels_last: true,
            }),
            _ => Ok(self),
        }
    }

    fn format(&self) -> MemoryFormat {
        if self.channels_last {
            MemoryFormat::ChannelsLast
        } else {
            MemoryFormat::ChannelsFirst
        }
    }
}

fn forward_all(layers: &[Built], mut flow: Flow, context: &Context, visit: &mut Visit<'_>) -> Result<Flow> {
    for layer in layers {
        flow = match &layer.kind {
            BuiltKind::Leaf(leaf) => forward_leaf(leaf.as_ref(), flow, context),
            BuiltKind::Sequence(inner) => forward_all(inner, flow, context, visit),
            BuiltKind::Residual(main, shortcut) => add_paths(main, shortcut, flow, context, visit),
            BuiltKind::Branches(branches) => join_branches(branches, &flow, context, visit),
        }
        .map_err(|e| match e {
            inner @ Error::Layer { .. } => inner,
            other => other.in_layer(&layer.path),
        })?;
        visit(&layer.path, &flow)?;
    }
    Ok(flow)
}

fn forward_leaf(leaf: &dyn Forward, flow: Flow, context: &Context) -> Result<Flow> {
    let flow = flow.into_format(leaf.memory_format())?;
    let channels_last = flow.channels_last;
    Ok(Flow {
        xs: leaf.forward(&flow.xs, context)?,
        channels_last,
    })
}

fn add_paths(
    main: &[Built],
    shortcut: &[Built],
    flow: Flow,
    context: &Context,
    visit: &mut Visit<'_>,
) -> Result<Flow> {
    let other = forward_all(shortcut, flow.clone(), context, visit)?;
    let main = forward_all(main, flow, context, visit)?;
    let other = other.into_format(main.format())?;
    Ok(Flow {
        xs: (&main.xs + &other.xs)?,
        channels_last: main.channels_last,
    })
}

fn join_branches(
    branches: &[Vec<Built>],
    flow: &Flow,
    context: &Context,
    visit: &mut Visit<'_>,
) -> Result<Flow> {
    let outputs = branches
        .iter()
        .map(|branch| forward_all(branch, flow.clone(), context, visit))
        .collect::<Result<Vec<_>>>()?;
    let format = outputs.last().unwrap_or(flow).format();
    let outputs = outputs
        .into_iter()
        .map(|f| Ok(f.into_format(format)?.xs))
        .collect::<Result<Vec<Tensor>>>()?;
    let channels_last = format == MemoryFormat::ChannelsLast;
    let dimension = if channels_last {
        outputs.first().map_or(1, |xs| xs.rank().saturating_sub(1))
    } else {
        1
    };
    Ok(Flow {
        xs: Tensor::cat(&outputs, dimension)?,
        channels_last,
    })
}

impl ModuleT for Model {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        Ok(self.run(xs, train, &mut |_, _| Ok(()))?)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layers: Vec<&str> = self.layers.iter().map(|layer| layer.path.as_str()).collect();
        f.debug_struct("Model")
            .field("input", &self.input)
            .field("layers", &layers)
            .finish_non_exhaustive()
    }
}

//! Layers and blocks (section 5.1): a network as a block, a sequence of one's own, a block with control flow, and
//! blocks in blocks.

use crate::{
    Chapter, Cost, Expect, Lesson, Page, Result,
    numbers::{distance, scalar},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;
use d2l_nn::{
    Model, Network, ParamStore, Rng,
    layers::{Activation, Linear},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "blocks",
    chapter: Chapter::Computation,
    section: "5.1",
    title: "Layers and blocks",
    expected: "outputs of 2×10; the block with control flow ends at a sum of at most 1",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    let x = page
        .rng("X")
        .uniform(&[2, 20], 0.0, 1.0, DType::F32, page.device())?;

    // ANCHOR: block
    let params = ParamStore::new(DType::F32, page.device());
    let net = mlp().build(&[20], &params, &page.rng("net"))?;
    let output = net.forward_t(&x, true)?;
    page.say(mlp());
    page.show("net(X)", &output);
    // ANCHOR_END: block
    page.expect("rows of net(X)", Expect::Exactly(2.0), output.dim(0)? as f64);
    page.expect("columns of net(X)", Expect::Exactly(10.0), output.dim(1)? as f64);

    // ANCHOR: sequence
    let sequence = MySequential(layer_by_layer(&params)?);
    let again = sequence.forward_t(&x, true)?;
    // ANCHOR_END: sequence
    page.expect(
        "a sequence of one's own beside the network",
        Expect::Exactly(0.0),
        distance(&again, &output)?,
    );

    // ANCHOR: control_flow
    let fixed = FixedHiddenMlp::new(20, page.device(), &page.rng("fixed"))?;
    let sum = fixed.forward_t(&x, true)?;
    page.show("FixedHiddenMLP(X)", &sum);
    // ANCHOR_END: control_flow
    page.expect(
        "|FixedHiddenMLP(X)|",
        Expect::Between(0.0, 1.0),
        scalar(&sum)?.abs(),
    );
    page.expect(
        "its parameters: one layer used twice, without the constant",
        Expect::Exactly(20.0 * 20.0 + 20.0),
        fixed.params.parameter_count() as f64,
    );

    // ANCHOR: chimera
    let front = Network::new("chimera")
        .add("nest", nest_mlp())
        .add("linear", Linear::new(20));
    let params = ParamStore::new(DType::F32, page.device());
    let front_built = front.build(&[20], &params, &page.rng("chimera"))?;
    let chimera = MySequential(vec![Box::new(front_built), Box::new(fixed)]);
    let sum = chimera.forward_t(&x, true)?;
    page.say(&front);
    page.show("chimera(X)", &sum);
    // ANCHOR_END: chimera
    page.expect("|chimera(X)|", Expect::Between(0.0, 1.0), scalar(&sum)?.abs());
    Ok(())
}

// ANCHOR: mlp
/// A block of one's own is a function that returns a description.
pub fn mlp() -> Network {
    Network::new("mlp")
        .add("hidden", Linear::new(256))
        .add("relu", Activation::Relu)
        .add("out", Linear::new(10))
}
// ANCHOR_END: mlp

/// The layers of [`mlp`] one by one; those of the same name share their parameters with what was built before.
fn layer_by_layer(params: &ParamStore) -> Result<Vec<Box<dyn ModuleT>>> {
    let mut layers: Vec<Box<dyn ModuleT>> = Vec::new();
    let mut input = vec![20];
    for node in mlp().nodes {
        let one = Network::new("one").add(node.name, node.layer);
        layers.push(Box::new(one.build(&input, params, &Rng::new(0))?));
        input = one.output_shape(&input)?;
    }
    Ok(layers)
}

// ANCHOR: my_sequential
/// A sequence of one's own: any of candle's modules, one after the other.
pub struct MySequential(pub Vec<Box<dyn ModuleT>>);

impl ModuleT for MySequential {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.0
            .iter()
            .try_fold(xs.clone(), |xs, module| module.forward_t(&xs, train))
    }
}
// ANCHOR_END: my_sequential

// ANCHOR: fixed_hidden_mlp
/// A block with a weight that stays as it is, one layer used twice, and a loop in its forward pass.
pub struct FixedHiddenMlp {
    /// `[n, n]`, not learned.
    rand_weight: Tensor,
    linear: Model,
    params: ParamStore,
}

impl FixedHiddenMlp {
    /// For `n` features.
    ///
    /// # Errors
    /// When the tensors cannot be made.
    pub fn new(n: usize, device: &Device, rng: &Rng) -> Result<Self> {
        let params = ParamStore::new(DType::F32, device);
        let linear = Network::new("fixed").add("linear", Linear::new(n));
        let linear = linear.build(&[n], &params, rng)?;
        let mut rng = rng.split("rand_weight");
        Ok(Self {
            rand_weight: rng.uniform(&[n, n], 0.0, 1.0, DType::F32, device)?,
            linear,
            params,
        })
    }
}

impl ModuleT for FixedHiddenMlp {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let xs = self.linear.forward_t(xs, train)?;
        let xs = (xs.matmul(&self.rand_weight)? + 1.0)?.relu()?;
        // The same layer once more: both uses share its parameters.
        let mut xs = self.linear.forward_t(&xs, train)?;
        while xs.abs()?.sum_all()?.to_scalar::<f32>()? > 1.0 {
            xs = (xs / 2.0)?;
        }
        xs.sum_all()
    }
}
// ANCHOR_END: fixed_hidden_mlp

// ANCHOR: nest_mlp
/// A block with a block inside.
pub fn nest_mlp() -> Network {
    let net = Network::new("net")
        .add("linear1", Linear::new(64))
        .add("relu1", Activation::Relu)
        .add("linear2", Linear::new(32))
        .add("relu2", Activation::Relu);
    Network::new("nest")
        .add("net", net)
        .add("linear", Linear::new(16))
}
// ANCHOR_END: nest_mlp

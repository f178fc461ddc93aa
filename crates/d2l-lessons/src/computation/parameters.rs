//! Parameter management (section 5.2): reading parameters by name, initialising them, and tying them together.

use super::blocks::MySequential;
use crate::{
    Chapter, Cost, Error, Expect, Lesson, Page, Result,
    numbers::{distance, scalar, values},
};
use candle_core::{DType, Tensor, Var};
use candle_nn::ModuleT;
use d2l_nn::{
    Fan, Init, Network, ParamStore, Rng,
    layers::{Activation, Linear},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "parameters",
    chapter: Chapter::Computation,
    section: "5.2",
    title: "Parameter management",
    expected: "parameters by name; each initialiser's spread; tied layers that stay equal",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    access(page)?;
    nested(page)?;
    initialisers(page)?;
    tied(page)
}

/// The variable of that name.
fn get(params: &ParamStore, name: &str) -> Result<Var> {
    let found = params.get(name);
    found.ok_or_else(|| Error::Lesson(format!("there is no parameter {name}")))
}

/// A hidden layer of 8 over 4 features.
fn small() -> Network {
    Network::new("net")
        .add("hidden", Linear::new(8))
        .add("relu", Activation::Relu)
        .add("out", Linear::new(1))
}

fn access(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: access
    let params = ParamStore::new(DType::F32, page.device());
    let net = small().build(&[4], &params, &page.rng("net"))?;
    let x = page
        .rng("X")
        .uniform(&[2, 4], 0.0, 1.0, DType::F32, page.device())?;
    page.show("net(X)", &net.forward_t(&x, false)?);

    for (name, var) in params.parameters() {
        page.say(format_args!("{name}: {:?}", var.dims()));
    }
    let bias = get(&params, "out.bias")?;
    page.show("out.bias", &bias);
    // Before a backward pass there is no gradient, and after it there is.
    let gradients = net.forward_t(&x, true)?.sum_all()?.backward()?;
    page.say(format_args!(
        "gradient of out.bias: {:?}",
        gradients.get(&bias).map(Tensor::dims)
    ));
    // ANCHOR_END: access
    page.expect(
        "named parameters",
        Expect::Exactly(4.0),
        params.parameters().len() as f64,
    );
    page.expect(
        "numbers in them",
        Expect::Exactly(4.0 * 8.0 + 8.0 + 8.0 + 1.0),
        params.parameter_count() as f64,
    );
    // The sum of two outputs: each adds one.
    let gradient = gradients.get(&bias).map(scalar).transpose()?;
    let gradient = gradient.unwrap_or(f64::NAN);
    page.expect("gradient of out.bias", Expect::Exactly(2.0), gradient);
    Ok(())
}

// ANCHOR: nested
/// Blocks in blocks: a parameter's name is the way to it.
fn nested(page: &mut Page<'_>) -> Result<()> {
    let block1 = || {
        Network::new("block1")
            .add("linear1", Linear::new(8))
            .add("relu1", Activation::Relu)
            .add("linear2", Linear::new(4))
            .add("relu2", Activation::Relu)
    };
    let block2 = (0..4).fold(Network::new("block2"), |block, i| {
        block.add(format!("block{i}"), block1())
    });
    let network = Network::new("rgnet")
        .add("block2", block2)
        .add("out", Linear::new(1));
    page.say(&network);
    let params = ParamStore::new(DType::F32, page.device());
    network.build(&[4], &params, &page.rng("nested"))?;
    let bias = get(&params, "block2.block1.linear1.bias")?;
    page.show("block2.block1.linear1.bias", &bias);
    page.expect("its length", Expect::Exactly(8.0), bias.elem_count() as f64);
    Ok(())
}
// ANCHOR_END: nested

fn initialisers(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: initialisers
    let uniform = Init::Uniform {
        low: -0.05,
        high: 0.05,
    };
    let rules = [
        ("normal", Init::normal(0.01), 0.01),
        ("uniform", uniform, 0.05 / 3f64.sqrt()),
        ("constant", Init::Constant(1.0), 0.0),
        // U(±√(6 / (in + out))) and N(0, 2 / in)
        ("Xavier", Init::XavierUniform, (2.0 / 300.0f64).sqrt()),
        ("He", Init::HeNormal, (2.0 / 200.0f64).sqrt()),
    ];
    for (name, init, deviation) in rules {
        let weight = initialised(page, init)?;
        let (mean, reached) = mean_and_deviation(&values(&weight)?);
        page.say(format_args!(
            "{name}: mean {mean:.4}, standard deviation {reached:.4}"
        ));
        page.expect(
            &format!("standard deviation of {name}"),
            Expect::near(deviation, 0.03 * deviation),
            reached,
        );
    }
    // ANCHOR_END: initialisers

    // ANCHOR: own_rule
    let weight = initialised(page, Init::Custom(own_rule))?;
    let weight = values(&weight)?;
    let kept = weight.iter().filter(|w| **w != 0.0).count() as f64 / weight.len() as f64;
    page.say(format_args!(
        "own rule: {:.2?} …, {kept:.2} of them not 0",
        weight.iter().take(4).collect::<Vec<_>>()
    ));
    // ANCHOR_END: own_rule
    page.expect("part that the own rule keeps", Expect::near(0.5, 0.02), kept);
    let odd = weight
        .iter()
        .filter(|w| **w != 0.0 && !(5.0..=10.0).contains(&w.abs()));
    page.expect(
        "weights between 0 and 5",
        Expect::Exactly(0.0),
        odd.count() as f64,
    );
    Ok(())
}

/// The weight `[100, 200]` of a layer that starts by `init`.
fn initialised(page: &Page<'_>, init: Init) -> Result<Var> {
    let params = ParamStore::new(DType::F32, page.device());
    let network = Network::new("net")
        .add("linear", Linear::new(100))
        .weight_init(init);
    network.build(&[200], &params, &page.rng("initialisers"))?;
    get(&params, "linear.weight")
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

// ANCHOR: rule
/// U(−10, 10), with 0 for what is nearer to 0 than 5.
pub fn own_rule(rng: &mut Rng, _: Fan, n: usize) -> Vec<f32> {
    let mut values = rng.uniform_vec(n, -10.0, 10.0);
    values
        .iter_mut()
        .filter(|value| value.abs() < 5.0)
        .for_each(|value| *value = 0.0);
    values
}
// ANCHOR_END: rule

fn tied(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: tied
    let params = ParamStore::new(DType::F32, page.device());
    let rng = page.rng("tied");
    let layer = |name: &str, inputs: usize, outputs: usize| -> Result<Box<dyn ModuleT>> {
        let one = Network::new("one").add(name, Linear::new(outputs));
        Ok(Box::new(one.build(&[inputs], &params, &rng)?))
    };
    // Two layers of one name have one weight and one bias.
    let net = MySequential(vec![
        layer("first", 4, 8)?,
        layer("shared", 8, 8)?,
        layer("shared", 8, 8)?,
        layer("last", 8, 1)?,
    ]);
    let x = page
        .rng("X")
        .uniform(&[2, 4], 0.0, 1.0, DType::F32, page.device())?;
    let shared = get(&params, "shared.weight")?;
    let gradients = net.forward_t(&x, true)?.sum_all()?.backward()?;
    // ANCHOR_END: tied
    page.expect(
        "parameters of four layers, two of them tied",
        Expect::Exactly(6.0),
        params.parameters().len() as f64,
    );

    // Another weight for both: as a network of two layers apart with that weight.
    shared.set(&(shared.as_tensor() * 2.0)?)?;
    let by_hand = apart(&params, &x)?;
    let together = net.forward_t(&x, false)?;
    page.show("net(X) with the tied weight doubled", &together);
    page.expect(
        "tied layers beside two with equal weights",
        Expect::AtMost(1e-5),
        distance(&together, &by_hand)?,
    );
    let has_gradient = f64::from(u8::from(gradients.get(&shared).is_some()));
    page.expect(
        "gradients of the tied weight: one, the sum of both uses",
        Expect::Exactly(1.0),
        has_gradient,
    );
    Ok(())
}

/// The tied network from its parameters by hand.
fn apart(params: &ParamStore, x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    for name in ["first", "shared", "shared", "last"] {
        let (weight, bias) = (
            get(params, &format!("{name}.weight"))?,
            get(params, &format!("{name}.bias"))?,
        );
        x = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
    }
    Ok(x)
}

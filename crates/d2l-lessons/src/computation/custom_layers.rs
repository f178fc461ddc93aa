//! Custom layers (section 5.4): one without parameters and one with.

use crate::{
    Chapter, Cost, Expect, Lesson, Page, Result,
    numbers::{scalar, values},
};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::ModuleT;
use d2l_nn::{
    Error, Fan, Init, Network, ParamStore,
    layers::{Context, Forward, Layer, LayerSpec, Linear, ParamSpec},
    ops,
};
use std::sync::Arc;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "custom-layers",
    chapter: Chapter::Computation,
    section: "5.4",
    title: "Custom layers",
    expected: "[−2, −1, 0, 1, 2] from 1 to 5; a mean of 0 behind the layer; a linear layer of one's own",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: centered
    let centered = Network::new("centered").add("layer", Layer::Custom(Arc::new(Centered)));
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let layer = centered.build(&[5], &params, &page.rng("centered"))?;
    let x = Tensor::arange(1f32, 6.0, &Device::Cpu)?.unsqueeze(0)?;
    let y = layer.forward_t(&x, false)?;
    page.show("centered([1, 2, 3, 4, 5])", &y);
    // ANCHOR_END: centered
    for (index, (book, reached)) in (-2..=2).zip(values(&y)?).enumerate() {
        page.expect(
            &format!("element {index}"),
            Expect::Exactly(f64::from(book)),
            reached,
        );
    }

    // ANCHOR: in_a_network
    let net = Network::new("net")
        .add("linear", Linear::new(128))
        .add("centered", Layer::Custom(Arc::new(Centered)));
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let built = net.build(&[8], &params, &page.rng("net"))?;
    let x = page
        .rng("X")
        .uniform(&[4, 8], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let mean = scalar(&built.forward_t(&x, false)?.mean_all()?)?;
    page.say(format_args!("mean behind the layer: {mean:.1e}"));
    // ANCHOR_END: in_a_network
    page.expect("mean behind the layer", Expect::near(0.0, 1e-6), mean);

    // ANCHOR: my_linear
    let net = Network::new("own")
        .add("first", Layer::Custom(Arc::new(MyLinear { outputs: 8 })))
        .add("second", Layer::Custom(Arc::new(MyLinear { outputs: 1 })));
    page.say(&net);
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let built = net.build(&[64], &params, &page.rng("own"))?;
    let x = page
        .rng("X")
        .uniform(&[2, 64], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let y = built.forward_t(&x, true)?;
    page.show("net(X)", &y);
    // ANCHOR_END: my_linear
    page.expect(
        "parameters of the own layers",
        Expect::Exactly(64.0 * 8.0 + 8.0 + 8.0 + 1.0),
        params.parameter_count() as f64,
    );
    let gradients = y.sum_all()?.backward()?;
    let with_gradient = params
        .trainable()
        .into_iter()
        .filter(|(_, var)| gradients.get(var).is_some());
    page.expect(
        "parameters with a gradient",
        Expect::Exactly(4.0),
        with_gradient.count() as f64,
    );
    Ok(())
}

// ANCHOR: centered_layer
/// Takes the mean away; a layer without parameters.
#[derive(Debug)]
pub struct Centered;

impl LayerSpec for Centered {
    fn kind(&self) -> &str {
        "Centered"
    }

    fn output_shape(&self, input: &[usize]) -> d2l_nn::Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> d2l_nn::Result<Box<dyn Forward>> {
        Ok(Box::new(Self))
    }
}

impl Forward for Centered {
    fn forward(&self, xs: &Tensor, _: &Context) -> d2l_nn::Result<Tensor> {
        Ok(xs.broadcast_sub(&xs.mean_all()?)?)
    }
}
// ANCHOR_END: centered_layer

// ANCHOR: my_linear_layer
/// A fully connected layer with ReLU, its weight and bias from N(0, 1).
#[derive(Debug)]
pub struct MyLinear {
    /// Size of the output.
    pub outputs: usize,
}

impl LayerSpec for MyLinear {
    fn kind(&self) -> &str {
        "MyLinear"
    }

    fn details(&self) -> String {
        self.outputs.to_string()
    }

    fn output_shape(&self, input: &[usize]) -> d2l_nn::Result<Vec<usize>> {
        inputs(input)?;
        Ok(vec![self.outputs])
    }

    fn params(&self, input: &[usize]) -> d2l_nn::Result<Vec<ParamSpec>> {
        let shape = vec![inputs(input)?, self.outputs];
        let fan = Fan::of_weight(&shape);
        Ok(vec![
            ParamSpec::parameter("weight", shape, fan, Init::normal(1.0)),
            ParamSpec::parameter("bias", vec![self.outputs], fan, Init::normal(1.0)),
        ])
    }

    fn build(&self, _: &[usize], vars: Vec<Var>, _: u64) -> d2l_nn::Result<Box<dyn Forward>> {
        let [weight, bias] = <[Var; 2]>::try_from(vars)
            .map_err(|vars| Error::msg(format!("needs a weight and a bias, got {} variables", vars.len())))?;
        Ok(Box::new(BuiltLinear { weight, bias }))
    }
}

/// The layer with its parameters.
struct BuiltLinear {
    /// `[inputs, outputs]`
    weight: Var,
    /// `[outputs]`
    bias: Var,
}

impl Forward for BuiltLinear {
    fn forward(&self, xs: &Tensor, _: &Context) -> d2l_nn::Result<Tensor> {
        ops::relu(&xs.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}
// ANCHOR_END: my_linear_layer

fn inputs(input: &[usize]) -> d2l_nn::Result<usize> {
    match *input {
        [inputs] => Ok(inputs),
        _ => Err(Error::msg(format!("expects [features], got {input:?}"))),
    }
}

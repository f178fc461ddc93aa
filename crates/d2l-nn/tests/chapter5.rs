//! The book's chapter on blocks, written with this crate: own blocks, control flow in a forward pass, nested blocks,
//! tied and frozen parameters, own layers and rules of initialisation.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, ModuleT, VarBuilder, VarMap};
use d2l_nn::{
    Fan, Init, Model, Network, ParamStore, Result, Rng,
    layers::{Activation, Context, Forward, Layer, LayerSpec, Linear},
    ops,
};
use std::sync::Arc;

fn store() -> ParamStore {
    ParamStore::new(DType::F32, &Device::Cpu)
}

fn inputs() -> Tensor {
    Rng::new(5)
        .uniform(&[2, 20], 0.0, 1.0, DType::F32, &Device::Cpu)
        .unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Section 5.1.1: a block of one's own; here a function that returns a description.
fn mlp() -> Network {
    Network::new("mlp")
        .add("hidden", Linear::new(256))
        .add("relu", Activation::Relu)
        .add("out", Linear::new(10))
}

/// Section 5.1.2: a sequence of one's own, over any of candle's modules.
struct MySequential(Vec<Box<dyn ModuleT>>);

impl ModuleT for MySequential {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.0
            .iter()
            .try_fold(xs.clone(), |xs, module| module.forward_t(&xs, train))
    }
}

/// Section 5.1.3: a constant weight, one layer used twice, and a loop in the forward pass.
struct FixedHiddenMlp {
    /// `[20, 20]`, not learned.
    rand_weight: Tensor,
    linear: Model,
}

impl FixedHiddenMlp {
    fn new(params: &ParamStore, rng: &Rng) -> Result<Self> {
        Ok(Self {
            rand_weight: rng
                .split("rand_weight")
                .uniform(&[20, 20], 0.0, 1.0, DType::F32, &Device::Cpu)?,
            linear: Network::new("fixed")
                .add("linear", Linear::new(20))
                .build(&[20], params, rng)?,
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

/// Section 5.1.3: blocks in blocks.
fn nest_mlp() -> Network {
    let net = Network::new("net")
        .add("linear1", Linear::new(64))
        .add("relu1", Activation::Relu)
        .add("linear2", Linear::new(32))
        .add("relu2", Activation::Relu);
    Network::new("nest")
        .add("net", net)
        .add("linear", Linear::new(16))
}

#[test]
fn a_sequence_of_ones_own_is_the_networks_own() {
    let params = store();
    let whole = mlp().build(&[20], &params, &Rng::new(0)).unwrap();
    // Layer by layer over the same store: built under the same names, the parameters are the same ones.
    let layer = |node: usize, input: usize| -> Box<dyn ModuleT> {
        let one = Network {
            name: "one".to_owned(),
            nodes: vec![mlp().nodes[node].clone()],
        };
        Box::new(one.build(&[input], &params, &Rng::new(1)).unwrap())
    };
    let mine = MySequential(vec![layer(0, 20), layer(1, 256), layer(2, 256)]);
    assert_eq!(params.all().len(), 4);
    assert_eq!(
        values(&mine.forward_t(&inputs(), false).unwrap()),
        values(&whole.forward_t(&inputs(), false).unwrap())
    );
}

#[test]
fn control_flow_and_a_constant_weight() {
    let (params, rng) = (store(), Rng::new(3));
    let net = FixedHiddenMlp::new(&params, &rng).unwrap();
    let sum = net.forward_t(&inputs(), true).unwrap();
    assert_eq!(sum.rank(), 0);
    assert!(sum.to_scalar::<f32>().unwrap().abs() <= 1.0);
    assert_eq!(params.parameters().len(), 2, "the constant is no parameter");

    // Against the same with two layers apart: the shared layer's gradient is the sum of theirs.
    let gradients = sum.backward().unwrap();
    let weight = params.get("linear.weight").unwrap();
    let shared = values(gradients.get(weight.as_tensor()).unwrap());
    let apart = |name: &str| {
        let own = store();
        let layer = Network::new("one")
            .add(name, Linear::new(20))
            .build(&[20], &own, &rng)
            .unwrap();
        for part in ["weight", "bias"] {
            let same = params.get(&format!("linear.{part}")).unwrap();
            own.set(&format!("{name}.{part}"), same.as_tensor()).unwrap();
        }
        (layer, own.get(&format!("{name}.weight")).unwrap())
    };
    let ((first, first_weight), (second, second_weight)) = (apart("first"), apart("second"));
    let xs = first.forward_t(&inputs(), true).unwrap();
    let xs = (xs.matmul(&net.rand_weight).unwrap() + 1.0)
        .unwrap()
        .relu()
        .unwrap();
    let mut xs = second.forward_t(&xs, true).unwrap();
    while xs.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() > 1.0 {
        xs = (xs / 2.0).unwrap();
    }
    let gradients = xs.sum_all().unwrap().backward().unwrap();
    let one = values(gradients.get(first_weight.as_tensor()).unwrap());
    let two = values(gradients.get(second_weight.as_tensor()).unwrap());
    assert!(one.iter().any(|g| *g != 0.0) && two.iter().any(|g| *g != 0.0));
    for ((a, b), sum) in one.iter().zip(&two).zip(&shared) {
        assert!((a + b - sum).abs() < 1e-5, "{a} + {b} is not {sum}");
    }
}

#[test]
fn chimera() {
    // The book's chimera: a nested block, a layer and the block with control flow, one after another.
    let (params, rng) = (store(), Rng::new(0));
    let front = Network::new("chimera")
        .add("nest", nest_mlp())
        .add("linear", Linear::new(20))
        .build(&[20], &params, &rng)
        .unwrap();
    let fixed = store();
    let chimera = MySequential(vec![
        Box::new(front),
        Box::new(FixedHiddenMlp::new(&fixed, &rng).unwrap()),
    ]);
    let output = chimera.forward_t(&inputs(), true).unwrap();
    let gradients = output.backward().unwrap();
    for (name, var) in params.trainable().into_iter().chain(fixed.trainable()) {
        assert!(gradients.get(var.as_tensor()).is_some(), "{name}");
    }
    assert_eq!(
        nest_mlp().to_string(),
        "\
nest
├─ net: Sequence
│  ├─ linear1: Linear 64
│  ├─ relu1: ReLU
│  ├─ linear2: Linear 32
│  └─ relu2: ReLU
└─ linear: Linear 16
"
    );
}

#[test]
fn parameters_are_listed_read_replaced_and_frozen_by_name() {
    let params = store();
    let model = mlp().build(&[20], &params, &Rng::new(0)).unwrap();
    let names: Vec<String> = params.parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]);
    assert_eq!(params.get("hidden.weight").unwrap().dims(), [256, 20]);

    let zeros = Tensor::zeros((10, 256), DType::F32, &Device::Cpu).unwrap();
    params.set("out.weight", &zeros).unwrap();
    params
        .set("out.bias", &Tensor::full(7f32, 10, &Device::Cpu).unwrap())
        .unwrap();
    assert_eq!(values(&model.forward_t(&inputs(), false).unwrap()), [7.0; 20]);
    assert!(
        params
            .set("out.weight", &zeros.t().unwrap())
            .unwrap_err()
            .to_string()
            .contains("out.weight")
    );
    assert!(params.set("nothing", &zeros).is_err());

    assert_eq!(params.freeze(true, |name| name.starts_with("hidden.")), 2);
    let left: Vec<String> = params.trainable().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["out.weight", "out.bias"]);
}

/// Section 5.2.2: layers that share their parameters, in a network of one's own.
#[test]
fn tied_parameters() {
    let (params, rng) = (store(), Rng::new(1));
    let shared = || Network::new("shared").add("shared", Linear::new(8));
    let linear = |name: &str, input: usize, output: usize| -> Box<dyn ModuleT> {
        let network = Network::new("one").add(name, Linear::new(output));
        Box::new(network.build(&[input], &params, &rng).unwrap())
    };
    let tied = || -> Box<dyn ModuleT> { Box::new(shared().build(&[8], &params, &rng).unwrap()) };
    let net = MySequential(vec![linear("first", 20, 8), tied(), tied(), linear("last", 8, 1)]);
    assert_eq!(
        params.parameters().len(),
        6,
        "the two share one weight and one bias"
    );

    let before = values(&net.forward_t(&inputs(), true).unwrap());
    let weight = params.get("shared.weight").unwrap();
    weight.set(&(weight.as_tensor() * 2.0).unwrap()).unwrap();
    let bias = params.get("shared.bias").unwrap();
    bias.set(&bias.zeros_like().unwrap()).unwrap();
    assert_ne!(values(&net.forward_t(&inputs(), true).unwrap()), before);
    let loss = net.forward_t(&inputs(), true).unwrap().sum_all().unwrap();
    assert!(loss.backward().unwrap().get(weight.as_tensor()).is_some());
}

/// Section 5.4.1: a layer without parameters, in a description.
#[derive(Debug)]
struct Centered;

impl LayerSpec for Centered {
    fn kind(&self) -> &str {
        "Centered"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        struct Built;
        impl Forward for Built {
            fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
                Ok(xs.broadcast_sub(&xs.mean_all()?)?)
            }
        }
        Ok(Box::new(Built))
    }
}

/// Section 5.4.2: a fully connected layer of one's own, with parameters.
#[derive(Debug)]
struct MyLinear(usize);

impl LayerSpec for MyLinear {
    fn kind(&self) -> &str {
        "MyLinear"
    }

    fn details(&self) -> String {
        self.0.to_string()
    }

    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![self.0])
    }

    fn params(&self, input: &[usize]) -> Result<Vec<d2l_nn::layers::ParamSpec>> {
        let shape = vec![input[0], self.0];
        let fan = Fan::of_weight(&[self.0, input[0]]);
        Ok(vec![
            d2l_nn::layers::ParamSpec::parameter("weight", shape, fan, Init::normal(1.0)),
            d2l_nn::layers::ParamSpec::parameter("bias", vec![self.0], fan, Init::normal(1.0)),
        ])
    }

    fn build(&self, _: &[usize], vars: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        struct Built(Vec<Var>);
        impl Forward for Built {
            fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
                let [weight, bias] = self.0.as_slice() else {
                    return Err(d2l_nn::Error::msg("needs a weight and a bias"));
                };
                ops::relu(&xs.matmul(weight)?.broadcast_add(bias)?)
            }
        }
        Ok(Box::new(Built(vars)))
    }
}

#[test]
fn layers_of_ones_own_in_a_description() {
    let network = Network::new("own")
        .add("mine", Layer::Custom(Arc::new(MyLinear(8))))
        .add("centered", Layer::Custom(Arc::new(Centered)))
        .add("out", Linear::new(1));
    assert_eq!(network.summary(&[20]).unwrap().parameters, 20 * 8 + 8 + 8 + 1);
    assert!(network.to_string().contains("├─ mine: MyLinear 8\n"));
    let params = store();
    let model = network.build(&[20], &params, &Rng::new(0)).unwrap();
    assert_eq!(params.get("mine.weight").unwrap().dims(), [20, 8]);
    let (_, seen) = model.forward_at(&inputs(), true, &["mine", "centered"]).unwrap();
    assert!(values(&seen[0]).iter().all(|v| *v >= 0.0));
    assert!(values(&seen[1]).iter().sum::<f32>().abs() < 1e-4);
    let message = model
        .forward_at(&inputs(), true, &["elsewhere"])
        .unwrap_err()
        .to_string();
    assert!(message.contains("`elsewhere`"), "{message}");
}

/// Section 5.2.1: initialisers per layer, and a rule of one's own.
#[test]
fn initialisers_per_layer_and_for_the_whole() {
    let custom = Init::Custom(|rng, _, n| {
        let mut values = rng.uniform_vec(n, -10.0, 10.0);
        values.iter_mut().filter(|v| v.abs() < 5.0).for_each(|v| *v = 0.0);
        values
    });
    let out = Linear {
        bias_init: Init::Constant(42.0),
        weight_init: custom,
        ..Linear::new(2)
    };
    let params = store();
    let network = Network::new("n")
        .add("hidden", Linear::new(4))
        .weight_init(Init::Constant(1.0));
    network
        .add("out", out)
        .build(&[3], &params, &Rng::new(0))
        .unwrap();
    let read = |name: &str| values(params.get(name).unwrap().as_tensor());
    assert_eq!(read("hidden.weight"), [1.0; 12]);
    assert_eq!(read("out.bias"), [42.0; 2]);
    assert!(read("out.weight").iter().all(|v| *v == 0.0 || v.abs() >= 5.0));
}

/// What candle-nn makes and what this crate makes in one module, over one `VarMap`.
#[test]
fn together_with_candles_layers() {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let theirs = candle_nn::linear(20, 8, vb.pp("theirs")).unwrap();
    let params = ParamStore::from_var_builder(vb.pp("ours"));
    let ours = mlp().build(&[8], &params, &Rng::new(0)).unwrap();
    assert_eq!(map.all_vars().len(), 6);
    let output = ours.forward_t(&theirs.forward(&inputs()).unwrap(), true).unwrap();
    let gradients = output.sum_all().unwrap().backward().unwrap();
    assert!(
        map.all_vars()
            .iter()
            .all(|var| gradients.get(var.as_tensor()).is_some())
    );

    // The same weights through candle's own layers give the same, so either side can read the other's files.
    let again = candle_nn::linear(8, 256, vb.pp("ours.hidden")).unwrap();
    let hidden = again.forward(&theirs.forward(&inputs()).unwrap()).unwrap();
    let hidden = ops::relu(&hidden).unwrap();
    let out = candle_nn::linear(256, 10, vb.pp("ours.out")).unwrap();
    for (a, b) in values(&out.forward(&hidden).unwrap()).iter().zip(values(&output)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    assert_eq!(params.parameters().len(), 4);
}

use super::*;
use crate::layers::{
    Activation, AdaptivePool2d, BatchNorm, Conv2d, Dropout, Flatten, Linear, Pool2d, PoolKind, Residual,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;

fn small() -> Network {
    Network::new("small")
        .add("conv1", Conv2d::new(4, 3).padding(1))
        .add("relu1", Activation::Relu)
        .add("norm1", BatchNorm::default())
        .add("pool1", Pool2d::max(2, 2))
        .add("conv2", Conv2d::new(6, 3).stride(2))
        .add("sigmoid", Activation::Sigmoid)
        .add(
            "pool2",
            AdaptivePool2d {
                kind: PoolKind::Average,
                output: [2, 1],
            },
        )
        .add("flatten", Flatten)
        .add("dropout", Dropout { p: 0.5 })
        .add("output", Linear::new(3))
}

fn build(network: &Network, input: &[usize], seed: u64) -> (Model, ParamStore) {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network.build(input, &params, &Rng::new(seed)).unwrap();
    (model, params)
}

fn images(n: usize) -> Tensor {
    Rng::new(9)
        .normal(&[n, 2, 9, 11], 0.0, 1.0, DType::F32, &Device::Cpu)
        .unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn what_the_description_says_is_what_is_built() {
    let (network, input) = (small(), [2, 9, 11]);
    let summary = network.summary(&input).unwrap();
    let (model, params) = build(&network, &input, 1);
    assert_eq!(summary.parameters, params.parameter_count());
    assert_eq!(
        summary.parameters,
        (4 * 2 * 9 + 4) + 8 + (6 * 4 * 9 + 6) + (3 * 12 + 3)
    );
    assert_eq!(summary.buffers, 8);
    assert_eq!(summary.multiply_adds, 4 * 2 * 9 * 99 + 6 * 4 * 9 * 2 + 36);

    let mut seen = Vec::new();
    let mut visit = |name: &str, ys: &Tensor| {
        seen.push((name.to_owned(), ys.dims().to_vec()));
        Ok(())
    };
    model.forward_with(&images(5), false, &mut visit).unwrap();
    let described: Vec<_> = summary
        .layers
        .iter()
        .filter(|layer| layer.name != "conv1") // fused with its ReLU
        .map(|layer| (layer.name.clone(), [&[5], layer.output_shape.as_slice()].concat()))
        .collect();
    assert_eq!(seen, described);
}

#[test]
fn parameters_have_stable_names_and_values_follow_seed_and_name() {
    let (_, params) = build(&small(), &[2, 9, 11], 1);
    let names: Vec<String> = params.all().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "conv1.weight",
        "conv1.bias",
        "norm1.weight",
        "norm1.bias",
        "norm1.running_mean",
        "norm1.running_var",
        "conv2.weight",
        "conv2.bias",
        "output.weight",
        "output.bias",
    ];
    assert_eq!(names, expected);
    let wider = Network::new("w")
        .add("first", Conv2d::new(2, 1))
        .add("conv2", Conv2d::new(6, 3).stride(2));
    let (_, other) = build(&wider, &[2, 9, 11], 1);
    let (_, again) = build(&small(), &[2, 9, 11], 1);
    let (_, reseeded) = build(&small(), &[2, 9, 11], 2);
    let weight = |p: &ParamStore, name| values(p.get(name).unwrap().as_tensor());
    assert_eq!(weight(&params, "conv1.weight"), weight(&again, "conv1.weight"));
    assert_ne!(weight(&params, "conv1.weight"), weight(&reseeded, "conv1.weight"));
    // The same draws though the layer before differs; only the bound follows the fan-in (36 against 18).
    let (a, b) = (weight(&params, "conv2.bias"), weight(&other, "conv2.bias"));
    assert!(
        a.iter().zip(&b).all(|(a, b)| (a * 2f32.sqrt() - b).abs() < 1e-6),
        "{a:?} {b:?}"
    );
}

#[test]
fn mistakes_name_the_layer_and_create_nothing() {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let refused = |network: Network, input: &[usize]| {
        network
            .build(input, &params, &Rng::new(0))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let deep = Network::new("deep")
        .add("pool1", Pool2d::max(2, 2))
        .add("conv4", Conv2d::new(8, 5))
        .add("output", Linear::new(10));
    let cases = [
        (
            refused(deep.clone(), &[1, 8, 8]),
            "`conv4`: expects height of at least 5, got 4 after `pool1`",
        ),
        (
            refused(deep, &[8]),
            "`pool1`: expects [channels, height, width], got [8] after the input",
        ),
        (
            refused(Network::new("twice").add("a", Flatten).add("a", Flatten), &[4]),
            "`a`: another layer has the same name",
        ),
        (
            refused(Network::new("p").add("drop", Dropout { p: 1.5 }), &[4]),
            "`drop`: the probability has to be in [0, 1], got 1.5 after the input",
        ),
        (
            refused(
                Network::new("g").add(
                    "conv",
                    Conv2d {
                        groups: 3,
                        ..Conv2d::new(6, 1)
                    },
                ),
                &[4, 2, 2],
            ),
            "`conv`: 3 groups do not divide 4 input and 6 output channels after the input",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(message, expected);
    }
    assert!(params.all().is_empty());
    let (model, _) = build(&small(), &[2, 9, 11], 0);
    let wrong = images(2).transpose(2, 3).unwrap();
    assert!(
        model
            .forward_t(&wrong, false)
            .unwrap_err()
            .to_string()
            .contains("[2, 2, 11, 9]")
    );
}

#[test]
fn dropout_depends_on_the_step_alone() {
    let (model, _) = build(&small(), &[2, 9, 11], 3);
    let xs = images(4);
    let first = values(&model.forward_t(&xs, true).unwrap());
    let second = values(&model.forward_t(&xs, true).unwrap());
    assert_ne!(first, second);
    assert_eq!(model.step(), 2);
    model.set_step(0);
    assert_eq!(values(&model.forward_t(&xs, true).unwrap()), first);
    let quiet = |model: &Model| values(&model.forward_t(&xs, false).unwrap());
    assert_eq!(quiet(&model), quiet(&model));
    assert_eq!(model.step(), 1, "inference does not count");
}

#[test]
fn every_parameter_gets_a_gradient() {
    let (model, params) = build(&small(), &[2, 9, 11], 4);
    let loss = model
        .forward_t(&images(4), true)
        .unwrap()
        .sqr()
        .unwrap()
        .mean_all()
        .unwrap();
    let gradients = loss.backward().unwrap();
    for (name, var) in params.trainable() {
        let gradient = gradients
            .get(var.as_tensor())
            .unwrap_or_else(|| panic!("{name} has none"));
        assert_eq!(gradient.dims(), var.dims(), "{name}");
        assert!(values(gradient).iter().any(|v| *v != 0.0), "{name}");
    }
}

#[test]
fn a_fused_relu_changes_nothing() {
    let relu_apart = Network::new("apart")
        .add("conv1", Conv2d::new(4, 3).padding(1))
        .add("pass", Dropout { p: 0.0 }) // keeps the two from being fused
        .add("relu1", Activation::Relu);
    let fused = Network::new("fused")
        .add("conv1", Conv2d::new(4, 3).padding(1))
        .add("relu1", Activation::Relu);
    let run = |network: &Network| {
        let (model, params) = build(network, &[2, 9, 11], 5);
        let ys = model.forward_t(&images(3), true).unwrap();
        let gradients = ys.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        (
            values(&ys),
            values(
                gradients
                    .get(params.get("conv1.weight").unwrap().as_tensor())
                    .unwrap(),
            ),
        )
    };
    let ((ys, gradient), (fused_ys, fused_gradient)) = (run(&relu_apart), run(&fused));
    assert_eq!(ys, fused_ys);
    for (a, b) in gradient.iter().zip(&fused_gradient) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}");
    }
}

fn blocks() -> Network {
    let main = Network::new("main")
        .add("conv1", Conv2d::new(4, 3).padding(1).stride(2))
        .add("relu", Activation::Relu)
        .add("conv2", Conv2d::new(4, 3).padding(1));
    let shortcut = Network::new("shortcut").add("conv", Conv2d::new(4, 1).stride(2));
    let grown = Network::new("grown")
        .add("norm", BatchNorm::default())
        .add("conv", Conv2d::new(2, 3).padding(1));
    Network::new("blocks")
        .add(
            "stage",
            Network::new("stage")
                .add("residual", Residual { main, shortcut })
                .add("relu", Activation::Relu),
        )
        .add("dense", Layer::Branches(vec![Network::new("same"), grown]))
        .add(
            "pool",
            AdaptivePool2d {
                kind: PoolKind::Average,
                output: [1, 1],
            },
        )
        .add("flatten", Flatten)
}

#[test]
fn blocks_join_their_paths() {
    let network = blocks();
    let rows: Vec<_> = network.summary(&[2, 9, 11]).unwrap().layers;
    let shape = |name: &str| {
        rows.iter()
            .find(|row| row.name == name)
            .unwrap()
            .output_shape
            .clone()
    };
    assert_eq!(shape("stage"), [4, 5, 6]);
    assert_eq!(shape("stage.residual.main.conv2"), [4, 5, 6]);
    assert_eq!(shape("dense"), [6, 5, 6]);
    assert_eq!(network.output_shape(&[2, 9, 11]).unwrap(), [6]);

    // Against the same arithmetic written out on the layers' own outputs.
    let (model, params) = build(&network, &[2, 9, 11], 6);
    assert!(params.get("stage.residual.shortcut.conv.weight").is_some());
    assert!(params.get("dense.grown.norm.running_mean").is_some());
    let mut seen = std::collections::HashMap::new();
    let mut visit = |name: &str, ys: &Tensor| {
        seen.insert(name.to_owned(), ys.clone());
        Ok(())
    };
    let output = model.forward_with(&images(3), true, &mut visit).unwrap();
    let sum = (&seen["stage.residual.main.conv2"] + &seen["stage.residual.shortcut.conv"]).unwrap();
    assert_eq!(values(&seen["stage.residual"]), values(&sum));
    assert_eq!(values(&seen["stage"]), values(&sum.relu().unwrap()));
    let joined = Tensor::cat(&[&seen["stage"], &seen["dense.grown.conv"]], 1).unwrap();
    assert_eq!(values(&seen["dense"]), values(&joined));
    let mean = joined.mean((2, 3)).unwrap();
    for (a, b) in values(&output).iter().zip(values(&mean)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let gradients = output.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    for (name, var) in params.trainable() {
        assert!(gradients.get(var.as_tensor()).is_some(), "{name}");
    }
}

#[test]
fn paths_that_do_not_fit_are_refused() {
    let refused = |layer: Layer| {
        Network::new("n")
            .add("b", layer)
            .output_shape(&[2, 8, 8])
            .unwrap_err()
            .to_string()
    };
    let halved = || Network::new("half").add("pool", Pool2d::max(2, 2));
    let same = || Network::new("same");
    assert_eq!(
        refused(
            Residual {
                main: halved(),
                shortcut: same()
            }
            .into()
        ),
        "`b`: cannot add the paths' outputs [2, 4, 4] and [2, 8, 8]"
    );
    assert_eq!(
        refused(Layer::Branches(vec![same(), halved()])),
        "`b`: cannot join the branches' outputs [2, 8, 8] and [2, 4, 4]"
    );
    assert_eq!(refused(Layer::Branches(Vec::new())), "`b`: has no branches");
    let inner = Network::new("inner")
        .add("x", Linear::new(3))
        .add("conv", Conv2d::new(1, 9));
    assert!(refused(inner.into()).starts_with("`b.conv`: expects height of at least 9, got 8 after `b.x`"));
}

#[test]
fn the_summary_prints_a_table() {
    let table = Network::new("mlp")
        .add("flatten", Flatten)
        .add("hidden", Linear::new(256))
        .add("relu", Activation::Relu)
        .add("output", Linear::new(10))
        .summary(&[1, 28, 28])
        .unwrap()
        .to_string();
    let expected = "\
layer    kind     output   parameters  multiply-adds
input             1×28×28
flatten  Flatten  784
hidden   Linear   256         200,960        200,704
relu     ReLU     256
output   Linear   10            2,570          2,560
total                         203,530        203,264
";
    assert_eq!(table, expected);
}

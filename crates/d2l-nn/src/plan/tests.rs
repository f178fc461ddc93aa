use super::*;
use crate::{
    Model, Network, Rng,
    layers::{
        Activation, AdaptivePool2d, BatchNorm, Conv2d, Dropout, Flatten, Forward, Layer, LayerSpec, Linear,
        LocalResponseNorm, ParamSpec, Pool2d, PoolKind, Residual,
    },
    ops,
};
use candle_core::{Device, Var};
use candle_nn::ModuleT;
use std::sync::Arc;

/// A layer that a plan knows nothing of: scales by a learned number per channel.
#[derive(Debug)]
struct Scale;

struct BuiltScale(Var);

impl LayerSpec for Scale {
    fn kind(&self) -> &str {
        "Scale"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn params(&self, input: &[usize]) -> Result<Vec<ParamSpec>> {
        let shape = vec![input[0], 1, 1];
        let fan = crate::Fan::of_weight(&shape);
        Ok(vec![ParamSpec::parameter(
            "scale",
            shape,
            fan,
            crate::Init::normal(1.0),
        )])
    }

    fn build(&self, _: &[usize], vars: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(BuiltScale(vars[0].clone())))
    }
}

impl Forward for BuiltScale {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        Ok(xs.broadcast_mul(self.0.as_tensor())?)
    }
}

fn conv_norm(name: &str, channels: usize, stride: usize) -> Network {
    Network::new(name)
        .add(
            "conv",
            Conv2d {
                bias: false,
                ..Conv2d::new(channels, 3).padding(1).stride(stride)
            },
        )
        .add("norm", BatchNorm::default())
}

/// Every kind of layer, in every position that a plan treats in its own way.
fn networks() -> Vec<(Network, Vec<usize>)> {
    let plain = Network::new("plain")
        .add("conv1", Conv2d::new(6, 5).padding(2))
        .add("sigmoid", Activation::Sigmoid)
        .add("pool1", Pool2d::average(2, 2))
        .add(
            "conv2",
            Conv2d {
                groups: 2,
                dilation: [2, 1],
                ..Conv2d::new(8, 3)
            },
        )
        .add("relu", Activation::Relu)
        .add("pool2", Pool2d::max(3, 2).padding(1))
        .add("lrn", LocalResponseNorm::default())
        .add("flatten", Flatten)
        .add("dense1", Linear::new(11))
        .add("relu2", Activation::Relu)
        .add("dropout", Dropout { p: 0.4 })
        .add(
            "dense2",
            Linear {
                bias: false,
                ..Linear::new(7)
            },
        )
        .add("gelu", Activation::Gelu)
        .add("tanh", Activation::Tanh)
        .add("dense3", Linear::new(4));
    let block = |name: &str, channels: usize, down: bool| {
        let main = Network::new("main")
            .add("first", conv_norm("first", channels, 1 + usize::from(down)))
            .add("relu", Activation::Relu)
            .add("second", conv_norm("second", channels, 1));
        let shortcut = match down {
            true => Network::new("shortcut").add("conv", Conv2d::new(channels, 1).stride(2)),
            false => Network::new("shortcut"),
        };
        Network::new(name)
            .add("sum", Residual { main, shortcut })
            .add("relu", Activation::Relu)
    };
    let residual = Network::new("residual")
        .add("stem", conv_norm("stem", 5, 2))
        .add("relu", Activation::Relu)
        .add("pool", Pool2d::max(3, 2).padding(1))
        .add("block1", block("block1", 5, false))
        .add("block2", block("block2", 9, true))
        // A sum whose main path changes nothing that others read, and one without a normalisation at its end.
        .add(
            "pre",
            Residual {
                main: Network::new("main")
                    .add("norm", BatchNorm::default())
                    .add("relu", Activation::Relu)
                    .add("conv", Conv2d::new(9, 3).padding(1)),
                shortcut: Network::new("shortcut").add("relu", Activation::Relu),
            },
        )
        .add("silu", Activation::Silu)
        .add(
            "pool2",
            AdaptivePool2d {
                kind: PoolKind::Average,
                output: [1, 1],
            },
        )
        .add("flatten", Flatten)
        .add("output", Linear::new(3));
    let branched = Network::new("branched")
        .add("conv", Conv2d::new(4, 3))
        .add("relu", Activation::Relu)
        .add(
            "join",
            Layer::Branches(vec![
                Network::new("identity"),
                Network::new("a")
                    .add("conv", Conv2d::new(3, 1))
                    .add("relu", Activation::Relu),
                Network::new("b")
                    .add(
                        "pool",
                        Pool2d {
                            kind: PoolKind::Max,
                            options: ops::Pool2dOptions {
                                kernel: [3, 3],
                                stride: [1, 1],
                                padding: [1, 1],
                                ..Default::default()
                            },
                        },
                    )
                    .add("conv", Conv2d::new(2, 3).padding(1)),
            ]),
        )
        .add("relu2", Activation::LeakyRelu { slope: 0.1 })
        .add("scale", Layer::Custom(Arc::new(Scale)))
        .add(
            "norm",
            BatchNorm {
                options: ops::BatchNormOptions {
                    relu: true,
                    ..Default::default()
                },
            },
        )
        .add(
            "pool",
            AdaptivePool2d {
                kind: PoolKind::Max,
                output: [2, 1],
            },
        )
        .add("flatten", Flatten)
        .add("norm2", BatchNorm::default())
        .add("output", Linear::new(3));
    let straight = Network::new("straight")
        .add("flatten", Flatten)
        .add("output", Linear::new(3));
    vec![
        (plain, vec![1, 13, 12]),
        (residual, vec![2, 18, 17]),
        (branched, vec![3, 9, 8]),
        (straight, vec![2, 3, 4]),
    ]
}

struct Fixture {
    params: ParamStore,
    model: Model,
    xs: Tensor,
    ys: Tensor,
}

fn fixture(network: &Network, input: &[usize], batch: usize) -> Fixture {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let rng = Rng::new(7);
    let model = network.build(input, &params, &rng).unwrap();
    // Batch norm's parameters and statistics away from 1 and 0.
    for (name, var) in params.all().iter().filter(|(name, _)| name.contains("norm")) {
        let noise = rng
            .split(name)
            .uniform(var.dims(), 0.5, 1.5, DType::F32, &Device::Cpu)
            .unwrap();
        var.set(&noise).unwrap();
    }
    let shape = [&[batch], input].concat();
    let xs = Rng::new(1)
        .uniform(&shape, -1.0, 1.0, DType::F32, &Device::Cpu)
        .unwrap();
    let outputs = network.output_shape(input).unwrap()[0] as u32;
    let ys = (0..batch as u32).map(|i| i % outputs).collect::<Vec<_>>();
    let ys = Tensor::from_vec(ys, batch, &Device::Cpu).unwrap();
    Fixture {
        params,
        model,
        xs,
        ys,
    }
}

fn loss(output: &Tensor, ys: &Tensor) -> Tensor {
    ops::cross_entropy(output, ys, &ops::CrossEntropyOptions::default()).unwrap()
}

/// Loss and output of a step of `plan` with the mean cross-entropy.
fn planned_step(plan: &mut Plan, xs: &Tensor, ys: &Tensor, step: u64) -> (f32, Vec<f32>) {
    let shape = [&[xs.dims()[0]], plan.output_shape()].concat();
    plan.step(xs, step, |output, gradient| {
        let logits = Var::from_slice(output, shape, &Device::Cpu)?;
        let loss = loss(logits.as_tensor(), ys);
        let store = loss.backward()?;
        let dlogits = store.get(logits.as_tensor()).unwrap();
        gradient.copy_from_slice(&dlogits.flatten_all()?.to_vec1::<f32>()?);
        Ok((loss.to_scalar()?, output.to_vec()))
    })
    .unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, expected: &[f32], got: &[f32], tolerance: f32) {
    assert_eq!(expected.len(), got.len(), "{what}");
    let scale = expected.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
    for (i, (e, g)) in expected.iter().zip(got).enumerate() {
        assert!(
            (e - g).abs() <= tolerance * scale,
            "{what}[{i}]: expected {e}, got {g} (scale {scale})"
        );
    }
}

#[test]
fn a_step_gives_what_autograd_gives() {
    for (network, input) in networks() {
        for batch in [5, 2] {
            let Fixture {
                params,
                model,
                xs,
                ys,
            } = fixture(&network, &input, batch);
            let before: Vec<_> = params.buffers().iter().map(|(_, var)| floats(var)).collect();
            let mut plan = model.plan(Mode::Train, 5).unwrap();
            // Twice, because buffers are full of the first step's values then.
            for step in 0..2 {
                for ((_, var), values) in params.buffers().iter().zip(&before) {
                    var.set(&Tensor::from_slice(values, var.shape(), &Device::Cpu).unwrap())
                        .unwrap();
                }
                model.set_step(step);
                let output = model.forward_t(&xs, true).unwrap();
                let expected_loss = loss(&output, &ys);
                let gradients = expected_loss.backward().unwrap();
                let buffers: Vec<_> = params.buffers().iter().map(|(_, var)| floats(var)).collect();
                for ((_, var), values) in params.buffers().iter().zip(&before) {
                    var.set(&Tensor::from_slice(values, var.shape(), &Device::Cpu).unwrap())
                        .unwrap();
                }

                let (loss, logits) = planned_step(&mut plan, &xs, &ys, step);
                assert_close(&network.name, &floats(&output), &logits, 1e-6);
                assert!((loss - expected_loss.to_scalar::<f32>().unwrap()).abs() < 1e-6);
                for (name, var) in params.parameters() {
                    let expected = gradients
                        .get(&var)
                        .unwrap_or_else(|| panic!("{name} has no gradient"));
                    let got = plan.gradient(&name).unwrap();
                    assert_eq!(got.dims(), var.dims());
                    assert_close(
                        &format!("{} {name}", network.name),
                        &floats(expected),
                        &floats(&got),
                        1e-5,
                    );
                }
                for ((name, var), expected) in params.buffers().iter().zip(buffers) {
                    assert_close(name, &expected, &floats(var), 1e-6);
                }
            }
        }
    }
}

#[test]
fn inference_gives_what_the_model_gives() {
    for (network, input) in networks() {
        let Fixture {
            params, model, xs, ..
        } = fixture(&network, &input, 3);
        let mut plan = model.plan(Mode::Infer, 4).unwrap();
        let run = |plan: &mut Plan| plan.forward(&xs, |output| Ok(output.to_vec())).unwrap();
        let expected = floats(&model.forward_t(&xs, false).unwrap());
        assert_close(&network.name, &expected, &run(&mut plan), 1e-5);
        // A changed parameter is seen after `pull`.
        for (_, var) in params.parameters() {
            var.set(&(var.as_tensor() * 0.9).unwrap()).unwrap();
        }
        plan.pull().unwrap();
        let expected = floats(&model.forward_t(&xs, false).unwrap());
        assert_close(&network.name, &expected, &run(&mut plan), 1e-5);
        assert!(
            plan.step(&xs, 0, |_, _| Ok(())).is_err(),
            "inference cannot train"
        );
    }
}

#[test]
fn updates_reach_the_store_with_push() {
    let (network, input) = networks().swap_remove(0);
    let Fixture {
        params,
        model,
        xs,
        ys,
    } = fixture(&network, &input, 3);
    let before: Vec<_> = params.parameters().iter().map(|(_, var)| floats(var)).collect();
    let mut plan = model.plan(Mode::Train, 3).unwrap();
    planned_step(&mut plan, &xs, &ys, 0);
    let gradients: Vec<_> = params
        .parameters()
        .iter()
        .map(|(name, _)| floats(&plan.gradient(name).unwrap()))
        .collect();
    plan.update(&mut |_, values, gradient| {
        values.iter_mut().zip(gradient).for_each(|(v, g)| *v -= 0.5 * g);
        Ok(())
    })
    .unwrap();
    plan.push().unwrap();
    for (i, (name, var)) in params.parameters().iter().enumerate() {
        let expected: Vec<f32> = before[i]
            .iter()
            .zip(&gradients[i])
            .map(|(v, g)| v - 0.5 * g)
            .collect();
        assert_eq!(expected, floats(var), "{name}");
        let there = plan.reorder(name, &expected, false).unwrap();
        assert_eq!(plan.reorder(name, &there, true).unwrap(), expected, "{name}");
    }
}

#[test]
fn frozen_parameters_have_no_gradient_and_change_nothing_for_the_others() {
    let (network, input) = networks().swap_remove(1);
    let Fixture {
        params,
        model,
        xs,
        ys,
    } = fixture(&network, &input, 3);
    let mut whole = model.plan(Mode::Train, 3).unwrap();
    planned_step(&mut whole, &xs, &ys, 0);
    let frozen =
        |name: &str| name.starts_with("stem") || name.contains("norm.bias") || name.contains("block1");
    assert!(params.freeze(true, frozen) > 3);
    let mut part = model.plan(Mode::Train, 3).unwrap();
    planned_step(&mut part, &xs, &ys, 0);
    for (name, _) in params.parameters() {
        if frozen(&name) {
            assert!(part.gradient(&name).is_err(), "{name}");
        } else {
            let [expected, got] = [&whole, &part].map(|plan| floats(&plan.gradient(&name).unwrap()));
            assert_eq!(expected, got, "{name}");
        }
    }
    assert!(part.memory().total(1) < whole.memory().total(1));
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for (network, input) in networks() {
        let mut seen: Option<Vec<u32>> = None;
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let bits = pool.install(|| {
                let Fixture { model, xs, ys, .. } = fixture(&network, &input, 5);
                let mut plan = model.plan(Mode::Train, 5).unwrap();
                planned_step(&mut plan, &xs, &ys, 0);
                let gradients = plan.gradients().flat_map(|(_, gradient)| gradient.to_vec());
                gradients.map(f32::to_bits).collect::<Vec<u32>>()
            });
            assert!(
                seen.as_ref().is_none_or(|seen| *seen == bits),
                "{} {threads}",
                network.name
            );
            seen = Some(bits);
        }
    }
}

#[test]
fn memory_is_known_from_the_description() {
    for (network, input) in networks() {
        let Fixture { model, .. } = fixture(&network, &input, 1);
        for (mode, batch) in [(Mode::Train, 6), (Mode::Infer, 2)] {
            let expected = network.plan_memory(&input, mode, batch).unwrap();
            assert_eq!(
                model.plan(mode, batch).unwrap().memory(),
                expected,
                "{} {mode:?}",
                network.name
            );
        }
    }
}

#[test]
fn what_cannot_be_planned_is_refused_in_words() {
    let (network, input) = networks().swap_remove(3);
    let Fixture { model, xs, .. } = fixture(&network, &input, 3);
    assert!(model.plan(Mode::Train, 0).is_err());
    let mut plan = model.plan(Mode::Train, 2).unwrap();
    let error = plan.forward(&xs, |_| Ok(())).unwrap_err().to_string();
    assert!(
        error.contains("1 to 2 examples of [2, 3, 4], got [3, 2, 3, 4]"),
        "{error}"
    );
    assert!(plan.gradient("no.such").is_err());

    let params = ParamStore::new(DType::F64, &Device::Cpu);
    let model = network.build(&input, &params, &Rng::new(0)).unwrap();
    assert!(
        model
            .plan(Mode::Train, 2)
            .unwrap_err()
            .to_string()
            .contains("f32 on the CPU")
    );

    let single = Network::new("norm").add("norm", BatchNorm::default());
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = single.build(&[4], &params, &Rng::new(0)).unwrap();
    let xs = Tensor::zeros((1, 4), DType::F32, &Device::Cpu).unwrap();
    let mut plan = model.plan(Mode::Train, 1).unwrap();
    let error = plan.step(&xs, 0, |_, _| Ok(())).unwrap_err().to_string();
    assert!(
        error.contains("`norm`") && error.contains("more than one value"),
        "{error}"
    );
}

#[test]
fn a_parameter_of_two_layers_is_refused_where_it_is_learned() {
    let twin = || Network::new("twin").add("linear", Linear::new(3));
    let network = Network::new("twins").add("both", Layer::Branches(vec![twin(), twin()]));
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network.build(&[4], &params, &Rng::new(1)).unwrap();
    for error in [
        model.check_plan(Mode::Train).unwrap_err(),
        model.plan(Mode::Train, 2).unwrap_err(),
    ] {
        assert!(
            error
                .to_string()
                .contains("`both.twin.linear.weight` is used by more than one layer"),
            "{error}"
        );
    }
    // Answers need no gradient, and neither do frozen parameters.
    assert!(model.check_plan(Mode::Infer).is_ok());
    params.freeze(true, |_| true);
    assert!(model.check_plan(Mode::Train).is_ok());
}

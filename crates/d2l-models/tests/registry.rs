//! One walk over the registry, and each network's table of the book.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::ModuleT;
use d2l_models::{GoogLeNet, ModelError, ModelOptions, REGISTRY, Task, find, googlenet_with_auxiliaries};
use d2l_nn::{
    Model, ParamStore, Plan, Rng,
    layers::Activation,
    ops,
    plan::{Inference, Mode},
};
use std::collections::HashSet;

/// Output shape of each layer, as the book prints it.
fn shapes(name: &str) -> Vec<(String, Vec<usize>)> {
    let spec = find(name).unwrap();
    let summary = spec
        .network(&ModelOptions::default())
        .unwrap()
        .summary(spec.input)
        .unwrap();
    summary
        .layers
        .into_iter()
        .map(|layer| (layer.name, layer.output_shape))
        .collect()
}

#[test]
fn lenet_has_the_books_shapes() {
    let expected: Vec<(String, Vec<usize>)> = [
        ("conv1", vec![6, 28, 28]),
        ("sigmoid1", vec![6, 28, 28]),
        ("pool1", vec![6, 14, 14]),
        ("conv2", vec![16, 10, 10]),
        ("sigmoid2", vec![16, 10, 10]),
        ("pool2", vec![16, 5, 5]),
        ("flatten", vec![400]),
        ("linear1", vec![120]),
        ("sigmoid3", vec![120]),
        ("linear2", vec![84]),
        ("sigmoid4", vec![84]),
        ("output", vec![10]),
    ]
    .map(|(name, shape)| (name.to_owned(), shape))
    .into();
    assert_eq!(shapes("lenet"), expected);
}

/// The rows of the summary that the book prints, by name.
fn check_rows(model: &str, rows: &[(&str, &[usize])]) {
    let shapes = shapes(model);
    for (name, shape) in rows {
        let row = shapes
            .iter()
            .find(|(n, _)| n == name)
            .unwrap_or_else(|| panic!("{model} has no {name}"));
        assert_eq!(row.1, *shape, "{model} {name}");
    }
}

#[test]
fn the_zoo_has_the_books_shapes() {
    check_rows(
        "alexnet",
        &[
            ("conv1", &[96, 54, 54]),
            ("pool1", &[96, 26, 26]),
            ("conv2", &[256, 26, 26]),
            ("pool2", &[256, 12, 12]),
            ("conv3", &[384, 12, 12]),
            ("conv4", &[384, 12, 12]),
            ("conv5", &[256, 12, 12]),
            ("pool3", &[256, 5, 5]),
            ("flatten", &[6400]),
            ("linear1", &[4096]),
            ("linear2", &[4096]),
            ("output", &[10]),
        ],
    );
    check_rows(
        "nin",
        &[
            ("block1", &[96, 54, 54]),
            ("pool1", &[96, 26, 26]),
            ("block2", &[256, 26, 26]),
            ("pool2", &[256, 12, 12]),
            ("block3", &[384, 12, 12]),
            ("pool3", &[384, 5, 5]),
            ("block4", &[10, 5, 5]),
            ("pool4", &[10, 1, 1]),
            ("flatten", &[10]),
        ],
    );
    check_rows(
        "googlenet",
        &[
            ("stage1", &[64, 24, 24]),
            ("stage2", &[192, 12, 12]),
            ("stage3", &[480, 6, 6]),
            ("stage4", &[832, 3, 3]),
            ("stage5", &[1024, 1, 1]),
            ("flatten", &[1024]),
            ("output", &[10]),
        ],
    );
    let full = ModelOptions {
        width: Some(1.0),
        ..ModelOptions::default()
    };
    let vgg = find("vgg11").unwrap();
    let summary = vgg.network(&full).unwrap().summary(vgg.input).unwrap();
    let stages: Vec<&[usize]> = summary
        .layers
        .iter()
        .filter(|row| row.kind == "Sequence" || row.name == "flatten")
        .map(|row| row.output_shape.as_slice())
        .collect();
    let expected: [&[usize]; 6] = [
        &[64, 112, 112],
        &[128, 56, 56],
        &[256, 28, 28],
        &[512, 14, 14],
        &[512, 7, 7],
        &[25088],
    ];
    assert_eq!(stages, expected);
    assert_eq!(summary.parameters, 128_806_154);
}

#[test]
fn parameter_counts_are_the_books() {
    for (name, count) in [
        ("linear", 3),
        ("logistic", 3),
        ("perceptron", 3),
        ("softmax", 7_850),
        ("mlp", 203_530),
        ("lenet", 61_706),
        ("lenet-bn", 44_878),
        ("alexnet", 46_764_746),
        ("vgg11", 43_093_322),
        ("nin", 1_992_166),
        ("googlenet", 5_977_530),
        ("resnet18", 11_178_378),
        ("densenet", 758_226),
    ] {
        let spec = find(name).unwrap();
        let network = spec.network(&ModelOptions::default()).unwrap();
        assert_eq!(network.summary(spec.input).unwrap().parameters, count, "{name}");
    }
}

/// Every kind of layer of the model at little cost: narrow, on small pictures.
fn small(name: &str) -> (ModelOptions, Vec<usize>) {
    let input = match name {
        "linear" | "logistic" | "perceptron" => vec![2],
        "softmax" | "mlp" | "lenet" | "lenet-bn" => vec![1, 28, 28],
        "alexnet" | "nin" => vec![1, 71, 71],
        "vgg11" | "vgg13" | "vgg16" | "vgg19" => vec![1, 32, 32],
        _ => vec![1, 48, 48],
    };
    let spec = find(name).unwrap();
    let narrow = !["linear", "logistic", "perceptron", "softmax", "lenet", "lenet-bn"].contains(&name);
    let hidden = name.starts_with("vgg") || name == "alexnet";
    let options = ModelOptions {
        classes: (spec.task == Task::Classification).then_some(3),
        width: narrow.then_some(0.125),
        hidden: hidden.then_some(vec![64, 48]),
        ..ModelOptions::default()
    };
    (options, input)
}

/// Targets that go with the outputs of a model, and its loss.
fn loss_of(task: Task, logits: &Tensor) -> Tensor {
    let batch = logits.dim(0).unwrap();
    let numbers = (0..batch).map(|i| (i % 2) as f32);
    let numbers = Tensor::from_iter(numbers, &Device::Cpu)
        .unwrap()
        .reshape((batch, 1));
    let loss = match task {
        Task::Regression => ops::mse_loss(logits, &numbers.unwrap()),
        Task::BinaryClassification => ops::bce_with_logits(logits, &numbers.unwrap()),
        Task::Classification => {
            let classes = logits.dim(1).unwrap() as u32;
            let labels = Tensor::from_iter((0..batch as u32).map(|i| i % classes), &Device::Cpu);
            ops::cross_entropy(logits, &labels.unwrap(), &Default::default())
        }
    };
    loss.unwrap()
}

/// The plan of a model after its first step on `xs`.
fn planned_gradients(model: &Model, task: Task, xs: &Tensor) -> Plan {
    let batch = xs.dim(0).unwrap();
    let mut plan = model.plan(Mode::Train, batch).unwrap();
    let shape = [&[batch], plan.output_shape()].concat();
    let loss = |output: &[f32], gradient: &mut [f32]| {
        let output = Var::from_slice(output, shape, &Device::Cpu)?;
        let gradients = loss_of(task, output.as_tensor()).backward()?;
        let found = gradients.get(output.as_tensor()).unwrap();
        gradient.copy_from_slice(&found.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    };
    plan.step(xs, 0, loss).unwrap();
    plan
}

/// Equal to within a part in ten thousand of the largest element.
fn assert_close(what: &str, expected: &Tensor, got: &Tensor) {
    assert_eq!(expected.dims(), got.dims(), "{what}");
    let [expected, got] = [expected, got].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    let largest = expected
        .iter()
        .fold(1e-6f32, |largest, value| largest.max(value.abs()));
    for (expected, got) in expected.iter().zip(got) {
        assert!(
            (expected - got).abs() <= 1e-4 * largest,
            "{what}: {expected} and {got} of {largest}"
        );
    }
}

#[test]
fn every_model_builds_learns_and_survives_saving() {
    const STEPS: usize = 20;
    let folder = std::env::temp_dir().join(format!("d2l-models-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for spec in REGISTRY {
        let name = spec.name;
        let (options, input) = small(name);
        let rate = match name {
            "lenet" | "lenet-bn" => 0.5, // Sigmoids begin slowly.
            "linear" | "logistic" | "perceptron" | "softmax" | "mlp" | "nin" => 0.05,
            _ => 0.01,
        };
        let network = spec.network(&options).unwrap();
        let build = |seed| {
            let params = ParamStore::new(DType::F32, &Device::Cpu);
            (network.build(&input, &params, &Rng::new(seed)).unwrap(), params)
        };
        let (model, params) = build(1);
        let shape = [&[6], input.as_slice()].concat();
        let xs = Rng::new(2)
            .uniform(&shape, 0.0, 1.0, DType::F32, &Device::Cpu)
            .unwrap();
        let loss = |train| {
            let logits = model.forward_t(&xs, train).unwrap();
            assert_eq!(
                logits.dims()[1..],
                network.output_shape(&input).unwrap(),
                "{name}"
            );
            loss_of(spec.task, &logits)
        };
        let value = |loss: &Tensor| loss.to_scalar::<f32>().unwrap();
        // Without dropout's draws; but batch norm's running means are still far off after a few steps, so a network
        // that has them is judged by the batch's own.
        let judge = || value(&loss(!params.buffers().is_empty()));
        let before = judge();
        for step in 0..STEPS {
            let loss = loss(true);
            assert!(value(&loss).is_finite(), "{name}");
            let gradients = loss.backward().unwrap();
            if step == 0 {
                let plan = planned_gradients(&model, spec.task, &xs);
                for (parameter, var) in params.trainable() {
                    let expected = gradients.get(var.as_tensor()).unwrap();
                    assert_close(
                        &format!("{name}: {parameter}"),
                        expected,
                        &plan.gradient(&parameter).unwrap(),
                    );
                }
            }
            for (parameter, var) in params.trainable() {
                let gradient = gradients.get(var.as_tensor());
                let gradient = gradient.unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
                assert_eq!(gradient.dims(), var.dims(), "{name}: {parameter}");
                if step == 0 {
                    let largest = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
                    let largest = largest.to_scalar::<f32>().unwrap();
                    assert!(largest.is_finite(), "{name}: {parameter}");
                }
                var.set(&(var.as_tensor() - (gradient * rate).unwrap()).unwrap())
                    .unwrap();
            }
        }
        let after = judge();
        assert!(after < before, "{name}: {before} → {after}");

        let path = folder.join(format!("{name}.safetensors"));
        params.save(&path).unwrap();
        let (restored, other) = build(3);
        other.load(&path).unwrap();
        let logits = |model: &d2l_nn::Model| model.forward_t(&xs, false).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(logits(&model), logits(&restored), "{name}");
        let planned = Inference::new(&model).forward_t(&xs, false).unwrap();
        assert_close(name, &model.forward_t(&xs, false).unwrap(), &planned);
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn too_small_an_input_is_refused_by_the_layers_name() {
    for spec in REGISTRY {
        let network = spec.network(&small(spec.name).0).unwrap();
        let input = |side: usize| {
            if spec.input.len() == 3 {
                vec![1, side, side]
            } else {
                vec![side]
            }
        };
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let least = (0..100)
            .find(|side| network.output_shape(&input(*side)).is_ok())
            .unwrap();
        assert!(least > 0, "{}", spec.name);
        let refused = network.build(&input(least - 1), &params, &Rng::new(0));
        let message = refused.map(|_| ()).unwrap_err().to_string();
        let layer = message.split('`').nth(1).unwrap();
        let known = network.summary(&input(least)).unwrap().layers;
        assert!(
            known.iter().any(|row| row.name == layer),
            "{}: {message}",
            spec.name
        );
        assert!(
            message.contains("expects") && message.contains(", got "),
            "{}: {message}",
            spec.name
        );
        assert!(params.all().is_empty());
        network.build(&input(least), &params, &Rng::new(0)).unwrap();
    }
}

#[test]
fn auxiliary_classifiers_learn_with_the_network() {
    let options = GoogLeNet {
        width: 0.125,
        ..GoogLeNet::default()
    };
    let network = googlenet_with_auxiliaries(&options, 3);
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network.build(&[1, 48, 48], &params, &Rng::new(1)).unwrap();
    let xs = Rng::new(2)
        .uniform(&[6, 1, 48, 48], 0.0, 1.0, DType::F32, &Device::Cpu)
        .unwrap();
    let cross_entropy = |logits: &Tensor, _: &Tensor| Ok(loss_of(Task::Classification, logits));

    // The loss is the weighted sum, dropout's draws follow the step.
    let total = model
        .loss(&xs, &xs, cross_entropy)
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    model.model().set_step(0);
    let output = model.forward_all(&xs, true).unwrap();
    assert_eq!(output.heads.len(), 2);
    let by_hand = output.heads.iter().fold(
        loss_of(Task::Classification, &output.main)
            .to_scalar::<f32>()
            .unwrap(),
        |sum, (weight, logits)| {
            let loss = loss_of(Task::Classification, logits).to_scalar::<f32>().unwrap();
            sum + *weight as f32 * loss
        },
    );
    assert!((total - by_hand).abs() < 1e-5, "{total} {by_hand}");

    let before = total;
    let mut after = before;
    for _ in 0..20 {
        let loss = model.loss(&xs, &xs, cross_entropy).unwrap();
        after = loss.to_scalar::<f32>().unwrap();
        let gradients = loss.backward().unwrap();
        for (name, var) in params.trainable() {
            let gradient = gradients
                .get(var.as_tensor())
                .unwrap_or_else(|| panic!("{name} has none"));
            var.set(&(var.as_tensor() - (gradient * 0.02).unwrap()).unwrap())
                .unwrap();
        }
    }
    assert!(after < before, "{before} → {after}");
    // A head's gradient reaches the layers before it: without the heads the stem's would be another.
    let alone = network
        .network
        .build(&[1, 48, 48], &params, &Rng::new(1))
        .unwrap();
    let logits = alone.forward_t(&xs, false).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(
        model.forward_t(&xs, false).unwrap().to_vec2::<f32>().unwrap(),
        logits
    );

    let mut wrong = network;
    wrong.heads[1].at = "stage9".to_owned();
    let message = wrong
        .build(&[1, 48, 48], &params, &Rng::new(1))
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "the head `aux2` looks at `stage9`, which is no layer of googlenet"
    );
}

#[test]
fn a_network_prints_as_a_tree() {
    let tree = |name: &str| {
        find(name)
            .unwrap()
            .network(&ModelOptions::default())
            .unwrap()
            .to_string()
    };
    let expected = "\
├─ stage1: Sequence
│  ├─ block1: Residual
│  │  ├─ main
│  │  │  ├─ conv1: Conv2d 64, 3×3, padding 1
│  │  │  ├─ norm1: BatchNorm
│  │  │  ├─ relu1: ReLU
│  │  │  ├─ conv2: Conv2d 64, 3×3, padding 1
│  │  │  └─ norm2: BatchNorm
│  │  └─ shortcut: passes its input on
│  ├─ relu1: ReLU
";
    let resnet = tree("resnet18");
    assert!(
        resnet.starts_with("resnet18\n├─ stem: Sequence\n│  ├─ conv: Conv2d 64, 7×7, stride 2, padding 3\n"),
        "{resnet}"
    );
    assert!(resnet.contains(expected), "{resnet}");
    let googlenet = tree("googlenet");
    assert!(
        googlenet.contains("│  │  └─ path4\n│  │     ├─ pool: MaxPool2d 3×3, stride 1, padding 1\n"),
        "{googlenet}"
    );
}

/// The perceptron's rule is a step of SGD on its loss: it separates what a line can separate, and not XOR.
#[test]
fn the_perceptron_learns_by_its_rule() {
    let points = [[0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let learns = |labels: [f32; 4]| {
        let network = find("perceptron")
            .unwrap()
            .network(&ModelOptions::default())
            .unwrap();
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let model = network.build(&[2], &params, &Rng::new(0)).unwrap();
        let score = |point: &[f32; 2]| {
            let xs = Tensor::new(&[*point], &Device::Cpu).unwrap();
            model
                .forward_t(&xs, true)
                .unwrap()
                .squeeze(1)
                .unwrap()
                .squeeze(0)
                .unwrap()
        };
        for _ in 0..50 {
            for (point, label) in points.iter().zip(labels) {
                let loss = (score(point) * f64::from(-label)).unwrap();
                if loss.to_scalar::<f32>().unwrap() < 0.0 {
                    continue;
                }
                let gradients = loss.backward().unwrap();
                for (_, var) in params.trainable() {
                    let step = gradients.get(var.as_tensor()).unwrap();
                    var.set(&(var.as_tensor() - step).unwrap()).unwrap();
                }
            }
        }
        points
            .iter()
            .zip(labels)
            .all(|(point, label)| score(point).to_scalar::<f32>().unwrap() * label > 0.0)
    };
    assert!(learns([-1.0, -1.0, -1.0, 1.0]), "and");
    assert!(learns([-1.0, 1.0, 1.0, 1.0]), "or");
    assert!(!learns([-1.0, 1.0, 1.0, -1.0]), "exclusive or");
}

#[test]
fn names_are_unique_and_unknown_ones_suggest_the_nearest() {
    let mut seen = HashSet::new();
    for spec in REGISTRY {
        for name in std::iter::once(&spec.name).chain(spec.aliases) {
            assert!(seen.insert(*name), "{name} twice");
            assert_eq!(find(name).unwrap().name, spec.name);
        }
    }
    assert_eq!(find("LeNet_5").unwrap().name, "lenet");
    let error = find("lenat").unwrap_err();
    assert_eq!(error.nearest, Some("lenet"));
    assert!(
        error
            .to_string()
            .starts_with("there is no model `lenat`, did you mean `lenet`?; the models are: ")
    );
    assert_eq!(find("transformer").unwrap_err().nearest, None);
}

#[test]
fn options_that_do_not_apply_or_mean_nothing_are_refused() {
    let refused = |name, options| find(name).unwrap().network(&options).unwrap_err();
    let dropout = |p| ModelOptions {
        dropout: Some(p),
        ..ModelOptions::default()
    };
    let no = ModelError::NoSuchOption {
        model: "lenet",
        option: "dropout",
    };
    assert_eq!(refused("lenet", dropout(0.5)), no);
    assert!(
        refused("mlp", dropout(1.0))
            .to_string()
            .contains("dropout has to be in [0, 1), got 1")
    );
    let width = |x| ModelOptions {
        width: Some(x),
        ..ModelOptions::default()
    };
    assert!(refused("mlp", width(f64::NAN)).to_string().contains("width"));
    assert!(
        refused("softmax", width(2.0))
            .to_string()
            .contains("softmax has no width")
    );
    let sizes = |sizes: &[usize]| ModelOptions {
        hidden: Some(sizes.to_vec()),
        ..ModelOptions::default()
    };
    assert!(refused("vgg11", sizes(&[5])).to_string().contains("two sizes"));
    assert!(refused("mlp", sizes(&[5, 0])).to_string().contains("got [5, 0]"));
    assert!(
        refused("lenet", sizes(&[5]))
            .to_string()
            .contains("lenet has no hidden")
    );
    let three = ModelOptions {
        classes: Some(3),
        ..ModelOptions::default()
    };
    assert_eq!(
        refused("logistic", three).to_string(),
        "classes has to be 2 for this model, got 3"
    );
    let deep = ModelOptions {
        activation: Some(Activation::Tanh),
        dropout: Some(0.2),
        ..sizes(&[64, 32])
    };
    let deep = find("mlp").unwrap().network(&deep).unwrap().to_string();
    for line in [
        "hidden1: Linear 64",
        "activation2: Tanh",
        "dropout2: Dropout 0.2",
        "output: Linear 10",
    ] {
        assert!(deep.contains(line), "{deep}");
    }
    let wide = find("mlp")
        .unwrap()
        .network(&width(0.5))
        .unwrap()
        .summary(&[784])
        .unwrap();
    assert_eq!(wide.parameters, 784 * 128 + 128 + 1290);
    let small = find("lenet").unwrap().network(&ModelOptions::default()).unwrap();
    let message = small.build(
        &[1, 8, 8],
        &ParamStore::new(DType::F32, &Device::Cpu),
        &Rng::new(0),
    );
    let message = message.map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        message,
        "`conv2`: expects height of at least 5, got 4 after `pool1`"
    );
}

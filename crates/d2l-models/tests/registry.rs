//! One walk over the registry, and each network's table of the book.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;
use d2l_models::{ModelError, ModelOptions, REGISTRY, find};
use d2l_nn::{ParamStore, Rng, ops};
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

/// How each model is tried below: picture size, number of steps, learning rate.
fn trial(name: &str) -> (usize, usize, f64) {
    match name {
        "softmax" | "mlp" => (28, 20, 0.1),
        "lenet" => (28, 60, 0.5), // Sigmoids begin slowly.
        "lenet-bn" => (28, 20, 0.5),
        "alexnet" => (67, 3, 0.01),
        "vgg11" | "vgg13" | "vgg16" | "vgg19" => (32, 3, 0.01),
        "nin" => (71, 12, 0.05),
        _ => (48, 5, 0.01),
    }
}

#[test]
fn every_model_builds_learns_and_survives_saving() {
    let folder = std::env::temp_dir().join(format!("d2l-models-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for spec in REGISTRY {
        let (size, steps, rate) = trial(spec.name);
        let (name, batch, classes, input) = (spec.name, 4, 3, [1, size, size]);
        // VGG's fully connected layers alone are 16 million; an eighth of the channels is still every layer.
        let width = name.starts_with("vgg").then_some(0.125);
        let options = ModelOptions {
            classes: Some(classes),
            width,
            dropout: None,
        };
        let network = spec.network(&options).unwrap();
        let build = |seed| {
            let params = ParamStore::new(DType::F32, &Device::Cpu);
            (network.build(&input, &params, &Rng::new(seed)).unwrap(), params)
        };
        let (model, params) = build(1);
        let shape = [batch, 1, size, size];
        let xs = Rng::new(2)
            .uniform(&shape, 0.0, 1.0, DType::F32, &Device::Cpu)
            .unwrap();
        let ys = Tensor::from_iter((0..batch as u32).map(|i| i % classes as u32), &Device::Cpu).unwrap();

        let loss = |train| {
            let logits = model.forward_t(&xs, train).unwrap();
            assert_eq!(logits.dims(), [batch, classes], "{name}");
            ops::cross_entropy(&logits, &ys, &Default::default()).unwrap()
        };
        let value = |loss: &Tensor| loss.to_scalar::<f32>().unwrap();
        // Without dropout's draws; but batch norm's running means are still far off after a few steps, so a network
        // that has them is judged by the batch's own.
        let judge = || value(&loss(!params.buffers().is_empty()));
        let before = judge();
        for step in 0..steps {
            let loss = loss(true);
            assert!(value(&loss).is_finite(), "{name}");
            let gradients = loss.backward().unwrap();
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
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
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

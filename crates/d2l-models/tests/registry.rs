//! One walk over the registry, and each network's table of the book.

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

#[test]
fn parameter_counts_are_the_books() {
    for (name, count) in [("softmax", 7_850), ("mlp", 203_530), ("lenet", 61_706)] {
        let spec = find(name).unwrap();
        let network = spec.network(&ModelOptions::default()).unwrap();
        assert_eq!(network.summary(spec.input).unwrap().parameters, count, "{name}");
    }
}

#[test]
fn every_model_builds_learns_and_survives_saving() {
    let folder = std::env::temp_dir().join(format!("d2l-models-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for spec in REGISTRY {
        let name = spec.name;
        let (batch, classes) = (8, 5);
        let options = ModelOptions {
            classes: Some(classes),
            ..ModelOptions::default()
        };
        let network = spec.network(&options).unwrap();
        let build = |seed| {
            let params = ParamStore::new(DType::F32, &Device::Cpu);
            (
                network.build(spec.input, &params, &Rng::new(seed)).unwrap(),
                params,
            )
        };
        let (model, params) = build(1);
        let shape = [&[batch], spec.input].concat();
        let xs = Rng::new(2)
            .uniform(&shape, 0.0, 1.0, DType::F32, &Device::Cpu)
            .unwrap();
        let ys = Tensor::from_iter((0..batch as u32).map(|i| i % classes as u32), &Device::Cpu).unwrap();

        let mut losses = Vec::new();
        for step in 0..60 {
            let logits = model.forward_t(&xs, true).unwrap();
            assert_eq!(logits.dims(), [batch, classes], "{name}");
            let loss = ops::cross_entropy(&logits, &ys, &Default::default()).unwrap();
            let gradients = loss.backward().unwrap();
            for (parameter, var) in params.trainable() {
                let gradient = gradients.get(var.as_tensor());
                let gradient = gradient.unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
                if step == 0 {
                    let largest = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
                    assert!(largest.to_scalar::<f32>().unwrap() > 0.0, "{name}: {parameter}");
                }
                var.set(&(var.as_tensor() - (gradient * 0.5).unwrap()).unwrap())
                    .unwrap();
            }
            losses.push(loss.to_scalar::<f32>().unwrap());
        }
        assert!(losses.iter().all(|loss| loss.is_finite()), "{name}: {losses:?}");
        assert!(losses[59] < losses[0], "{name}: {losses:?}");

        let path = folder.join(format!("{name}.safetensors"));
        params.save(&path).unwrap();
        let (restored, other) = build(3);
        other.load(&path).unwrap();
        let logits = |model: &d2l_nn::Model| model.forward_t(&xs, false).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(logits(&model), logits(&restored), "{name}");
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

//! The names of weights in files: the book's, torchvision's, and what is said of files that do not fit.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;
use d2l_models::{
    AlexNet, DenseNet, GoogLeNet, Layout, ModelOptions, REGISTRY, ResNet, VGG11, VGG16, Vgg, alexnet,
    densenet, find, googlenet, googlenet_with_auxiliaries, load_weights, resnet, save_weights, vgg,
};
use d2l_nn::{Init, Network, ParamStore, Rng};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn lines(layout: Layout, network: &Network, params: &ParamStore) -> Vec<String> {
    let names = layout.names(network, params).unwrap().into_iter();
    names
        .map(|name| {
            let shape = name
                .in_store
                .map_or_else(Vec::new, |mine| params.get(&mine).unwrap().dims().to_vec());
            format!("{} {shape:?}", name.in_file)
        })
        .collect()
}

fn build(network: &Network, input: &[usize], seed: u64) -> (d2l_nn::Model, ParamStore) {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network.build(input, &params, &Rng::new(seed)).unwrap();
    (model, params)
}

#[test]
fn the_torch_layout_is_the_books_state_dict() {
    for name in [
        "softmax",
        "mlp",
        "lenet",
        "lenet-bn",
        "alexnet",
        "vgg11",
        "nin",
        "googlenet",
        "resnet18",
        "densenet",
    ] {
        let spec = find(name).unwrap();
        let network = spec.network(&ModelOptions::default()).unwrap();
        // At full size, but without drawing the weights.
        let network = network.weight_init(Init::Constant(0.0));
        let (_, params) = build(&network, spec.input, 0);
        assert_eq!(
            lines(Layout::Torch, &network, &params),
            fixture(&format!("torch-layout/{name}.txt")),
            "{name}"
        );
    }
}

/// The names alone: at full size AlexNet and VGG would take half a gigabyte.
fn check_torchvision(file: &str, full: &Network, small: &Network, input: &[usize], parameters: usize) {
    let summary = full.summary(&[3, 224, 224]).unwrap();
    assert_eq!(summary.parameters, parameters, "{file}");
    let (_, params) = build(small, input, 0);
    let name = |line: &String| line.split(' ').next().unwrap().to_owned();
    let mut ours: Vec<String> = lines(Layout::Torchvision, small, &params)
        .iter()
        .map(name)
        .collect();
    let theirs = fixture(&format!("torchvision/{file}.txt"));
    let mut theirs: Vec<String> = theirs
        .iter()
        .map(name)
        .filter(|n| !n.starts_with("aux"))
        .collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs, "{file}");
}

#[test]
fn torchvisions_names_and_sizes() {
    let tower = AlexNet::one_tower();
    let small = AlexNet {
        channels: [4; 5],
        hidden: [4; 2],
        ..tower
    };
    check_torchvision(
        "alexnet",
        &alexnet(&tower, 1000),
        &alexnet(&small, 3),
        &[3, 67, 67],
        61_100_840,
    );
    for (name, stages, parameters) in [("vgg11", VGG11, 132_863_336), ("vgg16", VGG16, 138_357_544)] {
        let full = Vgg::new(&stages);
        let small = Vgg {
            width: 0.0,
            hidden: [4; 2],
            ..full.clone()
        };
        check_torchvision(
            name,
            &vgg(name, &full, 1000),
            &vgg(name, &small, 3),
            &[3, 32, 32],
            parameters,
        );
    }
    let paper = ResNet {
        paper: true,
        ..ResNet::book([2, 2, 2, 2])
    };
    for (name, options, parameters) in [
        ("resnet18", paper, 11_689_512),
        ("resnet50", ResNet::deep([3, 4, 6, 3]), 25_557_032),
        ("resnet101", ResNet::deep([3, 4, 23, 3]), 44_549_160),
        ("resnet152", ResNet::deep([3, 8, 36, 3]), 60_192_808),
    ] {
        let (full, small) = (
            resnet(name, &options, 1000),
            resnet(
                name,
                &ResNet {
                    width: 0.0,
                    ..options
                },
                3,
            ),
        );
        if name.len() == 8 {
            check_torchvision(name, &full, &small, &[3, 32, 32], parameters);
        } else {
            assert_eq!(full.summary(&[3, 224, 224]).unwrap().parameters, parameters);
        }
    }
    let options = DenseNet::deep(&[6, 12, 24, 16]);
    let small = options.clone().widened(0.0);
    check_torchvision(
        "densenet121",
        &densenet(&options, 1000),
        &densenet(&small, 3),
        &[3, 32, 32],
        7_978_856,
    );
    let options = GoogLeNet {
        torchvision: true,
        ..GoogLeNet::default()
    };
    let small = GoogLeNet {
        width: 0.0,
        ..options
    };
    check_torchvision(
        "googlenet",
        &googlenet(&options, 1000),
        &googlenet(&small, 3),
        &[3, 64, 64],
        6_624_904,
    );
    // With the auxiliary classifiers it is torchvision's to the last tensor.
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let network = googlenet_with_auxiliaries(&options, 1000);
    network.build(&[3, 224, 224], &params, &Rng::new(0)).unwrap();
    let mut ours = lines(Layout::Torchvision, &network.network, &params);
    let mut theirs = fixture("torchvision/googlenet.txt");
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(params.parameter_count(), 13_004_888);
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("d2l-models-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_layout_of_every_model_comes_back() {
    let folder = Folder::new("layouts");
    for spec in REGISTRY {
        let options = small_options(spec.name);
        let (network, input) = (spec.network(&options).unwrap(), small_input(spec.name));
        let (model, params) = build(&network, &input, 1);
        let xs = Rng::new(2)
            .uniform(
                &[&[2], input.as_slice()].concat(),
                0.0,
                1.0,
                DType::F32,
                &Device::Cpu,
            )
            .unwrap();
        let logits = |model: &d2l_nn::Model| model.forward_t(&xs, false).unwrap().to_vec2::<f32>().unwrap();
        for layout in [Layout::D2l, Layout::Torch, Layout::Torchvision] {
            let path = folder.0.join(format!("{}-{layout}.safetensors", spec.name));
            if layout.names(&network, &params).is_none() {
                let message = save_weights(&network, &params, layout, &path)
                    .unwrap_err()
                    .to_string();
                assert!(message.contains("there is no layout `torchvision`"), "{message}");
                continue;
            }
            save_weights(&network, &params, layout, &path).unwrap();
            let (restored, other) = build(&network, &input, 3);
            assert_eq!(
                load_weights(&network, &other, &path).unwrap(),
                layout,
                "{}",
                spec.name
            );
            assert_eq!(logits(&model), logits(&restored), "{} {layout}", spec.name);
        }
    }
}

fn small_options(name: &str) -> ModelOptions {
    let narrow = !["linear", "logistic", "perceptron", "softmax", "lenet", "lenet-bn"].contains(&name);
    let hidden = name.starts_with("vgg") || name == "alexnet";
    ModelOptions {
        width: narrow.then_some(0.125),
        hidden: hidden.then_some(vec![16, 12]),
        ..ModelOptions::default()
    }
}

fn small_input(name: &str) -> Vec<usize> {
    match name {
        "linear" | "logistic" | "perceptron" => vec![2],
        "softmax" | "mlp" | "lenet" | "lenet-bn" => vec![1, 28, 28],
        "alexnet" | "nin" => vec![1, 71, 71],
        _ => vec![1, 48, 48],
    }
}

#[test]
fn files_that_do_not_fit_name_the_first_differences() {
    let folder = Folder::new("misfits");
    let path = folder.0.join("weights.safetensors");
    let mlp = |hidden: Vec<usize>, classes| {
        let options = ModelOptions {
            hidden: Some(hidden),
            classes: Some(classes),
            ..ModelOptions::default()
        };
        find("mlp").unwrap().network(&options).unwrap()
    };
    let network = mlp(vec![8], 10);
    let (_, params) = build(&network, &[4], 0);
    save_weights(&network, &params, Layout::Torch, &path).unwrap();
    let refused = |network: &Network, input: &[usize]| {
        let (_, params) = build(network, input, 1);
        let before = params.all()[0].1.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let message = load_weights(network, &params, &path).unwrap_err().to_string();
        let after = params.all()[0].1.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(before, after, "nothing is changed");
        message
    };
    let message = refused(&mlp(vec![8], 3), &[4]);
    for part in [
        "weights.safetensors: the tensors do not fit",
        "`3.weight` (here `output.weight`) is [10, 8], the network has [3, 8]",
        "`3.bias` (here `output.bias`) is [10]",
        "layout `torch` for mlp",
        "number of classes",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let message = refused(&mlp(vec![8, 8], 10), &[4]);
    assert!(
        message.contains("`5.weight` (here `output.weight`) [10, 8] is missing"),
        "{message}"
    );
    let message = refused(
        &find("lenet").unwrap().network(&ModelOptions::default()).unwrap(),
        &[1, 28, 28],
    );
    assert!(
        message.contains("`0.weight` (here `conv1.weight`)") || message.contains("is missing"),
        "{message}"
    );

    std::fs::write(&path, b"not safetensors").unwrap();
    assert!(refused(&network, &[4]).contains("weights.safetensors"));

    // Half precision is read too; a single tensor of another shape is named alone.
    let half = params.all().into_iter().map(|(name, var)| {
        let values: Tensor = var.as_tensor().to_dtype(DType::F16).unwrap();
        (name, values)
    });
    candle_core::safetensors::save(&half.collect(), &path).unwrap();
    let (_, other) = build(&network, &[4], 5);
    assert_eq!(load_weights(&network, &other, &path).unwrap(), Layout::D2l);
    assert_eq!(other.get("output.bias").unwrap().dtype(), DType::F32);
}

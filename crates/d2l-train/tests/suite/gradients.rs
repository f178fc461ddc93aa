//! The gradients of a step as callbacks and TensorBoard see them.

use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Model, Network, ParamStore, Rng,
    layers::{Activation, Conv2d, Flatten, Linear},
};
use d2l_train::{
    BatchSource, Callback, Clip, Loss, Method, Optimizer, Outcome, Result, StepGradients, Task, TensorSource,
    TrainOptions, Trainer, callbacks::TensorBoard, loss::CrossEntropy,
};
use std::{collections::BTreeMap, fs, path::Path};

const NAMES: [&str; 4] = ["conv.weight", "conv.bias", "output.weight", "output.bias"];

fn build() -> (Model, ParamStore) {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let network = Network::new("small")
        .add("conv", Conv2d::new(4, 3))
        .add("relu", Activation::Relu)
        .add("flatten", Flatten)
        .add("output", Linear::new(3));
    let model = network.build(&[2, 4, 5], &params, &Rng::new(3)).unwrap();
    (model, params)
}

fn data() -> TensorSource {
    let xs = Tensor::from_vec(
        Rng::new(1).normal_vec(20 * 40, 0.0, 1.0),
        (20, 2, 4, 5),
        &Device::Cpu,
    )
    .unwrap();
    let ys = Tensor::from_iter((0..20u32).map(|i| i % 3), &Device::Cpu).unwrap();
    TensorSource::new(xs, ys, 8, None).unwrap()
}

fn fit<'a>(callback: impl Callback + 'a, plan: bool, epochs: u64) -> ParamStore {
    let (model, params) = build();
    // A limit far below the gradients: what is shown must be what it was before.
    let clip = Clip {
        norm: Some(1e-3),
        value: None,
    };
    let options = TrainOptions {
        clip,
        ..TrainOptions::new(Task::Classification, epochs)
    };
    let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
    let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options).unwrap();
    if plan {
        trainer.use_plan(&model, 8).unwrap();
    }
    trainer.callback(callback);
    assert_eq!(trainer.fit(&data(), None).unwrap(), Outcome::Finished);
    drop(trainer);
    params
}

/// The gradients of the first step, and all norms.
#[derive(Default)]
struct Seen {
    first: BTreeMap<String, Tensor>,
    norms: Vec<f64>,
}

impl Callback for &mut Seen {
    fn after_backward(&mut self, gradients: &StepGradients<'_>) -> Result<()> {
        if gradients.step() == 1 {
            for name in gradients.names() {
                self.first
                    .extend(gradients.get(name)?.map(|found| (name.to_owned(), found)));
            }
            assert!(gradients.get("conv.none")?.is_none());
        }
        self.norms.push(gradients.norm()?);
        Ok(())
    }
}

#[test]
fn both_engines_show_the_gradients_of_the_parameters_before_clipping() {
    let (model, params) = build();
    let batch = data().epoch(0, 0).next().unwrap().unwrap();
    let output = candle_nn::ModuleT::forward_t(&model, &batch.xs, true).unwrap();
    let store = CrossEntropy::default()
        .loss(&output, &batch.ys)
        .unwrap()
        .backward()
        .unwrap();
    for plan in [false, true] {
        let mut seen = Seen::default();
        fit(&mut seen, plan, 1);
        assert_eq!(seen.first.len(), NAMES.len());
        let mut squares = 0.0;
        for name in NAMES {
            let expected = store.get(params.get(name).unwrap().as_tensor()).unwrap();
            let shown = &seen.first[name];
            assert_eq!(shown.dims(), expected.dims());
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (shown, expected) in flat(shown).into_iter().zip(flat(expected)) {
                assert!(
                    (shown - expected).abs() < 1e-6,
                    "plan {plan}, {name}: {shown} {expected}"
                );
                squares += f64::from(expected).powi(2);
            }
        }
        assert_eq!(seen.norms.len(), 3);
        assert!(
            (seen.norms[0] / squares.sqrt() - 1.0).abs() < 1e-5 && seen.norms[0] > 0.1,
            "{:?}",
            seen.norms
        );
    }
}

/// The contents of an event file's records.
fn records(folder: &Path) -> Vec<Vec<u8>> {
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(path).unwrap();
    let (mut records, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        records.push(after[4..4 + length].to_vec());
        rest = &after[4 + length + 4..];
    }
    records
}

/// What follows the tag in every record that has it.
fn after_tag<'r>(records: &'r [Vec<u8>], tag: &str) -> Vec<&'r [u8]> {
    let wanted = [&[0x0a, tag.len() as u8][..], tag.as_bytes()].concat();
    let find = |record: &'r Vec<u8>| {
        let at = record.windows(wanted.len()).position(|window| window == wanted)?;
        Some(&record[at + wanted.len()..])
    };
    records.iter().filter_map(find).collect()
}

/// The double of a histogram's field: each is a key and eight bytes, in order.
fn field(histogram: &[u8], field: u8) -> f64 {
    // Field 5 of the value: its key, and its length in two bytes.
    assert_eq!(histogram[0], 0x2a);
    let at = 3 + 9 * (usize::from(field) - 1);
    assert_eq!(histogram[at], field << 3 | 1);
    f64::from_le_bytes(histogram[at + 1..at + 9].try_into().unwrap())
}

#[test]
fn tensorboard_gets_gradients_once_an_epoch_and_their_norm() {
    for plan in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = Seen::default();
        fit(&mut seen, plan, 2);
        let params = fit(TensorBoard::new(folder.path(), 2), plan, 2);
        let records = records(folder.path());
        let norms: Vec<f32> = after_tag(&records, "gradient_norm")
            .iter()
            .map(|value| {
                assert_eq!(value[0], 0x15, "field 2, 4 bytes");
                f32::from_le_bytes(value[1..5].try_into().unwrap())
            })
            .collect();
        // Every second of six steps.
        assert_eq!(norms, [1, 3, 5].map(|step| seen.norms[step] as f32));
        let mut squares = [0.0; 2];
        for name in NAMES {
            let histograms = after_tag(&records, &format!("gradients/{name}"));
            assert_eq!(histograms.len(), 2, "{name}");
            for (squares, histogram) in squares.iter_mut().zip(histograms) {
                let elements = params.get(name).unwrap().elem_count();
                assert_eq!(field(histogram, 3), elements as f64);
                *squares += field(histogram, 5);
            }
        }
        // The last steps of the two epochs.
        for (squares, norm) in squares.iter().zip([seen.norms[2], seen.norms[5]]) {
            assert!((squares.sqrt() / norm - 1.0).abs() < 1e-5, "{squares} {norm}");
        }
        let none = tempfile::tempdir().unwrap();
        fit(TensorBoard::new(none.path(), 0).histograms(false), plan, 1);
        let records = self::records(none.path());
        assert!(after_tag(&records, "gradient_norm").is_empty());
        assert!(after_tag(&records, "gradients/conv.bias").is_empty());
    }
}

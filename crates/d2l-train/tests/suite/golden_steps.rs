//! Whole steps beside PyTorch's, whose values `tests/golden/steps.py` writes.

use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Network, ParamStore, Rng,
    layers::{Activation, Linear},
};
use d2l_train::{
    Averaging, Callback, Clip, Flow, Method, Optimizer, Outcome, Result, Run, StepGradients, Task,
    TensorSource, TrainOptions, Trainer,
    callbacks::AverageWeights,
    loss::{CrossEntropy, CrossEntropyOptions},
    optim::{Group, Select},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// As in the script: each tensor's number is its `k`.
const SHAPES: [(&str, &[usize]); 4] = [
    ("hidden.weight", &[5, 4]),
    ("hidden.bias", &[5]),
    ("output.weight", &[3, 5]),
    ("output.bias", &[3]),
];

fn values(k: usize, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let flat: Vec<f32> = (0..count)
        .map(|i| (1.0 + 3.0 * k as f64 + 0.7 * i as f64).sin() as f32)
        .collect();
    Tensor::from_vec(flat, shape, &Device::Cpu).unwrap()
}

type Weights = BTreeMap<String, Vec<f32>>;

fn floats(weights: impl IntoIterator<Item = (String, Tensor)>) -> Weights {
    let flat = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    weights
        .into_iter()
        .map(|(name, tensor)| (name, flat(tensor)))
        .collect()
}

/// The norms, and the weights after every step.
#[derive(Default)]
struct Seen {
    norms: Vec<f64>,
    steps: Vec<Weights>,
}

impl Callback for &mut Seen {
    fn after_backward(&mut self, gradients: &StepGradients<'_>) -> Result<()> {
        self.norms.push(gradients.norm()?);
        Ok(())
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let all = run.store()?.parameters().into_iter();
        self.steps
            .push(floats(all.map(|(name, var)| (name, var.as_detached_tensor()))));
        Ok(Flow::Continue)
    }
}

fn assert_close(got: &Weights, want: &Value, what: &str) {
    for (name, got) in got {
        let want: Vec<f64> = serde_json::from_value(want[name].clone()).unwrap();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!(
                (f64::from(*got) - want).abs() < 2e-6,
                "{what}, {name}: {got} for {want}"
            );
        }
    }
}

#[test]
fn accumulated_weighted_clipped_steps_in_groups_are_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("../golden/steps.json")).unwrap();
    for plan in [false, true] {
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let network = Network::new("two")
            .add("hidden", Linear::new(5))
            .add("relu", Activation::Relu)
            .add("output", Linear::new(3));
        let model = network.build(&[4], &params, &Rng::new(0)).unwrap();
        for (k, (name, shape)) in SHAPES.iter().enumerate() {
            params.set(name, &values(k, shape)).unwrap();
        }
        let frozen = Select::Name("hidden.bias".into());
        assert_eq!(params.freeze(true, |name| frozen.selects(name, 1)), 1);
        let groups = [
            Group::learning_rate_factor("hidden.*", 0.5),
            Group::no_decay_on_vectors(),
        ];
        let method = Method::sgd(0.3)
            .with_momentum(0.9, false)
            .unwrap()
            .with_weight_decay(0.1);
        let optimizer = Optimizer::with_groups(method, &params, &groups).unwrap();
        let loss = CrossEntropy(CrossEntropyOptions {
            class_weights: Some(Tensor::new(&[0.5f32, 1.0, 3.0], &Device::Cpu).unwrap()),
            label_smoothing: 0.1,
            ..CrossEntropyOptions::default()
        });
        let clip = Clip {
            norm: Some(0.4),
            value: None,
        };
        let options = TrainOptions {
            clip,
            accumulate: 2,
            ..TrainOptions::new(Task::Classification, 3)
        };
        let mut seen = Seen::default();
        let mut trainer = Trainer::new(&model, &params, loss, optimizer, options).unwrap();
        if plan {
            trainer.use_plan(&model, 4).unwrap();
        }
        trainer
            .callback(&mut seen)
            .callback(AverageWeights(Averaging::Ema { decay: 0.8 }));
        let ys = Tensor::from_iter((0..10u32).map(|i| i % 3), &Device::Cpu).unwrap();
        let source = TensorSource::new(values(9, &[10, 4]), ys, 4, None).unwrap();
        assert_eq!(trainer.fit(&source, None).unwrap(), Outcome::Finished);

        let averages = trainer.run().averages().unwrap().weights().clone();
        assert_close(&floats(averages), &golden["average"], "average");
        drop(trainer);
        let norms: Vec<f64> = serde_json::from_value(golden["norms"].clone()).unwrap();
        assert_eq!((seen.norms.len(), seen.steps.len()), (6, 6));
        for (got, want) in seen.norms.iter().zip(norms) {
            assert!(
                (got / want - 1.0).abs() < 1e-5,
                "plan {plan}: norm {got} for {want}"
            );
        }
        for (step, got) in seen.steps.iter().enumerate() {
            assert_close(got, &golden["steps"][step], &format!("plan {plan}, step {step}"));
        }
    }
}

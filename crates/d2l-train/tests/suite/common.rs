//! A small job with everything that has a state: dropout, batch norm, Adam, a schedule per step, a shuffled set with
//! a short last batch, a log with lines per step.

use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Model, Network, ParamStore, Rng,
    layers::{Activation, BatchNorm, Dropout, Linear},
};
use d2l_train::{
    Callback, Method, Optimizer, Outcome, Result, RunDir, Task, TensorSource, TrainOptions, Trainer,
    callbacks::{Checkpoints, MetricsLog},
    loss::CrossEntropy,
    metrics::{Record, read_records},
};
use std::path::Path;

pub(crate) const EPOCHS: u64 = 3;
/// 50 examples in batches of 16.
pub(crate) const BATCHES: u64 = 4;

pub(crate) fn network() -> Network {
    Network::new("small")
        .add("hidden", Linear::new(8))
        .add("norm", BatchNorm::default())
        .add("relu", Activation::Relu)
        .add("dropout", Dropout { p: 0.3 })
        .add("output", Linear::new(3))
}

pub(crate) fn build() -> (Model, ParamStore) {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let model = network().build(&[4], &params, &Rng::new(3)).unwrap();
    (model, params)
}

/// Three clouds around three points.
pub(crate) fn clouds(examples: usize, seed: u64, shuffle: Option<u64>) -> TensorSource {
    let mut noise = Rng::new(seed).normal_vec(examples * 4, 0.0, 1.0);
    let classes: Vec<u32> = (0..examples as u32).map(|i| i % 3).collect();
    for (row, class) in noise.chunks_mut(4).zip(&classes) {
        row[*class as usize] += 2.0;
    }
    let xs = Tensor::from_vec(noise, (examples, 4), &Device::Cpu).unwrap();
    TensorSource::new(xs, Tensor::new(classes, &Device::Cpu).unwrap(), 16, shuffle).unwrap()
}

pub(crate) fn options(epochs: u64) -> TrainOptions {
    TrainOptions {
        schedule: "cosine:per=step,warmup=2,floor=0.1".parse().unwrap(),
        model: "small".into(),
        ..TrainOptions::new(Task::Classification, epochs)
    }
}

/// [`train_epochs`] for [`EPOCHS`].
pub(crate) fn train(folder: &Path, every_steps: u64, also: Vec<Box<dyn Callback>>) -> Result<Outcome> {
    train_epochs(folder, EPOCHS, every_steps, also)
}

/// Starts the job in `folder`, or goes on with it, with a checkpoint every `every_steps` steps and epoch.
pub(crate) fn train_epochs(
    folder: &Path,
    epochs: u64,
    every_steps: u64,
    also: Vec<Box<dyn Callback>>,
) -> Result<Outcome> {
    let run = if folder.join("config.toml").exists() {
        RunDir::open(folder)?
    } else {
        let run = RunDir::create(folder, true)?;
        run.write_config(&std::collections::BTreeMap::from([("model", "small")]))?;
        run
    };
    let (model, params) = build();
    let optimizer = Optimizer::new(Method::adam(0.05), &params)?;
    let mut trainer = Trainer::new(
        &model,
        &params,
        CrossEntropy::default(),
        optimizer,
        options(epochs),
    )?;
    trainer
        .random_state("model", &model)
        .callback(MetricsLog::new(run.metrics_path(), 1))
        .callback(Checkpoints {
            every_steps,
            ..Checkpoints::new(run.checkpoints())
        });
    for callback in also {
        trainer.boxed_callback(callback);
    }
    if let (Some(checkpoint), _) = run.newest_checkpoint() {
        trainer.resume(&checkpoint)?;
    }
    trainer.fit(&clouds(50, 1, Some(9)), Some(&clouds(20, 2, None)))
}

/// What a run leaves behind: the tensors of its last and best checkpoint, as bytes, and its log without times.
#[derive(Debug, PartialEq)]
pub(crate) struct Left {
    files: Vec<(String, Vec<u8>)>,
    log: Vec<Record>,
}

pub(crate) fn left(folder: &Path) -> Left {
    let files = ["last", "best"].into_iter().flat_map(|kind| {
        ["weights.safetensors", "optimizer.safetensors"].map(|file| format!("checkpoints/{kind}/{file}"))
    });
    let files = files
        .map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()))
        .collect();
    let mut log = read_records(&folder.join("metrics.jsonl")).unwrap();
    for record in &mut log {
        if let Record::Epoch(record) = record {
            record.seconds = 0.0;
            record.examples_per_second = 0.0;
        }
    }
    Left { files, log }
}

impl Left {
    pub(crate) fn files(&self) -> &[(String, Vec<u8>)] {
        &self.files
    }

    pub(crate) fn epochs(&self) -> Vec<&Record> {
        self.log
            .iter()
            .filter(|record| matches!(record, Record::Epoch(_)))
            .collect()
    }
}

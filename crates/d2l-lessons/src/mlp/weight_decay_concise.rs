//! Weight decay by the optimiser (section 4.5): on the weights alone, through parameter groups.

use super::weight_decay_scratch::{Data, EPOCHS, INPUTS, LEARNING_RATE, initial_parameters, report};
use crate::{Chapter, Cost, Error, Lesson, Page, Result};
use candle_core::{DType, Device, Tensor};
use d2l_nn::{Network, ParamStore, layers::Linear};
use d2l_train::{
    EpochRecord, Loss, Method, Optimizer, Outcome, Task, TrainOptions, Trainer,
    loss::{Elementwise, Function},
    optim::Group,
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "weight-decay-concise",
    chapter: Chapter::Mlp,
    section: "4.5",
    title: "Weight decay, concisely",
    expected: "‖w‖ about 13 without decay and about 0.36 with a weight decay of 3",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    let data = Data::new(page)?;
    // ANCHOR: training
    for decay in [0.0, 3.0] {
        let (weight, _) = initial_parameters(&page.rng("weight"))?;
        let loss = Elementwise::mean(Function::Squared);
        let (params, history) = train(&data, &weight, decay, loss)?;
        let weight = params.get("output.weight");
        let weight = weight.ok_or_else(|| Error::Lesson("the network has no weight".into()))?;
        report(page, decay, &weight, losses(&history))?;
    }
    // ANCHOR_END: training
    Ok(())
}

/// Losses by epoch; those of training are means over the epoch.
fn losses(history: &[EpochRecord]) -> [Vec<(f64, f64)>; 2] {
    let curve = |loss: fn(&EpochRecord) -> Option<f64>| {
        let points = history
            .iter()
            .filter_map(|epoch| Some((epoch.epoch as f64, loss(epoch)?)));
        points.collect()
    };
    [
        curve(|epoch| Some(epoch.train_loss)),
        curve(|epoch| epoch.test_loss),
    ]
}

// ANCHOR: train
/// A fully connected layer that starts with `weight` `[200, 1]` and a bias of zero, trained with weight decay on the
/// weight.
///
/// # Errors
/// When training fails.
pub fn train(
    data: &Data,
    weight: &Tensor,
    decay: f64,
    loss: impl Loss,
) -> Result<(ParamStore, Vec<EpochRecord>)> {
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let network = Network::new("linear").add("output", Linear::new(1));
    let net = network.build(&[INPUTS], &params, &d2l_nn::Rng::new(0))?;
    params.set("output.weight", &weight.t()?)?;
    params.set("output.bias", &Tensor::zeros(1, DType::F32, &Device::Cpu)?)?;

    let method = Method::sgd(LEARNING_RATE).with_weight_decay(decay);
    let optimizer = Optimizer::with_groups(method, &params, &[Group::no_decay_on_vectors()])?;
    let options = TrainOptions::new(Task::Regression, EPOCHS);
    let mut trainer = Trainer::new(&net, &params, loss, optimizer, options)?;
    if trainer.fit(&data.train, Some(&data.test))? != Outcome::Finished {
        return Err(Error::Stopped);
    }
    let history = trainer.history().to_vec();
    drop(trainer);
    Ok((params, history))
}
// ANCHOR_END: train

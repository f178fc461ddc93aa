use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;
use d2l_models::{ModelOptions, Task};
use d2l_nn::{ParamStore, Rng};
use d2l_train::{Loss, Method, Optimizer};
use serde_json::json;

use super::summary::shape;
use super::train::cross_entropy;
use crate::args::BenchArgs;
use crate::failure::{Failure, Result};
use crate::machine::{device_name, in_pool, peak_memory_bytes};
use crate::runs::place;
use crate::ui::{Ui, bytes, thousands};

const SEED: u64 = 0;
const WARM_UP_STEPS: usize = 3;

/// `d2l bench`: how fast a network trains, or answers, on synthetic data.
pub(crate) fn bench(args: &BenchArgs, ui: Ui) -> Result<()> {
    let spec = d2l_models::find(&args.model).map_err(Failure::usage)?;
    let (device, threads) = place(args.device.as_deref(), args.threads)?;
    let batch_size = args.batch_size.unwrap_or(spec.settings.batch_size);
    for (flag, value) in [("--batch-size", batch_size), ("--steps", args.steps)] {
        if value == 0 {
            return Err(Failure::usage(format!("{flag}: has to be at least 1, got 0")));
        }
    }
    if spec.task != Task::Classification {
        return Err(Failure::usage(format!("{} is no classifier", spec.name)));
    }
    let input = args.input.as_deref().unwrap_or(spec.input);
    let options = ModelOptions {
        classes: None,
        width: args.width,
        dropout: args.dropout,
        ..ModelOptions::default()
    };
    let network = spec.network(&options).map_err(Failure::usage)?;
    network
        .output_shape(input)
        .map_err(|error| Failure::usage(format!("--input: {error}")))?;

    in_pool(threads, || {
        let device = device.open()?;
        let params = ParamStore::new(DType::F32, &device);
        let model = network.build(input, &params, &Rng::new(SEED))?;
        let (xs, ys) = synthetic(batch_size, input, spec.classes, &device)?;
        let mut optimizer = Optimizer::new(Method::sgd(spec.settings.learning_rate), &params)?;
        let mut step = || -> Result<()> {
            let output = model.forward_t(&xs, !args.infer)?;
            if args.infer {
                return Ok(wait(&output)?);
            }
            let loss = cross_entropy.loss(&output, &ys)?;
            let gradients = optimizer.gradients(&loss.backward()?)?;
            optimizer.step(&gradients, spec.settings.learning_rate)?;
            Ok(wait(&loss)?)
        };
        for _ in 0..WARM_UP_STEPS {
            step()?;
        }
        let mut seconds = Vec::with_capacity(args.steps);
        for _ in 0..args.steps {
            let start = Instant::now();
            step()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        let best = seconds.first().copied().unwrap_or(0.0);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or(0.0);
        let speed = batch_size as f64 / best;
        let mode = if args.infer { "infer" } else { "train" };
        let memory = peak_memory_bytes();
        if ui.json {
            return ui.json_document(&json!({
                "model": spec.name,
                "mode": mode,
                "batch_size": batch_size,
                "input": input,
                "threads": threads,
                "device": device_name(&device),
                "engine": "autograd",
                "build": crate::machine::build_name(),
                "steps": args.steps,
                "ms_per_step": 1e3 * best,
                "ms_per_step_median": 1e3 * median,
                "examples_per_second": speed,
                "peak_memory_bytes": memory,
            }));
        }
        let what = if args.infer {
            "forward pass"
        } else {
            "training step"
        };
        ui.line(format_args!(
            "{} {what}, batch {batch_size} of {}, {} with {threads} threads",
            spec.name,
            shape(input),
            device_name(&device)
        ))?;
        ui.line(format_args!(
            "{:.3} ms best, {:.3} ms median of {} steps",
            1e3 * best,
            1e3 * median,
            args.steps
        ))?;
        let memory = memory.map_or(String::new(), |memory| {
            format!(", at most {} of memory", bytes(memory))
        });
        ui.line(format_args!("{} examples/s{memory}", thousands(speed as u64)))
    })
}

/// Random pictures and labels.
fn synthetic(batch: usize, input: &[usize], classes: usize, device: &Device) -> Result<(Tensor, Tensor)> {
    let xs =
        Rng::new(SEED)
            .split("bench")
            .uniform(&[&[batch], input].concat(), 0.0, 1.0, DType::F32, device)?;
    let labels: Vec<u32> = (0..batch).map(|index| (index % classes) as u32).collect();
    Ok((xs, Tensor::from_vec(labels, batch, device)?))
}

/// Waits until the device has done all it was asked for.
fn wait(tensor: &Tensor) -> candle_core::Result<()> {
    tensor.device().synchronize()
}

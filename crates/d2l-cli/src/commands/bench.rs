mod profile;

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT as _;
use d2l_models::{ModelOptions, Task};
use d2l_nn::{
    Model, Network, ParamStore, Rng,
    layers::{Activation, Conv2d, Flatten, Linear, Pool2d},
    ops::cross_entropy_with_gradient,
    plan::{Mode, Plan},
};
use d2l_train::{Loss, Method, Optimizer, loss::CrossEntropy};
use serde_json::json;

use super::summary::shape;
use crate::args::BenchArgs;
use crate::failure::{Failure, Result};
use crate::machine::{Engine, device_name, free_memory_bytes, in_pool, peak_memory_bytes};
use crate::runs::place;
use crate::ui::{Ui, bytes, plural, thousands};
use profile::{NodeMean, show_profile};

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
        warm_up(device.is_cpu() && args.engine != Engine::Autograd, &device)?;
        let baseline = peak_memory_bytes();
        let params = ParamStore::new(DType::F32, &device);
        let model = network.build(input, &params, &Rng::new(SEED))?;
        let (engine, refused) = args.engine.choose(&model, false, &device)?;
        if let Some(why) = refused {
            ui.note(format_args!("the steps go through autograd: {why}"));
        }
        let planned = engine == Engine::Plan;
        if args.profile && !planned {
            return Err(Failure::usage("--profile: only a plan knows its layers' times"));
        }
        let mode = if args.infer { Mode::Infer } else { Mode::Train };
        let needed = network
            .plan_memory(input, mode, batch_size)
            .map_err(Failure::usage)?;
        if planned
            && let Some(free) = free_memory_bytes()
            && needed.total(threads) > free
        {
            return Err(Failure::usage(format!(
                "--batch-size: a step of {} takes {}, and {} are free: choose fewer",
                plural(batch_size, "example"),
                bytes(needed.total(threads)),
                bytes(free)
            )));
        }
        let (xs, ys) = synthetic(batch_size, input, spec.classes, &device)?;
        let job = Job {
            xs,
            ys,
            infer: args.infer,
            learning_rate: spec.settings.learning_rate,
            optimizer: Optimizer::new(Method::sgd(spec.settings.learning_rate), &params)?,
        };
        let (seconds, nodes, expected) = if planned {
            let plan = model.plan(mode, batch_size)?;
            let expected = plan.memory().total(threads);
            let (seconds, nodes) = planned_steps(job, plan, args.steps, args.profile)?;
            (seconds, nodes, Some(expected))
        } else {
            (autograd_steps(job, &model, args.steps)?, Vec::new(), None)
        };
        let best = seconds.first().copied().unwrap_or(0.0);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or(0.0);
        let speed = batch_size as f64 / best;
        let mode = if args.infer { "infer" } else { "train" };
        let engine = engine.to_string();
        let memory = peak_memory_bytes();
        if ui.json {
            let profile: Vec<_> = nodes.iter().map(NodeMean::json).collect();
            return ui.json_document(&json!({
                "model": spec.name,
                "mode": mode,
                "batch_size": batch_size,
                "input": input,
                "threads": threads,
                "device": device_name(&device),
                "engine": engine,
                "build": crate::machine::build_name(),
                "steps": args.steps,
                "ms_per_step": 1e3 * best,
                "ms_per_step_median": 1e3 * median,
                "examples_per_second": speed,
                "peak_memory_bytes": memory,
                "baseline_memory_bytes": baseline,
                "plan_memory_bytes": expected,
                "profile": profile,
            }));
        }
        let what = if args.infer {
            "forward pass"
        } else {
            "training step"
        };
        ui.line(format_args!(
            "{} {what}, batch {batch_size} of {}, {} with {threads} threads, engine {engine}",
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
        ui.line(format_args!("{} examples/s{memory}", thousands(speed as u64)))?;
        if args.profile {
            show_profile(&nodes, args.infer, ui)?;
        }
        Ok(())
    })
}

/// Computes a step of a tiny network, so that the process has its threads and its code in memory before it is measured.
fn warm_up(planned: bool, device: &Device) -> Result<()> {
    let input = [1, 8, 8];
    let network = Network::new("warm-up")
        .add("conv", Conv2d::new(2, 3))
        .add("relu", Activation::Relu)
        .add("pool", Pool2d::max(2, 2))
        .add("flatten", Flatten)
        .add("linear", Linear::new(2));
    let params = ParamStore::new(DType::F32, device);
    let model = network.build(&input, &params, &Rng::new(SEED))?;
    let (xs, ys) = synthetic(4, &input, 2, device)?;
    let job = Job {
        xs,
        ys,
        infer: false,
        learning_rate: 0.1,
        optimizer: Optimizer::new(Method::sgd(0.1), &params)?,
    };
    if planned {
        let plan = model.plan(Mode::Train, 4)?;
        planned_steps(job, plan, 1, false)?;
    } else {
        autograd_steps(job, &model, 1)?;
    }
    Ok(())
}

/// What the steps compute.
struct Job {
    xs: Tensor,
    ys: Tensor,
    infer: bool,
    learning_rate: f64,
    optimizer: Optimizer,
}

/// Seconds of `steps` steps after the warm-up, shortest first.
fn time(steps: usize, mut step: impl FnMut(bool) -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..WARM_UP_STEPS {
        step(false)?;
    }
    let mut seconds = Vec::with_capacity(steps);
    for _ in 0..steps {
        let start = Instant::now();
        step(true)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

fn autograd_steps(mut job: Job, model: &Model, steps: usize) -> Result<Vec<f64>> {
    let loss = CrossEntropy::default();
    time(steps, |_| {
        let output = model.forward_t(&job.xs, !job.infer)?;
        if job.infer {
            return Ok(wait(&output)?);
        }
        let loss = loss.loss(&output, &job.ys)?;
        let gradients = job.optimizer.gradients(&loss.backward()?)?;
        job.optimizer.step(&gradients, job.learning_rate)?;
        Ok(wait(&loss)?)
    })
}

fn planned_steps(
    mut job: Job,
    mut plan: Plan,
    steps: usize,
    profile: bool,
) -> Result<(Vec<f64>, Vec<NodeMean>)> {
    plan.set_profiling(profile);
    let CrossEntropy(options) = CrossEntropy::default();
    let mut nodes: Vec<NodeMean> = Vec::new();
    let mut step = 0;
    let seconds = time(steps, |measured| {
        if job.infer {
            plan.forward(&job.xs, |_| Ok(()))?;
        } else {
            plan.step(&job.xs, step, |logits, gradient| {
                cross_entropy_with_gradient(logits, &job.ys, &options, gradient)
            })?;
            step += 1;
            let (optimizer, rate) = (&mut job.optimizer, job.learning_rate);
            plan.update(&mut |name, values, gradient| {
                let result = optimizer.step_slice(name, values, gradient, rate);
                result.map_err(|error| d2l_nn::Error::msg(error.to_string()))
            })?;
        }
        if profile && measured {
            let times = plan.profile();
            if nodes.is_empty() {
                nodes = times.iter().map(NodeMean::new).collect();
            }
            for (node, time) in nodes.iter_mut().zip(&times) {
                node.add(time);
            }
        }
        Ok(())
    })?;
    Ok((seconds, nodes))
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

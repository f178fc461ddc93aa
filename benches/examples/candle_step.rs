//! Measures a training step or a forward pass of one of the book's networks with candle's own layers: what
//! `torch_step.py` is for PyTorch, with the same arguments less the mode and the same answers.
#![allow(
    clippy::print_stdout,
    reason = "a program that answers on its standard output"
)]

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{
    Conv2dConfig, Linear, Optimizer, SGD, Sequential, VarBuilder, VarMap, conv2d, linear, loss, ops, seq,
};
use serde_json::{Value, json};
use std::io::BufRead;
use std::time::Instant;

const CLASSES: usize = 10;
const LEARNING_RATE: f64 = 0.01;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, task, batch, size, threads] = &arguments[..] else {
        bail!("usage: candle_step NETWORK train|infer BATCH SIZE THREADS");
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?);
    pool.build_global()?;
    let (vars, mut step) = match ready(network, task == "train", batch.parse()?, size.parse()?) {
        Ok(ready) => ready,
        Err(error) => {
            println!("{}", json!({ "missing": format!("{error:#}") }));
            return Ok(());
        }
    };
    let parameters: usize = vars.all_vars().iter().map(|var| var.elem_count()).sum();
    println!("{}", json!({ "parameters": parameters }));
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let seconds = request
            .get("seconds")
            .and_then(Value::as_f64)
            .context("no seconds")?;
        let shortest = measure(seconds, &mut step)?;
        println!(
            "{}",
            json!({ "seconds": shortest, "peak_memory_bytes": peak_memory_bytes() })
        );
    }
    Ok(())
}

type Step = Box<dyn FnMut() -> Result<()>>;

/// The parameters, and the step after a first few to warm up.
fn ready(network: &str, train: bool, batch: usize, size: usize) -> Result<(VarMap, Step)> {
    let device = Device::Cpu;
    let vars = VarMap::new();
    let model = build(network, VarBuilder::from_varmap(&vars, DType::F32, &device))?;
    let xs = Tensor::rand(0f32, 1f32, (batch, 1, size, size), &device)?;
    let labels: Vec<u32> = (0..batch).map(|index| (index % CLASSES) as u32).collect();
    let ys = Tensor::from_vec(labels, batch, &device)?;
    let mut optimizer = SGD::new(vars.all_vars(), LEARNING_RATE)?;
    let mut step: Step = Box::new(move || {
        let output = model.forward(&xs)?;
        if train {
            optimizer.backward_step(&loss::cross_entropy(&output, &ys)?)?;
        }
        Ok(())
    });
    for _ in 0..2 {
        step()?;
    }
    Ok((vars, step))
}

fn build(network: &str, vb: VarBuilder<'_>) -> Result<Sequential> {
    Ok(match network {
        "softmax" => seq().add(flatten).add(linear(784, CLASSES, vb.pp("output"))?),
        "mlp" => seq()
            .add(flatten)
            .add(linear(784, 256, vb.pp("hidden"))?)
            .add_fn(|xs| xs.relu())
            .add(linear(256, CLASSES, vb.pp("output"))?),
        "lenet" => lenet(vb)?,
        "alexnet" => alexnet(vb)?,
        _ => bail!("not written with candle's layers"),
    })
}

fn flatten(xs: &Tensor) -> candle_core::Result<Tensor> {
    xs.flatten_from(1)
}

fn padding(padding: usize) -> Conv2dConfig {
    Conv2dConfig {
        padding,
        ..Conv2dConfig::default()
    }
}

fn lenet(vb: VarBuilder<'_>) -> Result<Sequential> {
    let dense =
        |input, output, name: &str| -> candle_core::Result<Linear> { linear(input, output, vb.pp(name)) };
    Ok(seq()
        .add(conv2d(1, 6, 5, padding(2), vb.pp("conv1"))?)
        .add_fn(ops::sigmoid)
        .add_fn(|xs| xs.avg_pool2d(2))
        .add(conv2d(6, 16, 5, padding(0), vb.pp("conv2"))?)
        .add_fn(ops::sigmoid)
        .add_fn(|xs| xs.avg_pool2d(2))
        .add(flatten)
        .add(dense(400, 120, "linear1")?)
        .add_fn(ops::sigmoid)
        .add(dense(120, 84, "linear2")?)
        .add_fn(ops::sigmoid)
        .add(dense(84, CLASSES, "output")?))
}

/// Without its dropout, which candle's `Sequential` has no place for. The gradient of its overlapping pools is one
/// that candle refuses, so there is inference only.
fn alexnet(vb: VarBuilder<'_>) -> Result<Sequential> {
    let stem = Conv2dConfig {
        stride: 4,
        ..padding(1)
    };
    let pool = |xs: &Tensor| xs.max_pool2d_with_stride(3, 2);
    Ok(seq()
        .add(conv2d(1, 96, 11, stem, vb.pp("conv1"))?)
        .add_fn(|xs| xs.relu())
        .add_fn(pool)
        .add(conv2d(96, 256, 5, padding(2), vb.pp("conv2"))?)
        .add_fn(|xs| xs.relu())
        .add_fn(pool)
        .add(conv2d(256, 384, 3, padding(1), vb.pp("conv3"))?)
        .add_fn(|xs| xs.relu())
        .add(conv2d(384, 384, 3, padding(1), vb.pp("conv4"))?)
        .add_fn(|xs| xs.relu())
        .add(conv2d(384, 256, 3, padding(1), vb.pp("conv5"))?)
        .add_fn(|xs| xs.relu())
        .add_fn(pool)
        .add(flatten)
        .add(linear(6400, 4096, vb.pp("linear1"))?)
        .add_fn(|xs| xs.relu())
        .add(linear(4096, 4096, vb.pp("linear2"))?)
        .add_fn(|xs| xs.relu())
        .add(linear(4096, CLASSES, vb.pp("output"))?))
}

/// The shortest of the steps that fit in `seconds`; at least three.
fn measure(seconds: f64, step: &mut Step) -> Result<f64> {
    let start = Instant::now();
    let mut shortest = f64::INFINITY;
    let mut steps = 0;
    while steps < 3 || start.elapsed().as_secs_f64() < seconds {
        let step_start = Instant::now();
        step()?;
        shortest = shortest.min(step_start.elapsed().as_secs_f64());
        steps += 1;
    }
    Ok(shortest)
}

/// The most memory this process has held, where the system tells.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

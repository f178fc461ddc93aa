use anstyle::Style;
use d2l_models::ModelOptions;
use d2l_nn::plan::{Mode, PlanMemory};
use serde_json::json;

use crate::args::SummaryArgs;
use crate::failure::{Failure, Result};
use crate::machine::default_threads;
use crate::table::{Align, Table};
use crate::ui::{BOLD, Ui, bytes, thousands};

/// `d2l summary`: a row per layer, and what it all costs.
pub(crate) fn summary(args: &SummaryArgs, ui: Ui) -> Result<()> {
    let spec = d2l_models::find(&args.model).map_err(Failure::usage)?;
    let options = ModelOptions {
        classes: args.classes,
        width: args.width,
        dropout: args.dropout,
        hidden: args.hidden.clone(),
        activation: args.activation,
        local_response_norm: args.local_response_norm.then_some(true),
    };
    let network = spec.network(&options).map_err(Failure::usage)?;
    if args.batch == 0 {
        return Err(Failure::usage("--batch: has to be at least 1, got 0"));
    }
    let input = args.input.as_deref().unwrap_or(spec.input);
    if input.contains(&0) {
        return Err(Failure::usage(format!(
            "--input: no dimension can be 0, got {}",
            shape(input)
        )));
    }
    let summary = network.summary(input).map_err(Failure::usage)?;
    if args.tree {
        return ui.line(network.to_string().trim_end());
    }
    let memory = network
        .plan_memory(input, Mode::Train, args.batch)
        .map_err(Failure::usage)?;
    let threads = default_threads();
    let batch = args.batch as u64;
    if ui.json {
        let with_batch = |shape: &[usize]| [&[args.batch], shape].concat();
        let layers: Vec<_> = summary
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "name": layer.name,
                    "kind": layer.kind,
                    "output_shape": with_batch(&layer.output_shape),
                    "parameters": layer.parameters,
                    "multiply_adds": layer.multiply_adds.saturating_mul(batch),
                })
            })
            .collect();
        return ui.json_document(&json!({
            "model": spec.name,
            "batch": args.batch,
            "input": input,
            "layers": layers,
            "parameters": summary.parameters,
            "buffers": summary.buffers,
            "multiply_adds": summary.multiply_adds.saturating_mul(batch),
            "threads": threads,
            "training_memory_bytes": memory.total(threads),
            "training_memory": {
                "parameters": memory.parameters,
                "copies": memory.copies,
                "gradients": memory.gradients,
                "activations": memory.activations,
                "input": memory.input,
                "scratch": memory.scratch.bytes(threads),
            },
        }));
    }
    let with_batch = |dimensions: &[usize]| format!("{}×{}", args.batch, shape(dimensions));
    let quiet_zero = |n: u64| if n == 0 { "–".to_owned() } else { thousands(n) };
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Right, Align::Right]);
    table.row(BOLD, ["layer", "kind", "output", "parameters", "multiply-adds"]);
    table.row(
        Style::new(),
        [
            "input".to_owned(),
            String::new(),
            with_batch(input),
            String::new(),
            String::new(),
        ],
    );
    for layer in &summary.layers {
        table.row(
            Style::new(),
            [
                layer.name.clone(),
                layer.kind.clone(),
                with_batch(&layer.output_shape),
                quiet_zero(layer.parameters as u64),
                quiet_zero(layer.multiply_adds.saturating_mul(batch)),
            ],
        );
    }
    let (parameters, work) = (
        thousands(summary.parameters as u64),
        thousands(summary.multiply_adds.saturating_mul(batch)),
    );
    table.row(
        BOLD,
        ["total".to_owned(), String::new(), String::new(), parameters, work],
    );
    for line in table.lines() {
        ui.line(line)?;
    }
    ui.line(format_args!(
        "\nmemory of a training step of batch {} with plain SGD, on the processor with {threads} threads: {}",
        args.batch,
        bytes(memory.total(threads))
    ))?;
    ui.line(format_args!("  {}", memory_parts(&memory, threads)))
}

/// What the memory of a step is made of.
pub(crate) fn memory_parts(memory: &PlanMemory, threads: usize) -> String {
    format!(
        "parameters {}, working copies {}, gradients {}, activations {}, input {}, kernels' scratch {}",
        bytes(memory.parameters),
        bytes(memory.copies),
        bytes(memory.gradients),
        bytes(memory.activations),
        bytes(memory.input),
        bytes(memory.scratch.bytes(threads))
    )
}

/// `1×28×28`
pub(crate) fn shape(dimensions: &[usize]) -> String {
    dimensions
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join("×")
}

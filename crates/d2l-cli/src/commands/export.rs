use candle_core::Device;
use d2l_models::{Layout, save_weights};
use serde_json::json;

use crate::args::{ExportArgs, LayoutName};
use crate::failure::{Failure, Result};
use crate::runs::StoredRun;
use crate::ui::{Ui, bytes, thousands};

/// `d2l export`: the weights of a run as a file of their own.
pub(crate) fn export(args: &ExportArgs, ui: Ui) -> Result<()> {
    if args.output.exists() && !args.overwrite {
        return Err(Failure::work(format!(
            "{} exists; --overwrite replaces it",
            args.output.display()
        )));
    }
    let run = StoredRun::open(&args.run)?;
    let weights = run.weights(args.weights, ui)?;
    let (_, params) = run.model(&weights, &Device::Cpu)?;
    let layout = match args.layout {
        LayoutName::D2l => Layout::D2l,
        LayoutName::Torch => Layout::Torch,
        LayoutName::Torchvision => Layout::Torchvision,
    };
    save_weights(&run.network()?, &params, layout, &args.output)?;
    let size = std::fs::metadata(&args.output)?.len();
    if ui.json {
        return ui.json_document(&json!({
            "run": run.name(),
            "model": run.spec.name,
            "epoch": weights.checkpoint.position().epoch,
            "weights": args.weights.name(),
            "layout": layout.to_string(),
            "tensors": params.all().len(),
            "parameters": params.parameter_count(),
            "bytes": size,
            "output": args.output,
        }));
    }
    ui.fact(
        "Weights",
        format_args!(
            "{} parameters in {} tensors, {}, after epoch {}",
            thousands(params.parameter_count() as u64),
            params.all().len(),
            bytes(size),
            weights.checkpoint.position().epoch
        ),
    );
    ui.line(args.output.display())
}

use std::path::PathBuf;

use clap::Args;

use super::DataSourceArgs;

/// `d2l find-lr`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l find-lr lenet                        a picture of the loss by the learning rate, and a suggestion
  d2l find-lr lenet --optimizer adam -o adam.png
  d2l find-lr resnet18 --from 1e-4 --to 1 --steps 100

A short training at rates that grow step by step: a good rate is where the loss falls fastest, well below
the one where it explodes. No run is made, and no weights are kept.")]
pub(crate) struct FindLrArgs {
    /// The network to train: a name from `d2l list models`.
    pub(crate) model: String,

    /// Data set to train on [default: the model's].
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub(crate) dataset: Option<String>,

    /// Where data may come from.
    #[command(flatten)]
    pub(crate) source: DataSourceArgs,

    /// Examples per step.
    #[arg(short, long, value_name = "N", help_heading = "Training")]
    pub(crate) batch_size: Option<usize>,

    /// Optimiser: sgd, adam, adamw, rmsprop, adagrad or adadelta.
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub(crate) optimizer: Option<String>,

    /// Momentum of sgd or rmsprop.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) momentum: Option<f64>,

    /// Weight decay (L2 penalty; decoupled for adamw).
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) weight_decay: Option<f64>,

    /// Multiple of the channels of the paper's network, for models that come in widths.
    #[arg(long, value_name = "X", help_heading = "Model")]
    pub(crate) width: Option<f64>,

    /// Seed of everything random.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Training")]
    pub(crate) seed: Option<u64>,

    /// The first learning rate.
    #[arg(long, value_name = "X", default_value_t = 1e-6)]
    pub(crate) from: f64,

    /// The last learning rate.
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    pub(crate) to: f64,

    /// Steps from the first to the last.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) steps: usize,

    /// Where to draw the losses, .svg or .png.
    #[arg(short, long, value_name = "FILE", default_value = "learning-rates.svg")]
    pub(crate) output: PathBuf,

    /// Device to compute on: auto, cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub(crate) device: Option<String>,

    /// Threads to compute with [default: all cores].
    #[arg(short = 'j', long, value_name = "N", help_heading = "Machine")]
    pub(crate) threads: Option<usize>,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

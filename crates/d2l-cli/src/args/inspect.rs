//! The commands around training: looking at models, data and runs.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use d2l_nn::layers::Activation;

use super::DataSourceArgs;

/// `d2l list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// What to list [default: everything].
    pub(crate) what: Option<ListWhat>,

    /// Print a JSON array of objects.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// What `d2l list` can list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListWhat {
    /// The networks.
    Models,
    /// The data sets.
    Datasets,
    /// The lessons.
    Lessons,
}

/// `d2l summary`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l summary lenet
  d2l summary lenet --input 1,32,32 --batch 256
  d2l summary mlp --json | jq .parameters

No weight is allocated: the shapes are inferred from the description of the network.")]
pub(crate) struct SummaryArgs {
    /// A name from `d2l list models`.
    pub(crate) model: String,

    /// Shape of one input: channels, height, width.
    #[arg(long, value_name = "C,H,W", value_delimiter = ',')]
    pub(crate) input: Option<Vec<usize>>,

    /// Examples per step, for the shapes and the memory.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) batch: usize,

    /// Number of classes [default: the model's].
    #[arg(long, value_name = "N")]
    pub(crate) classes: Option<usize>,

    /// Probability of dropping a unit, for models with dropout.
    #[arg(long, value_name = "P")]
    pub(crate) dropout: Option<f64>,

    /// Multiple of the channels of the paper's network, for models that come in widths.
    #[arg(long, value_name = "X")]
    pub(crate) width: Option<f64>,

    /// Sizes of the hidden fully connected layers, for mlp, alexnet and vgg.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub(crate) hidden: Option<Vec<usize>>,

    /// What follows mlp's hidden layers: relu, sigmoid, tanh, gelu, silu or leaky-relu.
    #[arg(long, value_name = "NAME")]
    pub(crate) activation: Option<Activation>,

    /// Local response normalisation, for alexnet.
    #[arg(long)]
    pub(crate) local_response_norm: bool,

    /// Print the layers as a tree with their hyper-parameters instead.
    #[arg(long, conflicts_with = "json")]
    pub(crate) tree: bool,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitName {
    /// The training examples.
    Train,
    /// The test examples.
    Test,
}

/// `d2l show`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l show fashion-mnist
  d2l show mnist --count 100 --split test -o digits.png")]
pub(crate) struct ShowArgs {
    /// A name from `d2l list datasets`.
    pub(crate) dataset: String,

    /// How many pictures.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 40)]
    pub(crate) count: usize,

    /// Which part of the data set.
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    pub(crate) split: SplitName,

    /// Where to write the picture [default: DATASET.png].
    #[arg(short, long, value_name = "FILE.png")]
    pub(crate) output: Option<PathBuf>,

    /// Where the data may come from.
    #[command(flatten)]
    pub(crate) source: DataSourceArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `d2l eval`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l eval lenet
  d2l eval runs/lenet --split train --weights best
  d2l eval lenet --weights ema             the averaged weights of a run with --ema
  d2l eval lenet --json | jq .accuracy

The loss is plain cross-entropy, whatever loss the run was trained with.")]
pub(crate) struct EvalArgs {
    /// A run folder, or a name under runs/.
    pub(crate) run: PathBuf,

    /// Which part of the data set.
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub(crate) split: SplitName,

    /// Which weights: `last`, `best`, or the averaged ones of a run with --ema or --swa, `ema` or `swa`.
    #[arg(long, alias = "checkpoint", value_name = "NAME", default_value = "last")]
    pub(crate) weights: WeightsName,

    /// Examples per step; the result does not depend on it beyond rounding.
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,

    /// Where to compute and where the data may come from.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// Which weights of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightsName {
    /// The latest.
    Last,
    /// Those with the best test figures.
    Best,
    /// The moving average of all steps.
    Ema,
    /// The mean of the epochs.
    Swa,
}

impl WeightsName {
    /// As the option takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Best => "best",
            Self::Ema => "ema",
            Self::Swa => "swa",
        }
    }
}

/// Device, threads and data of the commands that use a trained network.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PlaceArgs {
    /// Device to compute on: auto, cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub(crate) device: Option<String>,

    /// Threads to compute with [default: all cores].
    #[arg(short = 'j', long, value_name = "N", help_heading = "Machine")]
    pub(crate) threads: Option<usize>,

    /// Where the data may come from.
    #[command(flatten)]
    pub(crate) source: DataSourceArgs,
}

/// `d2l predict`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l predict lenet shoe.png shirt.jpg
  d2l predict lenet photo.jpg --invert      a dark thing on a bright ground
  d2l predict lenet --test 40 -o seen.png   40 test pictures with true and predicted labels")]
pub(crate) struct PredictArgs {
    /// A run folder, or a name under runs/.
    pub(crate) run: PathBuf,

    /// Pictures to classify (PNG or JPEG).
    #[arg(value_name = "IMAGE", required_unless_present = "test")]
    pub(crate) images: Vec<PathBuf>,

    /// Draw the first N test pictures with their true and predicted labels.
    #[arg(long, value_name = "N", conflicts_with = "images")]
    pub(crate) test: Option<usize>,

    /// Where to write the picture [default: predictions.png in the run folder, with --test].
    #[arg(short, long, value_name = "FILE.png")]
    pub(crate) output: Option<PathBuf>,

    /// Swap black and white: the data sets of this book are bright on black.
    #[arg(long)]
    pub(crate) invert: bool,

    /// How many classes to show per picture.
    #[arg(long, value_name = "K", default_value_t = 3)]
    pub(crate) top: usize,

    /// Which weights: `last`, `best`, or the averaged ones of a run with --ema or --swa, `ema` or `swa`.
    #[arg(long, alias = "checkpoint", value_name = "NAME", default_value = "last")]
    pub(crate) weights: WeightsName,

    /// Where to compute and where the data may come from.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `d2l features`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l features lenet --test 0               the first test picture
  d2l features resnet18 shoe.png -o shoe    a picture of yours, as pictures in the folder shoe

Each map is brightest where it is largest and black where it is smallest, on a scale of its own; a map
that is black all over has one value. Kernels are red where they add, blue where they subtract.")]
pub(crate) struct FeaturesArgs {
    /// A run folder, or a name under runs/.
    pub(crate) run: PathBuf,

    /// The picture (PNG or JPEG).
    #[arg(value_name = "IMAGE", required_unless_present = "test")]
    pub(crate) image: Option<PathBuf>,

    /// A picture of the test set, by its number from 0, instead.
    #[arg(long, value_name = "I", conflicts_with = "image")]
    pub(crate) test: Option<usize>,

    /// The folder to write to [default: features in the run folder].
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// Swap black and white: the data sets of this book are bright on black.
    #[arg(long, conflicts_with = "test")]
    pub(crate) invert: bool,

    /// Which weights: `last`, `best`, or the averaged ones of a run with --ema or --swa, `ema` or `swa`.
    #[arg(long, alias = "checkpoint", value_name = "NAME", default_value = "last")]
    pub(crate) weights: WeightsName,

    /// Where to compute and where the data may come from.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `d2l plot`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l plot lenet -o lenet.svg
  d2l plot softmax mlp lenet -o compared.png")]
pub(crate) struct PlotArgs {
    /// Run folders, or names under runs/.
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,

    /// Where to write the curves, as SVG or PNG by the ending [default: curves.svg, in the run folder if it is one].
    #[arg(short, long, value_name = "FILE.svg|png")]
    pub(crate) output: Option<PathBuf>,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `d2l export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l export lenet -o lenet.safetensors
  d2l export lenet -o for-pytorch.safetensors --layout torch
  d2l train lenet --init-from lenet.safetensors --lr 0.1")]
pub(crate) struct ExportArgs {
    /// A run folder, or a name under runs/.
    pub(crate) run: PathBuf,

    /// The file to write.
    #[arg(short, long, value_name = "FILE.safetensors")]
    pub(crate) output: PathBuf,

    /// Which weights: `last`, `best`, or the averaged ones of a run with --ema or --swa, `ema` or `swa`.
    #[arg(long, alias = "checkpoint", value_name = "NAME", default_value = "last")]
    pub(crate) weights: WeightsName,

    /// Names of the tensors.
    #[arg(long, value_name = "LAYOUT", default_value = "d2l")]
    pub(crate) layout: LayoutName,

    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// How the tensors of a weights file are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutName {
    /// This project's names.
    D2l,
    /// The names of the book's PyTorch definitions.
    Torch,
    /// torchvision's names, for alexnet, vgg, googlenet, resnet and densenet.
    Torchvision,
}

/// `d2l bench`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l bench lenet
  d2l bench lenet --infer --batch-size 1 --json

A training step is forward, loss, backward and the optimiser's update. Build with --release before you
compare figures.")]
pub(crate) struct BenchArgs {
    /// A name from `d2l list models`.
    pub(crate) model: String,

    /// Examples per step [default: the book's].
    #[arg(short, long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,

    /// Shape of one input: channels, height, width [default: the model's].
    #[arg(long, value_name = "C,H,W", value_delimiter = ',')]
    pub(crate) input: Option<Vec<usize>>,

    /// Steps to time, after the warm-up.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) steps: usize,

    /// Time the forward pass only.
    #[arg(long)]
    pub(crate) infer: bool,

    /// Probability of dropping a unit, for models with dropout.
    #[arg(long, value_name = "P")]
    pub(crate) dropout: Option<f64>,

    /// Multiple of the channels of the paper's network, for models that come in widths.
    #[arg(long, value_name = "X")]
    pub(crate) width: Option<f64>,

    /// How to compute the steps: plan, autograd, or auto, which plans on the processor.
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = crate::machine::Engine::from_str)]
    pub(crate) engine: crate::machine::Engine,

    /// Show where the time goes, layer by layer (with the plan).
    #[arg(long)]
    pub(crate) profile: bool,

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

/// `d2l data`.
#[derive(Args, Debug)]
#[command(after_help = "\
Data sets are looked for in this order: --data-dir, the cache ($D2L_CACHE or the user's cache folder),
the system's packages (/usr/share/datasets), the network (not with --offline), and at last the small
sample inside this program.")]
pub(crate) struct DataArgs {
    /// What to do [default: list].
    #[command(subcommand)]
    pub(crate) command: Option<DataCommand>,

    /// Print a JSON document.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
}

/// The commands of `d2l data`.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// The data sets, and which of them are here.
    List,
    /// Fetch data sets into the cache.
    Fetch {
        /// Names from `d2l list datasets`.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// Where the data may come from.
        #[command(flatten)]
        source: DataSourceArgs,
    },
    /// Where a data set would be read from now, without fetching it.
    Where {
        /// A name from `d2l list datasets`.
        name: String,
        /// Where the data may come from.
        #[command(flatten)]
        source: DataSourceArgs,
    },
}

/// `d2l completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l completions bash > ~/.local/share/bash-completion/completions/d2l
  d2l completions zsh > ~/.zfunc/_d2l
  d2l completions fish > ~/.config/fish/completions/d2l.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

//! `d2l train`: every option is also a key of the configuration file, under the same name.

use std::path::PathBuf;

use clap::Args;
use d2l_models::ModelOptions;
use d2l_nn::layers::Activation;
use serde::{Deserialize, Serialize};

use crate::commands::Seeds;

/// `d2l train`. Of an option given twice the last one counts.
#[derive(Args, Debug)]
#[command(
    args_override_self = true,
    after_help = "\
Examples:
  d2l train lenet                          the book's settings: 10 epochs, batch size 256, SGD 0.9
  d2l train mlp --epochs 20 --lr 0.05 --name slow-mlp
  d2l train lenet --optimizer adam --lr 0.001 --schedule cosine
  d2l train resnet18 --schedule one-cycle --lr 0.2 --tensorboard
  d2l train lenet --train-limit 2000 --epochs 1     a quick look
  d2l train lenet --validation 0.1         measured on a tenth of the training data, too
  d2l train lenet --seeds 3                three runs, with mean and deviation
  d2l train --resume lenet                 go on where runs/lenet was stopped
  d2l train --resume lenet --epochs 20     and further than it was meant to go
  d2l train --config runs/lenet/config.toml --name again     the same run once more

Flags win over the configuration file, the file over the book's settings. The first Ctrl-C writes a
checkpoint and stops (exit code 130); the second stops at once."
)]
pub(crate) struct TrainArgs {
    /// What the run is to be.
    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Never use the network.
    #[arg(long, help_heading = "Data")]
    pub(crate) offline: bool,

    /// Name of the run, a folder under runs/ [default: the model's name, numbered if it is taken].
    #[arg(long, value_name = "NAME", help_heading = "Run folder", conflicts_with_all = ["out", "resume"])]
    pub(crate) name: Option<String>,

    /// The run folder itself, instead of one under runs/.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Run folder",
        conflicts_with = "resume"
    )]
    pub(crate) out: Option<PathBuf>,

    /// Replace the run that is in the folder.
    #[arg(long, help_heading = "Run folder", conflicts_with = "resume")]
    pub(crate) overwrite: bool,

    /// Go on with a run that was stopped: a run folder, or a name under runs/.
    #[arg(long, value_name = "RUN", help_heading = "Run folder", conflicts_with_all = ["config", "init_from"])]
    pub(crate) resume: Option<PathBuf>,

    /// Train several times, with so many seeds (`3`) or with those listed (`0,1,2`), each into seed-N of one folder
    /// [default: runs/MODEL-seeds], and say how far the results spread. Finished seeds are kept when it runs again.
    #[arg(long, value_name = "N|LIST", help_heading = "Training", conflicts_with_all = ["resume", "seed"])]
    pub(crate) seeds: Option<Seeds>,

    /// Read settings from a TOML file, such as the config.toml of an earlier run.
    #[arg(long, value_name = "FILE", help_heading = "Run folder")]
    pub(crate) config: Option<PathBuf>,

    /// Print one JSON object a line instead of text: the steps and epochs of metrics.jsonl, then a summary.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

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

/// Where data may come from; shared by the commands that read data without training.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DataSourceArgs {
    /// Read the data set's files from this folder and look nowhere else.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Never use the network.
    #[arg(long, help_heading = "Data")]
    pub(crate) offline: bool,
}

/// The settings of a run that a configuration file can hold. Each field is a flag and a key of the same name;
/// `None` leaves the choice to the next layer (file, then book).
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The network to train: a name from `d2l list models`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: Option<String>,

    /// Data set to train on [default: the model's].
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub(crate) dataset: Option<String>,

    /// Read the data set's files from this folder and look nowhere else.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Resize the pictures to N×N before training [default: the model's input].
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) resize: Option<usize>,

    /// Use only the first N training examples.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) train_limit: Option<usize>,

    /// Use only the first N test examples.
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) test_limit: Option<usize>,

    /// Keep the training examples in the file's order.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Data")]
    pub(crate) no_shuffle: Option<bool>,

    /// Hold this fraction of the training examples out, of every class alike, and measure the model on it after every
    /// epoch, beside the test set. The best checkpoint and --patience then go by it.
    #[arg(long, value_name = "X", help_heading = "Data")]
    pub(crate) validation: Option<f64>,

    /// Hold out one of several folds instead: `2/5` is the second of five; `d2l kfold` runs them all.
    #[arg(long, value_name = "I/K", help_heading = "Data")]
    pub(crate) fold: Option<String>,

    /// Times the whole training set is gone through.
    #[arg(short, long, value_name = "N", help_heading = "Training")]
    pub(crate) epochs: Option<usize>,

    /// Examples per step.
    #[arg(short, long, value_name = "N", help_heading = "Training")]
    pub(crate) batch_size: Option<usize>,

    /// Learning rate [default: the book's for sgd, PyTorch's for other optimisers].
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) lr: Option<f64>,

    /// Optimiser: sgd, adam, adamw, rmsprop, adagrad or adadelta.
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub(crate) optimizer: Option<String>,

    /// Momentum of sgd or rmsprop.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) momentum: Option<f64>,

    /// Nesterov's momentum, for sgd.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Training")]
    pub(crate) nesterov: Option<bool>,

    /// Weight decay (L2 penalty; decoupled for adamw).
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) weight_decay: Option<f64>,

    /// How the learning rate changes: constant, step, multi-step, exponential, cosine, polynomial, one-cycle or
    /// plateau, with values as in `cosine:warmup=2` or `plateau:patience=3`.
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub(crate) schedule: Option<String>,

    /// Scale gradients whose norm is above X down to X.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) clip_norm: Option<f64>,

    /// Bring every element of the gradients into -X to X.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) clip_value: Option<f64>,

    /// Stop when the test accuracy has not improved for N epochs.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(crate) patience: Option<usize>,

    /// Average the weights as they go: of every step, DECAY of the average stays, such as 0.999.
    #[arg(long, value_name = "DECAY", help_heading = "Training", conflicts_with = "swa")]
    pub(crate) ema: Option<f64>,

    /// Average the weights after each epoch from EPOCH on.
    #[arg(long, value_name = "EPOCH", help_heading = "Training")]
    pub(crate) swa: Option<usize>,

    /// Start from these weights (safetensors) instead of random ones.
    #[arg(long, value_name = "FILE", help_heading = "Training")]
    pub(crate) init_from: Option<PathBuf>,

    /// Seed of everything random: weights, order of the data, dropout [default: 0].
    // TOML's integers end there.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Training")]
    pub(crate) seed: Option<u64>,

    /// Probability of dropping a unit, for models with dropout.
    #[arg(long, value_name = "P", help_heading = "Model")]
    pub(crate) dropout: Option<f64>,

    /// Multiple of the channels of the paper's network, for models that come in widths.
    #[arg(long, value_name = "X", help_heading = "Model")]
    pub(crate) width: Option<f64>,

    /// Sizes of the hidden fully connected layers, for mlp, alexnet and vgg.
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = "Model")]
    pub(crate) hidden: Option<Vec<usize>>,

    /// What follows mlp's hidden layers: relu, sigmoid, tanh, gelu, silu or leaky-relu.
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub(crate) activation: Option<String>,

    /// Local response normalisation, for alexnet.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Model")]
    pub(crate) local_response_norm: Option<bool>,

    /// Device to compute on: auto, cpu, cuda, cuda:N or metal [default: auto].
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub(crate) device: Option<String>,

    /// How to compute the steps: plan (buffers laid out once; on the processor), autograd (candle's), or auto, which
    /// plans where it can [default: auto].
    #[arg(long, value_name = "ENGINE", help_heading = "Machine")]
    pub(crate) engine: Option<String>,

    /// Threads to compute with [default: all cores]; the results do not depend on it.
    #[arg(short = 'j', long, value_name = "N", help_heading = "Machine")]
    pub(crate) threads: Option<usize>,

    /// Threads that prepare batches ahead; 0 prepares them in the training thread [default: 2].
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub(crate) workers: Option<usize>,

    /// Log every Nth step to metrics.jsonl, besides the epochs.
    #[arg(long, value_name = "STEPS", help_heading = "Run folder")]
    pub(crate) log_every: Option<usize>,

    /// Write a checkpoint every N epochs (`2`), or every N steps (`500steps`) [default: 1].
    #[arg(long, value_name = "N[steps]", help_heading = "Run folder")]
    pub(crate) checkpoint_every: Option<String>,

    /// Keep the checkpoints of the last N epochs too, as checkpoints/epoch-0001 and so on.
    #[arg(long, value_name = "N", help_heading = "Run folder")]
    pub(crate) keep_last: Option<usize>,

    /// Write the epochs to metrics.csv too.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Run folder")]
    pub(crate) csv: Option<bool>,

    /// Write events for TensorBoard too: `tensorboard --logdir runs`.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Run folder")]
    pub(crate) tensorboard: Option<bool>,
}

impl Settings {
    /// What is chosen about the network, for that many classes.
    ///
    /// # Errors
    /// When there is no such activation.
    pub(crate) fn model_options(&self, classes: Option<usize>) -> Result<ModelOptions, d2l_nn::Error> {
        let activation = self
            .activation
            .as_deref()
            .map(str::parse::<Activation>)
            .transpose()?;
        Ok(ModelOptions {
            classes,
            width: self.width,
            dropout: self.dropout,
            hidden: self.hidden.clone(),
            activation,
            local_response_norm: self.local_response_norm,
        })
    }

    /// These settings, with the gaps filled from `below`.
    pub(crate) fn or(self, below: Self) -> Self {
        Self {
            model: self.model.or(below.model),
            dataset: self.dataset.or(below.dataset),
            data_dir: self.data_dir.or(below.data_dir),
            resize: self.resize.or(below.resize),
            train_limit: self.train_limit.or(below.train_limit),
            test_limit: self.test_limit.or(below.test_limit),
            no_shuffle: self.no_shuffle.or(below.no_shuffle),
            validation: self.validation.or(below.validation),
            fold: self.fold.or(below.fold),
            epochs: self.epochs.or(below.epochs),
            batch_size: self.batch_size.or(below.batch_size),
            lr: self.lr.or(below.lr),
            optimizer: self.optimizer.or(below.optimizer),
            momentum: self.momentum.or(below.momentum),
            nesterov: self.nesterov.or(below.nesterov),
            weight_decay: self.weight_decay.or(below.weight_decay),
            schedule: self.schedule.or(below.schedule),
            clip_norm: self.clip_norm.or(below.clip_norm),
            clip_value: self.clip_value.or(below.clip_value),
            patience: self.patience.or(below.patience),
            ema: self.ema.or(below.ema),
            swa: self.swa.or(below.swa),
            init_from: self.init_from.or(below.init_from),
            seed: self.seed.or(below.seed),
            dropout: self.dropout.or(below.dropout),
            width: self.width.or(below.width),
            hidden: self.hidden.or(below.hidden),
            activation: self.activation.or(below.activation),
            local_response_norm: self.local_response_norm.or(below.local_response_norm),
            device: self.device.or(below.device),
            engine: self.engine.or(below.engine),
            threads: self.threads.or(below.threads),
            workers: self.workers.or(below.workers),
            log_every: self.log_every.or(below.log_every),
            checkpoint_every: self.checkpoint_every.or(below.checkpoint_every),
            keep_last: self.keep_last.or(below.keep_last),
            csv: self.csv.or(below.csv),
            tensorboard: self.tensorboard.or(below.tensorboard),
        }
    }
}

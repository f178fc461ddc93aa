//! `d2l train`: every option is also a key of the configuration file, under the same name.

use std::path::PathBuf;

use clap::Args;
use d2l_models::{ModelError, ModelOptions, ModelSpec};
use d2l_nn::{Supervised, layers::Activation};
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
  d2l train resnet18 --batch-size 64 --accumulate 4      steps of 256 examples, memory of 64
  d2l train lenet --label-smoothing 0.1 --class-weights balanced
  d2l train lenet --init-from old.safetensors --freeze 'conv*' --lr-scale 'linear3.*=10'
  d2l train lenet --dry-run                what would run, with one step of it; nothing is written
  d2l train lenet --overfit-batch --lr 1   can it learn a single batch at all?
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

    /// Load, build, say what would run and what memory it takes, do one step and evaluate one batch; write nothing.
    #[arg(long, help_heading = "Checks", conflicts_with_all = ["resume", "overfit_batch"])]
    pub(crate) dry_run: bool,

    /// Train on the first batch alone, over and over, and say whether it was learned; write nothing. Whoever cannot
    /// learn one batch has a mistake in the model, the loss or the learning rate.
    #[arg(long, help_heading = "Checks", conflicts_with_all = ["resume", "name", "out", "overwrite"])]
    pub(crate) overfit_batch: bool,

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
    #[arg(long, value_name = "N|LIST", help_heading = "Training", conflicts_with_all = ["resume", "seed", "dry_run", "overfit_batch"])]
    pub(crate) seeds: Option<Seeds>,

    /// Read settings from a TOML file, such as the config.toml of an earlier run.
    #[arg(long, value_name = "FILE", help_heading = "Run folder")]
    pub(crate) config: Option<PathBuf>,

    /// Print one JSON object a line instead of text: the steps and epochs of metrics.jsonl, then a summary.
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

    /// Examples per batch.
    #[arg(short, long, value_name = "N", help_heading = "Training")]
    pub(crate) batch_size: Option<usize>,

    /// Batches that make one step: their gradients are averaged as those of one large batch [default: 1]. Batch norm
    /// still sees each batch alone.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(crate) accumulate: Option<usize>,

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

    /// No weight decay on biases and on the scales and shifts of normalisations.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Training")]
    pub(crate) no_decay: Option<bool>,

    /// Parameters that are not trained, by name, as in `conv1.weight` or `conv*`, where * stands for any characters.
    /// Batch norm's running statistics still follow the data.
    #[arg(
        long,
        value_name = "PATTERN,…",
        value_delimiter = ',',
        help_heading = "Training"
    )]
    pub(crate) freeze: Option<Vec<String>>,

    /// Factors on the learning rate of parameters, as in `conv*=0.1,linear3.*=10`; of several that fit the last counts.
    #[arg(
        long,
        value_name = "PATTERN=X,…",
        value_delimiter = ',',
        help_heading = "Training"
    )]
    pub(crate) lr_scale: Option<Vec<String>>,

    /// Spread this share of each target evenly over all classes. Losses on test data stay the plain ones.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub(crate) label_smoothing: Option<f64>,

    /// What the examples of each class weigh in the training loss: a number per class, or `balanced`, which gives each
    /// class the same total. Losses on test data stay the plain ones.
    #[arg(long, value_name = "X,…|balanced", help_heading = "Training")]
    pub(crate) class_weights: Option<String>,

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

    /// The paper's auxiliary classifiers, for googlenet: their losses are added to the training loss.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, hide_possible_values = true, help_heading = "Model")]
    pub(crate) aux: Option<bool>,

    /// Device to compute on: auto, cpu, cuda, cuda:N or metal [default: auto].
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub(crate) device: Option<String>,

    /// How to compute the steps: plan (buffers laid out once; on the processor), autograd (candle's), or auto, which
    /// plans where it can and says where it cannot [default: auto].
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

    /// The network of a model, with auxiliary classifiers if they are chosen.
    ///
    /// # Errors
    /// When the model has no such option, or the option's value means nothing.
    pub(crate) fn supervised(
        &self,
        spec: &ModelSpec,
        options: &ModelOptions,
    ) -> Result<Supervised, ModelError> {
        if self.aux.unwrap_or(false) {
            return spec.supervised(options);
        }
        Ok(Supervised {
            network: spec.network(options)?,
            heads: Vec::new(),
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
            accumulate: self.accumulate.or(below.accumulate),
            lr: self.lr.or(below.lr),
            optimizer: self.optimizer.or(below.optimizer),
            momentum: self.momentum.or(below.momentum),
            nesterov: self.nesterov.or(below.nesterov),
            weight_decay: self.weight_decay.or(below.weight_decay),
            no_decay: self.no_decay.or(below.no_decay),
            freeze: self.freeze.or(below.freeze),
            lr_scale: self.lr_scale.or(below.lr_scale),
            label_smoothing: self.label_smoothing.or(below.label_smoothing),
            class_weights: self.class_weights.or(below.class_weights),
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
            aux: self.aux.or(below.aux),
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

//! The commands that train several times: `d2l kfold` and `d2l sweep`.

use std::path::PathBuf;

use clap::Args;

use super::Settings;

/// `d2l kfold`.
#[derive(Args, Debug)]
#[command(
    args_override_self = true,
    mut_arg("model", |arg| arg
        .required(true)
        .value_name("DATASET|MODEL")
        .help("`house-prices`, or a network from `d2l list models`, trained on its data set's training pictures")),
    mut_arg("validation", |arg| arg.hide(true)),
    mut_arg("fold", |arg| arg.hide(true)),
    after_help = "\
Examples:
  d2l kfold house-prices                   the book's: a linear network, Adam 5, 100 epochs, 5 folds
  d2l kfold house-prices --lr 3 --weight-decay 1 --submission submission.csv
  d2l kfold softmax -k 10 --epochs 3
  d2l kfold mlp --train-limit 5000 --name mlp-folds

Each fold is held out once and the model trained on the others. The folds of the house prices are the
book's blocks, those of pictures are shuffled by the seed with every class in its proportion. The
folds of a network are runs of their own, runs/MODEL-K-fold/fold-I; what is finished is kept when the
command runs again."
)]
pub(crate) struct KfoldArgs {
    /// How each fold is trained: the options of `d2l train`.
    #[command(flatten)]
    pub(crate) settings: Settings,

    /// How many folds.
    #[arg(
        short = 'k',
        long,
        value_name = "K",
        default_value_t = 5,
        help_heading = "Training"
    )]
    pub(crate) folds: usize,

    /// Train on all houses too, and write the predicted prices of the test houses as Kaggle takes them.
    #[arg(long, value_name = "FILE", help_heading = "House prices")]
    pub(crate) submission: Option<PathBuf>,

    /// Where the runs go.
    #[command(flatten)]
    pub(crate) place: SeriesArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `d2l sweep`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example, in rates.toml:
  metric = \"test_accuracy\"              # what the table is sorted by
  trials = 4                             # so many of the combinations by chance; without it all of them
  seed = 0                               # of that choice

  [base]                                 # settings of `d2l train`, under the names of its options
  model = \"mlp\"
  epochs = 3

  [grid]
  lr = [0.05, 0.1, 0.5]
  optimizer = [\"sgd\", \"adam\"]

Then `d2l sweep rates.toml` makes the runs runs/rates/lr=0.05,optimizer=sgd and so on, one after the
other, and runs/rates/results.csv. Finished runs are kept when it runs again; a run that fails does
not stop the others, but the exit code is 1.")]
pub(crate) struct SweepArgs {
    /// What to try, in TOML.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// What to sort the results by: test_accuracy, test_loss, validation_accuracy, validation_loss, train_accuracy or
    /// train_loss [default: the file's, else the best that the runs have].
    #[arg(long, value_name = "METRIC", help_heading = "Output")]
    pub(crate) metric: Option<String>,

    /// Where the runs go.
    #[command(flatten)]
    pub(crate) place: SeriesArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// Where several runs go, and what they may use.
#[derive(Args, Debug)]
pub(crate) struct SeriesArgs {
    /// Never use the network.
    #[arg(long, help_heading = "Data")]
    pub(crate) offline: bool,

    /// Name of the folder under runs/ [default: MODEL-K-fold, or the file's name].
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Run folder",
        conflicts_with = "out"
    )]
    pub(crate) name: Option<String>,

    /// The folder itself, instead of one under runs/ [for house-prices: the current one].
    #[arg(short, long, value_name = "DIR", help_heading = "Run folder")]
    pub(crate) out: Option<PathBuf>,

    /// Replace the runs that are there.
    #[arg(long, help_heading = "Run folder")]
    pub(crate) overwrite: bool,
}

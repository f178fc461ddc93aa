//! The command line, as clap sees it: names, types and help texts, and no decisions.

mod find_lr;
mod inspect;
mod lesson;
mod several;
mod train;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use find_lr::FindLrArgs;
pub(crate) use inspect::{
    BenchArgs, CompletionsArgs, DataArgs, DataCommand, EvalArgs, ExportArgs, FeaturesArgs, LayoutName,
    ListArgs, ListWhat, PlaceArgs, PlotArgs, PredictArgs, ShowArgs, SplitName, SummaryArgs, WeightsName,
};
pub(crate) use lesson::{LessonArgs, VerifyArgs};
pub(crate) use several::{KfoldArgs, SweepArgs};
pub(crate) use train::{DataSourceArgs, Settings, TrainArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Train and look into the networks of Dive into Deep Learning (《动手学深度学习》).
#[derive(Debug, Parser)]
#[command(name = "d2l", version, styles = STYLES, max_term_width = 100, after_help = "\
Start here:
  d2l train lenet              train LeNet on Fashion-MNIST with the book's settings
  d2l eval lenet               loss, accuracy and confusion matrix of that run
  d2l predict lenet --test 40  a picture of 40 test images with what the network sees in them
  d2l list                     the models and data sets there are

A run lives in runs/NAME/: configuration, metrics, checkpoints and learning curves.")]
pub(crate) struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say nothing on standard error but warnings and errors.
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// When to use colours; NO_COLOR in the environment turns `auto` off.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub(crate) color: ColorWhen,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the models and data sets there are.
    List(ListArgs),
    /// Show a network layer by layer: shapes, parameters, work and memory.
    Summary(SummaryArgs),
    /// Draw a grid of a data set's pictures with their labels.
    Show(ShowArgs),
    /// Train a network.
    #[command(alias = "fit")]
    Train(Box<TrainArgs>),
    /// Cross-validate a network, or the house prices, in k folds.
    Kfold(Box<KfoldArgs>),
    /// Try combinations of settings, each as a run.
    Sweep(SweepArgs),
    /// Look for a learning rate with a short training.
    FindLr(FindLrArgs),
    /// Measure a trained network: loss, accuracy, accuracy per class, confusion matrix.
    Eval(EvalArgs),
    /// Classify pictures with a trained network.
    Predict(PredictArgs),
    /// Draw learning curves, several runs over each other.
    Plot(PlotArgs),
    /// Draw what each convolution of a trained network makes of a picture, and its first kernels.
    Features(FeaturesArgs),
    /// Run experiments of the book: what its cells print, and its pictures.
    Lesson(LessonArgs),
    /// Train to the book's table, and put its figures beside those reached.
    Verify(VerifyArgs),
    /// Write a run's weights as a safetensors file.
    Export(ExportArgs),
    /// Measure the speed of a network on synthetic data.
    Bench(BenchArgs),
    /// See which data sets are here, where they came from, and fetch them.
    Data(DataArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}

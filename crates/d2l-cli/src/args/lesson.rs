use std::path::PathBuf;

use clap::Args;

use super::inspect::PlaceArgs;

/// `d2l lesson`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l lesson                               the lessons there are, in the book's order
  d2l lesson linear-regression-scratch     run one: what the book's cells print, pictures in lessons/NAME
  d2l lesson lenet --quick                 a look that takes seconds: less data, fewer epochs
  d2l lesson autograd calculus -o notes    several, pictures in notes/NAME")]
pub(crate) struct LessonArgs {
    /// The lessons to run, or `list`.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Folder for the pictures; each lesson has a folder of its own in it.
    #[arg(short, long, value_name = "DIR", default_value = "lessons")]
    pub(crate) output: PathBuf,

    /// Less data and fewer epochs than the book.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Where to compute, and where data may come from.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Print a JSON array of objects: the lessons, or what came of them.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// `d2l verify`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  d2l verify                    the quick rows of the book's table: linear regression to LeNet
  d2l verify --seeds 3          each three times; the means are judged
  d2l verify lenet softmax      these (softmax: every lesson whose name begins with it)
  d2l verify --all              every lesson, the large networks too: many hours on a processor

Each lesson runs in full, and every figure of the book's is put beside the one that was reached. The exit
code is 1 if one was missed.")]
pub(crate) struct VerifyArgs {
    /// Lessons, or beginnings of their names [default: the quick rows].
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// How often each is run, with the seeds 0, 1, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,

    /// Every lesson.
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,

    /// Where to compute, and where data may come from.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Print a JSON document.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

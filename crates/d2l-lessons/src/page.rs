//! [`Page`]: what a lesson is given to work with, and where it writes.

use crate::{Error, Expect, Figure, Report, Result, Row};
use candle_core::{Device, Tensor};
use d2l_data::{DataSet, SourceOptions};
use d2l_nn::Rng;
use std::fmt::Display;

/// How a lesson is to be given.
#[derive(Clone)]
pub struct PageOptions<'a> {
    /// Less data and fewer epochs: a look that takes seconds instead of the book's experiment.
    pub quick: bool,
    /// The seed of everything random.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
    /// Where data sets come from.
    pub sources: SourceOptions<'a>,
}

impl Default for PageOptions<'_> {
    /// The book's experiment with seed 0 on the CPU, data from wherever it can be had.
    fn default() -> Self {
        Self {
            quick: false,
            seed: 0,
            device: Device::Cpu,
            sources: SourceOptions::default(),
        }
    }
}

/// Sees a page while it is written.
pub trait Watcher {
    /// A line was printed.
    fn line(&mut self, _line: &str) {}

    /// A picture was drawn.
    fn figure(&mut self, _name: &str, _figure: &Figure) {}

    /// Of `total` steps of something that takes a while, `done` are done.
    fn progress(&mut self, _what: &str, _done: u64, _total: u64) {}

    /// Whether to stop; asked at every [`Page::progress`].
    fn stops(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watcher for Silent {}

/// What a lesson is given to work with, and where it writes: lines as the book's cells print them, pictures, and the
/// book's figures beside its own.
pub struct Page<'a> {
    options: PageOptions<'a>,
    watcher: &'a mut dyn Watcher,
    report: Report,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(options: PageOptions<'a>, watcher: &'a mut dyn Watcher) -> Self {
        Self {
            options,
            watcher,
            report: Report::default(),
        }
    }

    /// Whether a quick look is enough.
    pub fn quick(&self) -> bool {
        self.options.quick
    }

    /// The book's value of a setting, or the one for a quick look.
    pub fn choose<T>(&self, book: T, quick: T) -> T {
        if self.options.quick { quick } else { book }
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// A generator for the thing called `name`, independent of all others.
    pub fn rng(&self, name: &str) -> Rng {
        Rng::new(self.options.seed).split(name)
    }

    /// Where tensors live.
    pub fn device(&self) -> &Device {
        &self.options.device
    }

    /// Where data sets come from.
    pub fn sources(&self) -> &SourceOptions<'a> {
        &self.options.sources
    }

    /// The data set of that name, from the first source that has it; a sample is said to be one.
    ///
    /// # Errors
    /// When no source has it.
    pub fn load(&mut self, name: &str) -> Result<DataSet> {
        let data = d2l_data::datasets::load(name, &self.options.sources)?;
        if data.provenance.is_sample {
            self.say(format_args!("Data: {}", data.provenance.source));
        }
        Ok(data)
    }

    /// Prints a line, or several.
    pub fn say(&mut self, text: impl Display) {
        for line in text.to_string().lines() {
            self.watcher.line(line);
            self.report.lines.push(line.to_owned());
        }
    }

    /// Prints a tensor under its name.
    pub fn show(&mut self, name: &str, tensor: &Tensor) {
        self.say(format_args!("{name} =\n{tensor}"));
    }

    /// Hangs up a picture; it is saved under `name`.
    pub fn draw(&mut self, name: &str, figure: Figure) {
        self.watcher.figure(name, &figure);
        self.report.figures.push((name.to_owned(), figure));
    }

    /// Puts what was reached beside what was expected, whatever the form of the lesson.
    pub fn expect(&mut self, what: &str, expect: Expect, reached: f64) {
        self.row(what, expect, reached, true);
    }

    /// Puts what was reached beside the book's figure of the full experiment; a quick look is not judged by it.
    pub fn expect_of_full(&mut self, what: &str, expect: Expect, reached: f64) {
        self.row(what, expect, reached, !self.options.quick);
    }

    fn row(&mut self, what: &str, expect: Expect, reached: f64, judged: bool) {
        self.report.rows.push(Row {
            what: what.to_owned(),
            expect,
            reached,
            judged,
        });
    }

    /// Says how far something is that takes a while.
    ///
    /// # Errors
    /// When whoever watches asks for an end.
    pub fn progress(&mut self, what: &str, done: u64, total: u64) -> Result<()> {
        self.watcher.progress(what, done, total);
        if self.watcher.stops() {
            return Err(Error::Stopped);
        }
        Ok(())
    }

    /// The page as it was left.
    pub fn finish(self) -> Report {
        self.report
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use d2l_lessons::Watcher;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::ui::Ui;

/// Why a lesson is to end early.
pub(crate) struct Stop {
    interrupted: Arc<AtomicBool>,
    /// Nobody reads standard output any more.
    closed: AtomicBool,
}

impl Stop {
    pub(super) fn watch() -> Result<Self> {
        Ok(Self {
            interrupted: interrupt::watch_saying("\nstopping; once more stops at once")?,
            closed: AtomicBool::new(false),
        })
    }

    /// What a lesson that was stopped ends with.
    pub(super) fn failure(&self) -> Failure {
        match self.closed.load(Ordering::SeqCst) {
            true => Failure::OutputClosed,
            false => Failure::Interrupted,
        }
    }
}

/// Shows a lesson: its lines on standard output, its progress as a bar.
pub(crate) struct Watch<'a> {
    ui: Ui,
    bar: ProgressBar,
    stop: &'a Stop,
    prints: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(ui: Ui, stop: &'a Stop) -> Self {
        let bar = if ui.shows_progress() {
            let style = ProgressStyle::with_template("{bar:30} {msg} {pos}/{len}, {eta} left");
            let bar = ProgressBar::new(0);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        Self {
            ui,
            bar,
            stop,
            prints: !ui.json,
        }
    }

    /// The same without the lines.
    pub(super) fn silent(self) -> Self {
        Self {
            prints: false,
            ..self
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for Watch<'_> {
    fn line(&mut self, line: &str) {
        if self.prints && self.bar.suspend(|| self.ui.line(line)).is_err() {
            self.stop.closed.store(true, Ordering::SeqCst);
        }
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        if self.bar.length() != Some(total) || done == 0 {
            self.bar.reset();
            self.bar.set_length(total);
            self.bar.set_message(what.to_owned());
        }
        self.bar.set_position(done);
    }

    fn stops(&self) -> bool {
        self.stop.interrupted.load(Ordering::SeqCst) || self.stop.closed.load(Ordering::SeqCst)
    }
}

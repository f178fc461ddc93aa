//! A run on the screen: a progress bar while an epoch lasts, a line when it is over.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use d2l_train::{Callback, EpochRecord, Flow, Progress, Result, Run, Stage, callbacks::OnProgress, order};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::{BOLD, DIM, Ui, duration, thousands};

const REDRAW: Duration = Duration::from_millis(100);

/// The progress bar, or none where standard error is no terminal.
#[derive(Clone)]
pub(super) struct Screen {
    ui: Ui,
    bar: ProgressBar,
}

impl Screen {
    pub(super) fn new(ui: Ui) -> Self {
        let target = if ui.shows_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{prefix} {bar:10.cyan/dim} {pos}/{len}  {wide_msg}");
        let style = style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        Self {
            ui,
            bar: ProgressBar::with_draw_target(None, target).with_style(style),
        }
    }

    /// Draws the bar from the run's progress.
    pub(super) fn progress(self) -> OnProgress<impl FnMut(&Progress)> {
        OnProgress::new(REDRAW, move |progress| self.draw(progress))
    }

    fn draw(&self, progress: &Progress) {
        if self.bar.is_hidden() {
            return;
        }
        if progress.epoch > progress.epochs {
            self.bar.finish_and_clear();
            return;
        }
        self.bar.set_length(progress.batches as u64);
        self.bar.set_position(progress.batch as u64);
        self.bar
            .set_prefix(format!("epoch {}/{}", progress.epoch, progress.epochs));
        self.bar.set_message(message(progress));
    }

    /// Does something to the terminal with the bar out of its way.
    fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }
}

fn message(progress: &Progress) -> String {
    if let Stage::Evaluate(done, all) = progress.stage {
        return format!("testing {done}/{all}");
    }
    if progress.examples == 0 {
        return String::new();
    }
    // All of it fits into 80 columns.
    let mut message = format!("loss {:.4}", progress.loss);
    if let Some(accuracy) = progress.accuracy {
        message += &format!("  acc {accuracy:.4}");
    }
    if progress.examples_per_second > 0.0 {
        message += &format!("  {}/s", thousands(progress.examples_per_second as u64));
    }
    if let Some(left) = progress.eta_seconds {
        message += &format!("  {} left", clock(left));
    }
    message
}

/// `0:07`, `12:30`, `1:02:03`
fn clock(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A line per epoch on standard output, and the run's warnings on standard error.
pub(super) struct EpochLines {
    screen: Screen,
    out: Pipe,
    warnings: usize,
}

impl EpochLines {
    pub(super) fn new(screen: Screen, closed: Arc<AtomicBool>) -> Self {
        Self {
            screen,
            out: Pipe::new(closed),
            warnings: 0,
        }
    }

    fn show_warnings(&mut self, run: &Run<'_>) {
        for warning in run.warnings().iter().skip(self.warnings) {
            self.screen.suspend(|| self.screen.ui.warn(warning));
        }
        self.warnings = run.warnings().len();
    }
}

impl Callback for EpochLines {
    fn order(&self) -> i32 {
        // After the curves, so that their warnings are shown with the epoch they belong to.
        order::PLOT + 1
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.show_warnings(run);
        Ok(Flow::Continue)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        self.show_warnings(run);
        let (epochs, history) = (run.options().epochs, run.history());
        if let Some(record) = history.last().filter(|_| !self.screen.ui.muted) {
            let line = epoch_line(record, epochs);
            let Self { screen, out, .. } = self;
            screen
                .suspend(|| writeln!(out, "{line}"))
                .map_err(|e| d2l_train::Error::Callback(Box::new(e)))?;
        }
        Ok(Flow::Continue)
    }
}

/// `epoch  1/10  loss 0.4690  accuracy 0.8230  test loss 0.5101  test accuracy 0.8010  25,103/s  2.8 s`
fn epoch_line(record: &EpochRecord, epochs: u64) -> String {
    let width = epochs.to_string().len();
    let mut line = format!(
        "epoch {BOLD}{:>width$}{BOLD:#}/{epochs}  loss {:.4}",
        record.epoch, record.train_loss
    );
    for (label, value) in [
        ("accuracy", record.train_accuracy),
        ("test loss", record.test_loss),
        ("test accuracy", record.test_accuracy),
        ("validation loss", record.validation_loss),
        ("validation accuracy", record.validation_accuracy),
    ] {
        if let Some(value) = value {
            line += &format!("  {label} {value:.4}");
        }
    }
    let (speed, seconds) = (
        thousands(record.examples_per_second as u64),
        duration(record.seconds),
    );
    line + &format!("  {DIM}{speed} examples/s  {seconds}{DIM:#}")
}

/// Standard output for a run: when its reader goes, the flag is raised instead of failing in the middle, so that the
/// run can stop in good order.
#[derive(Debug)]
pub(super) struct Pipe {
    closed: Arc<AtomicBool>,
}

impl Pipe {
    pub(super) fn new(closed: Arc<AtomicBool>) -> Self {
        Self { closed }
    }

    fn note_closed<T>(&self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::SeqCst);
                Ok(instead)
            }
            result => result,
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.note_closed(anstream::stdout().write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.note_closed(anstream::stdout().flush(), ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_a_clock() {
        assert_eq!([6.6, 750.0, 3723.0].map(clock), ["0:07", "12:30", "1:02:03"]);
    }

    #[test]
    fn an_epoch_is_one_line_without_what_was_not_measured() {
        let record = EpochRecord {
            epoch: 3,
            step: 705,
            train_loss: 0.46901,
            train_accuracy: Some(0.823),
            test_loss: None,
            test_accuracy: None,
            validation_loss: None,
            validation_accuracy: None,
            examples_per_second: 25_103.4,
            seconds: 2.75,
        };
        let line = anstream::adapter::strip_str(&epoch_line(&record, 10)).to_string();
        assert_eq!(
            line,
            "epoch  3/10  loss 0.4690  accuracy 0.8230  25,103 examples/s  2.8 s"
        );
    }
}

//! The only place that writes to the terminal: results on standard output, everything said about the work on
//! standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::{Failure, Result, causes};

/// Bold, for headings and totals.
pub(crate) const BOLD: Style = Style::new().bold();
/// Dim, for what is there to be looked up rather than read.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Red and bold, for errors and wrong predictions.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Green, for what went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const LABEL: Style = AnsiColor::Cyan.on_default().bold();

/// What the user asked of the output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ui {
    /// Nothing on standard error but warnings and errors.
    pub(crate) quiet: bool,
    /// Machine-readable standard output.
    pub(crate) json: bool,
    /// The work is one run of several: what all of them share is said once, by whoever runs them.
    pub(crate) member: bool,
    /// Nothing on standard output: it belongs to a document about several runs.
    pub(crate) muted: bool,
}

impl Ui {
    /// One line of the result, on standard output.
    pub(crate) fn line(&self, line: impl Display) -> Result<()> {
        if self.muted {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        writeln!(out, "{line}")?;
        Ok(())
    }

    /// A value as one line of JSON on standard output.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// A value as one indented JSON document on standard output.
    pub(crate) fn json_document(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// `   Model  lenet, …` on standard error: a fact about the work, under an aligned label.
    pub(crate) fn fact(&self, label: &str, text: impl Display) {
        if !self.quiet {
            to_stderr(format_args!("{LABEL}{label:>10}{LABEL:#}  {text}"));
        }
    }

    /// A remark on standard error.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            to_stderr(text);
        }
    }

    /// A warning on standard error, also with `--quiet`.
    pub(crate) fn warn(&self, text: impl Display) {
        to_stderr(format_args!("{WARNING}warning{WARNING:#}: {text}"));
    }

    /// Whether a progress bar has somewhere to be drawn.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// Says on standard error how a command failed.
pub(crate) fn report(failure: &Failure) {
    match failure {
        Failure::Usage(messages) => {
            for message in messages {
                to_stderr(format_args!("{BAD}error{BAD:#}: {message}"));
            }
            to_stderr(format_args!(
                "\nFor more information, try '{BOLD}--help{BOLD:#}'."
            ));
        }
        Failure::Work(error) => {
            to_stderr(format_args!("{BAD}error{BAD:#}: {error}"));
            for cause in causes(error) {
                to_stderr(format_args!("  {DIM}caused by:{DIM:#} {cause}"));
            }
        }
        Failure::Interrupted | Failure::OutputClosed => {}
    }
}

/// A line on standard error; that nobody reads it any more is no reason to stop.
pub(crate) fn to_stderr(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// `12345` as `12,345`.
pub(crate) fn thousands(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of bytes for people: `61.7 MB`.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// Seconds for people: `0.8 s`, `42 s`, `3 min 05 s`, `2 h 07 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `1 example`, `2 examples`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        thousands(count as u64),
        if count == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_scaled() {
        assert_eq!(thousands(0u64), "0");
        assert_eq!(thousands(999u64), "999");
        assert_eq!(thousands(61706u64), "61,706");
        assert_eq!(thousands(1234567u64), "1,234,567");
        assert_eq!(bytes(246_824), "246.8 kB");
        assert_eq!(duration(0.84), "0.8 s");
        assert_eq!(duration(185.2), "3 min 05 s");
        assert_eq!(duration(7620.0), "2 h 07 min");
        assert_eq!(plural(1, "example"), "1 example");
    }
}

//! How a command can end badly, and the exit code each way has.

use std::fmt;
use std::io;

/// Everything that ends a command before its natural end.
///
/// `main` is the only place that turns one of these into an exit code and a message.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or a configuration asks for something that makes no sense; one entry per bad field.
    Usage(Vec<String>),
    /// The work itself failed.
    Work(anyhow::Error),
    /// The user asked to stop, and what had to be written has been written.
    Interrupted,
    /// Whoever read standard output has gone (`d2l … | head`): nothing to say and nobody to say it to.
    OutputClosed,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A usage error about a single field.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(vec![message.to_string()])
    }

    /// A failure of the work that has no deeper cause.
    pub(crate) fn work(message: impl fmt::Display) -> Self {
        Self::Work(anyhow::anyhow!("{message}"))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let closed = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
        if closed {
            Self::OutputClosed
        } else {
            Self::Work(error)
        }
    }
}

/// Adds what was being done to an error, as `anyhow::Context` does, for errors that are already `Failure`s.
pub(crate) trait Doing<T> {
    /// Names what failed; the error it wraps becomes its cause.
    fn doing<M: fmt::Display + Send + Sync + 'static>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing<M: fmt::Display + Send + Sync + 'static>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Failure::Work(error.into().context(message())))
    }
}

/// The causes of an error below its headline, each once: libraries often repeat a cause in their own text.
pub(crate) fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut shown = error.to_string();
    let mut causes = Vec::new();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !text.is_empty() && !shown.contains(&text) {
            causes.push(text.clone());
            shown = text;
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_closed_pipe_is_recognised_under_layers_of_context() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing the table");
        assert!(matches!(Failure::from(error.unwrap_err()), Failure::OutputClosed));
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert!(matches!(Failure::from(error), Failure::Work(_)));
    }

    #[test]
    fn a_cause_that_the_headline_already_tells_is_left_out() {
        let error = anyhow::anyhow!("no space left")
            .context("writing a.png: no space left")
            .context("saving");
        assert_eq!(causes(&error), ["writing a.png: no space left"]);
    }
}

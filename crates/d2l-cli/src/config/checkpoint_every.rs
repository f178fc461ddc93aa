use std::{fmt, str::FromStr};

/// How often a run writes a checkpoint; the end of the run always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckpointEvery {
    Epochs(u64),
    Steps(u64),
}

impl FromStr for CheckpointEvery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, steps) = match (text.strip_suffix("steps"), text.strip_suffix("epochs")) {
            (Some(number), _) => (number, true),
            (None, number) => (number.unwrap_or(text), false),
        };
        match number.trim().parse() {
            Ok(n) if n > 0 => Ok(if steps { Self::Steps(n) } else { Self::Epochs(n) }),
            _ => Err(format!(
                "expected a number of epochs (`2`) or of steps (`500steps`), got `{text}`"
            )),
        }
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(n) => write!(f, "{n}"),
            Self::Steps(n) => write!(f, "{n}steps"),
        }
    }
}

//! What a lesson leaves behind: its printed lines, its pictures, and the book's figures beside its own.

use crate::{Error, Figure, Result};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// All that a lesson wrote on its page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The printed lines.
    pub lines: Vec<String>,
    /// The pictures with their names.
    pub figures: Vec<(String, Figure)>,
    /// What was expected and what came.
    pub rows: Vec<Row>,
}

impl Report {
    /// The row of that name.
    pub fn row(&self, what: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.what == what)
    }

    /// The rows that were judged and failed.
    pub fn failures(&self) -> Vec<&Row> {
        self.rows
            .iter()
            .filter(|row| row.passed() == Some(false))
            .collect()
    }

    /// Writes each picture as SVG and PNG into `folder` and returns the files, in order.
    ///
    /// # Errors
    /// When the folder or a file cannot be written.
    pub fn save_figures(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
        let mut files = Vec::new();
        for (name, figure) in &self.figures {
            for ending in ["svg", "png"] {
                let file = folder.join(format!("{name}.{ending}"));
                figure.save(&file)?;
                files.push(file);
            }
        }
        Ok(files)
    }
}

/// A figure of the book's beside the one that was reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is, such as `train loss`.
    pub what: String,
    /// What the book has.
    pub expect: Expect,
    /// What came out here.
    pub reached: f64,
    /// Whether `reached` can be judged: figures of a full training cannot after a quick one.
    pub judged: bool,
}

impl Row {
    /// Whether what was expected was reached; nothing where that cannot be said.
    pub fn passed(&self) -> Option<bool> {
        self.judged.then(|| self.expect.admits(self.reached))
    }
}

/// What a figure is expected to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    /// This value, but for `f32`'s rounding (1e-5 of its size, and at least 1e-6).
    Exactly(f64),
    /// The book's value, and how far from it is still it.
    Near {
        /// The book's value.
        value: f64,
        /// The largest distance.
        within: f64,
    },
    /// Anything between the two, both included.
    Between(f64, f64),
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Expect {
    /// `value`, give or take `within`.
    pub fn near(value: f64, within: f64) -> Self {
        Self::Near { value, within }
    }

    /// Whether `reached` is as expected; what is not a number never is.
    pub fn admits(self, reached: f64) -> bool {
        match self {
            Self::Exactly(value) => (reached - value).abs() <= (1e-5 * value.abs()).max(1e-6),
            Self::Near { value, within } => (reached - value).abs() <= within,
            Self::Between(low, high) => (low..=high).contains(&reached),
            Self::AtMost(high) => reached <= high,
            Self::AtLeast(low) => reached >= low,
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exactly(value) => write!(f, "{}", short(value)),
            Self::Near { value, within } => write!(f, "{} ± {}", short(value), short(within)),
            Self::Between(low, high) => write!(f, "{} to {}", short(low), short(high)),
            Self::AtMost(high) => write!(f, "at most {}", short(high)),
            Self::AtLeast(low) => write!(f, "at least {}", short(low)),
        }
    }
}

/// A value to seven digits: a bound that was computed, such as 0.83 − 0.04, shows as it was meant.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_admits_what_is_near_and_no_nan() {
        assert!(Expect::Exactly(5.0).admits(5.0000001) && !Expect::Exactly(5.0).admits(5.001));
        assert!(Expect::near(0.4, 0.1).admits(0.49) && !Expect::near(0.4, 0.1).admits(0.51));
        assert!(Expect::Between(1.0, 2.0).admits(2.0) && !Expect::Between(1.0, 2.0).admits(2.1));
        assert!(Expect::AtMost(1.0).admits(-9.0) && !Expect::AtMost(1.0).admits(1.1));
        assert!(Expect::AtLeast(1.0).admits(9.0) && !Expect::AtLeast(1.0).admits(0.9));
        for expect in [
            Expect::Exactly(0.0),
            Expect::near(0.0, 1.0),
            Expect::Between(0.0, 1.0),
            Expect::AtMost(0.0),
            Expect::AtLeast(0.0),
        ] {
            assert!(!expect.admits(f64::NAN), "{expect}");
        }
    }

    #[test]
    fn computed_bounds_are_shown_as_they_were_meant() {
        assert_eq!(Expect::AtLeast(0.83 - 0.04).to_string(), "at least 0.79");
        assert_eq!(Expect::near(22.5, 0.1 + 0.2).to_string(), "22.5 ± 0.3");
        assert_eq!(Expect::Exactly(60_000.0).to_string(), "60000");
        assert_eq!(
            Expect::Between(f64::NEG_INFINITY, 1e-5).to_string(),
            "-inf to 0.00001"
        );
    }

    #[test]
    fn a_row_of_a_full_training_is_not_judged_after_a_quick_one() {
        let row = |judged| Row {
            what: "loss".into(),
            expect: Expect::AtMost(0.5),
            reached: 0.9,
            judged,
        };
        assert_eq!((row(true).passed(), row(false).passed()), (Some(false), None));
    }
}

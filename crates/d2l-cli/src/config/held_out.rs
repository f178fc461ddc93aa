//! The part of the training examples that a run does not learn from.

use std::sync::Arc;

use d2l_data::ImageSet;
use d2l_train::split::{Dealing, Split};

use super::Faults;
use crate::args::Settings;
use crate::failure::Result;

/// More folds than anybody trains.
const MOST_FOLDS: usize = 1000;

/// What is held out: every class in its proportion, chosen by the run's seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum HeldOut {
    /// This fraction.
    Fraction(f64),
    /// One of several folds, counted from 1.
    Fold { number: usize, of: usize },
}

impl std::str::FromStr for HeldOut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('/')
            .map(|(number, of)| (number.parse(), of.parse()));
        match parts {
            Some((Ok(number), Ok(of))) if (2..=MOST_FOLDS).contains(&of) && (1..=of).contains(&number) => {
                Ok(Self::Fold { number, of })
            }
            _ => Err(format!(
                "expected the number of a fold and of how many, as `2/5` (at most {MOST_FOLDS}), got `{text}`"
            )),
        }
    }
}

impl HeldOut {
    pub(super) fn resolve(settings: &Settings, faults: &mut Faults<'_>) -> Option<Self> {
        let fraction = settings.validation;
        if let Some(fraction) = fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            faults.add(
                "validation",
                format!("has to be a fraction between 0 and 1, got {fraction}"),
            );
        }
        if fraction.is_some() && settings.fold.is_some() {
            faults.add(
                "fold",
                "is held out in place of a `validation` fraction: not both",
            );
        }
        match &settings.fold {
            Some(fold) => faults.take("fold", fold.parse()),
            None => fraction.map(Self::Fraction),
        }
    }

    /// Writes it back into settings.
    pub(super) fn into_settings(self, settings: &mut Settings) {
        match self {
            Self::Fraction(fraction) => settings.validation = Some(fraction),
            Self::Fold { number, of } => settings.fold = Some(format!("{number}/{of}")),
        }
    }

    /// The part to learn from and the part held out, of the first `limit` examples.
    pub(crate) fn split(
        self,
        set: &ImageSet,
        limit: Option<usize>,
        seed: u64,
    ) -> Result<(Arc<ImageSet>, Arc<ImageSet>)> {
        let count = set.len().min(limit.unwrap_or(usize::MAX));
        let dealing = Dealing {
            shuffle: Some(seed),
            classes: set.labels().get(..count),
        };
        let split = match self {
            Self::Fraction(fraction) => dealing.hold_out(count, fraction)?,
            Self::Fold { number, of } => {
                let folds = dealing.folds(count, of)?;
                folds.into_iter().nth(number.saturating_sub(1)).unwrap_or(Split {
                    train: Vec::new(),
                    held_out: Vec::new(),
                })
            }
        };
        Ok((
            Arc::new(set.subset(&split.train)?),
            Arc::new(set.subset(&split.held_out)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_a_number_of_how_many() {
        assert_eq!("2/5".parse(), Ok(HeldOut::Fold { number: 2, of: 5 }));
        for text in ["0/5", "6/5", "1/1", "2", "a/b", "1/1001", "/", ""] {
            assert!(text.parse::<HeldOut>().unwrap_err().contains("`2/5`"), "{text}");
        }
    }

    #[test]
    fn classes_keep_their_proportions_and_the_limit_counts_first() {
        let names: Arc<[String]> = ["a", "b"].map(str::to_owned).into();
        let labels: Vec<u16> = (0..200).map(|i| u16::from(i % 4 == 0)).collect();
        let set = ImageSet::new((0..200).map(|i| i as u8).collect(), labels, [1, 1, 1], names).unwrap();
        let (train, held_out) = HeldOut::Fraction(0.2).split(&set, Some(100), 7).unwrap();
        assert_eq!(
            (train.class_counts(), held_out.class_counts()),
            (vec![60, 20], vec![15, 5])
        );
        let all: Vec<u8> = (1..=3)
            .flat_map(|number| {
                let (_, fold) = HeldOut::Fold { number, of: 3 }.split(&set, None, 7).unwrap();
                fold.pixels().to_vec()
            })
            .collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, set.pixels(), "every example is held out once");
        assert_ne!(all, sorted, "and not in blocks of the file");
    }
}

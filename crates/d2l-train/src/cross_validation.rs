//! k-fold cross-validation (section 4.10.5 of the book), and the spread of figures from several runs.

use crate::split::Split;
use serde::Serialize;

/// Trains once per fold, each time holding out another part, and gathers what `fit` measured.
///
/// ```
/// use d2l_train::{Spread, cross_validate, split::Dealing};
///
/// // "Training" here is taking the mean; the measure is the mean's error on the part held out.
/// let ys = [1.0, 2.0, 4.0, 5.0];
/// let mean = |rows: &[usize]| rows.iter().map(|&row| ys[row]).sum::<f64>() / rows.len() as f64;
/// let folds = Dealing::default().folds(ys.len(), 2)?;
/// let errors = cross_validate(&folds, |_, fold| {
///     Ok::<_, d2l_train::Error>((mean(&fold.train) - mean(&fold.held_out)).abs())
/// })?;
/// assert_eq!(errors, [3.0, 3.0]);
/// assert_eq!(Spread::of(errors).to_string(), "3.0000 ± 0.0000");
/// # Ok::<(), d2l_train::Error>(())
/// ```
///
/// # Errors
/// The first that `fit` gives.
pub fn cross_validate<M, E>(
    folds: &[Split],
    mut fit: impl FnMut(usize, &Split) -> Result<M, E>,
) -> Result<Vec<M>, E> {
    let numbered = folds.iter().enumerate();
    numbered.map(|(index, fold)| fit(index, fold)).collect()
}

/// Mean and standard deviation of a figure over several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many figures there are.
    pub count: usize,
    /// Their mean; not a number where there is none.
    pub mean: f64,
    /// Their standard deviation as of a sample (n − 1); nothing for fewer than two.
    pub deviation: Option<f64>,
}

impl Spread {
    /// The spread of these figures.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let figures: Vec<f64> = figures.into_iter().collect();
        let count = figures.len();
        let mean = figures.iter().sum::<f64>() / count as f64;
        let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
        Self {
            count,
            mean,
            deviation: (count > 1).then(|| (squares / (count as f64 - 1.0)).sqrt()),
        }
    }
}

/// `0.1703 ± 0.0105`, or the mean alone where there is no deviation; a precision says how many decimals.
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decimals = f.precision().unwrap_or(4);
        write!(f, "{:.decimals$}", self.mean)?;
        match self.deviation {
            Some(deviation) => write!(f, " ± {deviation:.decimals$}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let spread = Spread::of([1.0, 2.0, 3.0, 4.0]);
        assert_eq!((spread.count, spread.mean), (4, 2.5));
        assert!((spread.deviation.unwrap() - (5.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(format!("{spread:.2}"), "2.50 ± 1.29");
        assert_eq!(Spread::of([7.0]).to_string(), "7.0000");
        assert!(Spread::of([]).mean.is_nan());
    }

    #[test]
    fn every_fold_is_fitted_once_and_the_first_failure_ends_it() {
        let folds = crate::split::Dealing::default().folds(6, 3).unwrap();
        let seen = cross_validate(&folds, |index, fold| Ok::<_, ()>((index, fold.held_out.clone())));
        assert_eq!(seen.unwrap(), [(0, vec![0, 1]), (1, vec![2, 3]), (2, vec![4, 5])]);
        let mut fitted = 0;
        let failed = cross_validate(&folds, |index, _| {
            fitted += 1;
            if index == 1 { Err("no") } else { Ok(()) }
        });
        assert_eq!((failed, fitted), (Err("no"), 2));
    }
}

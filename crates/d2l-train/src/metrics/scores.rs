//! Scores of each class, from a [`Confusion`].

use super::Confusion;

/// How well one class is told from the others. `None` where there is nothing to divide by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Of the examples taken for the class, the part that is of it.
    pub precision: Option<f64>,
    /// Of the class's examples, the part taken for it.
    pub recall: Option<f64>,
    /// The harmonic mean of the two: 2 · right / (examples of the class + examples taken for it).
    pub f1: Option<f64>,
    /// The class's examples.
    pub examples: u64,
}

impl Confusion {
    /// The scores of every class.
    pub fn class_scores(&self) -> Vec<ClassScores> {
        (0..self.classes()).map(|class| self.scores_of(class)).collect()
    }

    /// The mean F1 of the classes that have one, each counted once (scikit-learn's `macro`, over classes that occur).
    pub fn macro_f1(&self) -> f64 {
        let scores: Vec<f64> = self
            .class_scores()
            .iter()
            .filter_map(|scores| scores.f1)
            .collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }

    fn scores_of(&self, class: usize) -> ClassScores {
        let right = self.count(class, class);
        let of_it: u64 = (0..self.classes())
            .map(|predicted| self.count(class, predicted))
            .sum();
        let taken: u64 = (0..self.classes()).map(|truth| self.count(truth, class)).sum();
        let part = |of: u64, all: u64| (all > 0).then(|| of as f64 / all as f64);
        ClassScores {
            precision: part(right, taken),
            recall: part(right, of_it),
            f1: part(2 * right, of_it + taken),
            examples: of_it,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        // Truths 0 0 0 1 1 taken for 0 0 1 1 1; class 2 never occurs, class 3 only as an answer.
        let mut confusion = Confusion::new(4);
        for (truth, predicted) in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (1, 3)] {
            confusion.add(truth, predicted, 0).unwrap();
        }
        let scores = confusion.class_scores();
        let close =
            |got: Option<f64>, want: f64| assert!((got.unwrap() - want).abs() < 1e-15, "{got:?} {want}");
        close(scores[0].precision, 1.0);
        close(scores[0].recall, 2.0 / 3.0);
        close(scores[0].f1, 0.8);
        close(scores[1].f1, 2.0 / 3.0);
        assert_eq!(
            (scores[2].precision, scores[2].recall, scores[2].f1),
            (None, None, None)
        );
        assert_eq!(
            (scores[3].precision, scores[3].recall, scores[3].f1),
            (Some(0.0), None, Some(0.0))
        );
        assert_eq!(
            scores.iter().map(|s| s.examples).collect::<Vec<_>>(),
            [3, 3, 0, 0]
        );
        close(Some(confusion.macro_f1()), (0.8 + 2.0 / 3.0) / 3.0);
    }
}

use crate::loss::Reduction;

/// How the gradients of one more batch go into those of the step so far: `before · old + own · new`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) before: f64,
    pub(crate) own: f64,
}

impl Share {
    /// That of a step's first batch, whose gradients are taken as they are.
    pub(crate) const FIRST: Self = Self {
        before: 0.0,
        own: 1.0,
    };

    pub(crate) fn is_first(self) -> bool {
        self == Self::FIRST
    }
}

/// The shares of a step's batches, such that its gradients are those of one batch that holds them all: a mean by the
/// batches' weights, kept as a running mean since the sum of the weights is known only at the end; or a sum.
#[derive(Debug)]
pub(crate) struct Shares {
    reduction: Reduction,
    /// Of the batches so far; `None` before the first.
    weight: Option<f64>,
}

impl Shares {
    pub(crate) fn new(reduction: Reduction) -> Self {
        Self {
            reduction,
            weight: None,
        }
    }

    /// The share of the next batch, of that weight.
    pub(crate) fn next(&mut self, weight: f64) -> Share {
        let Some(before) = self.weight else {
            self.weight = Some(weight);
            return Share::FIRST;
        };
        let all = before + weight;
        self.weight = Some(all);
        match self.reduction {
            Reduction::Sum => Share {
                before: 1.0,
                own: 1.0,
            },
            Reduction::Mean | Reduction::None => Share {
                before: before / all,
                own: weight / all,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_mean_is_the_mean_and_a_sum_the_sum() {
        let batches = [(3.0, 1.0), (5.0, 2.0), (1.0, 0.5), (-2.0, 4.0)];
        let fold = |reduction| {
            let mut shares = Shares::new(reduction);
            batches.iter().fold(f64::NAN, |so_far, &(weight, value)| {
                let share = shares.next(weight);
                if share.is_first() {
                    return value;
                }
                share.before * so_far + share.own * value
            })
        };
        let weights: f64 = batches.iter().map(|(weight, _)| weight).sum();
        let mean = batches.iter().map(|(weight, value)| weight * value).sum::<f64>() / weights;
        assert!((fold(Reduction::Mean) - mean).abs() < 1e-15);
        assert_eq!(fold(Reduction::Sum), 7.5);
    }
}

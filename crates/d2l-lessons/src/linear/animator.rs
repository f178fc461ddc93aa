//! What a training measures (section 3.6): sums over batches, and curves that grow with the epochs.

use crate::{Error, Result, figure::Chart};

// ANCHOR: accumulator
/// Sums of `N` things over many batches.
#[derive(Clone, Copy, Debug)]
pub struct Accumulator<const N: usize>(pub [f64; N]);

impl<const N: usize> Accumulator<N> {
    /// All sums at zero.
    pub fn new() -> Self {
        Self([0.0; N])
    }

    /// Adds a value to each sum.
    pub fn add(&mut self, values: [f64; N]) {
        for (sum, value) in self.0.iter_mut().zip(values) {
            *sum += value;
        }
    }
}
// ANCHOR_END: accumulator

impl<const N: usize> Default for Accumulator<N> {
    fn default() -> Self {
        Self::new()
    }
}

// ANCHOR: animator
/// Curves that grow by a point each, from the left to the right.
#[derive(Clone, Debug)]
pub struct Animator<const N: usize> {
    x_label: &'static str,
    legend: [&'static str; N],
    points: Vec<(f64, [f64; N])>,
}

impl<const N: usize> Animator<N> {
    /// No points yet, for curves of these names.
    pub fn new(x_label: &'static str, legend: [&'static str; N]) -> Self {
        Self {
            x_label,
            legend,
            points: Vec::new(),
        }
    }

    /// A point for each curve.
    pub fn add(&mut self, x: f64, ys: [f64; N]) {
        self.points.push((x, ys));
    }

    /// The newest point of each curve.
    ///
    /// # Errors
    /// When there is none.
    pub fn last(&self) -> Result<[f64; N]> {
        let last = self.points.last().map(|(_, ys)| *ys);
        last.ok_or_else(|| Error::Lesson("nothing was trained: there was no epoch".into()))
    }

    /// The newest points in words.
    ///
    /// # Errors
    /// When there is none.
    pub fn line(&self) -> Result<String> {
        let x = self.points.last().map_or(0.0, |(x, _)| *x);
        let values = self
            .legend
            .iter()
            .zip(self.last()?)
            .map(|(name, y)| format!(", {name} {y:.4}"));
        Ok(format!("{} {x}{}", self.x_label, values.collect::<String>()))
    }

    /// The curves, the first solid and the others dashed.
    pub fn chart(&self) -> Chart {
        let curve = |index| {
            self.points
                .iter()
                .filter_map(move |(x, ys)| Some((*x, *ys.get(index)?)))
        };
        let names = self.legend.iter().enumerate();
        names.fold(Chart::new(self.x_label, ""), |chart, (index, name)| match index {
            0 => chart.line(*name, curve(index)),
            _ => chart.dashed(*name, curve(index)),
        })
    }
}
// ANCHOR_END: animator

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_animator_without_points_says_so() {
        let mut animator = Animator::new("epoch", ["loss"]);
        assert!(animator.last().is_err() && animator.line().is_err());
        animator.add(1.0, [0.5]);
        assert_eq!(animator.line().unwrap(), "epoch 1, loss 0.5000");
    }
}

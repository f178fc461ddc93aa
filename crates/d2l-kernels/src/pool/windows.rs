//! The windows of one axis: which inputs an output covers, and which outputs cover an input.

use std::ops::Range;

/// One output's window on one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The inputs it covers; never empty for adaptive windows, nor for the shapes that are accepted.
    pub(super) inputs: Range<usize>,
    /// Its size with padding, which an average may divide by.
    pub(super) padded: usize,
}

/// An output whose window holds a certain input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cover {
    pub(super) output: usize,
    /// Where in the window the input is, counted from the window's first input.
    pub(super) tap: usize,
}

/// All windows of an axis, in order of both ends.
#[derive(Debug)]
pub(super) struct Axis {
    /// One per output.
    pub(super) windows: Vec<Window>,
    /// The widest window.
    pub(super) widest: usize,
    /// The outputs that cover each input, one input after the other.
    covers: Vec<Cover>,
    /// Which of `covers` belong to each input.
    covering: Vec<Range<usize>>,
}

impl Axis {
    /// Windows of `kernel` inputs, `stride` apart, the first one starting in the padding.
    pub(super) fn sliding(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Self {
        let window = |output: usize| {
            // Positions count from the start of the padding.
            let begin = output * stride;
            let padded_end = (begin + kernel).min(inputs + 2 * padding);
            let inside = |position: usize| position.saturating_sub(padding).min(inputs);
            Window {
                inputs: inside(begin)..inside(begin + kernel),
                padded: padded_end - begin,
            }
        };
        Self::new(inputs, (0..outputs).map(window).collect())
    }

    /// `outputs` windows that share the inputs as evenly as whole numbers allow.
    pub(super) fn adaptive(inputs: usize, outputs: usize) -> Self {
        // In u128: the products of two sizes may exceed the address space.
        let (wide_inputs, wide_outputs) = (inputs as u128, outputs as u128);
        let window = |output: usize| {
            let begin = (output as u128 * wide_inputs / wide_outputs) as usize;
            let end = ((output as u128 + 1) * wide_inputs).div_ceil(wide_outputs) as usize;
            Window {
                inputs: begin..end,
                padded: end - begin,
            }
        };
        Self::new(inputs, (0..outputs).map(window).collect())
    }

    fn new(inputs: usize, windows: Vec<Window>) -> Self {
        let mut covers = Vec::new();
        let covering = (0..inputs).map(|input| {
            // Both ends grow with the output, so the outputs that cover an input are neighbours.
            let first = windows.partition_point(|window| window.inputs.end <= input);
            let end = windows.partition_point(|window| window.inputs.start <= input);
            let start = covers.len();
            covers.extend((first..end).map(|output| Cover {
                output,
                tap: input - windows[output].inputs.start,
            }));
            start..covers.len()
        });
        let covering = covering.collect();
        let widest = windows
            .iter()
            .map(|window| window.inputs.len())
            .max()
            .unwrap_or(0);
        Self {
            windows,
            widest,
            covers,
            covering,
        }
    }

    /// The outputs whose windows hold `input`, in order.
    #[inline(always)]
    pub(super) fn covering(&self, input: usize) -> &[Cover] {
        &self.covers[self.covering[input].clone()]
    }

    pub(super) fn inputs(&self) -> usize {
        self.covering.len()
    }

    pub(super) fn outputs(&self) -> usize {
        self.windows.len()
    }

    /// (image, output) of an output counted through the batch.
    #[inline(always)]
    pub(super) fn split_output(&self, index: usize) -> (usize, usize) {
        (index / self.outputs(), index % self.outputs())
    }

    /// (image, input) of an input counted through the batch.
    #[inline(always)]
    pub(super) fn split_input(&self, index: usize) -> (usize, usize) {
        (index / self.inputs(), index % self.inputs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(axis: &Axis) -> Vec<Range<usize>> {
        axis.windows.iter().map(|window| window.inputs.clone()).collect()
    }

    #[test]
    fn sliding_windows_are_cut_at_the_edges() {
        let axis = Axis::sliding(5, 3, 3, 2, 1);
        assert_eq!(ranges(&axis), [0..2, 1..4, 3..5]);
        assert_eq!(
            axis.windows
                .iter()
                .map(|window| window.padded)
                .collect::<Vec<_>>(),
            [3, 3, 3]
        );
        let covers = |input| {
            axis.covering(input)
                .iter()
                .map(|cover| (cover.output, cover.tap))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (0..5).map(covers).collect::<Vec<_>>(),
            [
                vec![(0, 0)],
                vec![(0, 1), (1, 0)],
                vec![(1, 1)],
                vec![(1, 2), (2, 0)],
                vec![(2, 1)],
            ]
        );
        assert_eq!(axis.widest, 3);
    }

    #[test]
    fn skipped_inputs_are_covered_by_nothing() {
        let axis = Axis::sliding(5, 2, 1, 3, 0);
        assert!(axis.covering.iter().map(Range::len).eq([1, 0, 0, 1, 0]));
    }

    #[test]
    fn adaptive_windows_overlap_where_sizes_do_not_divide() {
        assert_eq!(ranges(&Axis::adaptive(5, 3)), [0..2, 1..4, 3..5]);
        assert_eq!(ranges(&Axis::adaptive(2, 3)), [0..1, 0..2, 1..2]);
    }
}

//! Average pooling.

use super::pixel::{Pixel, Sources, Tap, Taps, compute};
use super::windows::Cover;
use super::{AdaptivePool2dShape, Plan, Pool2dShape};
use crate::ShapeError;
use crate::arch::{Simd, Vector};
use crate::par::for_each_chunk_mut;
use crate::pieces::per_level;

/// The mean of each window.
///
/// # Errors
/// A shape that [`Pool2dShape::check`] refuses, slices of other lengths.
pub fn avg_forward(shape: &Pool2dShape, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "pool::avg_forward";
    forward(NAME, &shape.plan(NAME)?, x, y)
}

/// The gradient of [`avg_forward`] with respect to x.
///
/// # Errors
/// As [`avg_forward`].
pub fn avg_backward(shape: &Pool2dShape, dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "pool::avg_backward";
    backward(NAME, &shape.plan(NAME)?, dy, dx)
}

/// [`avg_forward`] over adaptive windows; an output of 1×1 is global average pooling.
///
/// # Errors
/// Sizes of 0, slices of other lengths.
pub fn adaptive_avg_forward(shape: &AdaptivePool2dShape, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "pool::adaptive_avg_forward";
    forward(NAME, &shape.plan(NAME)?, x, y)
}

/// [`avg_backward`] over adaptive windows.
///
/// # Errors
/// As [`adaptive_avg_forward`].
pub fn adaptive_avg_backward(
    shape: &AdaptivePool2dShape,
    dy: &[f32],
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "pool::adaptive_avg_backward";
    backward(NAME, &shape.plan(NAME)?, dy, dx)
}

impl Plan {
    /// What the mean of an output divides by.
    #[inline(always)]
    fn divisor(&self, output_row: usize, output: usize) -> f32 {
        let (row, column) = (&self.rows.windows[output_row], &self.columns.windows[output]);
        let count = match self.count_padding {
            true => row.padded * column.padded,
            false => row.inputs.len() * column.inputs.len(),
        };
        count as f32
    }
}

fn forward(operation: &'static str, plan: &Plan, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    plan.check_lens(operation, ["x", "y"], [x.len(), y.len()])?;
    let [_, y_row] = plan.row_lens();
    let rows_per_piece = plan.output_rows_per_piece();
    for_each_chunk_mut(y, rows_per_piece * y_row, |piece, y| {
        forward_rows(plan, piece * rows_per_piece, x, y)
    });
    Ok(())
}

per_level! {
    /// The output rows from `first_row` (counted through the batch) that `y` holds.
    fn forward_rows<'a>(plan: &'a Plan, first_row: usize, x: &'a [f32], y: &'a mut [f32]) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
        let mut taps = Taps::new();
        let mut row_sums = vec![0.0; channels];
        for row in 0..y.len() / y_row {
            let (image, output_row) = plan.rows.split_output(first_row + row);
            let window_row = &plan.rows.windows[output_row];
            let first = image * plan.rows.inputs() * x_row + window_row.inputs.start * x_row;
            for (output, window) in plan.columns.windows.iter().enumerate() {
                let divisor = plan.divisor(output_row, output);
                let x = &x[first + window.inputs.start * channels..];
                let y = &mut y[row * y_row + output * channels..];
                let size = [window_row.inputs.len(), window.inputs.len()];
                if size[0] * size[1] > LARGE_WINDOW {
                    large_window_mean(size, [x_row, channels], x, divisor, &mut row_sums, &mut y[..channels]);
                    continue;
                }
                let taps = taps.of(plan, window_row, window);
                let last = taps.last().map_or(0, |tap| tap.offset);
                assert!(x.len() >= last + channels && y.len() >= channels);
                let room = (x.len() - last).min(y.len());
                let mean = Mean { x: x.as_ptr(), taps, factor: 1.0 / divisor, y: y.as_mut_ptr() };
                // SAFETY: below `room`, channels lie inside y, and inside x at every tap.
                unsafe { compute::<S>(&mean, channels, room) };
            }
        }
    }
}

/// The mean over a window.
struct Mean<'a> {
    /// The window's first element.
    x: *const f32,
    taps: &'a [Tap],
    factor: f32,
    y: *mut f32,
}

impl Pixel for Mean<'_> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, channel: usize) {
        let mut sums = [S::Vector::splat(0.0); N];
        for tap in self.taps {
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sum =
                    sum.add(unsafe { S::Vector::load(self.x.add(tap.offset + channel + index * S::LANES)) });
            }
        }
        let factor = S::Vector::splat(self.factor);
        for (index, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { sum.mul(factor).store(self.y.add(channel + index * S::LANES)) };
        }
    }

    #[inline(always)]
    unsafe fn single(&self, channel: usize) {
        let mut sum = 0.0;
        for tap in self.taps {
            // SAFETY: the caller's promise.
            sum += unsafe { *self.x.add(tap.offset + channel) };
        }
        // SAFETY: the caller's promise.
        unsafe { *self.y.add(channel) = sum * self.factor };
    }
}

/// Windows of more elements are summed pixel by pixel rather than block by block: to walk over many pixels for a few
/// channels at a time is slow once they fill more than the first-level cache.
const LARGE_WINDOW: usize = 16;

/// The mean of every channel over the `[rows, columns]` of a window at the start of `x`, row by row.
#[inline(always)]
fn large_window_mean(
    taps: [usize; 2],
    steps: [usize; 2],
    x: &[f32],
    divisor: f32,
    row_sums: &mut [f32],
    y: &mut [f32],
) {
    y.fill(0.0);
    for row in 0..taps[0] {
        row_sums.fill(0.0);
        for column in 0..taps[1] {
            let x = &x[row * steps[0] + column * steps[1]..][..y.len()];
            row_sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
        }
        y.iter_mut().zip(&*row_sums).for_each(|(y, sum)| *y += sum);
    }
    y.iter_mut().for_each(|y| *y /= divisor);
}

fn backward(operation: &'static str, plan: &Plan, dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
    plan.check_lens(operation, ["dx", "dy"], [dx.len(), dy.len()])?;
    let [x_row, _] = plan.row_lens();
    let outputs =
        (0..plan.rows.outputs()).flat_map(|row| (0..plan.columns.outputs()).map(move |column| (row, column)));
    let factors: Vec<f32> = outputs
        .map(|(row, column)| 1.0 / plan.divisor(row, column))
        .collect();
    let rows_per_piece = plan.input_rows_per_piece();
    for_each_chunk_mut(dx, rows_per_piece * x_row, |piece, dx| {
        backward_rows(plan, &factors, piece * rows_per_piece, dy, dx)
    });
    Ok(())
}

per_level! {
    /// The input rows from `first_row` (counted through the batch) that `dx` holds.
    fn backward_rows<'a>(
        plan: &'a Plan, factors: &'a [f32], first_row: usize, dy: &'a [f32], dx: &'a mut [f32]
    ) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
            for row in 0..dx.len() / x_row {
            let (image, input_row) = plan.rows.split_input(first_row + row);
            let rows = plan.rows.covering(input_row);
            let outputs = |rows: &[Cover]| -> [Option<usize>; 2] { [rows.first(), rows.last()].map(|cover| cover.map(|cover| cover.output)) };
            // Rows under the same outputs are alike.
            if row > 0 && input_row > 0 && outputs(rows) == outputs(plan.rows.covering(input_row - 1)) {
                dx.copy_within((row - 1) * x_row..row * x_row, row * x_row);
                continue;
            }
            let dy = &dy[image * plan.rows.outputs() * y_row..];
            for input in 0..plan.columns.inputs() {
                let sources = plan.sources(rows, plan.columns.covering(input));
                let last = sources.last();
                let dx = &mut dx[row * x_row + input * channels..];
                assert!(dy.len() >= last + channels && dx.len() >= channels);
                let room = (dy.len() - last).min(dx.len());
                let shares =
                    Shares { dy: dy.as_ptr(), factors, sources, dx: dx.as_mut_ptr() };
                // SAFETY: below `room`, channels lie inside dx, and inside dy at every source.
                unsafe { compute::<S>(&shares, channels, room) };
            }
        }
    }
}

/// The sum of dy over the outputs that cover an input, each divided by the size of its window.
struct Shares<'a> {
    dy: *const f32,
    factors: &'a [f32],
    sources: Sources<'a>,
    dx: *mut f32,
}

impl Pixel for Shares<'_> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, channel: usize) {
        let mut sums = [S::Vector::splat(0.0); N];
        for row in self.sources.rows {
            for column in self.sources.columns {
                let (pixel, _) = self.sources.output(row, column);
                let factor = S::Vector::splat(self.factors[pixel]);
                for (index, sum) in sums.iter_mut().enumerate() {
                    let from = pixel * self.sources.channels + channel + index * S::LANES;
                    // SAFETY: the caller's promise.
                    *sum = unsafe { S::Vector::load(self.dy.add(from)) }.mul_add(factor, *sum);
                }
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { sum.store(self.dx.add(channel + index * S::LANES)) };
        }
    }

    #[inline(always)]
    unsafe fn single(&self, channel: usize) {
        let mut sum = 0.0;
        for row in self.sources.rows {
            for column in self.sources.columns {
                let (pixel, _) = self.sources.output(row, column);
                // SAFETY: the caller's promise.
                sum += unsafe { *self.dy.add(pixel * self.sources.channels + channel) } * self.factors[pixel];
            }
        }
        // SAFETY: the caller's promise.
        unsafe { *self.dx.add(channel) = sum };
    }
}

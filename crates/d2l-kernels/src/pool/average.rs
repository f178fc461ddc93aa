//! Average pooling.

use super::windows::Cover;
use super::{AdaptivePool2dShape, Plan, Pool2dShape};
use crate::ShapeError;
use crate::arch::Simd;
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
    fn forward_rows<'a>(plan: &'a Plan, first_row: usize, x: &'a [f32], y: &'a mut [f32]) {
        match plan.lanes() {
            8 => forward_blocks::<8>(plan, first_row, x, y),
            16 => forward_blocks::<16>(plan, first_row, x, y),
            _ => forward_blocks::<32>(plan, first_row, x, y),
        }
    }
}

/// The output rows from `first_row` (counted through the batch) that `y` holds, `L` channels at a time. Blocks spill
/// over as in max pooling.
#[inline(always)]
fn forward_blocks<const L: usize>(plan: &Plan, first_row: usize, x: &[f32], y: &mut [f32]) {
    let channels = plan.channels;
    let mut row_sums = vec![0.0; channels];
    let [x_row, y_row] = plan.row_lens();
    for row in 0..y.len() / y_row {
        let (image, output_row) = plan.rows.split_output(first_row + row);
        let image_start = image * plan.rows.inputs() * x_row;
        let window_row = plan.rows.windows[output_row].inputs.clone();
        for (output, window) in plan.columns.windows.iter().enumerate() {
            let from = image_start + window_row.start * x_row + window.inputs.start * channels;
            let taps = [window_row.len(), window.inputs.len()];
            let last = from + (taps[0] - 1) * x_row + (taps[1] - 1) * channels;
            let divisor = plan.divisor(output_row, output);
            let start = row * y_row + output * channels;
            if taps[0] * taps[1] > LARGE_WINDOW {
                let y = &mut y[start..start + channels];
                large_window_mean(taps, [x_row, channels], &x[from..], divisor, &mut row_sums, y);
                continue;
            }
            for channel in (0..channels).step_by(L) {
                let to = start + channel;
                if to + L <= y.len() && last + channel + L <= x.len() {
                    let sum = window_sum::<L>(taps, [x_row, channels], &x[from + channel..]);
                    y[to..to + L].copy_from_slice(&sum.map(|sum| sum / divisor));
                } else {
                    for channel in channel..channels.min(channel + L) {
                        let [sum] = window_sum::<1>(taps, [x_row, channels], &x[from + channel..]);
                        y[start + channel] = sum / divisor;
                    }
                }
            }
        }
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

/// The sum of `L` channels over the `[rows, columns]` of a window at the start of `x`, row by row.
#[inline(always)]
fn window_sum<const L: usize>(taps: [usize; 2], steps: [usize; 2], x: &[f32]) -> [f32; L] {
    let mut sum = [0.0; L];
    for row in 0..taps[0] {
        let mut row_sum = [0.0; L];
        for column in 0..taps[1] {
            let from = row * steps[0] + column * steps[1];
            let values = &x[from..from + L];
            for lane in 0..L {
                row_sum[lane] += values[lane];
            }
        }
        for lane in 0..L {
            sum[lane] += row_sum[lane];
        }
    }
    sum
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
    fn backward_rows<'a>(
        plan: &'a Plan, factors: &'a [f32], first_row: usize, dy: &'a [f32], dx: &'a mut [f32]
    ) {
        match plan.lanes() {
            8 => backward_blocks::<S, 8>(plan, factors, first_row, dy, dx),
            16 => backward_blocks::<S, 16>(plan, factors, first_row, dy, dx),
            _ => backward_blocks::<S, 32>(plan, factors, first_row, dy, dx),
        }
    }
}

/// The input rows from `first_row` (counted through the batch) that `dx` holds, in blocks as [`forward_blocks`].
#[inline(always)]
fn backward_blocks<S: Simd, const L: usize>(
    plan: &Plan,
    factors: &[f32],
    first_row: usize,
    dy: &[f32],
    dx: &mut [f32],
) {
    let channels = plan.channels;
    let [x_row, y_row] = plan.row_lens();
    for row in 0..dx.len() / x_row {
        let (image, input_row) = plan.rows.split_input(first_row + row);
        let image_start = image * plan.rows.outputs() * y_row;
        let rows = plan.rows.covering(input_row);
        for input in 0..plan.columns.inputs() {
            let columns = plan.columns.covering(input);
            let start = row * x_row + input * channels;
            let last = image_start + plan.last_cover(rows, columns);
            for channel in (0..channels).step_by(L) {
                let to = start + channel;
                let from = image_start + channel;
                if to + L <= dx.len() && last + channel + L <= dy.len() {
                    let sum = gather::<S, L>(plan, factors, rows, columns, dy, from);
                    dx[to..to + L].copy_from_slice(&sum);
                } else {
                    for lane in 0..L.min(channels - channel) {
                        [dx[to + lane]] = gather::<S, 1>(plan, factors, rows, columns, dy, from + lane);
                    }
                }
            }
        }
    }
}

/// The sum of `L` channels of dy over the windows of `rows` and `columns`, each times its factor.
#[inline(always)]
fn gather<S: Simd, const L: usize>(
    plan: &Plan,
    factors: &[f32],
    rows: &[Cover],
    columns: &[Cover],
    dy: &[f32],
    start: usize,
) -> [f32; L] {
    let [_, y_row] = plan.row_lens();
    let mut sum = [0.0; L];
    for row in rows {
        for column in columns {
            let from = start + row.output * y_row + column.output * plan.channels;
            let factor = factors[row.output * plan.columns.outputs() + column.output];
            let dy = &dy[from..from + L];
            for lane in 0..L {
                sum[lane] = S::mul_add(dy[lane], factor, sum[lane]);
            }
        }
    }
    sum
}

//! Average pooling.

use super::{AdaptivePool2dShape, Plan, Pool2dShape};
use crate::ShapeError;
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
pub fn adaptive_avg_backward(shape: &AdaptivePool2dShape, dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
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
    let rows_per_piece = Plan::rows_per_piece(y_row);
    for_each_chunk_mut(y, rows_per_piece * y_row, |piece, y| forward_rows(plan, piece * rows_per_piece, x, y));
    Ok(())
}

per_level! {
    /// The output rows from `first_row` (counted through the batch) that `y` holds.
    fn forward_rows<'a>(plan: &'a Plan, first_row: usize, x: &'a [f32], y: &'a mut [f32]) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
        y.fill(0.0);
        for row in 0..y.len() / y_row {
            let (image, output_row) = ((first_row + row) / plan.rows.outputs(), (first_row + row) % plan.rows.outputs());
            for output in 0..plan.columns.outputs() {
                let y = &mut y[row * y_row + output * channels..][..channels];
                for input_row in plan.rows.windows[output_row].inputs.clone() {
                    for input in plan.columns.windows[output].inputs.clone() {
                        let from = (image * plan.rows.inputs() + input_row) * x_row + input * channels;
                        for (y, x) in y.iter_mut().zip(&x[from..from + channels]) {
                            *y += x;
                        }
                    }
                }
                let divisor = plan.divisor(output_row, output);
                for y in y {
                    *y /= divisor;
                }
            }
        }
    }
}

fn backward(operation: &'static str, plan: &Plan, dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
    plan.check_lens(operation, ["dx", "dy"], [dx.len(), dy.len()])?;
    let [x_row, _] = plan.row_lens();
    let rows_per_piece = Plan::rows_per_piece(x_row);
    for_each_chunk_mut(dx, rows_per_piece * x_row, |piece, dx| backward_rows(plan, piece * rows_per_piece, dy, dx));
    Ok(())
}

per_level! {
    /// The input rows from `first_row` (counted through the batch) that `dx` holds.
    fn backward_rows<'a>(plan: &'a Plan, first_row: usize, dy: &'a [f32], dx: &'a mut [f32]) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
        dx.fill(0.0);
        for row in 0..dx.len() / x_row {
            let (image, input_row) = ((first_row + row) / plan.rows.inputs(), (first_row + row) % plan.rows.inputs());
            for input in 0..plan.columns.inputs() {
                let dx = &mut dx[row * x_row + input * channels..][..channels];
                for output_row in plan.rows.covering[input_row].clone() {
                    for output in plan.columns.covering[input].clone() {
                        let from = (image * plan.rows.outputs() + output_row) * y_row + output * channels;
                        let factor = 1.0 / plan.divisor(output_row, output);
                        for (dx, dy) in dx.iter_mut().zip(&dy[from..from + channels]) {
                            *dx = S::mul_add(*dy, factor, *dx);
                        }
                    }
                }
            }
        }
    }
}

//! Max pooling. NaN wins over every number (the last one of a window, as in PyTorch), the first of equal numbers wins.

use super::{AdaptivePool2dShape, Argmax, Plan, Pool2dShape};
use crate::ShapeError;
use crate::par::for_each_chunk_mut;
use crate::pieces::{for_each_chunk_pair_mut, per_level};

/// Channels per block.
const BLOCK: usize = 16;

/// The largest element of each window, and where it was.
///
/// # Errors
/// A shape that [`Pool2dShape::check`] refuses, slices of other lengths, windows of more than 65536 elements.
pub fn max_forward(shape: &Pool2dShape, x: &[f32], y: &mut [f32], argmax: &mut [Argmax]) -> Result<(), ShapeError> {
    const NAME: &str = "pool::max_forward";
    forward(NAME, &shape.plan(NAME)?, x, y, argmax)
}

/// The gradient of [`max_forward`] with respect to x: dy goes to the maximum's place.
///
/// With `relu_output` (the pool's output y, where the pool's input came from a ReLU), only where y is above 0: the
/// ReLU's gradient in the same pass, since the chosen element of x equals y.
///
/// # Errors
/// As [`max_forward`].
pub fn max_backward(
    shape: &Pool2dShape,
    dy: &[f32],
    argmax: &[Argmax],
    relu_output: Option<&[f32]>,
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "pool::max_backward";
    backward(NAME, &shape.plan(NAME)?, dy, argmax, relu_output, dx)
}

/// [`max_forward`] over adaptive windows.
///
/// # Errors
/// Sizes of 0, slices of other lengths, windows of more than 65536 elements.
pub fn adaptive_max_forward(
    shape: &AdaptivePool2dShape,
    x: &[f32],
    y: &mut [f32],
    argmax: &mut [Argmax],
) -> Result<(), ShapeError> {
    const NAME: &str = "pool::adaptive_max_forward";
    forward(NAME, &shape.plan(NAME)?, x, y, argmax)
}

/// [`max_backward`] over adaptive windows.
///
/// # Errors
/// As [`adaptive_max_forward`].
pub fn adaptive_max_backward(
    shape: &AdaptivePool2dShape,
    dy: &[f32],
    argmax: &[Argmax],
    relu_output: Option<&[f32]>,
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "pool::adaptive_max_backward";
    backward(NAME, &shape.plan(NAME)?, dy, argmax, relu_output, dx)
}

fn check_taps(operation: &'static str, plan: &Plan) -> Result<(), ShapeError> {
    let taps = plan.rows.widest.saturating_mul(plan.columns.widest);
    if taps <= 1 << Argmax::BITS {
        return Ok(());
    }
    Err(ShapeError::new(operation, "windows of at most 65536 elements", format!("{taps}")))
}

fn forward(
    operation: &'static str,
    plan: &Plan,
    x: &[f32],
    y: &mut [f32],
    argmax: &mut [Argmax],
) -> Result<(), ShapeError> {
    check_taps(operation, plan)?;
    plan.check_lens(operation, ["x", "y"], [x.len(), y.len()])?;
    ShapeError::check_len(operation, "argmax", y.len(), argmax.len())?;
    let [_, y_row] = plan.row_lens();
    let rows_per_piece = Plan::rows_per_piece(y_row);
    for_each_chunk_pair_mut(y, argmax, rows_per_piece * y_row, |piece, y, argmax| {
        forward_rows(plan, piece * rows_per_piece, x, y, argmax);
    });
    Ok(())
}

per_level! {
    /// The output rows from `first_row` (counted through the batch) that `y` holds.
    fn forward_rows<'a>(plan: &'a Plan, first_row: usize, x: &'a [f32], y: &'a mut [f32], argmax: &'a mut [Argmax]) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
        let outputs = y_row / channels;
        for row in 0..y.len() / y_row {
            let (image, output_row) = ((first_row + row) / plan.rows.outputs(), (first_row + row) % plan.rows.outputs());
            let window_row = &plan.rows.windows[output_row];
            let image = &x[image * plan.rows.inputs() * x_row..][..plan.rows.inputs() * x_row];
            for output in 0..outputs {
                let start = row * y_row + output * channels;
                let window_column = &plan.columns.windows[output];
                let mut channel = 0;
                while channel < channels {
                    let lanes = BLOCK.min(channels - channel);
                    let mut best = [0.0; BLOCK];
                    let mut place = [0; BLOCK];
                    let mut first = true;
                    for (r, input_row) in window_row.inputs.clone().enumerate() {
                        for (c, input) in window_column.inputs.clone().enumerate() {
                            let from = input_row * x_row + input * channels + channel;
                            let tap = (r * plan.columns.widest + c) as u32;
                            for lane in 0..lanes {
                                let value = image[from + lane];
                                if first || value > best[lane] || value.is_nan() {
                                    best[lane] = value;
                                    place[lane] = tap;
                                }
                            }
                            first = false;
                        }
                    }
                    for lane in 0..lanes {
                        y[start + channel + lane] = best[lane];
                        argmax[start + channel + lane] = place[lane] as Argmax;
                    }
                    channel += lanes;
                }
            }
        }
    }
}

fn backward(
    operation: &'static str,
    plan: &Plan,
    dy: &[f32],
    argmax: &[Argmax],
    relu_output: Option<&[f32]>,
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    check_taps(operation, plan)?;
    plan.check_lens(operation, ["dx", "dy"], [dx.len(), dy.len()])?;
    ShapeError::check_len(operation, "argmax", dy.len(), argmax.len())?;
    if let Some(relu_output) = relu_output {
        ShapeError::check_len(operation, "relu_output", dy.len(), relu_output.len())?;
    }
    let [x_row, _] = plan.row_lens();
    let rows_per_piece = Plan::rows_per_piece(x_row);
    for_each_chunk_mut(dx, rows_per_piece * x_row, |piece, dx| {
        backward_rows(plan, piece * rows_per_piece, dy, argmax, relu_output, dx);
    });
    Ok(())
}

per_level! {
    /// The input rows from `first_row` (counted through the batch) that `dx` holds.
    fn backward_rows<'a>(
        plan: &'a Plan, first_row: usize, dy: &'a [f32], argmax: &'a [Argmax], relu_output: Option<&'a [f32]>,
        dx: &'a mut [f32],
    ) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
        let image_len = plan.rows.outputs() * y_row;
        dx.fill(0.0);
        for row in 0..dx.len() / x_row {
            let (image, input_row) = ((first_row + row) / plan.rows.inputs(), (first_row + row) % plan.rows.inputs());
            for input in 0..plan.columns.inputs() {
                let target = row * x_row + input * channels;
                for output_row in plan.rows.covering[input_row].clone() {
                    for output in plan.columns.covering[input].clone() {
                        let tap = (input_row - plan.rows.windows[output_row].inputs.start) * plan.columns.widest
                            + input - plan.columns.windows[output].inputs.start;
                        let from = image * image_len + output_row * y_row + output * channels;
                        for channel in 0..channels {
                            let passes = relu_output.is_none_or(|y| !(y[from + channel] <= 0.0));
                            if usize::from(argmax[from + channel]) == tap && passes {
                                dx[target + channel] += dy[from + channel];
                            }
                        }
                    }
                }
            }
        }
    }
}

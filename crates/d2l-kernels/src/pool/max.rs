//! Max pooling. NaN wins over every number (the last one of a window, as in PyTorch), the first of equal numbers wins.

use super::windows::Cover;
use super::{AdaptivePool2dShape, Argmax, Plan, Pool2dShape};
use crate::ShapeError;
use crate::par::for_each_chunk_mut;
use crate::pieces::{for_each_chunk_pair_mut, per_level};

/// The largest element of each window, and where it was.
///
/// # Errors
/// A shape that [`Pool2dShape::check`] refuses, slices of other lengths, windows of more than 65536 elements.
pub fn max_forward(
    shape: &Pool2dShape,
    x: &[f32],
    y: &mut [f32],
    argmax: &mut [Argmax],
) -> Result<(), ShapeError> {
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
    Err(ShapeError::new(
        operation,
        "windows of at most 65536 elements",
        format!("{taps}"),
    ))
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
    let rows_per_piece = plan.output_rows_per_piece();
    for_each_chunk_pair_mut(y, argmax, rows_per_piece * y_row, |piece, y, argmax| {
        forward_rows(plan, piece * rows_per_piece, x, y, argmax);
    });
    Ok(())
}

per_level! {
    fn forward_rows<'a>(plan: &'a Plan, first_row: usize, x: &'a [f32], y: &'a mut [f32], argmax: &'a mut [Argmax]) {
        // Longer blocks are not made vectors of.
        match plan.lanes() {
            8 => forward_blocks::<8>(plan, first_row, x, y, argmax),
            _ => forward_blocks::<16>(plan, first_row, x, y, argmax),
        }
    }
}

/// The output rows from `first_row` (counted through the batch) that `y` holds, `L` channels at a time.
///
/// The last block of a pixel's channels may spill over into the pixels behind it, which are written later: so long
/// as that stays inside the slices, it costs less than a shorter block.
#[inline(always)]
fn forward_blocks<const L: usize>(
    plan: &Plan,
    first_row: usize,
    x: &[f32],
    y: &mut [f32],
    argmax: &mut [Argmax],
) {
    let channels = plan.channels;
    let [x_row, y_row] = plan.row_lens();
    for row in 0..y.len() / y_row {
        let (image, output_row) = plan.rows.split_output(first_row + row);
        let image_start = image * plan.rows.inputs() * x_row;
        let window_row = plan.rows.windows[output_row].inputs.clone();
        for (output, window) in plan.columns.windows.iter().enumerate() {
            let window = Taps {
                start: image_start + window_row.start * x_row + window.inputs.start * channels,
                rows: window_row.len(),
                columns: window.inputs.len(),
                row_step: x_row,
                column_step: channels,
                row_taps: plan.columns.widest,
            };
            let start = row * y_row + output * channels;
            for channel in (0..channels).step_by(L) {
                let to = start + channel;
                if to + L <= y.len() && window.last() + channel + L <= x.len() {
                    let (best, place) = maximum::<L>(window, channel, x);
                    y[to..to + L].copy_from_slice(&best);
                    argmax[to..to + L].copy_from_slice(&place);
                } else {
                    for channel in channel..channels.min(channel + L) {
                        let (best, place) = maximum::<1>(window, channel, x);
                        (y[start + channel], argmax[start + channel]) = (best[0], place[0]);
                    }
                }
            }
        }
    }
}

/// The elements of one window, as positions in x.
#[derive(Clone, Copy)]
struct Taps {
    start: usize,
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
    row_taps: usize,
}

impl Taps {
    #[inline(always)]
    fn last(self) -> usize {
        self.start + (self.rows - 1) * self.row_step + (self.columns - 1) * self.column_step
    }
}

/// The maxima of `L` channels over a window, and their taps.
#[inline(always)]
fn maximum<const L: usize>(window: Taps, channel: usize, x: &[f32]) -> ([f32; L], [Argmax; L]) {
    let mut best = [f32::NEG_INFINITY; L];
    // A window of nothing but −∞ came from its first element.
    let mut place = [0u32; L];
    for row in 0..window.rows {
        for column in 0..window.columns {
            let from = window.start + row * window.row_step + column * window.column_step + channel;
            let values = &x[from..from + L];
            let tap = (row * window.row_taps + column) as u32;
            for lane in 0..L {
                let value = values[lane];
                let better = (value > best[lane]) | value.is_nan();
                best[lane] = if better { value } else { best[lane] };
                place[lane] = if better { tap } else { place[lane] };
            }
        }
    }
    (best, place.map(|tap| tap as Argmax))
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
    let rows_per_piece = plan.input_rows_per_piece();
    for_each_chunk_mut(dx, rows_per_piece * x_row, |piece, dx| {
        backward_rows(plan, piece * rows_per_piece, dy, argmax, relu_output, dx);
    });
    Ok(())
}

per_level! {
    fn backward_rows<'a>(
        plan: &'a Plan, first_row: usize, dy: &'a [f32], argmax: &'a [Argmax], relu_output: Option<&'a [f32]>,
        dx: &'a mut [f32],
    ) {
        // Without a ReLU any slice as long as dy will do: it is not looked at.
        match (relu_output, plan.lanes()) {
            (None, 8) => backward_blocks::<8, false>(plan, first_row, dy, argmax, dy, dx),
            (None, _) => backward_blocks::<16, false>(plan, first_row, dy, argmax, dy, dx),
            (Some(y), 8) => backward_blocks::<8, true>(plan, first_row, dy, argmax, y, dx),
            (Some(y), _) => backward_blocks::<16, true>(plan, first_row, dy, argmax, y, dx),
        }
    }
}

/// The input rows from `first_row` (counted through the batch) that `dx` holds, in blocks as [`forward_blocks`].
#[inline(always)]
fn backward_blocks<const L: usize, const RELU: bool>(
    plan: &Plan,
    first_row: usize,
    dy: &[f32],
    argmax: &[Argmax],
    y: &[f32],
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
                    let sum = gather::<L, RELU>(plan, rows, columns, [dy, y], argmax, from);
                    dx[to..to + L].copy_from_slice(&sum);
                } else {
                    for lane in 0..L.min(channels - channel) {
                        [dx[to + lane]] =
                            gather::<1, RELU>(plan, rows, columns, [dy, y], argmax, from + lane);
                    }
                }
            }
        }
    }
}

/// The sum of `L` channels of dy over the windows that chose the input which `rows` and `columns` cover.
#[inline(always)]
fn gather<const L: usize, const RELU: bool>(
    plan: &Plan,
    rows: &[Cover],
    columns: &[Cover],
    [dy, y]: [&[f32]; 2],
    argmax: &[Argmax],
    start: usize,
) -> [f32; L] {
    let [_, y_row] = plan.row_lens();
    let mut sum = [0.0; L];
    for row in rows {
        for column in columns {
            let tap = (row.tap * plan.columns.widest + column.tap) as Argmax;
            let from = start + row.output * y_row + column.output * plan.channels;
            let (dy, argmax): ([f32; L], [Argmax; L]) = (block(dy, from), block(argmax, from));
            // Masks of 32 bits rather than conditions: the compiler makes vectors of the former only.
            let mut mask = argmax.map(|place| u32::from(place == tap).wrapping_neg());
            if RELU {
                let y: [f32; L] = block(y, from);
                for lane in 0..L {
                    mask[lane] &= u32::from((y[lane] > 0.0) | y[lane].is_nan()).wrapping_neg();
                }
            }
            for lane in 0..L {
                sum[lane] += f32::from_bits(dy[lane].to_bits() & mask[lane]);
            }
        }
    }
    sum
}

/// `L` elements from `from` on.
#[inline(always)]
fn block<T: Copy + Default, const L: usize>(values: &[T], from: usize) -> [T; L] {
    let mut block = [T::default(); L];
    block.copy_from_slice(&values[from..from + L]);
    block
}

//! Max pooling. NaN wins over every number (the last one of a window, as in PyTorch), the first of equal numbers wins.

use super::pixel::{Pixel, Sources, Tap, Taps, compute};
use super::{AdaptivePool2dShape, Argmax, Plan, Pool2dShape};
use crate::ShapeError;
use crate::arch::{Simd, Vector};
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
    /// The output rows from `first_row` (counted through the batch) that `y` holds.
    fn forward_rows<'a>(plan: &'a Plan, first_row: usize, x: &'a [f32], y: &'a mut [f32], argmax: &'a mut [Argmax]) {
        let channels = plan.channels;
        let [x_row, y_row] = plan.row_lens();
        let mut taps = Taps::new();
        for row in 0..y.len() / y_row {
            let (image, output_row) = plan.rows.split_output(first_row + row);
            let window_row = &plan.rows.windows[output_row];
            let first = image * plan.rows.inputs() * x_row + window_row.inputs.start * x_row;
            for (output, window) in plan.columns.windows.iter().enumerate() {
                let taps = taps.of(plan, window_row, window);
                let last = taps.last().map_or(0, |tap| tap.offset);
                let (from, to) = (first + window.inputs.start * channels, row * y_row + output * channels);
                let (x, y, argmax) = (&x[from..], &mut y[to..], &mut argmax[to..]);
                assert!(x.len() >= last + channels && y.len() >= channels && argmax.len() >= channels);
                let room = (x.len() - last).min(y.len()).min(argmax.len());
                let (x, y, argmax) = (x.as_ptr(), y.as_mut_ptr(), argmax.as_mut_ptr());
                // SAFETY: below `room`, channels lie inside x at every tap, y and argmax.
                unsafe { compute::<S>(&Largest { x, taps, y, argmax }, channels, room) };
            }
        }
    }
}

/// The maximum over a window.
struct Largest<'a> {
    /// The window's first element.
    x: *const f32,
    taps: &'a [Tap],
    y: *mut f32,
    argmax: *mut Argmax,
}

impl Pixel for Largest<'_> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, channel: usize) {
        // A window of nothing but −∞ came from its first element.
        let mut best = [(S::Vector::splat(f32::NEG_INFINITY), S::Vector::splat(0.0)); N];
        for tap in self.taps {
            let place = S::Vector::splat(f32::from(tap.number));
            for (index, best) in best.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let value = unsafe { S::Vector::load(self.x.add(tap.offset + channel + index * S::LANES)) };
                *best = S::Vector::larger(*best, value, place);
            }
        }
        for (index, (largest, place)) in best.into_iter().enumerate() {
            let channel = channel + index * S::LANES;
            // SAFETY: the caller's promise.
            unsafe {
                largest.store(self.y.add(channel));
                place.store_u16(self.argmax.add(channel));
            }
        }
    }

    #[inline(always)]
    unsafe fn single(&self, channel: usize) {
        let mut best = (f32::NEG_INFINITY, 0);
        for tap in self.taps {
            // SAFETY: the caller's promise.
            let value = unsafe { *self.x.add(tap.offset + channel) };
            if value > best.0 || value.is_nan() {
                best = (value, tap.number);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { (*self.y.add(channel), *self.argmax.add(channel)) = best };
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
        match relu_output {
            None => backward_pixels::<S, false>(plan, first_row, dy, argmax, dy, dx),
            Some(y) => backward_pixels::<S, true>(plan, first_row, dy, argmax, y, dx),
        }
    }
}

/// The input rows from `first_row` (counted through the batch) that `dx` holds.
#[inline(always)]
fn backward_pixels<S: Simd, const RELU: bool>(
    plan: &Plan,
    first_row: usize,
    dy: &[f32],
    argmax: &[Argmax],
    y: &[f32],
    dx: &mut [f32],
) {
    let channels = plan.channels;
    let [x_row, y_row] = plan.row_lens();
    let image_len = plan.rows.outputs() * y_row;
    for row in 0..dx.len() / x_row {
        let (image, input_row) = plan.rows.split_input(first_row + row);
        let rows = plan.rows.covering(input_row);
        let start = image * image_len;
        let (dy, argmax, y) = (&dy[start..], &argmax[start..], &y[start..]);
        for input in 0..plan.columns.inputs() {
            let sources = plan.sources(rows, plan.columns.covering(input));
            let last = sources.last();
            let dx = &mut dx[row * x_row + input * channels..];
            let readable = dy.len().min(argmax.len()).min(y.len());
            assert!(readable >= last + channels && dx.len() >= channels);
            let room = (readable - last).min(dx.len());
            let chosen = Chosen::<RELU> {
                dy: dy.as_ptr(),
                argmax: argmax.as_ptr(),
                y: y.as_ptr(),
                sources,
                dx: dx.as_mut_ptr(),
            };
            // SAFETY: below `room`, channels lie inside dx, and inside the others at every source.
            unsafe { compute::<S>(&chosen, channels, room) };
        }
    }
}

/// The sum of dy over the outputs that chose an input.
struct Chosen<'a, const RELU: bool> {
    dy: *const f32,
    argmax: *const Argmax,
    y: *const f32,
    sources: Sources<'a>,
    dx: *mut f32,
}

impl<const RELU: bool> Pixel for Chosen<'_, RELU> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, channel: usize) {
        let mut sums = [S::Vector::splat(0.0); N];
        for row in self.sources.rows {
            for column in self.sources.columns {
                let (pixel, number) = self.sources.output(row, column);
                for (index, sum) in sums.iter_mut().enumerate() {
                    let from = pixel * self.sources.channels + channel + index * S::LANES;
                    // SAFETY: the caller's promise.
                    unsafe {
                        let mut dy = S::Vector::load(self.dy.add(from));
                        if RELU {
                            dy = dy.where_positive(S::Vector::load(self.y.add(from)));
                        }
                        *sum = sum.add_where(dy, self.argmax.add(from), number);
                    }
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
                let (pixel, number) = self.sources.output(row, column);
                let from = pixel * self.sources.channels + channel;
                // SAFETY: the caller's promise.
                let (dy, place, y) =
                    unsafe { (*self.dy.add(from), *self.argmax.add(from), *self.y.add(from)) };
                let passes = !RELU || y > 0.0 || y.is_nan();
                sum += if passes && place == number { dy } else { 0.0 };
            }
        }
        // SAFETY: the caller's promise.
        unsafe { *self.dx.add(channel) = sum };
    }
}

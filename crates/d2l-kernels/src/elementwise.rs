//! Sums of equally long slices, with the ReLU that follows where a block's input is added to its output.
//!
//! The gradient of the ReLU alone is [`activation::backward_in_place`](crate::activation::backward_in_place).

pub mod naive;
#[cfg(test)]
mod tests;

use crate::ShapeError;
use crate::par::for_each_chunk_mut;
use crate::pieces::{ELEMENTS, per_level};

/// `y = a + b`.
///
/// # Errors
/// Slices of different lengths.
pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "elementwise::add";
    ShapeError::check_len(NAME, "a", y.len(), a.len())?;
    ShapeError::check_len(NAME, "b", y.len(), b.len())?;
    for_each_chunk_mut(y, ELEMENTS, |piece, y| {
        let range = piece * ELEMENTS..piece * ELEMENTS + y.len();
        sum(&a[range.clone()], &b[range], y);
    });
    Ok(())
}

/// `y = max(a + b, 0)`; NaN stays NaN.
///
/// # Errors
/// Slices of different lengths.
pub fn add_relu(a: &[f32], b: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "elementwise::add_relu";
    ShapeError::check_len(NAME, "a", y.len(), a.len())?;
    ShapeError::check_len(NAME, "b", y.len(), b.len())?;
    for_each_chunk_mut(y, ELEMENTS, |piece, y| {
        let range = piece * ELEMENTS..piece * ELEMENTS + y.len();
        sum_relu(&a[range.clone()], &b[range], y);
    });
    Ok(())
}

/// `y += x`.
///
/// # Errors
/// Slices of different lengths.
pub fn add_assign(y: &mut [f32], x: &[f32]) -> Result<(), ShapeError> {
    ShapeError::check_len("elementwise::add_assign", "x", y.len(), x.len())?;
    for_each_chunk_mut(y, ELEMENTS, |piece, y| {
        accumulate(&x[piece * ELEMENTS..][..y.len()], y);
    });
    Ok(())
}

/// `y = max(y + x, 0)`; NaN stays NaN.
///
/// # Errors
/// Slices of different lengths.
pub fn add_relu_assign(y: &mut [f32], x: &[f32]) -> Result<(), ShapeError> {
    ShapeError::check_len("elementwise::add_relu_assign", "x", y.len(), x.len())?;
    for_each_chunk_mut(y, ELEMENTS, |piece, y| {
        accumulate_relu(&x[piece * ELEMENTS..][..y.len()], y);
    });
    Ok(())
}

per_level! {
    fn sum<'a>(a: &'a [f32], b: &'a [f32], y: &'a mut [f32]) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = a + b;
        }
    }
}

per_level! {
    fn sum_relu<'a>(a: &'a [f32], b: &'a [f32], y: &'a mut [f32]) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
            let sum = a + b;
            *y = if sum <= 0.0 { 0.0 } else { sum };
        }
    }
}

per_level! {
    /// `y += x`.
    fn accumulate<'a>(x: &'a [f32], y: &'a mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

per_level! {
    /// `y = max(y + x, 0)`.
    fn accumulate_relu<'a>(x: &'a [f32], y: &'a mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            let sum = *y + x;
            *y = if sum <= 0.0 { 0.0 } else { sum };
        }
    }
}

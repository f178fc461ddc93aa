//! Matrix product.

pub mod naive;

use crate::ShapeError;
use crate::error::checked_product;

/// `c[m][n] = a · b`, where `a` is `[m][k]` and `b` is `[k][n]`, or their transposes as they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulShape {
    /// Rows of `c`.
    pub m: usize,
    /// Length of the sums.
    pub k: usize,
    /// Columns of `c`.
    pub n: usize,
    /// Whether `a` is stored as `[k][m]`.
    pub transpose_a: bool,
    /// Whether `b` is stored as `[n][k]`.
    pub transpose_b: bool,
}

impl MatmulShape {
    fn check(&self, operation: &'static str, a: &[f32], b: &[f32], c: &[f32]) -> Result<(), ShapeError> {
        ShapeError::check_len(
            operation,
            "a",
            checked_product(operation, &[self.m, self.k])?,
            a.len(),
        )?;
        ShapeError::check_len(
            operation,
            "b",
            checked_product(operation, &[self.k, self.n])?,
            b.len(),
        )?;
        ShapeError::check_len(
            operation,
            "c",
            checked_product(operation, &[self.m, self.n])?,
            c.len(),
        )
    }
}

/// `c = a · b`. A sum over `k = 0` terms is zero.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn matmul(shape: &MatmulShape, a: &[f32], b: &[f32], c: &mut [f32]) -> Result<(), ShapeError> {
    shape.check("matmul", a, b, c)?;
    naive::matmul(shape, a, b, c);
    Ok(())
}

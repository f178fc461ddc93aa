//! Matrix product: our own micro-kernel where a side is small, the gemm crate elsewhere.

mod blocked;
pub mod naive;
mod product;
#[cfg(test)]
mod tests;

use crate::error::checked_product;
use crate::{ScratchNeed, ShapeError};
use product::{Matrix, Product};

/// `c[m][n] = a · b`, where `a` is `[m][k]` and `b` is `[k][n]`, or their transposes as they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// `c = a · b`. A sum over `k = 0` terms is zero.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn matmul(shape: &MatmulShape, a: &[f32], b: &[f32], c: &mut [f32]) -> Result<(), ShapeError> {
    const OPERATION: &str = "matmul";
    let MatmulShape { m, k, n, .. } = *shape;
    ShapeError::check_len(OPERATION, "a", checked_product(OPERATION, &[m, k])?, a.len())?;
    ShapeError::check_len(OPERATION, "b", checked_product(OPERATION, &[k, n])?, b.len())?;
    ShapeError::check_len(OPERATION, "c", checked_product(OPERATION, &[m, n])?, c.len())?;
    matmul_bias_relu(shape, a, b, None, false, c);
    Ok(())
}

/// `c = a · b + bias`, then `max(c, 0)` if `relu`. The slices have the lengths of the shape, the bias has `n`.
pub(crate) fn matmul_bias_relu(
    shape: &MatmulShape,
    a: &[f32],
    b: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    c: &mut [f32],
) {
    let MatmulShape { m, k, n, .. } = *shape;
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        c.fill(0.0);
        add_bias_relu(n, bias, relu, c);
        return;
    }
    let product = shape.product(a, b, bias, relu);
    if shape.is_skinny() {
        product.run(c);
    } else {
        blocked::run(&product, c);
        add_bias_relu(n, bias, relu, c);
    }
}

/// The scratch memory of a product, but for what the gemm crate takes by itself where no side is small.
pub fn scratch(shape: &MatmulShape) -> ScratchNeed {
    if shape.m.min(shape.k).min(shape.n) == 0 || !shape.is_skinny() {
        return ScratchNeed::default();
    }
    shape.product(&[], &[], None, false).scratch()
}

impl MatmulShape {
    fn is_skinny(&self) -> bool {
        self.m.min(self.n).min(self.k) <= SKINNY
    }

    fn product<'a>(&self, a: &'a [f32], b: &'a [f32], bias: Option<&'a [f32]>, relu: bool) -> Product<'a> {
        let Self { m, k, n, .. } = *self;
        let matrix = |data, transposed: bool, rows: usize, columns: usize| {
            let (row_pitch, column_pitch) = if transposed { (1, rows) } else { (columns, 1) };
            Matrix {
                data,
                row_pitch,
                column_pitch,
            }
        };
        Product {
            m,
            k,
            n,
            a: matrix(a, self.transpose_a, m, k),
            b: matrix(b, self.transpose_b, k, n),
            bias,
            relu,
        }
    }
}

/// Up to this size of the smallest side our own product is the faster one.
const SKINNY: usize = 256;

fn add_bias_relu(n: usize, bias: Option<&[f32]>, relu: bool, c: &mut [f32]) {
    if bias.is_none() && !relu {
        return;
    }
    let rows = (16 << 10) / n + 1;
    crate::par::for_each_chunk_mut(c, rows * n, |_, rows| {
        for row in rows.chunks_exact_mut(n) {
            if let Some(bias) = bias {
                row.iter_mut().zip(bias).for_each(|(c, bias)| *c += bias);
            }
            if relu {
                row.iter_mut().for_each(|c| *c = if *c < 0.0 { 0.0 } else { *c });
            }
        }
    });
}

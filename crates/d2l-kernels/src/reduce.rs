//! Sums over the rows of a matrix, in fixed pieces and a fixed order.

use crate::arch::{Kernel, Simd, dispatch};
use crate::par::{SendPtr, for_each_piece};
use crate::scratch;

/// Rows a piece sums, at least; more where the matrix is so tall that there would be over [`MAX_PIECES`].
const MIN_ROWS: usize = 256;
const MAX_PIECES: usize = 64;

/// Rows whose sum is formed before it is added to the piece's: bounds the error of long sums.
const INNER_ROWS: usize = 64;

/// `sums[column] = Σ over rows of matrix[row][column]`.
pub(crate) fn sum_rows(columns: usize, matrix: &[f32], sums: &mut [f32]) {
    debug_assert_eq!(sums.len(), columns);
    sums.fill(0.0);
    if matrix.is_empty() {
        return;
    }
    let rows = matrix.len() / columns;
    let piece_rows = rows.div_ceil(MAX_PIECES).max(MIN_ROWS);
    let pieces = rows.div_ceil(piece_rows);
    scratch::with((pieces + pieces) * columns, |buffer| {
        let (partial, inner) = buffer.split_at_mut(pieces * columns);
        let (partial_ptr, inner_ptr) = (SendPtr::new(partial), SendPtr::new(inner));
        for_each_piece(pieces, |piece| {
            let rows = &matrix[piece * piece_rows * columns..];
            let rows = &rows[..rows.len().min(piece_rows * columns)];
            // SAFETY: each piece has its own row of both buffers.
            let (sums, inner) = unsafe {
                (
                    partial_ptr.slice(piece * columns, columns),
                    inner_ptr.slice(piece * columns, columns),
                )
            };
            sums.fill(0.0);
            for block in rows.chunks(INNER_ROWS * columns) {
                inner.fill(0.0);
                dispatch(AddRows {
                    rows: block,
                    sums: inner,
                });
                dispatch(AddRows { rows: inner, sums });
            }
        });
        dispatch(AddRows { rows: partial, sums });
    });
}

/// Adds every row to `sums`.
struct AddRows<'a> {
    rows: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for AddRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for row in self.rows.chunks_exact(self.sums.len()) {
            for (sum, value) in self.sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

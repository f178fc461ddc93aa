//! The gemm crate on fixed blocks of the result, each computed by one thread.

use super::product::{Matrix, Product};
use crate::par::{SendPtr, for_each_piece};

/// Sides of a block: large enough that gemm's own packing is a small part, small enough to share among threads.
const BLOCK_ROWS: usize = 256;
const BLOCK_COLUMNS: usize = 512;

/// `c = a · b`, without bias and ReLU.
pub(super) fn run(product: &Product, c: &mut [f32]) {
    let Product { m, k, n, a, b, .. } = *product;
    let (row_blocks, column_blocks) = (m.div_ceil(BLOCK_ROWS), n.div_ceil(BLOCK_COLUMNS));
    let c = SendPtr::new(c);
    for_each_piece(row_blocks * column_blocks, |piece| {
        let (row, column) = (
            piece / column_blocks * BLOCK_ROWS,
            piece % column_blocks * BLOCK_COLUMNS,
        );
        let at = |matrix: &Matrix, row: usize, column: usize| {
            matrix.data[row * matrix.row_pitch + column * matrix.column_pitch..].as_ptr()
        };
        // SAFETY: the block lies in the matrices, whose pitches and sizes are those of their slices; blocks of `c`
        // are disjoint.
        unsafe {
            gemm::gemm(
                BLOCK_ROWS.min(m - row),
                BLOCK_COLUMNS.min(n - column),
                k,
                c.get().add(row * n + column),
                1,
                n as isize,
                false,
                at(&a, row, 0),
                a.column_pitch as isize,
                a.row_pitch as isize,
                at(&b, 0, column),
                b.column_pitch as isize,
                b.row_pitch as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    });
}

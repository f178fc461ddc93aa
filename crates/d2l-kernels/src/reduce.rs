//! Sums over the rows of a matrix, in fixed pieces and a fixed order.
//!
//! Rows of few columns are read several at a time, so that they fill vectors; the sums are folded afterwards.

use crate::par::{SendPtr, for_each_piece};
use crate::pieces::per_level;
use crate::scratch::{self, ScratchNeed};

/// Rows a piece sums, at least; more where the matrix is so tall that there would be over [`MAX_PIECES`].
const MIN_ROWS: usize = 256;
const MAX_PIECES: usize = 64;

/// Columns that are read at a time, at least.
const MIN_COLUMNS: usize = 64;

/// Wide rows whose sum is formed before it is added to the piece's: bounds the error of long sums.
const INNER_ROWS: usize = 64;

/// `sums[column] = Σ over rows of matrix[row][column]`.
pub(crate) fn sum_rows(columns: usize, matrix: &[f32], sums: &mut [f32]) {
    sum_blocks(columns, matrix.len(), sums, |start, len, sums| {
        add_rows(&matrix[start..start + len], sums);
    });
}

/// Sets `matrix` to zero where `mask` is not above zero (NaN counts as above), then sums its rows.
pub(crate) fn mask_and_sum_rows(columns: usize, mask: &[f32], matrix: &mut [f32], sums: &mut [f32]) {
    assert_eq!(mask.len(), matrix.len(), "slices of different lengths");
    let len = matrix.len();
    let matrix = SendPtr::new(matrix);
    sum_blocks(columns, len, sums, |start, len, sums| {
        // SAFETY: blocks are disjoint ranges of the matrix, which stays borrowed until all are done.
        let matrix = unsafe { matrix.slice(start, len) };
        mask_and_add_rows(&mask[start..start + len], matrix, sums);
    });
}

/// The scratch memory of a sum over the rows of a matrix of `len` elements.
pub(crate) fn scratch(columns: usize, len: usize) -> ScratchNeed {
    if columns == 0 || len == 0 {
        return ScratchNeed::default();
    }
    let Cut { wide, pieces, .. } = Cut::new(columns, len);
    ScratchNeed::new(&[pieces * (columns + wide)], &[])
}

/// How a matrix is cut.
struct Cut {
    /// Columns that are read at a time: several rows of few.
    wide: usize,
    /// Elements that are summed before they are added to the piece's sum.
    block: usize,
    /// Elements of a piece.
    piece_len: usize,
    pieces: usize,
}

impl Cut {
    fn new(columns: usize, len: usize) -> Self {
        let wide = columns * MIN_COLUMNS.div_ceil(columns);
        let block = INNER_ROWS * wide;
        let piece_rows = (len / columns).div_ceil(MAX_PIECES).max(MIN_ROWS);
        // Whole blocks, so that pieces differ in nothing but where they start.
        let piece_len = (piece_rows * columns).next_multiple_of(block);
        Self {
            wide,
            block,
            piece_len,
            pieces: len.div_ceil(piece_len),
        }
    }
}

/// Sums a matrix of `len` elements. `add(start, len, wide)` adds the elements from `start` on, which are whole rows,
/// to the columns of `wide`; it is called once for each block of the matrix.
fn sum_blocks(columns: usize, len: usize, sums: &mut [f32], add: impl Fn(usize, usize, &mut [f32]) + Sync) {
    debug_assert_eq!(sums.len(), columns);
    sums.fill(0.0);
    if len == 0 {
        return;
    }
    let Cut {
        wide,
        block,
        piece_len,
        pieces,
    } = Cut::new(columns, len);
    scratch::with(pieces * (columns + wide), |buffer| {
        let (partial, inner) = buffer.split_at_mut(pieces * columns);
        let (partial_ptr, inner_ptr) = (SendPtr::new(partial), SendPtr::new(inner));
        for_each_piece(pieces, |piece| {
            // SAFETY: each piece has its own row of both buffers.
            let (sums, inner) = unsafe {
                (
                    partial_ptr.slice(piece * columns, columns),
                    inner_ptr.slice(piece * wide, wide),
                )
            };
            sums.fill(0.0);
            let end = len.min((piece + 1) * piece_len);
            for start in (piece * piece_len..end).step_by(block) {
                inner.fill(0.0);
                add(start, block.min(end - start), inner);
                add_rows(inner, sums);
            }
        });
        add_rows(partial, sums);
    });
}

per_level! {
    /// Adds every row to `sums`; the last one may be shorter.
    fn add_rows<'a>(rows: &'a [f32], sums: &'a mut [f32]) {
        for row in rows.chunks(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

per_level! {
    /// [`add_rows`] of what is left of `rows` where `mask` is above zero.
    fn mask_and_add_rows<'a>(mask: &'a [f32], rows: &'a mut [f32], sums: &'a mut [f32]) {
        for (row, mask) in rows.chunks_mut(sums.len()).zip(mask.chunks(sums.len())) {
            for (sum, (value, &mask)) in sums.iter_mut().zip(row.iter_mut().zip(mask)) {
                let kept = if mask <= 0.0 { 0.0 } else { *value };
                *value = kept;
                *sum += kept;
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! How the loops run over a matrix: down the rows, a block of columns at a time, with the block's sums and per-channel
//! numbers in registers.
//!
//! Per-channel numbers are repeated until they fill whole vectors, and as many rows are read side by side: a matrix of
//! few channels then runs in full vectors too. The last of these wide rows may be shorter; the repetition still lines
//! up with it.

use crate::arch::Simd;
use std::ops::Range;

/// Columns of the wide rows, at least.
const MIN_COLUMNS: usize = 64;
/// Columns beyond which wide rows need not be whole vectors: the repeated numbers must stay in the cache.
const MAX_COLUMNS: usize = 4096;
/// Floats of a longest vector.
const LANES: usize = 16;

/// Elements of a block of rows: few, so that a block of rows that are a power of two apart does not fight for the same
/// lines of the cache.
const BLOCK: usize = 1024;
/// Elements of a matrix that no cache holds.
const UNCACHED: usize = 2 << 20;

/// How a matrix is walked over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Columns of a wide row: whole rows, and whole vectors unless that takes too many.
    pub(super) columns: usize,
    /// Rows of a block, down which columns are walked.
    rows: usize,
}

impl Order {
    /// The order for a matrix of `len` elements.
    pub(super) fn new(channels: usize, len: usize) -> Self {
        let columns = wide_columns(channels);
        // Down several rows, the sums and the per-channel numbers are loaded less often. But from memory it is faster
        // to read in order.
        let rows = if len < UNCACHED || columns <= MIN_COLUMNS {
            (BLOCK / columns).max(1)
        } else {
            1
        };
        Self { columns, rows }
    }
}

fn wide_columns(channels: usize) -> usize {
    // The powers of two that channels and vector share.
    let shared = 1 << channels.trailing_zeros().min(LANES.trailing_zeros());
    let vectors = channels * (LANES / shared);
    let unit = if vectors <= MAX_COLUMNS { vectors } else { channels };
    unit * MIN_COLUMNS.div_ceil(unit)
}

/// `values`, repeated to a wide row.
pub(super) fn widen(values: &[f32]) -> Vec<f32> {
    values.repeat(wide_columns(values.len()) / values.len())
}

/// A loop down some columns.
pub(super) trait Columns {
    /// Treats `N` vectors of columns from `column` on, in the wide rows `rows`; of the last vector only `count`
    /// columns. Sums are added to what is there.
    ///
    /// # Safety
    /// These columns must lie inside the slices in all of these rows, and inside the per-channel numbers.
    unsafe fn vectors<S: Simd, const N: usize>(&self, column: usize, rows: Range<usize>, count: usize);
}

/// Runs `loops` over the first `len` elements of a matrix.
///
/// # Safety
/// `len` elements must lie inside the slices, a wide row inside the per-channel numbers.
#[inline(always)]
pub(super) unsafe fn walk<S: Simd>(order: Order, len: usize, loops: &impl Columns) {
    let columns = order.columns;
    let rows = len / columns;
    for first in (0..rows).step_by(order.rows) {
        // SAFETY: whole rows below `len`.
        unsafe { across::<S>(columns, first..rows.min(first + order.rows), loops) };
    }
    // SAFETY: what is left is the start of one more row.
    unsafe { across::<S>(len % columns, rows..rows + 1, loops) };
}

/// The first `columns` of `rows`.
///
/// # Safety
/// See [`walk`].
#[inline(always)]
unsafe fn across<S: Simd>(columns: usize, rows: Range<usize>, loops: &impl Columns) {
    let mut column = 0;
    // AVX-512 has registers for four vectors with all that belongs to them.
    while S::LANES == 16 && column + 4 * S::LANES <= columns {
        // SAFETY: these columns are below `columns`.
        unsafe { loops.vectors::<S, 4>(column, rows.clone(), S::LANES) };
        column += 4 * S::LANES;
    }
    while column + 2 * S::LANES <= columns {
        // SAFETY: as above.
        unsafe { loops.vectors::<S, 2>(column, rows.clone(), S::LANES) };
        column += 2 * S::LANES;
    }
    if column + S::LANES <= columns {
        // SAFETY: as above.
        unsafe { loops.vectors::<S, 1>(column, rows.clone(), S::LANES) };
        column += S::LANES;
    }
    if column < columns {
        // SAFETY: as above.
        unsafe { loops.vectors::<S, 1>(column, rows, columns - column) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_rows_are_whole_rows_and_mostly_whole_vectors() {
        for channels in 1..600 {
            let columns = wide_columns(channels);
            assert!(columns.is_multiple_of(channels) && columns >= MIN_COLUMNS);
            assert!(
                columns.is_multiple_of(LANES) || channels * LANES > MAX_COLUMNS,
                "{channels}"
            );
        }
        assert_eq!([64, 160, 6, 1].map(wide_columns), [64, 160, 96, 64]);
    }
}

//! Packing: copying a matrix into panels that the micro-kernel reads straight through.

use super::Panel;
use crate::arch::prefetch;

/// Packs `steps` rows of the panel's columns: `target[step][j] = source[step · pitch + panel.first + j]`, zero past
/// the panel's last column.
///
/// `target` holds `steps * panel.width` floats.
#[inline]
pub(crate) fn pack_rows(panel: &Panel, steps: usize, source: &[f32], pitch: usize, target: &mut [f32]) {
    let target = &mut target[..steps * panel.width];
    if panel.columns < panel.width {
        target.fill(0.0);
    }
    for (step, row) in target.chunks_exact_mut(panel.width).enumerate() {
        row[..panel.columns].copy_from_slice(&source[step * pitch + panel.first..][..panel.columns]);
    }
}

/// [`pack_rows`] of neighbouring panels, each at its own place in `target`: `source` starts at the first one's first
/// column. Reads rows from end to end, and asks memory for those ahead: the processor foresees no jump to a next row.
///
/// `target` holds `steps` times the width of all panels.
#[inline]
pub(crate) fn pack_wide_rows(
    panels: impl Iterator<Item = Panel> + Clone,
    steps: usize,
    source: &[f32],
    pitch: usize,
    target: &mut [f32],
) {
    /// Rows from the one that is copied to the one that is asked for.
    const AHEAD: usize = 8;
    const LINE: usize = 16;
    for step in 0..steps {
        let row = &source[step * pitch..];
        let ahead = row.as_ptr().wrapping_add(AHEAD * pitch);
        for panel in panels.clone() {
            for column in (0..panel.width).step_by(LINE) {
                prefetch(ahead.wrapping_add(panel.first + column));
            }
            let target = &mut target[panel.first * steps + step * panel.width..][..panel.width];
            let source = &row[panel.first..][..panel.columns];
            if let (Ok(target), Ok(source)) = (
                <&mut [f32; 32]>::try_from(&mut *target),
                <&[f32; 32]>::try_from(source),
            ) {
                *target = *source;
                continue;
            }
            let (columns, padding) = target.split_at_mut(panel.columns);
            columns.copy_from_slice(source);
            padding.fill(0.0);
        }
    }
}

/// Packs the transpose: `target[step][j] = source[(panel.first + j) · pitch + step]`, zero past the panel's last
/// column.
///
/// `target` holds `steps * panel.width` floats.
#[inline]
pub(crate) fn pack_transposed(panel: &Panel, steps: usize, source: &[f32], pitch: usize, target: &mut [f32]) {
    /// Steps per block: a cache line of every source row, whose target rows stay in the first-level cache.
    const BLOCK: usize = 16;
    let target = &mut target[..steps * panel.width];
    if panel.columns < panel.width {
        target.fill(0.0);
    }
    for (index, block) in target.chunks_mut(BLOCK * panel.width).enumerate() {
        let first_step = index * BLOCK;
        for column in 0..panel.columns {
            let source = &source[(panel.first + column) * pitch + first_step..];
            for (row, value) in block.chunks_exact_mut(panel.width).zip(source) {
                row[column] = *value;
            }
        }
    }
}

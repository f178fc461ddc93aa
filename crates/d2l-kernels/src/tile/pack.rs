//! Packing: copying a matrix into panels that the micro-kernel reads straight through.

use super::Panel;

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

//! One pixel at a time: which elements it is computed from, and its channels in blocks of registers.

use super::Plan;
use super::windows::{Cover, Window};
use crate::arch::Simd;

/// An element of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Floats from the window's first element.
    pub(super) offset: usize,
    /// Its number, as [`Argmax`](super::Argmax) counts.
    pub(super) number: u16,
}

/// The elements of the window that was asked for last.
pub(super) struct Taps {
    taps: Vec<Tap>,
    size: [usize; 2],
}

impl Taps {
    pub(super) fn new() -> Self {
        Self {
            taps: Vec::new(),
            size: [0; 2],
        }
    }

    /// The elements of a window, row by row. Most windows are of one size, for which nothing is computed again.
    #[inline(always)]
    pub(super) fn of(&mut self, plan: &Plan, row: &Window, column: &Window) -> &[Tap] {
        let size = [row.inputs.len(), column.inputs.len()];
        if size != self.size {
            let [x_row, _] = plan.row_lens();
            let tap = |row: usize, column: usize| Tap {
                offset: row * x_row + column * plan.channels,
                number: (row * plan.columns.widest + column) as u16,
            };
            self.taps.clear();
            for row in 0..size[0] {
                self.taps.extend((0..size[1]).map(|column| tap(row, column)));
            }
            self.size = size;
        }
        &self.taps
    }
}

/// The outputs whose windows hold an input: those of `rows` times those of `columns`.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) rows: &'a [Cover],
    pub(super) columns: &'a [Cover],
    /// Outputs of a row.
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Columns of the widest window, by which taps are numbered.
    pub(super) row_taps: usize,
}

impl Sources<'_> {
    /// An output's pixel in its image, and the input's number in its window.
    #[inline(always)]
    pub(super) fn output(&self, row: &Cover, column: &Cover) -> (usize, u16) {
        let number = row.tap * self.row_taps + column.tap;
        (row.output * self.width + column.output, number as u16)
    }

    /// Floats from the image's first output to the last of these; 0 if there is none.
    #[inline(always)]
    pub(super) fn last(&self) -> usize {
        match (self.rows.last(), self.columns.last()) {
            (Some(row), Some(column)) => (row.output * self.width + column.output) * self.channels,
            _ => 0,
        }
    }
}

/// A computation that treats the channels of a pixel alike.
pub(super) trait Pixel {
    /// Computes `N` vectors of channels from `channel` on.
    ///
    /// # Safety
    /// All that is read and written for these channels must lie inside its slice.
    unsafe fn vectors<S: Simd, const N: usize>(&self, channel: usize);

    /// Computes one channel.
    ///
    /// # Safety
    /// As [`vectors`](Self::vectors).
    unsafe fn single(&self, channel: usize);
}

/// Computes all `channels` of a pixel.
///
/// The last vector may spill over into the pixels behind, which are computed later; `room` is the number of floats
/// from the pixel's first channel to the end of the shortest of the slices.
///
/// # Safety
/// All that is read and written for channels below `channels` and below `room` must lie inside its slice.
#[inline(always)]
pub(super) unsafe fn compute<S: Simd>(pixel: &impl Pixel, channels: usize, room: usize) {
    if channels <= S::Short::LANES {
        // SAFETY: the caller's promise.
        return unsafe { rest::<S::Short>(pixel, 0, channels, room) };
    }
    let mut channel = 0;
    while channel + 4 * S::LANES <= channels {
        // SAFETY: the channels that are computed are below `channels`.
        unsafe { pixel.vectors::<S, 4>(channel) };
        channel += 4 * S::LANES;
    }
    if channel + 2 * S::LANES <= channels {
        // SAFETY: as above.
        unsafe { pixel.vectors::<S, 2>(channel) };
        channel += 2 * S::LANES;
    }
    // SAFETY: the caller's promise.
    unsafe { rest::<S>(pixel, channel, channels, room) };
}

/// The channels from `channel` on, in single vectors.
///
/// # Safety
/// As [`compute`].
#[inline(always)]
unsafe fn rest<S: Simd>(pixel: &impl Pixel, mut channel: usize, channels: usize, room: usize) {
    while channel < channels {
        if channel + S::LANES <= channels.max(room) {
            // SAFETY: the channels that are computed are below `channels` or `room`.
            unsafe { pixel.vectors::<S, 1>(channel) };
            channel += S::LANES;
        } else {
            // SAFETY: as above.
            unsafe { pixel.single(channel) };
            channel += 1;
        }
    }
}

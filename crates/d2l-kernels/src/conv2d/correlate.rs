//! The loop nest that the forward product and every stride phase of the input gradient share.
//!
//! ```text
//! for each band of images or rows, and each share of the output channels:     # the pieces of work
//!     sort the band's output pixels by the taps of their window that lie inside the image
//!     for each group: for each panel of output channels: for each tile of pixels of one sort:
//!         the micro-kernel, over those taps' rows × columns × channels
//! ```
//! 1. Pixels are read where they lie, without a padded copy. Taps in the padding are left out, which saves the more
//!    the smaller the pictures are: a third of a 3 × 3 window's products on pictures of 3 × 3. The pixels of a tile
//!    need not be neighbours, only of one sort, so bands hold several small pictures.
//! 2. Every output is one uninterrupted sum in a register, so its bits do not depend on how the work is cut.

use super::band::{Band, Bands, Windows};
use crate::par::{SendPtr, for_each_piece};
use crate::tile::{Epilogue, MAX_ROWS, MicroKernel, Tile, Walk};
use std::ops::Range;

/// Floats of a band's input where no window reaches into the padding: 256 KiB, a part of the second-level cache.
const BAND_FLOATS: usize = 64 << 10;

/// Pixels of a band where windows do: enough for each sort to fill tiles.
const BAND_PIXELS: usize = 8 << 10;

/// Pieces to aim for, so that a dozen threads share them evenly.
const PIECES: usize = 32;

/// A correlation of `x` with packed weights, onto some or all pixels of `y`.
pub(super) struct Correlation<'a> {
    pub(super) batch: usize,
    pub(super) windows: Windows,
    pub(super) groups: usize,
    /// Input channels of a group.
    pub(super) group_in: usize,
    /// Output channels of a group.
    pub(super) group_out: usize,
    /// Rows and columns of an output image.
    pub(super) out_size: [usize; 2],
    /// The output pixel of the first window.
    pub(super) out_start: [usize; 2],
    /// Output pixels from one window to the next.
    pub(super) out_step: [usize; 2],
    /// `[group][panel][tap][input channel][panel width]`
    pub(super) packed: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
}

/// One output pixel of a band: where its first tap inside the image lies in `x`, and where its result goes in `y`.
#[derive(Clone, Copy)]
struct Pixel {
    input: usize,
    output: usize,
}

/// Output pixels whose windows have the same taps inside the image.
struct Sort {
    /// Rows and columns of those taps.
    taps: [Range<usize>; 2],
    pixels: Vec<Pixel>,
}

impl Correlation<'_> {
    /// Length of the sums.
    pub(super) fn steps(&self) -> usize {
        self.windows.taps[0] * self.windows.taps[1] * self.group_in
    }

    /// Writes the pixels of `y` that the windows belong to.
    pub(super) fn run(&self, kernel: &MicroKernel, x: &[f32], y: &mut [f32]) {
        debug_assert_eq!(
            y.len(),
            self.batch * self.out_size[0] * self.out_size[1] * self.groups * self.group_out
        );
        debug_assert_eq!(
            self.packed.len(),
            self.groups * kernel.padded(self.group_out) * self.steps()
        );
        let panels = self.groups * kernel.panel_count(self.group_out);
        let bands = self.bands(kernel);
        let shares = PIECES.div_ceil(bands.count().max(1)).min(panels);
        let y = SendPtr::new(y);
        for_each_piece(bands.count() * shares, |piece| {
            let sorts = self.sort_pixels(&bands.get(piece / shares));
            let share = piece % shares;
            for panel in panels * share / shares..panels * (share + 1) / shares {
                for sort in &sorts {
                    // SAFETY: no other piece has the same band and panel.
                    unsafe { self.panel(kernel, panel, sort, x, y) };
                }
            }
        });
    }

    fn bands(&self, kernel: &MicroKernel) -> Bands {
        let grid = self.windows.grid;
        if self.windows.inside() {
            // Where the weights outweigh the caches, bands are as large as they can be: each streams all weights.
            let at_least = if self.packed.len() > BAND_FLOATS {
                1
            } else {
                PIECES
            };
            return self.windows.bands(self.batch, BAND_FLOATS, at_least);
        }
        let images = (BAND_PIXELS / (grid[0] * grid[1])).min(self.batch);
        let full_tiles = images / kernel.rows * kernel.rows;
        let images = if full_tiles > 0 && images < self.batch {
            full_tiles
        } else {
            images
        };
        Bands::exact(self.batch, grid[0], images, (BAND_PIXELS / grid[1]).max(1))
    }

    /// The taps inside the image of each position of an axis, as runs of positions with the same taps.
    fn runs(&self, axis: usize, positions: Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
        let Windows {
            in_size,
            origin,
            step,
            tap_step,
            taps,
            ..
        } = self.windows;
        let mut runs: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for position in positions {
            let first = origin[axis] + (position * step[axis]) as isize;
            // The first taps at or after pixel 0 and pixel `in_size`.
            let tap_at = |pixel: usize| {
                let distance = usize::try_from(pixel as isize - first).unwrap_or(0);
                distance.div_ceil(tap_step[axis]).min(taps[axis])
            };
            let inside = tap_at(0)..tap_at(in_size[axis]);
            match runs.last_mut() {
                Some((positions, taps)) if *taps == inside => positions.end += 1,
                _ => runs.push((position..position + 1, inside)),
            }
        }
        runs
    }

    /// The pixels of a band by the taps inside the image.
    fn sort_pixels(&self, band: &Band) -> Vec<Sort> {
        let Windows {
            in_size,
            channels,
            origin,
            step,
            tap_step,
            grid,
            ..
        } = self.windows;
        let columns = self.runs(1, 0..grid[1]);
        let mut sorts = Vec::new();
        for (rows, row_taps) in self.runs(0, band.first_row..band.first_row + band.rows) {
            for (columns, column_taps) in &columns {
                // The first tap inside; without one, no pixel is read.
                let place = |axis: usize, position: usize, taps: &Range<usize>| {
                    let tap = origin[axis] + (position * step[axis] + taps.start * tap_step[axis]) as isize;
                    if row_taps.is_empty() || column_taps.is_empty() {
                        0
                    } else {
                        tap as usize
                    }
                };
                let mut pixels = Vec::with_capacity(band.images * rows.len() * columns.len());
                for image in band.first_image..band.first_image + band.images {
                    for row in rows.clone() {
                        let x_row = image * in_size[0] + place(0, row, &row_taps);
                        let y_row = image * self.out_size[0] + self.out_start[0] + row * self.out_step[0];
                        for column in columns.clone() {
                            let x_column = place(1, column, column_taps);
                            let y_column = self.out_start[1] + column * self.out_step[1];
                            pixels.push(Pixel {
                                input: (x_row * in_size[1] + x_column) * channels,
                                output: (y_row * self.out_size[1] + y_column) * self.groups * self.group_out,
                            });
                        }
                    }
                }
                sorts.push(Sort {
                    taps: [row_taps.clone(), column_taps.clone()],
                    pixels,
                });
            }
        }
        sorts
    }

    /// The pixels of one sort for one panel of one group (`index` counts both).
    ///
    /// # Safety
    /// Nobody else may touch the panel's channels of these pixels of `y`.
    unsafe fn panel(&self, kernel: &MicroKernel, index: usize, sort: &Sort, x: &[f32], y: SendPtr<f32>) {
        let panels = kernel.panel_count(self.group_out);
        let (group, panel) = (index / panels, kernel.panel(self.group_out, index % panels));
        let out_channel = group * self.group_out + panel.first;
        let packed = (group * kernel.padded(self.group_out) + panel.first) * self.steps();
        let bias = self
            .bias
            .map_or(std::ptr::null(), |bias| bias[out_channel..].as_ptr());
        let Windows {
            in_size,
            channels,
            tap_step,
            taps,
            ..
        } = self.windows;
        let [rows, columns] = &sort.taps;
        let first_step = (rows.start * taps[1] + columns.start) * self.group_in;
        let mut tile = Tile {
            a: [x.as_ptr(); MAX_ROWS],
            c: [y.get(); MAX_ROWS],
            rows: 0,
            b: self.packed[packed + first_step.min(self.steps()) * panel.width..].as_ptr(),
            walk: Walk::skipping(
                [rows.len(), columns.len(), self.group_in],
                [tap_step[0] * in_size[1] * channels, tap_step[1] * channels, 1],
                (taps[1] - columns.len()) * self.group_in,
            ),
            epilogue: Epilogue {
                bias,
                accumulate: false,
                relu: self.relu,
            },
        };
        for pixels in sort.pixels.chunks(kernel.rows) {
            tile.rows = pixels.len();
            for row in 0..kernel.rows {
                let pixel = pixels[row.min(pixels.len() - 1)];
                // Wrapping: without a tap inside the image, nothing is read.
                tile.a[row] = x.as_ptr().wrapping_add(pixel.input + group * self.group_in);
                // SAFETY: the outputs lie inside `y`.
                tile.c[row] = unsafe { y.get().add(pixel.output + out_channel) };
            }
            // SAFETY: the walk stays in the taps inside the image, the packed weights hold all `steps` rows of this
            // panel, and nobody else touches the outputs.
            unsafe { kernel.run(&panel, &tile) };
        }
    }
}

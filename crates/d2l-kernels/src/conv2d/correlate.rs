//! The loop nest that the forward product and every stride phase of the input gradient share.
//!
//! ```text
//! for each band of images or rows, and each share of the output channels:     # the pieces of work
//!     make the band's pixels readable (a copy with zeros around, if need be)
//!     for each group: for each panel of output channels: for each tile of output pixels:
//!         the micro-kernel, over the window's rows × columns × channels
//! ```
//! Every output is one uninterrupted sum in a register, so its bits do not depend on how the work is cut.

use super::band::{Band, BandView, Windows};
use crate::par::{SendPtr, for_each_piece};
use crate::scratch;
use crate::tile::{Epilogue, MAX_ROWS, MicroKernel, Panel, Tile, Walk};

/// Floats of a band's copy: 256 KiB, a part of the second-level cache.
const BAND_FLOATS: usize = 64 << 10;

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

/// One output pixel of a band: where its window starts in the view, and where its result goes.
#[derive(Clone, Copy)]
struct Pixel {
    input: usize,
    output: usize,
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
        // Where the weights outweigh the caches, bands are as large as they can be: each streams all weights once.
        let at_least = if self.packed.len() > BAND_FLOATS {
            1
        } else {
            PIECES
        };
        let bands = self.windows.bands(self.batch, BAND_FLOATS, at_least);
        let shares = PIECES.div_ceil(bands.count().max(1)).min(panels);
        let y = SendPtr::new(y);
        for_each_piece(bands.count() * shares, |piece| {
            let band = bands.get(piece / shares);
            let share = piece % shares;
            scratch::with(self.windows.copy_len(&bands), |copy| {
                let view = self.windows.view(x, &band, copy);
                let pixels = self.pixels(&band, &view);
                for panel in panels * share / shares..panels * (share + 1) / shares {
                    // SAFETY: the view covers every window of `pixels`, and their outputs are inside `y`, where no
                    // other piece has the same band and panel.
                    unsafe { self.panel(kernel, panel, &view, &pixels, y) };
                }
            });
        });
    }

    fn pixels(&self, band: &Band, view: &BandView) -> Vec<Pixel> {
        let columns = self.windows.grid[1];
        let mut pixels = Vec::with_capacity(band.images * band.rows * columns);
        for image in 0..band.images {
            for row in 0..band.rows {
                let y_row = self.out_start[0] + (band.first_row + row) * self.out_step[0];
                let y_row = (band.first_image + image) * self.out_size[0] + y_row;
                for column in 0..columns {
                    let y_column = self.out_start[1] + column * self.out_step[1];
                    pixels.push(Pixel {
                        input: image * view.image_pitch
                            + row * self.windows.step[0] * view.row_pitch
                            + column * self.windows.step[1] * self.windows.channels,
                        output: (y_row * self.out_size[1] + y_column) * self.groups * self.group_out,
                    });
                }
            }
        }
        pixels
    }

    /// All pixels of a band for one panel of one group (`index` counts both).
    ///
    /// # Safety
    /// `view` must cover the windows of `pixels`; the outputs of `pixels` must be inside `y`, and nobody else may
    /// touch their channels of this panel.
    unsafe fn panel(
        &self,
        kernel: &MicroKernel,
        index: usize,
        view: &BandView,
        pixels: &[Pixel],
        y: SendPtr<f32>,
    ) {
        let panels = kernel.panel_count(self.group_out);
        let (group, panel): (usize, Panel) = (index / panels, kernel.panel(self.group_out, index % panels));
        let out_channel = group * self.group_out + panel.first;
        let packed = (group * kernel.padded(self.group_out) + panel.first) * self.steps();
        let bias = self
            .bias
            .map_or(std::ptr::null(), |bias| bias[out_channel..].as_ptr());
        let Windows {
            taps,
            tap_step,
            channels,
            ..
        } = self.windows;
        let mut tile = Tile {
            a: [view.start; MAX_ROWS],
            c: [y.get(); MAX_ROWS],
            rows: 0,
            b: self.packed[packed..].as_ptr(),
            walk: Walk::new(
                [taps[0], taps[1], self.group_in],
                [tap_step[0] * view.row_pitch, tap_step[1] * channels, 1],
            ),
            epilogue: Epilogue {
                bias,
                accumulate: false,
                relu: self.relu,
            },
        };
        for pixels in pixels.chunks(kernel.rows) {
            tile.rows = pixels.len();
            for row in 0..kernel.rows {
                let pixel = pixels[row.min(pixels.len() - 1)];
                // SAFETY: the caller vouches for both offsets.
                unsafe {
                    tile.a[row] = view.start.add(pixel.input + group * self.group_in);
                    tile.c[row] = y.get().add(pixel.output + out_channel);
                }
            }
            // SAFETY: the walk stays inside the window, the packed weights hold `steps` rows for this panel, and
            // the outputs are the caller's promise.
            unsafe { kernel.run(&panel, &tile) };
        }
    }
}

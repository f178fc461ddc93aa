//! The weight gradient, directly on the micro-kernel.
//!
//! ```text
//! for each run of chunks, and each share of the weight's rows:                # the pieces of work
//!     for each chunk (about 512 output pixels) of the run:
//!         make its input pixels readable; pack its dy, a row per pixel
//!         for each panel of output channels: for each tile of weight rows (ky, kx, i):
//!             the micro-kernel, over the chunk's images × rows × columns
//!             stored for the first chunk of a run, added for the others
//! add up the runs' results in order
//! ```
//! The number of runs depends on the shapes alone, so the bits do not depend on the number of threads.

use super::Conv2dShape;
use super::band::{Bands, Windows};
use crate::par::{SendPtr, for_each_chunk_mut, for_each_piece};
use crate::scratch::{self, ScratchNeed};
use crate::tile::{Epilogue, MAX_ROWS, MicroKernel, Tile, Walk, micro_kernel, pack_rows};
use std::ops::Range;

/// Output pixels of a chunk.
const CHUNK_PIXELS: usize = 512;
/// Floats of a chunk's copy of the input, at most: 1 MiB.
const CHUNK_FLOATS: usize = 256 << 10;
/// Pieces to aim for.
const PIECES: usize = 32;
/// Floats of all runs' results, beyond the first: 4 MiB.
const PARTIAL_FLOATS: usize = 1 << 20;

/// `dweight = Σ x · dy`; the slices have the lengths of the shape.
pub(super) fn grad_weight(shape: &Conv2dShape, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    if dy.is_empty() {
        dweight.fill(0.0);
        return;
    }
    let job = Job::new(shape, micro_kernel());
    let len = dweight.len();
    scratch::with((job.runs - 1) * len, |partial| {
        let (first, others) = (SendPtr::new(dweight), SendPtr::new(partial));
        for_each_piece(job.runs * job.shares, |piece| {
            let (run, share) = (piece / job.shares, piece % job.shares);
            // SAFETY: the run's own result, of `len` floats.
            let target = unsafe {
                if run == 0 {
                    first.get()
                } else {
                    others.get().add((run - 1) * len)
                }
            };
            let chunks = job.chunks.count();
            let chunks = chunks * run / job.runs..chunks * (run + 1) / job.runs;
            let tiles = job.tiles * share / job.shares..job.tiles * (share + 1) / job.shares;
            // SAFETY: no other piece writes these tiles of this run's result.
            unsafe { job.run(x, dy, chunks, tiles, target) };
        });
        if job.runs > 1 {
            for_each_chunk_mut(dweight, 16 << 10, |index, sums| {
                for partial in partial.chunks_exact(len) {
                    let partial = &partial[index * (16 << 10)..];
                    sums.iter_mut()
                        .zip(partial)
                        .for_each(|(sum, value)| *sum += value);
                }
            });
        }
    });
}

/// The scratch memory of the weight gradient.
pub(super) fn scratch(shape: &Conv2dShape) -> ScratchNeed {
    let job = Job::new(shape, micro_kernel());
    ScratchNeed::new(&[(job.runs - 1) * shape.weight_len()], &job.piece_lens())
}

struct Job<'a> {
    shape: &'a Conv2dShape,
    kernel: &'static MicroKernel,
    windows: Windows,
    chunks: Bands,
    /// Rows of the weight of one group: taps · input channels.
    rows: usize,
    /// Tiles of rows of all groups.
    tiles: usize,
    /// Runs of chunks, each with its own result.
    runs: usize,
    /// Shares of the tiles.
    shares: usize,
}

impl<'a> Job<'a> {
    fn new(shape: &'a Conv2dShape, kernel: &'static MicroKernel) -> Self {
        let windows = shape.windows();
        let row_pixels = windows.grid[1];
        let chunks = windows.chunks(shape.batch, CHUNK_PIXELS.div_ceil(row_pixels), CHUNK_FLOATS);
        let rows = shape.kernel[0] * shape.kernel[1] * shape.group_in();
        let tiles = shape.groups * rows.div_ceil(kernel.rows);
        let runs = (1 + PARTIAL_FLOATS / shape.weight_len())
            .min(PIECES)
            .min(chunks.count());
        let shares = PIECES.div_ceil(runs).min(tiles);
        Self {
            shape,
            kernel,
            windows,
            chunks,
            rows,
            tiles,
            runs,
            shares,
        }
    }

    /// Floats of a piece's copy of the input and of its packed gradients.
    fn piece_lens(&self) -> [usize; 2] {
        let packed =
            self.chunks.max_rows() * self.windows.grid[1] * self.kernel.padded(self.shape.group_out());
        [self.windows.copy_len(&self.chunks), packed]
    }

    /// Sums `chunks` into the rows `tiles` of `target`, which has the layout of the weight.
    ///
    /// # Safety
    /// `target` must be writable for the whole weight, and nobody else may touch these rows.
    unsafe fn run(&self, x: &[f32], dy: &[f32], chunks: Range<usize>, tiles: Range<usize>, target: *mut f32) {
        let (shape, kernel) = (self.shape, self.kernel);
        let (group_out, grid) = (shape.group_out(), self.windows.grid);
        let tiles_per_group = self.tiles / shape.groups;
        let [copied, packed] = self.piece_lens();
        scratch::with(copied, |copy| {
            scratch::with(packed, |packed| {
                for index in chunks.clone() {
                    let chunk = self.chunks.get(index);
                    let view = self.windows.view(x, &chunk, copy);
                    let pixels = chunk.images * chunk.rows * grid[1];
                    let first_pixel = (chunk.first_image * grid[0] + chunk.first_row) * grid[1];
                    let walk = Walk::new(
                        [chunk.images, chunk.rows, grid[1]],
                        [
                            view.image_pitch,
                            shape.stride[0] * view.row_pitch,
                            shape.stride[1] * shape.in_channels,
                        ],
                    );
                    let epilogue = if index == chunks.start {
                        Epilogue::STORE
                    } else {
                        Epilogue::ACCUMULATE
                    };
                    for group in tiles.start / tiles_per_group..tiles.end.div_ceil(tiles_per_group) {
                        let group_tiles = group * tiles_per_group..(group + 1) * tiles_per_group;
                        let mine = tiles.start.max(group_tiles.start)..tiles.end.min(group_tiles.end);
                        let dy = &dy[first_pixel * shape.out_channels + group * group_out..];
                        for panel in kernel.panels(group_out) {
                            let packed = &mut packed[panel.first * pixels..][..panel.width * pixels];
                            pack_rows(&panel, pixels, dy, shape.out_channels, packed);
                            let mut tile = Tile {
                                a: [view.start; MAX_ROWS],
                                c: [target; MAX_ROWS],
                                rows: 0,
                                b: packed.as_ptr(),
                                walk,
                                epilogue,
                            };
                            for index in mine.clone() {
                                let first_row = (index - group_tiles.start) * kernel.rows;
                                tile.rows = kernel.rows.min(self.rows - first_row);
                                for row in 0..tile.rows {
                                    let column = group * group_out + panel.first;
                                    let tap = self.tap_offset(first_row + row, view.row_pitch);
                                    // SAFETY: the tap lies in the chunk's first window; the row and column lie
                                    // in the weight.
                                    unsafe {
                                        tile.a[row] = view.start.add(tap + group * shape.group_in());
                                        tile.c[row] =
                                            target.add((first_row + row) * shape.out_channels + column);
                                    }
                                }
                                let last = tile.a[tile.rows - 1];
                                tile.a[tile.rows..].fill(last);
                                // SAFETY: the walk visits the chunk's windows, `packed` holds a row for each, and
                                // the result's rows are the caller's promise.
                                unsafe { kernel.run(&panel, &tile) };
                            }
                        }
                    }
                }
            });
        });
    }

    /// Floats from the start of a window to the input that weight row `row` of its group multiplies.
    fn tap_offset(&self, row: usize, row_pitch: usize) -> usize {
        let (tap, channel) = (row / self.shape.group_in(), row % self.shape.group_in());
        let (ky, kx) = (tap / self.shape.kernel[1], tap % self.shape.kernel[1]);
        ky * self.shape.dilation[0] * row_pitch
            + kx * self.shape.dilation[1] * self.shape.in_channels
            + channel
    }
}

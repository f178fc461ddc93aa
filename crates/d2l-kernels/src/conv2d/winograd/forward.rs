//! Forward product and input gradient by Winograd.
//!
//! ```text
//! transform the weights                                          # U, packed in panels
//! for each block of tiles:
//!     transform the tiles' inputs                                # V
//!     for each of the T² positions: m[position] = V[position] · U[position]
//!     transform m to the outputs, with bias and ReLU
//! ```
//! Where U stays in the caches a block is a piece of work, small enough for V and m to stay there too. Where U is too
//! large for that, or the tiles too few, blocks are larger and taken one after the other, and the threads share each
//! of the three steps: U is read once per block. The bits are the same either way.

use super::transform::{TransformInput, TransformOutput, TransformWeight};
use super::{CHANNEL_PAD, Tiling, Variant};
use crate::arch::dispatch;
use crate::par::{SendPtr, for_each_piece};
use crate::scratch::{self, ScratchNeed};
use crate::tile::{Epilogue, MAX_ROWS, MicroKernel, Tile, Walk, micro_kernel};
use std::ops::Range;

/// Tiles of a block that is one piece of work: as many as fit in `BLOCK_FLOATS`, between these.
const BLOCK_TILES: Range<usize> = 48..96;
const BLOCK_FLOATS: usize = 1 << 20;
/// Floats of a block that all threads share: 16 MiB.
const SHARED_FLOATS: usize = 4 << 20;
/// Up to this size of U it stays in the caches from block to block: 8 MiB. Beyond, it is better read just once.
const CACHED_WEIGHT_FLOATS: usize = 2 << 20;
/// Tiles that a piece of a shared block transforms.
const TRANSFORM_TILES: usize = 12;
/// Input channels that a piece of the weight transform takes.
const WEIGHT_CHANNELS: usize = 16;
/// Keeps the positions of a tile apart in the first-level cache, which a power of two would not.
const SKEW: usize = 16;

/// A correlation at stride 1 with a square window.
pub(super) struct Correlation<'a> {
    pub(super) batch: usize,
    /// Rows and columns of the pictures read and written.
    pub(super) sizes: [[usize; 2]; 2],
    /// Channels of the pictures read and written.
    pub(super) channels: [usize; 2],
    /// The input pixel of the first tap of the first output.
    pub(super) origin: [isize; 2],
    /// `[tap][input channel][output channel]`
    pub(super) weight: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
}

impl Correlation<'_> {
    pub(super) fn run(&self, variant: Variant, x: &[f32], y: &mut [f32]) {
        match variant {
            Variant::F23 => self.run_variant::<2, 3, 4>(x, y),
            Variant::F43 => self.run_variant::<4, 3, 6>(x, y),
            Variant::F25 => self.run_variant::<2, 5, 6>(x, y),
        }
    }

    fn run_variant<const M: usize, const R: usize, const T: usize>(&self, x: &[f32], y: &mut [f32]) {
        let kernel = micro_kernel();
        let tiling = Tiling::new(self.batch, self.sizes, self.channels, self.origin, M);
        let cut = Cut::new(kernel, tiling.tiles, self.channels, T * T);
        let lengths = cut.block_lens(T * T);
        let Cut {
            pitches,
            weight_len,
            shared,
            block_tiles,
        } = cut;
        let y = SendPtr::new(y);
        scratch::with(weight_len, |u| {
            transform_weights::<R, T>(kernel, self.channels, self.weight, u);
            let blocks = tiling.tiles.div_ceil(block_tiles);
            let run_block = |index: usize| {
                scratch::with(lengths[0], |v| {
                    scratch::with(lengths[1], |m| {
                        let first = index * block_tiles;
                        let block = Block::<M, R, T> {
                            correlation: self,
                            kernel,
                            tiling: &tiling,
                            tiles: first..(first + block_tiles).min(tiling.tiles),
                            pitches,
                            position_pitches: pitches.map(|pitch| block_tiles * pitch + SKEW),
                            v: SendPtr::new(v),
                            m: SendPtr::new(m),
                            u,
                        };
                        if shared {
                            block.run_shared(x, y)
                        } else {
                            block.run_alone(x, y)
                        }
                    });
                });
            };
            if shared {
                (0..blocks).for_each(run_block)
            } else {
                for_each_piece(blocks, run_block)
            }
        });
    }
}

/// The scratch memory of a correlation with `tiles` tiles of that variant.
pub(super) fn scratch(variant: Variant, tiles: usize, channels: [usize; 2]) -> ScratchNeed {
    if tiles == 0 {
        return ScratchNeed::default();
    }
    let positions = variant.positions();
    let cut = Cut::new(micro_kernel(), tiles, channels, positions);
    let [v, m] = cut.block_lens(positions);
    match cut.shared {
        true => ScratchNeed::new(&[cut.weight_len, v, m], &[]),
        false => ScratchNeed::new(&[cut.weight_len], &[v, m]),
    }
}

/// How the tiles are cut into blocks. Depends on the shapes alone.
struct Cut {
    /// Floats from a tile to the next in V and in m.
    pitches: [usize; 2],
    /// Floats of U.
    weight_len: usize,
    /// Whether the threads share each block.
    shared: bool,
    block_tiles: usize,
}

impl Cut {
    fn new(kernel: &MicroKernel, tiles: usize, channels: [usize; 2], positions: usize) -> Self {
        let weight_len = positions * channels[0] * kernel.padded(channels[1]);
        let pitches = channels.map(|channels| channels.next_multiple_of(CHANNEL_PAD));
        let per_tile = positions * (pitches[0] + pitches[1]);
        let shared = weight_len > CACHED_WEIGHT_FLOATS || tiles <= BLOCK_TILES.start;
        let block_tiles = if shared {
            let block_tiles = (SHARED_FLOATS / per_tile).max(BLOCK_TILES.start);
            tiles.div_ceil(tiles.div_ceil(block_tiles))
        } else {
            // An even number of blocks, so that two threads have the same share of a few, of full micro-tiles.
            let block_tiles = (BLOCK_FLOATS / per_tile).clamp(BLOCK_TILES.start, BLOCK_TILES.end);
            let blocks = tiles.div_ceil(block_tiles).next_multiple_of(2);
            tiles.div_ceil(blocks).next_multiple_of(kernel.rows)
        };
        Self {
            pitches,
            weight_len,
            shared,
            block_tiles,
        }
    }

    /// Floats of a block's V and m.
    fn block_lens(&self, positions: usize) -> [usize; 2] {
        self.pitches
            .map(|pitch| positions * (self.block_tiles * pitch + SKEW))
    }
}

/// All of U, as `[position][panel][input channel][panel width]`.
fn transform_weights<const R: usize, const T: usize>(
    kernel: &MicroKernel,
    channels: [usize; 2],
    weight: &[f32],
    u: &mut [f32],
) {
    let [input, output] = channels;
    let panels = kernel.panel_count(output);
    let u = SendPtr::new(u);
    for_each_piece(panels * input.div_ceil(WEIGHT_CHANNELS), |piece| {
        let first = piece / panels * WEIGHT_CHANNELS;
        dispatch(TransformWeight::<R, T> {
            weight,
            channels,
            inputs: first..(first + WEIGHT_CHANNELS).min(input),
            panel: kernel.panel(output, piece % panels),
            u: u.get(),
            position_pitch: input * kernel.padded(output),
        });
    });
}

/// Some tiles, with room for their V and m.
struct Block<'a, const M: usize, const R: usize, const T: usize> {
    correlation: &'a Correlation<'a>,
    kernel: &'static MicroKernel,
    tiling: &'a Tiling,
    tiles: Range<usize>,
    /// Floats from a tile to the next, in V and in m.
    pitches: [usize; 2],
    /// Floats from a position to the next, in V and in m.
    position_pitches: [usize; 2],
    v: SendPtr<f32>,
    m: SendPtr<f32>,
    u: &'a [f32],
}

impl<const M: usize, const R: usize, const T: usize> Block<'_, M, R, T> {
    /// The three steps on this thread.
    fn run_alone(&self, x: &[f32], y: SendPtr<f32>) {
        self.transform_input(self.tiles.clone(), x);
        (0..T * T).for_each(|position| self.multiply(position));
        self.transform_output(self.tiles.clone(), y);
    }

    /// The three steps, each shared by all threads.
    fn run_shared(&self, x: &[f32], y: SendPtr<f32>) {
        let runs = self.tiles.len().div_ceil(TRANSFORM_TILES);
        let run = |index: usize| {
            let first = self.tiles.start + index * TRANSFORM_TILES;
            first..(first + TRANSFORM_TILES).min(self.tiles.end)
        };
        for_each_piece(runs, |index| self.transform_input(run(index), x));
        for_each_piece(T * T, |position| self.multiply(position));
        for_each_piece(runs, |index| self.transform_output(run(index), y));
    }

    fn transform_input(&self, tiles: Range<usize>, x: &[f32]) {
        let at = (tiles.start - self.tiles.start) * self.pitches[0];
        dispatch(TransformInput::<M, R, T> {
            tiling: self.tiling,
            tiles,
            x,
            // SAFETY: the tile's place in V.
            v: unsafe { self.v.get().add(at) },
            tile_pitch: self.pitches[0],
            position_pitch: self.position_pitches[0],
        });
    }

    fn transform_output(&self, tiles: Range<usize>, y: SendPtr<f32>) {
        let at = (tiles.start - self.tiles.start) * self.pitches[1];
        dispatch(TransformOutput::<M, R, T> {
            tiling: self.tiling,
            tiles,
            // SAFETY: the tile's place in m.
            m: unsafe { self.m.get().add(at) },
            tile_pitch: self.pitches[1],
            position_pitch: self.position_pitches[1],
            bias: self.correlation.bias,
            relu: self.correlation.relu,
            y,
        });
    }

    /// `m[position] = V[position] · U[position]`
    fn multiply(&self, position: usize) {
        let ([input, output], kernel) = (self.correlation.channels, self.kernel);
        for panel in kernel.panels(output) {
            let u = position * input * kernel.padded(output) + panel.first * input;
            for first in (0..self.tiles.len()).step_by(kernel.rows) {
                let rows = kernel.rows.min(self.tiles.len() - first);
                let mut tile = Tile {
                    a: [std::ptr::null(); MAX_ROWS],
                    c: [std::ptr::null_mut(); MAX_ROWS],
                    rows,
                    b: self.u[u..].as_ptr(),
                    walk: Walk::line(input, 1),
                    epilogue: Epilogue::STORE,
                };
                for row in 0..kernel.rows {
                    let index = first + row.min(rows - 1);
                    // SAFETY: tile `index` of V and of m, which have room for the block.
                    unsafe {
                        let v = position * self.position_pitches[0] + index * self.pitches[0];
                        let m = position * self.position_pitches[1] + index * self.pitches[1] + panel.first;
                        tile.a[row] = self.v.get().add(v);
                        tile.c[row] = self.m.get().add(m);
                    }
                }
                // SAFETY: V has `input` channels per tile, U as many rows per panel, m `output` channels.
                unsafe { kernel.run(&panel, &tile) };
            }
        }
    }
}

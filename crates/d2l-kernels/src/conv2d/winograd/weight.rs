//! The weight gradient by Winograd.
//!
//! ```text
//! for each block of tiles:
//!     transform the tiles' inputs (V) and output gradients (packed in panels)    # threads share the tiles
//!     for each of the T² positions: dU[position] += Vᵀ[position] · D[position]   # threads share the positions
//! transform dU to dw                                                            # threads share the channels
//! ```
//! The blocks depend on the shapes alone and are summed in order.

use super::transform::{TransformGradient, TransformInput, TransformWeightGradient};
use super::{CHANNEL_PAD, Conv2dShape, Tiling, Variant};
use crate::arch::dispatch;
use crate::par::{SendPtr, for_each_piece};
use crate::scratch::{self, ScratchNeed};
use crate::tile::{Epilogue, MAX_ROWS, MicroKernel, Tile, Walk, micro_kernel};
use std::ops::RangeInclusive;

/// Floats of a block: as many as dU has, which is read and written once per block, but between 2 and 16 MiB.
const BLOCK_FLOATS: RangeInclusive<usize> = 512 << 10..=4 << 20;
/// Tiles of a block, at least: fewer would read and write dU too often.
const MIN_BLOCK_TILES: usize = 96;
/// Tiles that a piece transforms.
const TRANSFORM_TILES: usize = 12;
/// Pairs of channels that a piece of the last transform takes.
const PAIRS: usize = 1024;
/// Keeps the positions of a tile apart in the first-level cache, which a power of two would not.
const SKEW: usize = 16;

/// `dweight = Gᵀ (Σ over tiles V ⊙ A dy Aᵀ) G`
pub(super) fn grad_weight<const M: usize, const R: usize>(
    shape: &Conv2dShape,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) {
    if M + R == 5 {
        run::<M, R, 4>(shape, x, dy, dweight);
    } else {
        run::<M, R, 6>(shape, x, dy, dweight);
    }
}

fn run<const M: usize, const R: usize, const T: usize>(
    shape: &Conv2dShape,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) {
    let kernel = micro_kernel();
    let sizes = [
        [shape.in_height, shape.in_width],
        [shape.out_height(), shape.out_width()],
    ];
    let channels = [shape.in_channels, shape.out_channels];
    let origin = shape.padding.map(|padding| -(padding as isize));
    let tiling = Tiling::new(shape.batch, sizes, channels, origin, M);
    let pairs = shape.in_channels * shape.out_channels;
    let Cut { pitches, block_tiles } = Cut::new(kernel, tiling.tiles, channels, T * T);
    let position_pitches = pitches.map(|pitch| block_tiles * pitch + SKEW);
    scratch::with(T * T * pairs, |du| {
        scratch::with(T * T * position_pitches[0], |v| {
            scratch::with(T * T * position_pitches[1], |packed| {
                let block = Block {
                    kernel,
                    tiling: &tiling,
                    pitches,
                    position_pitches,
                };
                let (v, packed, du) = (SendPtr::new(v), SendPtr::new(packed), SendPtr::new(du));
                for first in (0..tiling.tiles).step_by(block_tiles) {
                    let count = block_tiles.min(tiling.tiles - first);
                    for_each_piece(count.div_ceil(TRANSFORM_TILES), |run| {
                        let start = run * TRANSFORM_TILES;
                        let tiles = first + start..first + (start + TRANSFORM_TILES).min(count);
                        dispatch(TransformInput::<M, R, T> {
                            tiling: &tiling,
                            tiles: tiles.clone(),
                            x,
                            // SAFETY: the tile's place in V.
                            v: unsafe { v.get().add(start * pitches[0]) },
                            tile_pitch: pitches[0],
                            position_pitch: position_pitches[0],
                        });
                        dispatch(TransformGradient::<M, R, T, _> {
                            tiling: &tiling,
                            tiles,
                            dy,
                            panels: kernel.panels(shape.out_channels),
                            packed: packed.get(),
                            block: (first, count),
                            position_pitch: position_pitches[1],
                        });
                    });
                    for_each_piece(T * T, |position| {
                        block.multiply(position, first, count, v, packed, du)
                    });
                }
            });
        });
        let dweight = SendPtr::new(dweight);
        for_each_piece(pairs.div_ceil(PAIRS), |piece| {
            let pairs_here = piece * PAIRS..((piece + 1) * PAIRS).min(pairs);
            dispatch(TransformWeightGradient::<R, T> {
                du,
                pairs: pairs_here,
                dweight,
                all_pairs: pairs,
            });
        });
    });
}

/// The scratch memory of the weight gradient with `tiles` tiles of that variant.
pub(super) fn scratch(variant: Variant, tiles: usize, channels: [usize; 2]) -> ScratchNeed {
    if tiles == 0 {
        return ScratchNeed::default();
    }
    let positions = variant.positions();
    let cut = Cut::new(micro_kernel(), tiles, channels, positions);
    let [v, packed] = cut
        .pitches
        .map(|pitch| positions * (cut.block_tiles * pitch + SKEW));
    ScratchNeed::new(&[positions * channels[0] * channels[1], v, packed], &[])
}

/// How the tiles are cut into blocks. Depends on the shapes alone.
struct Cut {
    /// Floats from a tile to the next: channels of V and of the packed gradients.
    pitches: [usize; 2],
    block_tiles: usize,
}

impl Cut {
    fn new(kernel: &MicroKernel, tiles: usize, [input, output]: [usize; 2], positions: usize) -> Self {
        let pitches = [input.next_multiple_of(CHANNEL_PAD), kernel.padded(output)];
        let floats = (positions * input * output).clamp(*BLOCK_FLOATS.start(), *BLOCK_FLOATS.end());
        let block_tiles = (floats / (positions * (pitches[0] + pitches[1]))).max(MIN_BLOCK_TILES);
        Self {
            pitches,
            block_tiles: tiles.div_ceil(tiles.div_ceil(block_tiles)),
        }
    }
}

/// What the products of all blocks share.
struct Block<'a> {
    kernel: &'static MicroKernel,
    tiling: &'a Tiling,
    /// Floats from a tile to the next: channels of V and of the packed gradients.
    pitches: [usize; 2],
    /// Floats from a position to the next, in both.
    position_pitches: [usize; 2],
}

impl Block<'_> {
    /// `dU[position] += Vᵀ[position] · D[position]` over `count` tiles; stored for the first block.
    fn multiply(
        &self,
        position: usize,
        first: usize,
        count: usize,
        v: SendPtr<f32>,
        packed: SendPtr<f32>,
        du: SendPtr<f32>,
    ) {
        let (kernel, input, output) = (self.kernel, self.tiling.in_channels, self.tiling.out_channels);
        // SAFETY: the position's part of each buffer; dU's is touched by this piece alone.
        let v = unsafe { v.get().add(position * self.position_pitches[0]) };
        // SAFETY: as above.
        let packed = unsafe { packed.get().add(position * self.position_pitches[1]) };
        // SAFETY: as above.
        let du = unsafe { du.get().add(position * input * output) };
        for panel in kernel.panels(output) {
            for channel in (0..input).step_by(kernel.rows) {
                let rows = kernel.rows.min(input - channel);
                let mut tile = Tile {
                    a: [std::ptr::null(); MAX_ROWS],
                    c: [std::ptr::null_mut(); MAX_ROWS],
                    rows,
                    // SAFETY: panels lie one after the other, `count` rows each.
                    b: unsafe { packed.add(panel.first * count) },
                    walk: Walk::line(count, self.pitches[0]),
                    epilogue: if first == 0 {
                        Epilogue::STORE
                    } else {
                        Epilogue::ACCUMULATE
                    },
                };
                for row in 0..kernel.rows {
                    let channel = channel + row.min(rows - 1);
                    // SAFETY: a channel of the first tile, and its row of dU.
                    unsafe {
                        tile.a[row] = v.add(channel);
                        tile.c[row] = du.add(channel * output + panel.first);
                    }
                }
                // SAFETY: V and the packed gradients hold `count` tiles, dU has `output` columns.
                unsafe { kernel.run(&panel, &tile) };
            }
        }
    }
}

//! Our own matrix product, for shapes with a small side: dense layers at the batch sizes of training.
//!
//! ```text
//! pack b into panels, all of it up front or a block at a time
//! for each share of the rows and of the panels:                               # the pieces of work
//!     for each block of the sum: for each tile of rows: for each panel:
//!         the micro-kernel; stored for the first block, added for the others
//! ```
//! `a` is read where it lies. Where the operand that should not be copied is `b`, the product is computed as
//! `cᵀ = bᵀ · aᵀ`, and every piece collects its part of `cᵀ` in scratch memory before it writes it turned around.

use crate::par::{SendPtr, for_each_piece};
use crate::scratch::{self, ScratchNeed};
use crate::tile::{
    Epilogue, MAX_ROWS, MicroKernel, Panel, Tile, Walk, micro_kernel, pack_rows, pack_transposed,
    pack_wide_rows,
};
use std::ops::Range;

/// Pieces to aim for.
const PIECES: usize = 32;
/// Floats of the packed block that a piece works on: 512 KiB, half of a second-level cache.
const BLOCK_FLOATS: usize = 128 << 10;
/// Up to this many rows, `b` is packed by the piece that uses it: nobody else would.
const PACK_BY_PIECE_ROWS: usize = 192;
/// Up to this size `b` is packed up front whatever the number of rows.
const SMALL_FLOATS: usize = 1 << 20;

/// A matrix operand: element `(row, column)` is `data[row * row_pitch + column * column_pitch]`, and one of the
/// pitches is 1.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) row_pitch: usize,
    pub(super) column_pitch: usize,
}

impl Matrix<'_> {
    fn transposed(self) -> Self {
        Self {
            row_pitch: self.column_pitch,
            column_pitch: self.row_pitch,
            ..self
        }
    }

    /// Packs columns of `panel` and rows `steps`, as a right operand.
    fn pack(&self, panel: &Panel, steps: Range<usize>, target: &mut [f32]) {
        let source = &self.data[steps.start * self.row_pitch..];
        if self.column_pitch == 1 {
            pack_rows(panel, steps.len(), source, self.row_pitch, target);
        } else {
            pack_transposed(panel, steps.len(), source, self.column_pitch, target);
        }
    }

    /// Packs all panels of `columns`, and rows `steps`, one panel after the other.
    fn pack_columns(
        &self,
        kernel: &MicroKernel,
        columns: &Range<usize>,
        steps: Range<usize>,
        target: &mut [f32],
    ) {
        let panels = kernel.panels(columns.len());
        if self.column_pitch == 1 {
            let source = &self.data[steps.start * self.row_pitch + columns.start..];
            pack_wide_rows(panels, steps.len(), source, self.row_pitch, target);
            return;
        }
        for panel in panels {
            let target = &mut target[panel.first * steps.len()..];
            let panel_of_b = Panel {
                first: panel.first + columns.start,
                ..panel
            };
            self.pack(&panel_of_b, steps.clone(), target);
        }
    }
}

/// `c = a · b` with `c` as `[m][n]`, `a` as `[m][k]`, `b` as `[k][n]`; bias and ReLU for dense layers.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) a: Matrix<'a>,
    pub(super) b: Matrix<'a>,
    /// Added to every row of `c`.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
}

impl Product<'_> {
    /// Computes the product; `m`, `k` and `n` are not zero.
    pub(super) fn run(&self, c: &mut [f32]) {
        debug_assert_eq!(c.len(), self.m * self.n);
        self.plan().run(c);
    }

    /// The scratch memory that it takes.
    pub(super) fn scratch(&self) -> ScratchNeed {
        let plan = self.plan();
        ScratchNeed::new(&[plan.packed_len()], &plan.piece_lens())
    }

    fn plan(&self) -> Plan<'_> {
        // The operand that is read in place should be contiguous along the sum, and the larger one.
        let b_lies_along_the_sum = self.b.row_pitch == 1;
        let turned = b_lies_along_the_sum && self.m < self.n;
        if turned {
            let (a, b) = (self.b.transposed(), self.a.transposed());
            Plan::new(
                Product {
                    m: self.n,
                    n: self.m,
                    a,
                    b,
                    ..*self
                },
                true,
            )
        } else {
            Plan::new(*self, false)
        }
    }
}

/// A product and how it is cut. Depends on the shapes alone.
struct Plan<'a> {
    product: Product<'a>,
    /// The result is written as `[n][m]`, and the bias belongs to the rows.
    turned: bool,
    kernel: &'static MicroKernel,
    row_shares: usize,
    panel_shares: usize,
    /// Steps of a block of the sum.
    block: usize,
    pack_up_front: bool,
}

impl<'a> Plan<'a> {
    fn new(product: Product<'a>, turned: bool) -> Self {
        let kernel = micro_kernel();
        let panels = kernel.panel_count(product.n);
        let few = product.m <= 2 * kernel.rows && panels >= 4;
        let pack_up_front =
            turned || product.m > PACK_BY_PIECE_ROWS || (product.k * product.n <= SMALL_FLOATS && !few);
        let tiles = product.m.div_ceil(kernel.rows);
        let row_shares = if pack_up_front { tiles.min(PIECES) } else { 1 };
        let panel_shares = PIECES.div_ceil(row_shares).min(panels);
        let columns = panels.div_ceil(panel_shares) * kernel.width;
        let block = (BLOCK_FLOATS / columns).clamp(128, 1024);
        // Blocks of equal size, rather than full ones and a small rest.
        let block = product.k.div_ceil(product.k.div_ceil(block));
        Self {
            product,
            turned,
            kernel,
            row_shares,
            panel_shares,
            block,
            pack_up_front,
        }
    }

    /// Floats of the operand that is packed up front.
    fn packed_len(&self) -> usize {
        match self.pack_up_front {
            true => self.product.k * self.kernel.padded(self.product.n),
            false => 0,
        }
    }

    /// Floats that a piece collects, if it does, and floats of the block that it packs, if it does.
    fn piece_lens(&self) -> [usize; 2] {
        let Product { m, n, .. } = self.product;
        let kernel = self.kernel;
        let rows = m.div_ceil(kernel.rows).div_ceil(self.row_shares) * kernel.rows;
        let columns = kernel.panel_count(n).div_ceil(self.panel_shares) * kernel.width;
        let collected = if self.turned { rows * columns } else { 0 };
        let block = if self.pack_up_front {
            0
        } else {
            self.block * columns
        };
        [collected, block]
    }

    fn run(&self, c: &mut [f32]) {
        let c = SendPtr::new(c);
        scratch::with(self.packed_len(), |packed| {
            if self.pack_up_front {
                self.pack(packed);
            }
            for_each_piece(self.row_shares * self.panel_shares, |piece| {
                self.piece(piece / self.panel_shares, piece % self.panel_shares, packed, c);
            });
        });
    }

    /// The steps of every block of the sum.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (k, block) = (self.product.k, self.block);
        (0..k)
            .step_by(block)
            .map(move |start| start..(start + block).min(k))
    }

    /// Packs all of `b` as `[block][panel][step][panel width]`.
    fn pack(&self, packed: &mut [f32]) {
        let Product { k, n, b, .. } = self.product;
        let (padded, panels) = (self.kernel.padded(n), self.kernel.panel_count(n));
        let packed = SendPtr::new(packed);
        for_each_piece(k.div_ceil(self.block) * panels, |piece| {
            let panel = self.kernel.panel(n, piece % panels);
            let start = piece / panels * self.block;
            let steps = start..(start + self.block).min(k);
            let at = start * padded + panel.first * steps.len();
            // SAFETY: pieces own disjoint runs of `packed`, which holds k · padded floats.
            let target = unsafe { packed.slice(at, steps.len() * panel.width) };
            b.pack(&panel, steps, target);
        });
    }

    /// One share of the rows times one share of the panels.
    fn piece(&self, row_share: usize, panel_share: usize, packed: &[f32], c: SendPtr<f32>) {
        let Product { m, n, b, .. } = self.product;
        let kernel = self.kernel;
        let share =
            |count: usize, index: usize, shares: usize| count * index / shares..count * (index + 1) / shares;
        let tiles = share(m.div_ceil(kernel.rows), row_share, self.row_shares);
        let rows = tiles.start * kernel.rows..m.min(tiles.end * kernel.rows);
        let panels = share(kernel.panel_count(n), panel_share, self.panel_shares);
        let columns = panels.start * kernel.width..n.min(panels.end * kernel.width);
        let padded = kernel.padded(columns.len());
        let [collected, block_len] = self.piece_lens();
        scratch::with(collected, |collected| {
            let target = if self.turned {
                Target {
                    start: collected.as_mut_ptr(),
                    pitch: padded,
                }
            } else {
                // SAFETY: the piece's own rows and columns of `c`.
                let start = unsafe { c.get().add(rows.start * n + columns.start) };
                Target { start, pitch: n }
            };
            scratch::with(block_len, |own| {
                for steps in self.blocks() {
                    let block = if self.pack_up_front {
                        &packed[steps.start * kernel.padded(n) + columns.start * steps.len()..]
                    } else {
                        b.pack_columns(kernel, &columns, steps.clone(), own);
                        &own[..]
                    };
                    // SAFETY: `target` has room for the piece's rows and columns, `block` for its panels.
                    unsafe { self.block(&rows, &columns, steps, block, target) };
                }
            });
            if self.turned {
                // SAFETY: nobody else writes these rows and columns of `c`.
                unsafe { self.write_turned(&rows, &columns, collected, padded, c) };
            }
        });
    }

    /// Adds the products of `steps` to `target`, which starts at the first of `rows` and `columns`.
    ///
    /// # Safety
    /// `target` must be readable and writable for `rows` and `columns`; `block` holds the packed panels.
    unsafe fn block(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        steps: Range<usize>,
        block: &[f32],
        target: Target,
    ) {
        let Product { k, a, bias, relu, .. } = self.product;
        let kernel = self.kernel;
        let last = steps.end == k && !self.turned;
        for row in rows.clone().step_by(kernel.rows) {
            let count = kernel.rows.min(rows.end - row);
            for panel in kernel.panels(columns.len()) {
                let bias = bias.filter(|_| last).map_or(std::ptr::null(), |bias| {
                    bias[columns.start + panel.first..].as_ptr()
                });
                let mut tile = Tile {
                    a: [std::ptr::null(); MAX_ROWS],
                    c: [target.start; MAX_ROWS],
                    rows: count,
                    b: block[panel.first * steps.len()..].as_ptr(),
                    walk: Walk::line(steps.len(), a.column_pitch),
                    epilogue: Epilogue {
                        bias,
                        accumulate: steps.start > 0,
                        relu: relu && last,
                    },
                };
                for i in 0..kernel.rows {
                    let row = row + i.min(count - 1);
                    tile.a[i] = a.data[row * a.row_pitch + steps.start * a.column_pitch..].as_ptr();
                    // SAFETY: a row and column of `target`.
                    tile.c[i] = unsafe { target.start.add((row - rows.start) * target.pitch + panel.first) };
                }
                // SAFETY: the walk stays in the rows of `a`; the rest is the caller's promise.
                unsafe { kernel.run(&panel, &tile) };
            }
        }
    }

    /// Writes what a piece of a turned product collected.
    ///
    /// # Safety
    /// Nobody else may touch these rows and columns of `c`.
    unsafe fn write_turned(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        collected: &[f32],
        pitch: usize,
        c: SendPtr<f32>,
    ) {
        let Product { m, bias, relu, .. } = self.product;
        for column in 0..columns.len() {
            // SAFETY: a part of row `columns.start + column` of the untransposed result.
            let target = unsafe { c.slice((columns.start + column) * m + rows.start, rows.len()) };
            for (row, target) in target.iter_mut().enumerate() {
                let value = collected[row * pitch + column] + bias.map_or(0.0, |bias| bias[rows.start + row]);
                *target = if relu && value < 0.0 { 0.0 } else { value };
            }
        }
    }
}

/// Where a piece's results go.
#[derive(Clone, Copy)]
struct Target {
    start: *mut f32,
    /// Floats from a row to the next.
    pitch: usize,
}

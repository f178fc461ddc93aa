//! The one micro-kernel: a small tile of a matrix product, kept in registers for the whole sum.
//!
//! ```text
//! for every step of the walk:                      # three nested loops over the sum
//!     for i in 0..rows: for j in 0..width:
//!         sums[i][j] += a[i][walk offset] · b[step][j]
//! c[i][j] = epilogue(sums[i][j])                   # bias, ReLU, or added to what is there
//! ```
//!
//! Where the code differs, and why:
//! 1. `a` is one pointer per row plus an offset that all rows share, so that activations are read where they lie:
//!    a convolution needs no copy per window position (no im2col).
//! 2. `b` is a packed panel ([`pack`]) that is read straight through.
//! 3. The sums are written to memory by a tiny unrolled loop, and a separate function that is never inlined
//!    finishes them. With the epilogue in the same function the compiler keeps the sums in memory during the sum,
//!    which is 2.5 times slower.
//! 4. The tile's size depends on the registers of the level: 12 × 32 under AVX-512 (24 of 32 registers), 6 × 16
//!    under AVX2 (12 of 16), 6 × 8 at the baseline. Where rows are left over, a tile of a third or two thirds of the
//!    rows saves the work on rows that do not exist.

mod levels;
mod pack;

use levels::portable;
#[cfg(target_arch = "x86_64")]
use levels::{avx2, avx512};
pub(crate) use pack::{pack_rows, pack_transposed, pack_wide_rows};

use crate::arch::level;

/// Rows of the tallest tile.
pub(crate) const MAX_ROWS: usize = 12;
/// Columns of the widest tile.
const MAX_WIDTH: usize = 32;

/// The loops over the sum, outermost first: how many steps, and floats of `a` from one step to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    counts: [usize; 3],
    strides: [usize; 3],
    /// Steps of `b` to leave out after each round of the outermost loop.
    skip: usize,
}

impl Walk {
    /// Loops of `counts` steps, `strides` floats apart. Neighbouring loops that amount to one are merged, so that
    /// the innermost loop is as long as it can be.
    pub(crate) fn new(counts: [usize; 3], strides: [usize; 3]) -> Self {
        Self::skipping(counts, strides, 0)
    }

    /// As [`new`](Self::new), but after each round of the outermost of the three loops `skip` steps of `b` are left
    /// out.
    pub(crate) fn skipping(counts: [usize; 3], strides: [usize; 3], skip: usize) -> Self {
        // The loop that skips stays where it is.
        let fixed = usize::from(skip > 0);
        let mut merged = Self {
            counts: [1; 3],
            strides: [0; 3],
            skip,
        };
        merged.counts[..fixed].copy_from_slice(&counts[..fixed]);
        merged.strides[..fixed].copy_from_slice(&strides[..fixed]);
        let mut level = 2;
        (merged.counts[level], merged.strides[level]) = (counts[2], strides[2]);
        for (&count, &stride) in counts[fixed..2].iter().zip(&strides[fixed..2]).rev() {
            if count == 1 || merged.counts[level] * merged.strides[level] == stride {
                merged.counts[level] *= count;
            } else if merged.counts[level] == 1 {
                (merged.counts[level], merged.strides[level]) = (count, stride);
            } else {
                level -= 1;
                (merged.counts[level], merged.strides[level]) = (count, stride);
            }
        }
        merged
    }

    /// One loop of `count` steps, `stride` floats apart.
    pub(crate) fn line(count: usize, stride: usize) -> Self {
        Self {
            counts: [1, 1, count],
            strides: [0, 0, stride],
            skip: 0,
        }
    }

    /// Steps in all.
    #[cfg(test)]
    fn steps(&self) -> usize {
        self.counts.iter().product()
    }
}

/// What happens to a finished sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue {
    /// Added to every row: as many values as the tile has columns, or null for none.
    pub(crate) bias: *const f32,
    /// Add to what `c` holds instead of overwriting it.
    pub(crate) accumulate: bool,
    /// Replace negative results by zero.
    pub(crate) relu: bool,
}

impl Epilogue {
    /// `c = sum`
    pub(crate) const STORE: Self = Self {
        bias: std::ptr::null(),
        accumulate: false,
        relu: false,
    };
    /// `c += sum`
    pub(crate) const ACCUMULATE: Self = Self {
        bias: std::ptr::null(),
        accumulate: true,
        relu: false,
    };
}

/// The operands of one tile.
pub(crate) struct Tile {
    /// Where each row of `a` starts. All entries below the micro-kernel's row count are read, also those past
    /// `rows`: repeat a valid row there.
    pub(crate) a: [*const f32; MAX_ROWS],
    /// Where each row of the result starts; entries past `rows` are not used.
    pub(crate) c: [*mut f32; MAX_ROWS],
    /// Rows to write.
    pub(crate) rows: usize,
    /// The packed panel: `walk.steps()` rows of the panel's width.
    pub(crate) b: *const f32,
    pub(crate) walk: Walk,
    pub(crate) epilogue: Epilogue,
}

/// Neighbouring columns of `b` that are packed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    /// The first column. The panel starts at `first * steps` in the packed buffer.
    pub(crate) first: usize,
    /// Columns that exist.
    pub(crate) columns: usize,
    /// Columns as packed; those past `columns` are zero.
    pub(crate) width: usize,
}

type Run = unsafe fn(&Tile, usize);

/// The micro-kernel of one level.
pub(crate) struct MicroKernel {
    /// Rows of a tile.
    pub(crate) rows: usize,
    /// Columns of a wide tile; a narrow one has half of them.
    pub(crate) width: usize,
    /// The wide tile with a third, two thirds and all of the rows.
    wide: [Run; 3],
    narrow: [Run; 3],
}

/// The micro-kernel of the current level.
pub(crate) fn micro_kernel() -> &'static MicroKernel {
    static PORTABLE: MicroKernel = MicroKernel {
        rows: 6,
        width: 8,
        wide: [portable::<2, 2>, portable::<4, 2>, portable::<6, 2>],
        narrow: [portable::<2, 1>, portable::<4, 1>, portable::<6, 1>],
    };
    #[cfg(target_arch = "x86_64")]
    static AVX2: MicroKernel = MicroKernel {
        rows: 6,
        width: 16,
        wide: [avx2::<2, 2>, avx2::<4, 2>, avx2::<6, 2>],
        narrow: [avx2::<2, 1>, avx2::<4, 1>, avx2::<6, 1>],
    };
    #[cfg(target_arch = "x86_64")]
    static AVX512: MicroKernel = MicroKernel {
        rows: 12,
        width: 32,
        wide: [avx512::<4, 2>, avx512::<8, 2>, avx512::<12, 2>],
        narrow: [avx512::<4, 1>, avx512::<8, 1>, avx512::<12, 1>],
    };
    match level() {
        #[cfg(target_arch = "x86_64")]
        crate::arch::Level::Avx512 => &AVX512,
        #[cfg(target_arch = "x86_64")]
        crate::arch::Level::Avx2 => &AVX2,
        _ => &PORTABLE,
    }
}

impl MicroKernel {
    /// Cuts `columns` into panels: wide ones, and a narrow one at the end where that is enough.
    pub(crate) fn panels(&self, columns: usize) -> impl Iterator<Item = Panel> + Clone + use<> {
        let full = self.width;
        (0..columns).step_by(full).map(move |first| {
            let left = (columns - first).min(full);
            Panel {
                first,
                columns: left,
                width: if left <= full / 2 { full / 2 } else { full },
            }
        })
    }

    /// Panel `index` of [`panels`](Self::panels).
    pub(crate) fn panel(&self, columns: usize, index: usize) -> Panel {
        let first = index * self.width;
        let left = (columns - first).min(self.width);
        Panel {
            first,
            columns: left,
            width: if left <= self.width / 2 {
                self.width / 2
            } else {
                self.width
            },
        }
    }

    /// How many panels `columns` make.
    pub(crate) fn panel_count(&self, columns: usize) -> usize {
        columns.div_ceil(self.width)
    }

    /// Columns of all panels of `columns`, padding included.
    pub(crate) fn padded(&self, columns: usize) -> usize {
        columns.next_multiple_of(self.width / 2)
    }

    /// Computes a tile of `panel`.
    ///
    /// # Safety
    /// `tile.a[..self.rows]` must be readable at every offset of the walk, `tile.b` for as many rows of `panel.width`
    /// floats as the walk has steps, those it skips included, `tile.c[..tile.rows]` readable and writable for
    /// `panel.columns` floats each, a bias that is not null readable for `panel.columns` floats. `self` must come from [`micro_kernel`], `panel` from
    /// `self`.
    #[inline]
    pub(crate) unsafe fn run(&self, panel: &Panel, tile: &Tile) {
        let heights = if panel.width == self.width {
            &self.wide
        } else {
            &self.narrow
        };
        // The lowest tile that has the rows.
        let run = heights[(3 * tile.rows).div_ceil(self.rows).clamp(1, 3) - 1];
        // SAFETY: the caller's promise.
        unsafe { run(tile, panel.columns) }
    }
}

#[cfg(test)]
mod tests;

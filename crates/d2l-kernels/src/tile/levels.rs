//! The tile itself, and its epilogue, as functions of each level.

#![allow(
    clippy::needless_range_loop,
    reason = "unrolled loops over two arrays of registers"
)]

use super::{Epilogue, MAX_ROWS, MAX_WIDTH, Tile, Walk};
use crate::arch::{Portable, Simd, Vector};
use std::mem::MaybeUninit;

/// Names the tile and its epilogue for one level: functions of their own, with the level's features.
macro_rules! name_level {
    ($tile:ident, $finish:ident, $simd:ty $(, $features:literal)?) => {
        /// # Safety
        /// The processor must have the level; see [`MicroKernel::run`](super::MicroKernel::run).
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn $tile<const ROWS: usize, const VECTORS: usize>(operands: &Tile, columns: usize) {
            // SAFETY: the caller's promise.
            unsafe { tile::<$simd, ROWS, VECTORS>(operands, columns, $finish::<VECTORS>) }
        }

        /// # Safety
        /// The processor must have the level; see [`finish`].
        $(#[target_feature(enable = $features)])?
        #[inline(never)]
        unsafe fn $finish<const VECTORS: usize>(sums: *const f32, operands: &Tile, columns: usize) {
            // SAFETY: the caller's promise.
            unsafe { finish::<$simd, VECTORS>(sums, operands, columns) }
        }
    };
}

name_level!(portable, finish_portable, Portable);
#[cfg(target_arch = "x86_64")]
name_level!(avx2, finish_avx2, crate::arch::Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
name_level!(
    avx512,
    finish_avx512,
    crate::arch::Avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);

/// The tile of `ROWS` rows and `VECTORS` registers of columns, for one level.
///
/// # Safety
/// See [`MicroKernel::run`](super::MicroKernel::run).
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    tile: &Tile,
    columns: usize,
    finish: Finish,
) {
    let mut sums = [[S::Vector::splat(0.0); VECTORS]; ROWS];
    let mut a = [std::ptr::null(); ROWS];
    a.copy_from_slice(&tile.a[..ROWS]);
    let mut b = tile.b;
    let Walk {
        counts,
        strides,
        skip,
    } = tile.walk;
    for outer in 0..counts[0] {
        for middle in 0..counts[1] {
            let mut offset = outer * strides[0] + middle * strides[1];
            for _ in 0..counts[2] {
                // SAFETY: the caller vouches for every offset of the walk and for the whole panel.
                unsafe {
                    let mut row = [S::Vector::splat(0.0); VECTORS];
                    for (lane, value) in row.iter_mut().enumerate() {
                        *value = S::Vector::load(b.add(lane * S::LANES));
                    }
                    for i in 0..ROWS {
                        let factor = S::Vector::splat(*a[i].add(offset));
                        for j in 0..VECTORS {
                            sums[i][j] = factor.mul_add(row[j], sums[i][j]);
                        }
                    }
                    b = b.add(VECTORS * S::LANES);
                }
                offset += strides[2];
            }
        }
        // Wrapping: after the last round this may point past the panel.
        b = b.wrapping_add(skip * VECTORS * S::LANES);
    }
    let mut finished = [MaybeUninit::<f32>::uninit(); MAX_ROWS * MAX_WIDTH];
    for i in 0..ROWS {
        for j in 0..VECTORS {
            let at = (i * VECTORS + j) * S::LANES;
            // SAFETY: ROWS · VECTORS · LANES ≤ MAX_ROWS · MAX_WIDTH.
            unsafe { sums[i][j].store(finished.as_mut_ptr().add(at).cast()) };
        }
    }
    // SAFETY: the sums of `tile.rows` rows were just written; the rest is the caller's promise.
    unsafe { finish(finished.as_ptr().cast(), tile, columns) }
}

type Finish = unsafe fn(*const f32, &Tile, usize);

/// Applies the epilogue to `sums[rows][VECTORS · LANES]` and writes the columns that exist.
///
/// # Safety
/// `sums` must hold the tile's rows; see [`MicroKernel::run`](super::MicroKernel::run).
#[inline(always)]
unsafe fn finish<S: Simd, const VECTORS: usize>(sums: *const f32, tile: &Tile, columns: usize) {
    let Epilogue {
        bias,
        accumulate,
        relu,
    } = tile.epilogue;
    for j in 0..VECTORS {
        let first = j * S::LANES;
        if columns < first + S::LANES {
            for column in first..columns {
                for row in 0..tile.rows {
                    // SAFETY: the caller vouches for `columns` floats at `c` and `bias`.
                    unsafe {
                        let c = tile.c[row].add(column);
                        let mut value = *sums.add(row * VECTORS * S::LANES + column);
                        value += if bias.is_null() { 0.0 } else { *bias.add(column) };
                        value += if accumulate { *c } else { 0.0 };
                        *c = if relu && value < 0.0 { 0.0 } else { value };
                    }
                }
            }
            return;
        }
        // SAFETY: the columns of this vector exist, so the caller vouches for them at `c` and `bias`.
        unsafe {
            let bias = if bias.is_null() {
                S::Vector::splat(0.0)
            } else {
                S::Vector::load(bias.add(first))
            };
            for row in 0..tile.rows {
                let c = tile.c[row].add(first);
                let mut value = S::Vector::load(sums.add((row * VECTORS + j) * S::LANES)).add(bias);
                if accumulate {
                    value = value.add(S::Vector::load(c));
                }
                if relu {
                    value = value.relu();
                }
                value.store(c);
            }
        }
    }
}

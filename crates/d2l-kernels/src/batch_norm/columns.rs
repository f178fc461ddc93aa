//! What the loops do with an element. Each is a set of pointers into slices whose lengths the caller has checked.
//!
//! Loops instead of `map` over arrays: the closure would not be compiled with the level's instructions.

use super::walk::Columns;
use crate::arch::{Simd, Vector};
use std::ops::Range;

/// Some vectors side by side.
type Block<S, const N: usize> = [<S as Simd>::Vector; N];

/// Reads `N` vectors, of the last one `count` floats.
///
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn load<V: Vector, const N: usize>(source: *const f32, count: usize) -> [V; N] {
    let mut vectors = [V::splat(0.0); N];
    for (index, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *vector = unsafe { V::load_first(source.add(index * V::LANES), count) };
    }
    vectors
}

/// Writes what [`load`] reads.
///
/// # Safety
/// They must be writable.
#[inline(always)]
unsafe fn store<V: Vector, const N: usize>(vectors: [V; N], target: *mut f32, count: usize) {
    for (index, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { vector.store_first(target.add(index * V::LANES), count) };
    }
}

/// `sums += vectors`, of the last one `count` floats.
///
/// # Safety
/// They must be readable and writable.
#[inline(always)]
unsafe fn add_to<V: Vector, const N: usize>(sums: *mut f32, vectors: [V; N], count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut total = load::<V, N>(sums, count);
        for (total, vector) in total.iter_mut().zip(vectors) {
            *total = total.add(vector);
        }
        store(total, sums, count);
    }
}

/// `sums += x`.
pub(super) struct Sums {
    pub(super) columns: usize,
    pub(super) x: *const f32,
    pub(super) sums: *mut f32,
}

impl Columns for Sums {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, column: usize, rows: Range<usize>, count: usize) {
        let mut sums = [S::Vector::splat(0.0); N];
        for row in rows {
            // SAFETY: the caller's promise.
            let x = unsafe { load::<S::Vector, N>(self.x.add(row * self.columns + column), count) };
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = sum.add(x);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { add_to(self.sums.add(column), sums, count) };
    }
}

/// `sums += x − pivot`, `squares += (x − pivot)²`.
pub(super) struct Deviations {
    pub(super) columns: usize,
    pub(super) x: *const f32,
    pub(super) pivot: *const f32,
    pub(super) sums: *mut f32,
    pub(super) squares: *mut f32,
}

impl Columns for Deviations {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, column: usize, rows: Range<usize>, count: usize) {
        let [mut sums, mut squares] = [[S::Vector::splat(0.0); N]; 2];
        // SAFETY: the caller's promise.
        let pivot = unsafe { load::<S::Vector, N>(self.pivot.add(column), count) };
        for row in rows {
            // SAFETY: the caller's promise.
            let x = unsafe { load::<S::Vector, N>(self.x.add(row * self.columns + column), count) };
            for i in 0..N {
                let deviation = x[i].sub(pivot[i]);
                sums[i] = sums[i].add(deviation);
                squares[i] = deviation.mul_add(deviation, squares[i]);
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            add_to(self.sums.add(column), sums, count);
            add_to(self.squares.add(column), squares, count);
        }
    }
}

/// `y = (x − mean)·factor + beta`, plus the residual with `ADD`, then a ReLU with `RELU`.
pub(super) struct Normalise<const RELU: bool, const ADD: bool> {
    pub(super) columns: usize,
    pub(super) mean: *const f32,
    pub(super) factor: *const f32,
    pub(super) beta: *const f32,
    pub(super) x: *const f32,
    /// Not read without `ADD`.
    pub(super) residual: *const f32,
    pub(super) y: *mut f32,
}

impl<const RELU: bool, const ADD: bool> Columns for Normalise<RELU, ADD> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, column: usize, rows: Range<usize>, count: usize) {
        // SAFETY: the caller's promise.
        let (mean, factor, beta): (Block<S, N>, Block<S, N>, Block<S, N>) = unsafe {
            (
                load(self.mean.add(column), count),
                load(self.factor.add(column), count),
                load(self.beta.add(column), count),
            )
        };
        for row in rows {
            let at = row * self.columns + column;
            // SAFETY: the caller's promise.
            let mut y = unsafe { load::<S::Vector, N>(self.x.add(at), count) };
            for i in 0..N {
                y[i] = y[i].sub(mean[i]).mul_add(factor[i], beta[i]);
            }
            if ADD {
                // SAFETY: the caller's promise.
                let residual = unsafe { load::<S::Vector, N>(self.residual.add(at), count) };
                for i in 0..N {
                    y[i] = y[i].add(residual[i]);
                }
            }
            if RELU {
                for y in &mut y {
                    *y = y.relu();
                }
            }
            // SAFETY: the caller's promise.
            unsafe { store(y, self.y.add(at), count) };
        }
    }
}

/// What [`GradientSums`] and [`InputGradient`] take as the gradient d.
pub(super) mod mask {
    /// `d = dy`
    pub(in super::super) const NONE: u8 = 0;
    /// `d = dy` where the ReLU's output, computed again, is above 0.
    pub(in super::super) const RELU: u8 = 1;
    /// `d = dy` where y is above 0; and `dy = d`.
    pub(in super::super) const OUTPUT: u8 = 2;
}

/// `gamma_sums += d·(x − mean)`, `beta_sums += d`.
pub(super) struct GradientSums<const MASK: u8> {
    pub(super) columns: usize,
    pub(super) mean: *const f32,
    pub(super) factor: *const f32,
    pub(super) beta: *const f32,
    pub(super) x: *const f32,
    /// Only read for `mask::OUTPUT`.
    pub(super) y: *const f32,
    /// Only written for `mask::OUTPUT`.
    pub(super) dy: *mut f32,
    pub(super) gamma_sums: *mut f32,
    pub(super) beta_sums: *mut f32,
}

impl<const MASK: u8> Columns for GradientSums<MASK> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, column: usize, rows: Range<usize>, count: usize) {
        let [mut gamma_sums, mut beta_sums] = [[S::Vector::splat(0.0); N]; 2];
        // SAFETY: the caller's promise.
        let (mean, factor, beta): (Block<S, N>, Block<S, N>, Block<S, N>) = unsafe {
            (
                load(self.mean.add(column), count),
                load(self.factor.add(column), count),
                load(self.beta.add(column), count),
            )
        };
        for row in rows {
            let at = row * self.columns + column;
            // SAFETY: the caller's promise.
            let (x, mut d): (Block<S, N>, Block<S, N>) =
                unsafe { (load(self.x.add(at), count), load(self.dy.add(at), count)) };
            if MASK == mask::OUTPUT {
                // SAFETY: the caller's promise.
                unsafe {
                    let y = load::<S::Vector, N>(self.y.add(at), count);
                    for i in 0..N {
                        d[i] = d[i].where_positive(y[i]);
                    }
                    store(d, self.dy.add(at), count);
                }
            }
            for i in 0..N {
                let centred = x[i].sub(mean[i]);
                if MASK == mask::RELU {
                    d[i] = d[i].where_positive(centred.mul_add(factor[i], beta[i]));
                }
                gamma_sums[i] = d[i].mul_add(centred, gamma_sums[i]);
                beta_sums[i] = beta_sums[i].add(d[i]);
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            add_to(self.gamma_sums.add(column), gamma_sums, count);
            add_to(self.beta_sums.add(column), beta_sums, count);
        }
    }
}

/// `dx = d·factor + shift + slope·(x − mean)`.
pub(super) struct InputGradient<const MASK: u8> {
    pub(super) columns: usize,
    pub(super) mean: *const f32,
    pub(super) factor: *const f32,
    pub(super) beta: *const f32,
    pub(super) shift: *const f32,
    pub(super) slope: *const f32,
    pub(super) x: *const f32,
    pub(super) dy: *const f32,
    pub(super) dx: *mut f32,
}

impl<const MASK: u8> Columns for InputGradient<MASK> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize>(&self, column: usize, rows: Range<usize>, count: usize) {
        // SAFETY: the caller's promise.
        let (mean, factor, beta): (Block<S, N>, Block<S, N>, Block<S, N>) = unsafe {
            (
                load(self.mean.add(column), count),
                load(self.factor.add(column), count),
                load(self.beta.add(column), count),
            )
        };
        // SAFETY: the caller's promise.
        let (shift, slope): (Block<S, N>, Block<S, N>) = unsafe {
            (
                load(self.shift.add(column), count),
                load(self.slope.add(column), count),
            )
        };
        for row in rows {
            let at = row * self.columns + column;
            // SAFETY: the caller's promise.
            let (x, mut d): (Block<S, N>, Block<S, N>) =
                unsafe { (load(self.x.add(at), count), load(self.dy.add(at), count)) };
            for i in 0..N {
                let centred = x[i].sub(mean[i]);
                if MASK == mask::RELU {
                    d[i] = d[i].where_positive(centred.mul_add(factor[i], beta[i]));
                }
                d[i] = d[i].mul_add(factor[i], centred.mul_add(slope[i], shift[i]));
            }
            // SAFETY: the caller's promise.
            unsafe { store(d, self.dx.add(at), count) };
        }
    }
}

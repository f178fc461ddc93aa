//! The matrices A, B and G of `F(M×M, R×R)`, applied to vectors of channels.
//!
//! They evaluate polynomials at the points 0, 1, −1, 2, −2 and ∞ (T = 6: F(4, 3) and F(2, 5), which share Bᵀ) or at
//! 0, 1, −1 and ∞ (T = 4: F(2, 3)). Arrays have room for the largest variant; each uses its first T or M values.

#![allow(
    clippy::needless_range_loop,
    reason = "indices i and j follow the formulas, across rows and columns"
)]

use super::Tiling;
use crate::arch::{Kernel, Simd, Vector};
use crate::par::SendPtr;
use crate::tile::Panel;
use std::ops::Range;

/// The largest T.
pub(super) const MAX_POSITIONS: usize = 6;
const MAX_OUTPUTS: usize = 4;

/// `Bᵀ d`
#[inline(always)]
fn input_points<V: Vector, const T: usize>(d: [V; 6]) -> [V; 6] {
    let [two, four, five] = [2.0, 4.0, 5.0].map(V::splat);
    let zero = V::splat(0.0);
    if T == 4 {
        return [
            d[0].sub(d[2]),
            d[1].add(d[2]),
            d[2].sub(d[1]),
            d[1].sub(d[3]),
            zero,
            zero,
        ];
    }
    let minus_four = V::splat(-4.0);
    let even = d[2].mul_add(minus_four, d[4]);
    let odd = d[1].mul_add(minus_four, d[3]);
    let even_two = d[4].sub(d[2]);
    let odd_two = two.mul(d[3].sub(d[1]));
    [
        d[0].mul_add(four, d[4]).sub(five.mul(d[2])),
        even.add(odd),
        even.sub(odd),
        even_two.add(odd_two),
        even_two.sub(odd_two),
        d[1].mul_add(four, d[5]).sub(five.mul(d[3])),
    ]
}

/// `Aᵀ m`
#[inline(always)]
fn outputs<V: Vector, const M: usize, const T: usize>(m: [V; 6]) -> [V; 4] {
    let zero = V::splat(0.0);
    if T == 4 {
        return [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3]), zero, zero];
    }
    let [two, four, eight] = [2.0, 4.0, 8.0].map(V::splat);
    let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (sum_two, difference_two) = (m[3].add(m[4]), m[3].sub(m[4]));
    let first = m[0].add(sum).add(sum_two);
    let second = difference_two.mul_add(two, difference);
    if M == 2 {
        return [first, second.add(m[5]), zero, zero];
    }
    [
        first,
        second,
        sum_two.mul_add(four, sum),
        difference_two.mul_add(eight, difference).add(m[5]),
    ]
}

/// `A y`
#[inline(always)]
fn gradient_points<V: Vector, const M: usize, const T: usize>(y: [V; 4]) -> [V; 6] {
    let zero = V::splat(0.0);
    if T == 4 {
        return [y[0], y[0].add(y[1]), y[0].sub(y[1]), zero.sub(y[1]), zero, zero];
    }
    let [two, four] = [2.0, 4.0].map(V::splat);
    if M == 2 {
        let double = two.mul(y[1]);
        return [
            y[0],
            y[0].add(y[1]),
            y[0].sub(y[1]),
            y[0].add(double),
            y[0].sub(double),
            y[1],
        ];
    }
    let (even, odd) = (y[0].add(y[2]), y[1].add(y[3]));
    let even_two = y[2].mul_add(four, y[0]);
    let odd_two = two.mul(y[3].mul_add(four, y[1]));
    [
        y[0],
        even.add(odd),
        even.sub(odd),
        even_two.add(odd_two),
        even_two.sub(odd_two),
        y[3],
    ]
}

/// `G`, a row per point: the powers of the point, scaled.
const fn weight_points<const R: usize, const T: usize>() -> [[f32; R]; MAX_POSITIONS] {
    let points = [0.0, 1.0, -1.0, 2.0, -2.0];
    let scales = if T == 6 {
        [0.25, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0]
    } else {
        [1.0, 0.5, 0.5, 0.0, 0.0]
    };
    let mut matrix = [[0.0; R]; MAX_POSITIONS];
    let mut row = 0;
    while row < T - 1 {
        let (mut power, mut column) = (scales[row], 0);
        while column < R {
            matrix[row][column] = power;
            power *= points[row];
            column += 1;
        }
        row += 1;
    }
    matrix[T - 1][R - 1] = 1.0;
    matrix
}

/// The first `count` floats at `source`, zeros after them.
///
/// # Safety
/// `source` must be readable for `count` floats.
#[inline(always)]
unsafe fn load_some<V: Vector>(source: *const f32, count: usize) -> V {
    // SAFETY: the caller's promise; no vector is longer than 16 floats.
    unsafe {
        if count >= V::LANES {
            return V::load(source);
        }
        let mut lanes = [0.0; 16];
        std::ptr::copy_nonoverlapping(source, lanes.as_mut_ptr(), count);
        V::load(lanes.as_ptr())
    }
}

/// Writes the first `count` floats of `vector`.
///
/// # Safety
/// `target` must be writable for `count` floats.
#[inline(always)]
unsafe fn store_some<V: Vector>(vector: V, target: *mut f32, count: usize) {
    // SAFETY: the caller's promise; no vector is longer than 16 floats.
    unsafe {
        if count >= V::LANES {
            return vector.store(target);
        }
        let mut lanes = [0.0; 16];
        vector.store(lanes.as_mut_ptr());
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), target, count);
    }
}

/// `V = Bᵀ x B` for a run of tiles, written as `[position][tile][channel]`.
pub(super) struct TransformInput<'a, const M: usize, const R: usize, const T: usize> {
    pub(super) tiling: &'a Tiling,
    pub(super) tiles: Range<usize>,
    pub(super) x: &'a [f32],
    /// Where the first of `tiles` goes.
    pub(super) v: *mut f32,
    /// Floats from a tile to the next; at least the channels.
    pub(super) tile_pitch: usize,
    /// Floats from a position to the next.
    pub(super) position_pitch: usize,
}

impl<const M: usize, const R: usize, const T: usize> Kernel for TransformInput<'_, M, R, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let [height, width] = self.tiling.in_size;
        let channels = self.tiling.in_channels;
        for (index, tile) in self.tiles.clone().enumerate() {
            let [image, row, column] = self.tiling.position(tile);
            let top = (row * M) as isize + self.tiling.origin[0];
            let left = (column * M) as isize + self.tiling.origin[1];
            let image = &self.x[image * height * width * channels..][..height * width * channels];
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                let zero = S::Vector::splat(0.0);
                let mut rows = [[zero; 6]; 6];
                for j in 0..T {
                    let mut taps = [zero; 6];
                    let x = left + j as isize;
                    if x >= 0 && (x as usize) < width {
                        for (i, tap) in taps.iter_mut().enumerate().take(T) {
                            let y = top + i as isize;
                            if y >= 0 && (y as usize) < height {
                                let at = (y as usize * width + x as usize) * channels + channel;
                                // SAFETY: the pixel lies in the image, and `count` channels are left.
                                *tap = unsafe { load_some(image.as_ptr().add(at), count) };
                            }
                        }
                    }
                    let points = input_points::<S::Vector, T>(taps);
                    for i in 0..T {
                        rows[i][j] = points[i];
                    }
                }
                for (i, row) in rows.into_iter().enumerate().take(T) {
                    let points = input_points::<S::Vector, T>(row);
                    for (j, point) in points.into_iter().enumerate().take(T) {
                        let at = (i * T + j) * self.position_pitch + index * self.tile_pitch + channel;
                        // SAFETY: whoever made this transform sized `v` for these tiles and channels.
                        unsafe { store_some(point, self.v.add(at), count) };
                    }
                }
            }
        }
    }
}

/// `y = Aᵀ m A + bias` for a run of tiles of `m`, which is `[position][tile][channel]`.
pub(super) struct TransformOutput<'a, const M: usize, const R: usize, const T: usize> {
    pub(super) tiling: &'a Tiling,
    pub(super) tiles: Range<usize>,
    /// The first of `tiles`.
    pub(super) m: *const f32,
    /// Floats from a tile to the next; at least the channels.
    pub(super) tile_pitch: usize,
    /// Floats from a position to the next.
    pub(super) position_pitch: usize,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
    /// The whole output; only the pixels of `tiles` are written.
    pub(super) y: SendPtr<f32>,
}

impl<const M: usize, const R: usize, const T: usize> Kernel for TransformOutput<'_, M, R, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let [height, width] = self.tiling.out_size;
        let channels = self.tiling.out_channels;
        for (index, tile) in self.tiles.clone().enumerate() {
            let [image, row, column] = self.tiling.position(tile);
            let (top, left) = (row * M, column * M);
            let (rows, columns) = (M.min(height - top), M.min(width - left));
            for channel in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - channel);
                let zero = S::Vector::splat(0.0);
                let bias = match self.bias {
                    // SAFETY: `count` channels are left, and the bias has one value for each.
                    Some(bias) => unsafe { load_some(bias.as_ptr().add(channel), count) },
                    None => zero,
                };
                let mut sums = [[zero; 6]; MAX_OUTPUTS];
                for j in 0..T {
                    let mut column = [zero; 6];
                    for (i, value) in column.iter_mut().enumerate().take(T) {
                        let at = (i * T + j) * self.position_pitch + index * self.tile_pitch + channel;
                        // SAFETY: whoever made this transform sized `m` for these tiles and channels.
                        *value = unsafe { load_some(self.m.add(at), count) };
                    }
                    let column = outputs::<S::Vector, M, T>(column);
                    for i in 0..M {
                        sums[i][j] = column[i];
                    }
                }
                for (i, sums) in sums.into_iter().enumerate().take(rows) {
                    let values = outputs::<S::Vector, M, T>(sums);
                    for (j, value) in values.into_iter().enumerate().take(columns) {
                        let value = value.add(bias);
                        let value = if self.relu { value.relu() } else { value };
                        let pixel = (image * height + top + i) * width + left + j;
                        // SAFETY: the pixel lies in the output and belongs to this tile alone.
                        unsafe { store_some(value, self.y.get().add(pixel * channels + channel), count) };
                    }
                }
            }
        }
    }
}

/// `A dy Aᵀ` for a run of tiles of a block, written as `[position][panel of channels][tile of the block][width]`.
pub(super) struct TransformGradient<'a, const M: usize, const R: usize, const T: usize, P> {
    pub(super) tiling: &'a Tiling,
    pub(super) tiles: Range<usize>,
    pub(super) dy: &'a [f32],
    /// The panels of the channels.
    pub(super) panels: P,
    /// The block; only the places of `tiles` are written.
    pub(super) packed: *mut f32,
    /// The first tile of the block, and how many it has.
    pub(super) block: (usize, usize),
    /// Floats from a position to the next.
    pub(super) position_pitch: usize,
}

impl<const M: usize, const R: usize, const T: usize, P> Kernel for TransformGradient<'_, M, R, T, P>
where
    P: Iterator<Item = Panel> + Clone,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let [height, width] = self.tiling.out_size;
        let channels = self.tiling.out_channels;
        for tile in self.tiles.clone() {
            let [image, row, column] = self.tiling.position(tile);
            let (top, left) = (row * M, column * M);
            let (rows, columns) = (M.min(height - top), M.min(width - left));
            for panel in self.panels.clone() {
                let start = panel.first * self.block.1 + (tile - self.block.0) * panel.width;
                for lane in (0..panel.width).step_by(S::LANES) {
                    let count = S::LANES.min(panel.columns.saturating_sub(lane));
                    let zero = S::Vector::splat(0.0);
                    let mut points = [[zero; MAX_OUTPUTS]; 6];
                    for j in 0..columns {
                        let mut values = [zero; MAX_OUTPUTS];
                        for (i, value) in values.iter_mut().enumerate().take(rows) {
                            let pixel = (image * height + top + i) * width + left + j;
                            let at = pixel * channels + panel.first + lane.min(panel.columns);
                            // SAFETY: the pixel lies in the picture, and `count` channels are left.
                            *value = unsafe { load_some(self.dy.as_ptr().add(at), count) };
                        }
                        let column = gradient_points::<S::Vector, M, T>(values);
                        for i in 0..T {
                            points[i][j] = column[i];
                        }
                    }
                    for (i, row) in points.into_iter().enumerate().take(T) {
                        let row = gradient_points::<S::Vector, M, T>(row);
                        for (j, value) in row.into_iter().enumerate().take(T) {
                            let at = (i * T + j) * self.position_pitch + start + lane;
                            // SAFETY: whoever made this transform sized `packed` for the block's panels; the
                            // widths of panels are multiples of the lanes of the level that made them.
                            unsafe {
                                store_some(value, self.packed.add(at), S::LANES.min(panel.width - lane))
                            };
                        }
                    }
                }
            }
        }
    }
}

/// `U = G w Gᵀ` for a run of input channels and one panel, written as `[position][panel][input channel][width]`.
pub(super) struct TransformWeight<'a, const R: usize, const T: usize> {
    /// `[tap][input channel][output channel]`
    pub(super) weight: &'a [f32],
    pub(super) channels: [usize; 2],
    pub(super) inputs: Range<usize>,
    pub(super) panel: Panel,
    /// All of U; only these channels of this panel are written.
    pub(super) u: *mut f32,
    /// Floats from a position to the next.
    pub(super) position_pitch: usize,
}

impl<const R: usize, const T: usize> Kernel for TransformWeight<'_, R, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let matrix = const { weight_points::<R, T>() };
        let [input, output] = self.channels;
        let panel = self.panel;
        for i in self.inputs.clone() {
            for lane in (0..panel.width).step_by(S::LANES) {
                let count = S::LANES.min(panel.columns.saturating_sub(lane));
                let zero = S::Vector::splat(0.0);
                let mut half = [[zero; R]; 6];
                for kx in 0..R {
                    let mut column = [zero; R];
                    for (ky, value) in column.iter_mut().enumerate() {
                        let at = ((ky * R + kx) * input + i) * output + panel.first + lane.min(panel.columns);
                        // SAFETY: a weight of input channel `i`, with `count` output channels left.
                        *value = unsafe { load_some(self.weight.as_ptr().add(at), count) };
                    }
                    for position in 0..T {
                        half[position][kx] = combine::<S, R>(&matrix[position], &column);
                    }
                }
                for (row, half) in half.iter().enumerate().take(T) {
                    for position in 0..T {
                        let value = combine::<S, R>(&matrix[position], half);
                        let at = (row * T + position) * self.position_pitch
                            + panel.first * input
                            + i * panel.width
                            + lane;
                        // SAFETY: whoever made this transform sized `u` for all channels and panels.
                        unsafe { store_some(value, self.u.add(at), S::LANES.min(panel.width - lane)) };
                    }
                }
            }
        }
    }
}

/// `dw = Gᵀ dU G` for a run of the pairs of channels, which are the same in `du[position][pair]` and
/// `dweight[tap][pair]`.
pub(super) struct TransformWeightGradient<'a, const R: usize, const T: usize> {
    pub(super) du: &'a [f32],
    pub(super) pairs: Range<usize>,
    /// The whole weight gradient; only these pairs are written.
    pub(super) dweight: SendPtr<f32>,
    pub(super) all_pairs: usize,
}

impl<const R: usize, const T: usize> Kernel for TransformWeightGradient<'_, R, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let matrix = const { transpose::<R>(weight_points::<R, T>()) };
        for pair in self.pairs.clone().step_by(S::LANES) {
            let count = S::LANES.min(self.pairs.end - pair);
            let zero = S::Vector::splat(0.0);
            let mut half = [[zero; 6]; R];
            for j in 0..T {
                let mut column = [zero; 6];
                for (i, value) in column.iter_mut().enumerate().take(T) {
                    let at = (i * T + j) * self.all_pairs + pair;
                    // SAFETY: `du` has `all_pairs` values per position, of which `count` are left.
                    *value = unsafe { load_some(self.du.as_ptr().add(at), count) };
                }
                for (ky, half) in half.iter_mut().enumerate() {
                    half[j] = combine::<S, 6>(&matrix[ky], &column);
                }
            }
            for (ky, half) in half.iter().enumerate() {
                for (kx, factors) in matrix.iter().enumerate() {
                    let value = combine::<S, 6>(factors, half);
                    let at = (ky * R + kx) * self.all_pairs + pair;
                    // SAFETY: as for `du`; these pairs belong to this transform alone.
                    unsafe { store_some(value, self.dweight.get().add(at), count) };
                }
            }
        }
    }
}

const fn transpose<const R: usize>(matrix: [[f32; R]; MAX_POSITIONS]) -> [[f32; MAX_POSITIONS]; R] {
    let mut transposed = [[0.0; MAX_POSITIONS]; R];
    let mut row = 0;
    while row < MAX_POSITIONS {
        let mut column = 0;
        while column < R {
            transposed[column][row] = matrix[row][column];
            column += 1;
        }
        row += 1;
    }
    transposed
}

/// `Σ factors[i] · values[i]`
#[inline(always)]
fn combine<S: Simd, const N: usize>(factors: &[f32; N], values: &[S::Vector; N]) -> S::Vector {
    let mut sum = S::Vector::splat(0.0);
    for (&factor, &value) in factors.iter().zip(values) {
        if factor != 0.0 {
            sum = value.mul_add(S::Vector::splat(factor), sum);
        }
    }
    sum
}

//! Local response normalisation across channels, with PyTorch's formula.
//!
//! ```text
//! scale_c = k + alpha/size · Σ x_j²                over j from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋ inside the channels
//! y_c     = x_c·scale_c^−beta
//! dx_j    = dy_j·scale_j^−beta − 2·alpha·beta/size · x_j · Σ dy_c·y_c/scale_c      over the c whose sums hold j
//! ```
//! The sum divides by `size` at the edges too. (AlexNet's paper has alpha where this has alpha/size.)

pub mod naive;
#[cfg(test)]
mod tests;

use crate::ShapeError;
use crate::error::checked_product;
use crate::par::for_each_chunk_mut;
use crate::pieces::per_level;

/// A local response normalisation of a `[rows][channels]` matrix, such as NHWC activations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    /// Rows of the matrix: batch·height·width.
    pub rows: usize,
    /// Channels, the columns of the matrix.
    pub channels: usize,
    /// Channels in a sum.
    pub size: usize,
    /// Weight of the sum.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Addend of the sum.
    pub k: f32,
}

impl LocalResponseNorm {
    /// PyTorch's default parameters: alpha 1e-4, beta 0.75, k 1.
    pub fn new(rows: usize, channels: usize, size: usize) -> Self {
        Self {
            rows,
            channels,
            size,
            alpha: 1e-4,
            beta: 0.75,
            k: 1.0,
        }
    }

    fn check(&self, operation: &'static str, lens: [(&str, usize); 2]) -> Result<(), ShapeError> {
        if self.size == 0 {
            return Err(ShapeError::new(operation, "a size above 0", "0"));
        }
        let len = checked_product(operation, &[self.rows, self.channels])?;
        lens.into_iter()
            .try_for_each(|(name, found)| ShapeError::check_len(operation, name, len, found))
    }

    fn chunk(&self) -> usize {
        ((1 << 14) / self.channels.max(1)).max(1) * self.channels
    }
}

/// The normalised x.
///
/// # Errors
/// A size of 0, slices of other lengths.
pub fn forward(norm: &LocalResponseNorm, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    norm.check("lrn::forward", [("x", x.len()), ("y", y.len())])?;
    if y.is_empty() {
        return Ok(());
    }
    let (norm, chunk) = (*norm, norm.chunk());
    for_each_chunk_mut(y, chunk, |piece, y| {
        forward_rows(norm, &x[piece * chunk..][..y.len()], y)
    });
    Ok(())
}

/// The gradient of [`forward`] with respect to x.
///
/// # Errors
/// A size of 0, slices of other lengths.
pub fn backward(norm: &LocalResponseNorm, x: &[f32], dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
    norm.check("lrn::backward", [("x", x.len()), ("dy", dy.len())])?;
    ShapeError::check_len("lrn::backward", "dx", x.len(), dx.len())?;
    if dx.is_empty() {
        return Ok(());
    }
    let (norm, chunk) = (*norm, norm.chunk());
    for_each_chunk_mut(dx, chunk, |piece, dx| {
        let range = piece * chunk..piece * chunk + dx.len();
        backward_rows(norm, &x[range.clone()], &dy[range], dx);
    });
    Ok(())
}

/// `scale^−beta`; roots for the usual exponents, the library's power for others.
#[inline(always)]
fn power(beta: f32, scale: &[f32], out: &mut [f32]) {
    if beta == 0.75 {
        for (out, &scale) in out.iter_mut().zip(scale) {
            let root = scale.sqrt();
            *out = 1.0 / (root * root.sqrt());
        }
    } else if beta == 0.5 {
        out.iter_mut()
            .zip(scale)
            .for_each(|(out, &scale)| *out = 1.0 / scale.sqrt());
    } else if beta == 1.0 {
        out.iter_mut()
            .zip(scale)
            .for_each(|(out, &scale)| *out = 1.0 / scale);
    } else {
        out.iter_mut()
            .zip(scale)
            .for_each(|(out, &scale)| *out = scale.powf(-beta));
    }
}

/// `scale` of one row. `squares` has `size − 1` more elements than the row, zero beyond its ends.
#[inline(always)]
fn scales<S: crate::arch::Simd>(norm: LocalResponseNorm, x: &[f32], squares: &mut [f32], scale: &mut [f32]) {
    for (square, &x) in squares[norm.size / 2..].iter_mut().zip(x) {
        *square = x * x;
    }
    scale.fill(0.0);
    for offset in 0..norm.size {
        for (scale, &square) in scale.iter_mut().zip(&squares[offset..]) {
            *scale += square;
        }
    }
    let weight = norm.alpha / norm.size as f32;
    for scale in scale {
        *scale = S::mul_add(*scale, weight, norm.k);
    }
}

per_level! {
    fn forward_rows<'a>(norm: LocalResponseNorm, x: &'a [f32], y: &'a mut [f32]) {
        let channels = norm.channels;
        let mut squares = vec![0.0; channels + norm.size - 1];
        let mut scale = vec![0.0; channels];
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            scales::<S>(norm, x, &mut squares, &mut scale);
            power(norm.beta, &scale, y);
            for (y, &x) in y.iter_mut().zip(x) {
                *y *= x;
            }
        }
    }
}

per_level! {
    fn backward_rows<'a>(norm: LocalResponseNorm, x: &'a [f32], dy: &'a [f32], dx: &'a mut [f32]) {
        let channels = norm.channels;
        let mut squares = vec![0.0; channels + norm.size - 1];
        let mut ratios = vec![0.0; channels + norm.size - 1];
        let mut scale = vec![0.0; channels];
        let mut sums = vec![0.0; channels];
        let weight = -2.0 * norm.alpha * norm.beta / norm.size as f32;
        let rows = x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels));
        for ((x, dy), dx) in rows {
            scales::<S>(norm, x, &mut squares, &mut scale);
            power(norm.beta, &scale, dx);
            for (dx, &dy) in dx.iter_mut().zip(dy) {
                *dx *= dy;
            }
            // dy_c·y_c/scale_c, mirrored windows: channel j is in the sums of c from j − ⌊(size − 1)/2⌋ to j + ⌊size/2⌋.
            let inside = &mut ratios[(norm.size - 1) / 2..];
            for (((ratio, &dx), &x), &scale) in inside.iter_mut().zip(&*dx).zip(x).zip(&scale) {
                *ratio = dx * x / scale;
            }
            sums.fill(0.0);
            for offset in 0..norm.size {
                for (sum, &ratio) in sums.iter_mut().zip(&ratios[offset..]) {
                    *sum += ratio;
                }
            }
            for ((dx, &x), &sum) in dx.iter_mut().zip(x).zip(&sums) {
                *dx = S::mul_add(weight * x, sum, *dx);
            }
        }
    }
}

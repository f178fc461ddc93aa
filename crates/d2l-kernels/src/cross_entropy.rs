//! Softmax cross-entropy from logits, with PyTorch's label smoothing, class weights and ignored index.
//!
//! ```text
//! log p_c = z_c − max z − ln Σ exp(z − max z)                 of each row z, [classes]
//! loss    = −(1 − smoothing)·w_t·log p_t − smoothing/classes · Σ_c w_c·log p_c          t = the row's target
//! dz_c    = u·(A·p_c − (1 − smoothing)·w_t·[c = t] − smoothing/classes·w_c)             u = the row's upstream gradient
//!           A = (1 − smoothing)·w_t + smoothing/classes · Σ w
//! ```
//! A row whose target is the ignored index has loss 0 and gradient 0. The mean over a batch divides by
//! [`total_weight`], so its upstream gradient is 1/total for every row.
//!
//! A row of infinite or NaN logits gives what the formula gives: NaN.

pub mod naive;
#[cfg(test)]
mod tests;

use crate::ShapeError;
use crate::activation::vector::exp;
use crate::arch::Simd;
use crate::error::checked_product;
use crate::par::{SendPtr, for_each_chunk_mut, for_each_piece};
use crate::pieces::per_level;

/// A batch of rows of logits and what they should have predicted.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a> {
    /// Logits in a row.
    pub classes: usize,
    /// The class of each row, `[batch]`; below `classes`, or the ignored index.
    pub targets: &'a [u32],
    /// Share of the target that is spread evenly over all classes, 0 to 1.
    pub label_smoothing: f32,
    /// Weight of each class, `[classes]`; 1 if absent.
    pub class_weights: Option<&'a [f32]>,
    /// A target that leaves its row out.
    pub ignore_index: Option<u32>,
}

impl<'a> CrossEntropy<'a> {
    /// Without smoothing, weights or ignored index.
    pub fn new(classes: usize, targets: &'a [u32]) -> Self {
        Self {
            classes,
            targets,
            label_smoothing: 0.0,
            class_weights: None,
            ignore_index: None,
        }
    }

    fn check(&self, operation: &'static str, logits: usize) -> Result<(), ShapeError> {
        let Self {
            classes,
            targets,
            label_smoothing,
            class_weights,
            ignore_index,
        } = *self;
        if classes == 0 {
            return Err(ShapeError::new(operation, "at least 1 class", "0"));
        }
        if !(0.0..=1.0).contains(&label_smoothing) {
            return Err(ShapeError::new(
                operation,
                "label smoothing from 0 to 1",
                format!("{label_smoothing}"),
            ));
        }
        if let Some(weights) = class_weights {
            ShapeError::check_len(operation, "class_weights", classes, weights.len())?;
        }
        let bad = targets
            .iter()
            .position(|&t| t as usize >= classes && Some(t) != ignore_index);
        if let Some(row) = bad {
            let found = format!("target {} in row {row}", targets[row]);
            return Err(ShapeError::new(
                operation,
                format!("targets below {classes}"),
                found,
            ));
        }
        let len = checked_product(operation, &[targets.len(), classes])?;
        ShapeError::check_len(operation, "logits", len, logits)
    }

    fn weight(&self, class: usize) -> f32 {
        self.class_weights.map_or(1.0, |weights| weights[class])
    }

    /// Rows per piece: some 16 Ki logits.
    fn rows_per_piece(&self) -> usize {
        ((1 << 14) / self.classes).max(1)
    }

    /// smoothing/classes · Σ w
    fn smoothing_weight(&self) -> f32 {
        let sum = match self.class_weights {
            Some(weights) => weights.iter().map(|&weight| f64::from(weight)).sum(),
            None => self.classes as f64,
        };
        (f64::from(self.label_smoothing) / self.classes as f64 * sum) as f32
    }
}

/// The loss of each row.
///
/// # Errors
/// Targets out of range, smoothing outside 0 to 1, slices whose lengths do not fit.
pub fn forward(loss: &CrossEntropy<'_>, logits: &[f32], losses: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "cross_entropy::forward";
    loss.check(NAME, logits.len())?;
    ShapeError::check_len(NAME, "losses", loss.targets.len(), losses.len())?;
    let chunk = loss.rows_per_piece();
    for_each_chunk_mut(losses, chunk, |piece, losses| {
        rows(loss, 0.0, piece * chunk, logits, &[], losses, &mut []);
    });
    Ok(())
}

/// The gradient of [`forward`] with respect to the logits, given the gradient of each row's loss.
///
/// # Errors
/// As [`forward`].
pub fn backward(
    loss: &CrossEntropy<'_>,
    logits: &[f32],
    dlosses: &[f32],
    dlogits: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "cross_entropy::backward";
    loss.check(NAME, logits.len())?;
    ShapeError::check_len(NAME, "dlosses", loss.targets.len(), dlosses.len())?;
    ShapeError::check_len(NAME, "dlogits", logits.len(), dlogits.len())?;
    let chunk = loss.rows_per_piece();
    let smoothing = loss.smoothing_weight();
    for_each_chunk_mut(dlogits, chunk * loss.classes, |piece, dlogits| {
        rows(loss, smoothing, piece * chunk, logits, dlosses, &mut [], dlogits);
    });
    Ok(())
}

/// [`forward`] and [`backward`] in one pass over the logits: for a loss whose upstream gradient is known beforehand,
/// such as 1/[`total_weight`] for the mean.
///
/// # Errors
/// As [`forward`].
pub fn forward_backward(
    loss: &CrossEntropy<'_>,
    logits: &[f32],
    dlosses: &[f32],
    losses: &mut [f32],
    dlogits: &mut [f32],
) -> Result<(), ShapeError> {
    const NAME: &str = "cross_entropy::forward_backward";
    loss.check(NAME, logits.len())?;
    ShapeError::check_len(NAME, "dlosses", loss.targets.len(), dlosses.len())?;
    ShapeError::check_len(NAME, "losses", loss.targets.len(), losses.len())?;
    ShapeError::check_len(NAME, "dlogits", logits.len(), dlogits.len())?;
    let chunk = loss.rows_per_piece();
    let smoothing = loss.smoothing_weight();
    let (losses, dlogits) = (SendPtr::new(losses), SendPtr::new(dlogits));
    let batch = loss.targets.len();
    for_each_piece(batch.div_ceil(chunk), |piece| {
        let start = piece * chunk;
        let count = chunk.min(batch - start);
        // SAFETY: each piece has its own rows of both outputs, which stay borrowed until all pieces have returned.
        let (losses, dlogits) = unsafe {
            (
                losses.slice(start, count),
                dlogits.slice(start * loss.classes, count * loss.classes),
            )
        };
        rows(loss, smoothing, start, logits, dlosses, losses, dlogits);
    });
    Ok(())
}

/// What the mean over the batch divides by: the sum of the class weights of the rows that are not ignored.
///
/// # Errors
/// Targets out of range, class weights of another length.
pub fn total_weight(loss: &CrossEntropy<'_>) -> Result<f32, ShapeError> {
    loss.check("cross_entropy::total_weight", loss.targets.len() * loss.classes)?;
    let targets = loss
        .targets
        .iter()
        .filter(|&&target| Some(target) != loss.ignore_index);
    Ok(targets
        .map(|&target| f64::from(loss.weight(target as usize)))
        .sum::<f64>() as f32)
}

/// Logits side by side; the order of a row's sum is the same at every level.
const LANES: usize = 16;

/// (max z, Σ exp(z − max z)) of a row.
#[inline(always)]
fn max_and_sum<S: Simd>(row: &[f32]) -> (f32, f32) {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut maxima = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (max, &z) in maxima.iter_mut().zip(block) {
            *max = if z > *max { z } else { *max };
        }
    }
    let max = maxima
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |max, &z| if z > max { z } else { max });
    let mut sums = [0.0; LANES];
    let mut add = |block: &[f32; LANES]| {
        for (sum, &z) in sums.iter_mut().zip(block) {
            *sum += exp::<S>(z - max);
        }
    };
    blocks.iter().for_each(&mut add);
    if !rest.is_empty() {
        // A whole block is faster than its elements. What fills it up adds 2e-35 to a sum of at least 1.
        let mut block = [max - 80.0; LANES];
        block[..rest.len()].copy_from_slice(rest);
        add(&block);
    }
    (max, sums.iter().sum::<f32>())
}

per_level! {
    /// The losses and the gradients of the rows from `first_row`. An empty output is not computed.
    fn rows<'a>(
        loss: &'a CrossEntropy<'a>, smoothing_weight: f32, first_row: usize, logits: &'a [f32], dlosses: &'a [f32],
        losses: &'a mut [f32], dlogits: &'a mut [f32],
    ) {
        let classes = loss.classes;
        let smoothing = loss.label_smoothing;
        for index in 0..losses.len().max(dlogits.len() / classes) {
            let row = first_row + index;
            let target = loss.targets[row];
            let gradient = dlogits.get_mut(index * classes..(index + 1) * classes);
            if Some(target) == loss.ignore_index {
                losses.get_mut(index).into_iter().for_each(|loss| *loss = 0.0);
                gradient.into_iter().for_each(|gradient| gradient.fill(0.0));
                continue;
            }
            let target = target as usize;
            let z = &logits[row * classes..][..classes];
            let (max, sum) = max_and_sum::<S>(z);
            let of_target = (1.0 - smoothing) * loss.weight(target);
            if let Some(out) = losses.get_mut(index) {
                let log_sum = sum.ln();
                *out = of_target * (log_sum - (z[target] - max));
                if smoothing > 0.0 {
                    let all: f32 = match loss.class_weights {
                        Some(weights) => z.iter().zip(weights).map(|(z, weight)| weight * (log_sum - (z - max))).sum(),
                        None => z.iter().map(|z| log_sum - (z - max)).sum(),
                    };
                    *out += smoothing / classes as f32 * all;
                }
            }
            let Some(out) = gradient else { continue };
            let upstream = dlosses[row];
            let factor = upstream * (of_target + smoothing_weight) / sum;
            for (out, &z) in out.iter_mut().zip(z) {
                *out = factor * exp::<S>(z - max);
            }
            if smoothing > 0.0 {
                let share = upstream * smoothing / classes as f32;
                match loss.class_weights {
                    Some(weights) => out.iter_mut().zip(weights).for_each(|(out, weight)| *out -= share * weight),
                    None => out.iter_mut().for_each(|out| *out -= share),
                }
            }
            out[target] -= upstream * of_target;
        }
    }
}

//! Dropout whose mask is a pure function of (key, counter, element).
//!
//! Element i takes word i of the Philox stream `counter` of the seed `key` ([`crate::rng`]) and is kept where that
//! word is at least p·2³², so the mask is the same for any number of threads, at every level, and in the backward
//! pass, which draws it again instead of storing it. A kept element is multiplied by 1/(1 − p), a dropped one by 0
//! (NaN and infinity become NaN, as in PyTorch).

use crate::ShapeError;
use crate::par::for_each_chunk_mut;
use crate::pieces::per_level;
use crate::rng::{GROUP, group};

/// Elements per piece; whole groups of the generator.
const PIECE: usize = 128 * GROUP;

/// `y = x·mask/(1 − p)`, with p the probability of dropping an element.
///
/// # Errors
/// `p` outside [0, 1], lengths that differ.
pub fn forward(p: f32, key: u64, counter: u64, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    apply("dropout::forward", p, key, counter, x, y)
}

/// `dx = dy·mask/(1 − p)`, with the mask of the forward pass of the same `p`, `key` and `counter`.
///
/// # Errors
/// `p` outside [0, 1], lengths that differ.
pub fn backward(p: f32, key: u64, counter: u64, dy: &[f32], dx: &mut [f32]) -> Result<(), ShapeError> {
    apply("dropout::backward", p, key, counter, dy, dx)
}

fn apply(
    operation: &'static str,
    p: f32,
    key: u64,
    counter: u64,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    if !(0.0..=1.0).contains(&p) {
        return Err(ShapeError::new(
            operation,
            "a probability from 0 to 1",
            format!("{p}"),
        ));
    }
    ShapeError::check_len(operation, "output", source.len(), target.len())?;
    if p == 0.0 {
        target.copy_from_slice(source);
        return Ok(());
    }
    // In f64: p·2³² is exact, and 2³² itself (p = 1) exceeds every word.
    let threshold = (f64::from(p) * (1u64 << 32) as f64) as u64;
    let scale = if p < 1.0 {
        (1.0 / (1.0 - f64::from(p))) as f32
    } else {
        0.0
    };
    for_each_chunk_mut(target, PIECE, |piece, target| {
        let start = piece * PIECE;
        let source = &source[start..start + target.len()];
        mask(
            threshold.min(u64::from(u32::MAX)) as u32,
            scale,
            key,
            counter,
            (start / 4) as u64,
            source,
            target,
        );
    });
    Ok(())
}

per_level! {
    fn mask<'a>(
        threshold: u32, scale: f32, key: u64, counter: u64, first_block: u64, source: &'a [f32], target: &'a mut [f32]
    ) {
        for (index, (target, source)) in target.chunks_mut(GROUP).zip(source.chunks(GROUP)).enumerate() {
            let words = group(key, counter, first_block + (index * GROUP / 4) as u64);
            for ((target, &source), word) in target.iter_mut().zip(source).zip(words) {
                *target = source * if word >= threshold { scale } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests;

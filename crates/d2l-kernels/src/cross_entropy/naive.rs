//! Cross-entropy as defined, in `f64`: for tests and as the baseline of benchmarks.

use super::CrossEntropy;

/// The loss of each row.
///
/// # Panics
/// If a target is out of range.
pub fn forward(loss: &CrossEntropy<'_>, logits: &[f64]) -> Vec<f64> {
    let smoothing = f64::from(loss.label_smoothing);
    let row = |(z, &target): (&[f64], &u32)| {
        if Some(target) == loss.ignore_index {
            return 0.0;
        }
        let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
        let term = |class: usize| -f64::from(loss.weight(class)) * (z[class] - log_sum);
        let spread: f64 = if smoothing > 0.0 {
            (0..loss.classes).map(term).sum()
        } else {
            0.0
        };
        (1.0 - smoothing) * term(target as usize) + smoothing / loss.classes as f64 * spread
    };
    logits.chunks(loss.classes).zip(loss.targets).map(row).collect()
}

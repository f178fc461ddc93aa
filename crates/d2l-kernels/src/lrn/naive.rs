//! Local response normalisation as defined, in `f64`: for tests and as the baseline of benchmarks.

use super::LocalResponseNorm;

/// The normalised x.
///
/// # Panics
/// If the shape has no channels.
pub fn forward(norm: &LocalResponseNorm, x: &[f64]) -> Vec<f64> {
    let [alpha, beta, k] = [norm.alpha, norm.beta, norm.k].map(f64::from);
    let row = |x: &[f64]| -> Vec<f64> {
        let element = |(c, &centre): (usize, &f64)| {
            let from = c.saturating_sub(norm.size / 2);
            let end = (c + norm.size.div_ceil(2)).min(x.len());
            let sum: f64 = x[from..end].iter().map(|x| x * x).sum();
            centre / (k + alpha * sum / norm.size as f64).powf(beta)
        };
        x.iter().enumerate().map(element).collect()
    };
    x.chunks(norm.channels).flat_map(row).collect()
}

//! Batch normalisation as defined, in `f64`: for tests and as the baseline of benchmarks.
//!
//! # Panics
//! Every function panics if a slice is too short.

/// Mean and biased variance of each column of `x`.
pub fn moments(channels: usize, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let rows = x.len() / channels;
    let average = |column: usize, f: &dyn Fn(f64) -> f64| {
        x.iter()
            .skip(column)
            .step_by(channels)
            .map(|&x| f(x))
            .sum::<f64>()
            / rows as f64
    };
    let mean: Vec<f64> = (0..channels).map(|column| average(column, &|x| x)).collect();
    let variance = (0..channels)
        .map(|column| average(column, &|x| (x - mean[column]).powi(2)))
        .collect();
    (mean, variance)
}

/// `(x − mean)/√(variance + eps)·gamma + beta`, plus the residual if there is one, then a ReLU if asked for.
pub fn normalise(
    x: &[f64],
    (mean, variance): (&[f64], &[f64]),
    (gamma, beta): (&[f64], &[f64]),
    eps: f64,
    residual: Option<&[f64]>,
    relu: bool,
) -> Vec<f64> {
    let channels = mean.len();
    let element = |(i, &x): (usize, &f64)| {
        let c = i % channels;
        let y = (x - mean[c]) / (variance[c] + eps).sqrt() * gamma[c] + beta[c];
        let y = y + residual.map_or(0.0, |residual| residual[i]);
        if relu { y.max(0.0) } else { y }
    };
    x.iter().enumerate().map(element).collect()
}

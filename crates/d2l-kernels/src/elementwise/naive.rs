//! The sums as defined, in `f64`: for tests and as the baseline of benchmarks.

/// `a + b`, as long as the shorter of the two.
pub fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// `max(a + b, 0)`; NaN stays NaN.
pub fn add_relu(a: &[f64], b: &[f64]) -> Vec<f64> {
    let relu = |sum: f64| if sum.is_nan() { sum } else { sum.max(0.0) };
    add(a, b).into_iter().map(relu).collect()
}

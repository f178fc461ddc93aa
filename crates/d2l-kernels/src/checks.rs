//! What the tests of layers and optimisers share: PyTorch's values and finite differences.

use crate::testing::{at_every_level, with_threads};

/// The numbers that `tests/golden/layers_and_optimisers.py` wrote under `name`.
pub(crate) fn golden(name: &str) -> Vec<f32> {
    const FILE: &str = include_str!("../tests/golden/layers_and_optimisers.txt");
    let line = FILE
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no golden values called {name}"));
    line.split(' ').map(|number| number.parse().unwrap()).collect()
}

/// The fixed weighting of outputs whose gradient the golden file holds: `torch.linspace(-1, 1, len)`.
pub(crate) fn golden_weighting(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (-1.0 + 2.0 * i as f64 / (len - 1) as f64) as f32)
        .collect()
}

pub(crate) fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

pub(crate) fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// The gradient of `Σ dy·f(x)` by central differences.
pub(crate) fn finite_differences(x: &[f32], dy: &[f32], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f32> {
    const STEP: f64 = 1e-5;
    let (len, mut x) = (x.len(), to_f64(x));
    let weighted = |x: &[f64]| -> f64 { f(x).iter().zip(dy).map(|(y, &dy)| y * f64::from(dy)).sum() };
    let slope = |i: usize| {
        let centre = x[i];
        x[i] = centre + STEP;
        let above = weighted(&x);
        x[i] = centre - STEP;
        let below = weighted(&x);
        x[i] = centre;
        ((above - below) / (2.0 * STEP)) as f32
    };
    (0..len).map(slope).collect()
}

/// Panics unless `f` gives the same bits with 1, 2 and 3 threads, at every level.
#[track_caller]
pub(crate) fn assert_same_for_any_threads(what: &str, f: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let run = |threads| {
        let results = with_threads(threads, &f);
        results
            .iter()
            .flatten()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    at_every_level(|level| {
        let wanted = run(1);
        for threads in [2, 3] {
            assert!(
                wanted == run(threads),
                "{what}: other bits with {threads} threads at level {level}"
            );
        }
    });
}

//! PIL's bilinear resize of 8-bit pictures, to the last bit.
//!
//! ```text
//! along one axis, out of size n, in of size m, scale = m / n, reach = max(scale, 1):
//!   centre = (i + ½)·scale;  taps = inputs x with |x + ½ − centre| < reach
//!   weight = 1 − |x + ½ − centre| / reach, normalised to sum 1, rounded to 22 bits
//! first every row, rounded to 8 bits; then every column
//! ```
//!
//! The filter widens when shrinking, as `antialias=True` does in torchvision. Crates for resizing
//! differ from PIL here and there by one (another order of the passes, or fewer bits), and a
//! picture that differs is another input, so the few lines are our own
//! (Pillow, `src/libImaging/Resample.c`).

use std::ops::Range;

const PRECISION: u32 = 32 - 8 - 2;

/// A resize of planes of one size to another.
#[derive(Debug)]
pub(crate) struct Resize {
    from: [usize; 2],
    to: [usize; 2],
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

/// Which inputs make an output, and with which weights.
#[derive(Debug)]
struct Taps {
    inputs: Range<usize>,
    weights: Vec<i32>,
}

impl Resize {
    /// From `[height, width]` to `[height, width]`.
    pub(crate) fn new(from: [usize; 2], to: [usize; 2]) -> Self {
        Self {
            from,
            to,
            rows: taps(from[0], to[0]),
            columns: taps(from[1], to[1]),
        }
    }

    /// How long the buffer for [`Resize::apply`] must be.
    pub(crate) fn scratch_len(&self) -> (usize, usize) {
        (self.from[0] * self.to[1], self.to[1])
    }

    /// Resizes one plane. `narrow` and `sums` are buffers of [`Resize::scratch_len`].
    pub(crate) fn apply(&self, source: &[u8], target: &mut [u8], narrow: &mut [u8], sums: &mut [i32]) {
        let [_, from_width] = self.from;
        let [_, to_width] = self.to;
        let rows = source
            .chunks_exact(from_width)
            .zip(narrow.chunks_exact_mut(to_width));
        for (source, target) in rows {
            for (value, taps) in target.iter_mut().zip(&self.columns) {
                let inputs = source.get(taps.inputs.clone()).unwrap_or_default();
                let products = inputs
                    .iter()
                    .zip(&taps.weights)
                    .map(|(&x, &weight)| i32::from(x) * weight);
                *value = clip(HALF + products.sum::<i32>());
            }
        }
        for (target, taps) in target.chunks_exact_mut(to_width).zip(&self.rows) {
            // A whole row at a time, which compiles to vector instructions.
            sums.fill(HALF);
            let inputs = narrow.chunks_exact(to_width).skip(taps.inputs.start);
            for (source, &weight) in inputs.zip(&taps.weights) {
                for (sum, &x) in sums.iter_mut().zip(source) {
                    *sum += i32::from(x) * weight;
                }
            }
            target
                .iter_mut()
                .zip(&*sums)
                .for_each(|(value, &sum)| *value = clip(sum));
        }
    }
}

const HALF: i32 = 1 << (PRECISION - 1);

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            // `as` cuts towards zero and stops at zero, as Pillow's casts and checks do.
            let start = (centre - reach + 0.5) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            let weights: Vec<f64> = (start..end)
                .map(|x| (1.0 - ((x as f64 - centre + 0.5) * (1.0 / reach)).abs()).max(0.0))
                .collect();
            let sum: f64 = weights.iter().sum();
            let round = |weight: f64| (0.5 + weight / sum * f64::from(1 << PRECISION)) as i32;
            Taps {
                inputs: start..end,
                weights: weights.into_iter().map(round).collect(),
            }
        })
        .collect()
}

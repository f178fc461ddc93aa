//! Pooling as defined, accumulated in `f64`: for tests and as the baseline of benchmarks.
//!
//! # Panics
//! Every function panics if a slice is too short for its windows.

use super::{AdaptivePool2dShape, Pool2dShape};

/// One output pixel's window.
#[derive(Clone, Debug)]
pub struct Window {
    /// The input pixels it covers, counted through the batch, in row-major order.
    pub pixels: Vec<usize>,
    /// What an average divides by.
    pub divisor: usize,
}

/// The windows of every output pixel, counted through the batch.
pub fn windows(shape: &Pool2dShape) -> Vec<Window> {
    let Pool2dShape {
        batch,
        height,
        width,
        kernel,
        stride,
        padding,
        count_include_pad,
        ..
    } = *shape;
    let mut windows = Vec::new();
    for image in 0..batch {
        for row in 0..shape.out_height() {
            for column in 0..shape.out_width() {
                let (mut pixels, mut padded) = (Vec::new(), 0);
                for y in row * stride[0]..row * stride[0] + kernel[0] {
                    for x in column * stride[1]..column * stride[1] + kernel[1] {
                        let in_image = (padding[0]..height + padding[0]).contains(&y)
                            && (padding[1]..width + padding[1]).contains(&x);
                        if in_image {
                            pixels.push((image * height + y - padding[0]) * width + x - padding[1]);
                        }
                        padded += usize::from(y < height + 2 * padding[0] && x < width + 2 * padding[1]);
                    }
                }
                let divisor = if count_include_pad { padded } else { pixels.len() };
                windows.push(Window { pixels, divisor });
            }
        }
    }
    windows
}

/// The windows of every output pixel of an adaptive pooling, counted through the batch.
pub fn adaptive_windows(shape: &AdaptivePool2dShape) -> Vec<Window> {
    let AdaptivePool2dShape {
        batch,
        height,
        width,
        out_height,
        out_width,
        ..
    } = *shape;
    let range = |out: usize, outs: usize, size: usize| out * size / outs..((out + 1) * size).div_ceil(outs);
    let mut windows = Vec::new();
    for image in 0..batch {
        for row in 0..out_height {
            for column in 0..out_width {
                let rows = range(row, out_height, height);
                let columns = range(column, out_width, width);
                let pixels: Vec<usize> = rows
                    .flat_map(|y| columns.clone().map(move |x| (image * height + y) * width + x))
                    .collect();
                windows.push(Window {
                    divisor: pixels.len(),
                    pixels,
                });
            }
        }
    }
    windows
}

/// The largest element of each window and its position in x. NaN is larger than any number.
pub fn max_forward(windows: &[Window], channels: usize, x: &[f32], y: &mut [f32], position: &mut [usize]) {
    for (output, window) in windows.iter().enumerate() {
        for channel in 0..channels {
            let mut best = window.pixels[0] * channels + channel;
            for pixel in &window.pixels {
                let candidate = pixel * channels + channel;
                if x[candidate] > x[best] || x[candidate].is_nan() {
                    best = candidate;
                }
            }
            y[output * channels + channel] = x[best];
            position[output * channels + channel] = best;
        }
    }
}

/// dy at the positions that [`max_forward`] gave, 0 elsewhere.
pub fn max_backward(position: &[usize], dy: &[f32], dx: &mut [f32]) {
    let mut sums = vec![0f64; dx.len()];
    position
        .iter()
        .zip(dy)
        .for_each(|(&position, &dy)| sums[position] += f64::from(dy));
    dx.iter_mut().zip(sums).for_each(|(dx, sum)| *dx = sum as f32);
}

/// The mean of each window.
pub fn avg_forward(windows: &[Window], channels: usize, x: &[f32], y: &mut [f32]) {
    for (output, window) in windows.iter().enumerate() {
        for channel in 0..channels {
            let sum: f64 = window
                .pixels
                .iter()
                .map(|pixel| f64::from(x[pixel * channels + channel]))
                .sum();
            y[output * channels + channel] = (sum / window.divisor as f64) as f32;
        }
    }
}

/// Each window's dy, shared among its pixels.
pub fn avg_backward(windows: &[Window], channels: usize, dy: &[f32], dx: &mut [f32]) {
    let mut sums = vec![0f64; dx.len()];
    for (output, window) in windows.iter().enumerate() {
        for pixel in &window.pixels {
            for channel in 0..channels {
                sums[pixel * channels + channel] +=
                    f64::from(dy[output * channels + channel]) / window.divisor as f64;
            }
        }
    }
    dx.iter_mut().zip(sums).for_each(|(dx, sum)| *dx = sum as f32);
}

//! The three products as defined, accumulated in `f64`: for tests and as the baseline of benchmarks.
//!
//! # Panics
//! Every function panics if a slice is too short for the shape.

use super::{Activation, Conv2dShape};

/// One multiply-add of the definition: the indices of its three operands.
struct Term {
    x: usize,
    weight: usize,
    y: usize,
}

/// Calls `f` for every term of the convolution whose input pixel lies inside the image.
fn for_each_term(shape: &Conv2dShape, mut f: impl FnMut(Term)) {
    let (in_channels, out_channels) = (shape.in_channels, shape.out_channels);
    let (group_in, group_out) = (shape.group_in(), shape.group_out());
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    let input_position = |axis: usize, out: usize, tap: usize, size: usize| {
        (out * shape.stride[axis] + tap * shape.dilation[axis])
            .checked_sub(shape.padding[axis])
            .filter(|&position| position < size)
    };
    for image in 0..shape.batch {
        for (out_row, out_column) in
            (0..out_height).flat_map(|row| (0..out_width).map(move |column| (row, column)))
        {
            let y_pixel = (image * out_height + out_row) * out_width + out_column;
            for ky in 0..shape.kernel[0] {
                let Some(row) = input_position(0, out_row, ky, shape.in_height) else {
                    continue;
                };
                for kx in 0..shape.kernel[1] {
                    let Some(column) = input_position(1, out_column, kx, shape.in_width) else {
                        continue;
                    };
                    let x_pixel = (image * shape.in_height + row) * shape.in_width + column;
                    let tap = ky * shape.kernel[1] + kx;
                    for input in 0..group_in {
                        for output in 0..out_channels {
                            f(Term {
                                x: x_pixel * in_channels + output / group_out * group_in + input,
                                weight: (tap * group_in + input) * out_channels + output,
                                y: y_pixel * out_channels + output,
                            });
                        }
                    }
                }
            }
        }
    }
}

fn round_into(sums: &[f64], target: &mut [f32]) {
    target
        .iter_mut()
        .zip(sums)
        .for_each(|(target, &sum)| *target = sum as f32);
}

/// See [`forward`](super::forward).
pub fn forward(
    shape: &Conv2dShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    let mut sums = vec![0.0; shape.y_len()];
    for_each_term(shape, |term| {
        sums[term.y] += f64::from(x[term.x]) * f64::from(weight[term.weight])
    });
    for pixel in sums.chunks_exact_mut(shape.out_channels) {
        if let Some(bias) = bias {
            pixel
                .iter_mut()
                .zip(bias)
                .for_each(|(sum, &bias)| *sum += f64::from(bias));
        }
        if activation == Activation::Relu {
            pixel
                .iter_mut()
                .for_each(|sum| *sum = if *sum < 0.0 { 0.0 } else { *sum });
        }
    }
    round_into(&sums, y);
}

/// See [`grad_input`](super::grad_input).
pub fn grad_input(shape: &Conv2dShape, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let mut sums = vec![0.0; shape.x_len()];
    for_each_term(shape, |term| {
        sums[term.x] += f64::from(dy[term.y]) * f64::from(weight[term.weight])
    });
    round_into(&sums, dx);
}

/// See [`grad_weight`](super::grad_weight).
pub fn grad_weight(shape: &Conv2dShape, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    let mut sums = vec![0.0; shape.weight_len()];
    for_each_term(shape, |term| {
        sums[term.weight] += f64::from(x[term.x]) * f64::from(dy[term.y])
    });
    round_into(&sums, dweight);
}

/// The gradient behind the ReLU that gave `y`, and its sum over the rows.
pub fn relu_grad_bias(channels: usize, y: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let masked: Vec<f32> = y
        .iter()
        .zip(dy)
        .map(|(&y, &dy)| if y <= 0.0 { 0.0 } else { dy })
        .collect();
    let mut sums = vec![0f64; channels];
    for (index, &value) in masked.iter().enumerate() {
        sums[index % channels] += f64::from(value);
    }
    (masked, sums.into_iter().map(|sum| sum as f32).collect())
}

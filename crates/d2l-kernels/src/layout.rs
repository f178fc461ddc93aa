//! Conversions between memory layouts: all of them are batches of matrix transposes.

use crate::ShapeError;
use crate::error::checked_product;
use crate::par::{SendPtr, for_each_piece};

/// Side of the square blocks a transpose is cut into: two blocks stay in the first-level cache.
const BLOCK: usize = 32;

/// `[n][channels][area]` to `[n][area][channels]`, where `area` is height · width.
///
/// # Errors
/// If a slice does not hold n · channels · area elements.
pub fn nchw_to_nhwc(
    n: usize,
    channels: usize,
    area: usize,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    transpose_batch("layout::nchw_to_nhwc", n, channels, area, source, target)
}

/// `[n][area][channels]` to `[n][channels][area]`, where `area` is height · width.
///
/// # Errors
/// If a slice does not hold n · channels · area elements.
pub fn nhwc_to_nchw(
    n: usize,
    channels: usize,
    area: usize,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    transpose_batch("layout::nhwc_to_nchw", n, area, channels, source, target)
}

/// Convolution weights `[out_channels][in_channels][window]` to `[window][in_channels][out_channels]`, where
/// `window` is the number of taps (kernel height · width) and `in_channels` counts those of one group.
///
/// # Errors
/// If a slice does not hold out_channels · in_channels · window elements.
pub fn oihw_to_hwio(
    out_channels: usize,
    in_channels: usize,
    window: usize,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    swap_outer_and_inner(
        "layout::oihw_to_hwio",
        out_channels,
        in_channels,
        window,
        source,
        target,
    )
}

/// Convolution weights `[window][in_channels][out_channels]` to `[out_channels][in_channels][window]`: the inverse
/// of [`oihw_to_hwio`].
///
/// # Errors
/// If a slice does not hold out_channels · in_channels · window elements.
pub fn hwio_to_oihw(
    out_channels: usize,
    in_channels: usize,
    window: usize,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    swap_outer_and_inner(
        "layout::hwio_to_oihw",
        window,
        in_channels,
        out_channels,
        source,
        target,
    )
}

/// `[rows][columns]` to `[columns][rows]`.
///
/// # Errors
/// If a slice does not hold rows · columns elements.
pub fn transpose(rows: usize, columns: usize, source: &[f32], target: &mut [f32]) -> Result<(), ShapeError> {
    transpose_batch("layout::transpose", 1, rows, columns, source, target)
}

fn check(
    operation: &'static str,
    dims: [usize; 3],
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    let len = checked_product(operation, &dims)?;
    ShapeError::check_len(operation, "source", len, source.len())?;
    ShapeError::check_len(operation, "target", len, target.len())
}

/// `[n][rows][columns]` to `[n][columns][rows]`.
fn transpose_batch(
    operation: &'static str,
    n: usize,
    rows: usize,
    columns: usize,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    check(operation, [n, rows, columns], source, target)?;
    if rows == 1 || columns == 1 {
        target.copy_from_slice(source);
        return Ok(());
    }
    // A piece writes whole rows of the target: `BLOCK` of one matrix's columns.
    let strips = columns.div_ceil(BLOCK);
    let target = SendPtr::new(target);
    for_each_piece(n * strips, |piece| {
        let (matrix, strip) = (piece / strips, piece % strips);
        let first = strip * BLOCK;
        let width = BLOCK.min(columns - first);
        let source = &source[matrix * rows * columns..][..rows * columns];
        // SAFETY: pieces own disjoint runs of the target's rows, inside it by the check above.
        let target = unsafe { target.slice((matrix * columns + first) * rows, width * rows) };
        for row_block in (0..rows).step_by(BLOCK) {
            let row_end = (row_block + BLOCK).min(rows);
            for (offset, target) in target.chunks_exact_mut(rows).enumerate() {
                for row in row_block..row_end {
                    target[row] = source[row * columns + first + offset];
                }
            }
        }
    });
    Ok(())
}

/// `[a][b][c]` to `[c][b][a]`.
fn swap_outer_and_inner(
    operation: &'static str,
    a: usize,
    b: usize,
    c: usize,
    source: &[f32],
    target: &mut [f32],
) -> Result<(), ShapeError> {
    check(operation, [a, b, c], source, target)?;
    if a == 1 && c == 1 {
        target.copy_from_slice(source);
        return Ok(());
    }
    // A piece owns one middle index: a strided [a][c] plane of the source, transposed in blocks.
    let target = SendPtr::new(target);
    for_each_piece(b, |middle| {
        for a_block in (0..a).step_by(BLOCK) {
            for inner in 0..c {
                // SAFETY: runs of different (inner, middle, a_block) are disjoint and inside the target.
                let run = unsafe { target.slice((inner * b + middle) * a + a_block, BLOCK.min(a - a_block)) };
                for (outer, value) in run.iter_mut().enumerate() {
                    *value = source[((a_block + outer) * b + middle) * c + inner];
                }
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn activations_follow_the_definition(n in 0usize..4, channels in 0usize..70, area in 0usize..70) {
            let source = values(n * channels * area, 1);
            let mut nhwc = vec![0.0; source.len()];
            nchw_to_nhwc(n, channels, area, &source, &mut nhwc).unwrap();
            for image in 0..n {
                for channel in 0..channels {
                    for pixel in 0..area {
                        prop_assert_eq!(
                            nhwc[(image * area + pixel) * channels + channel],
                            source[(image * channels + channel) * area + pixel]
                        );
                    }
                }
            }
            let mut back = vec![0.0; source.len()];
            nhwc_to_nchw(n, channels, area, &nhwc, &mut back).unwrap();
            prop_assert_eq!(back, source);
        }

        #[test]
        fn weights_follow_the_definition(out in 1usize..70, input in 1usize..40, window in 1usize..10) {
            let source = values(out * input * window, 2);
            let mut hwio = vec![0.0; source.len()];
            oihw_to_hwio(out, input, window, &source, &mut hwio).unwrap();
            for o in 0..out {
                for i in 0..input {
                    for tap in 0..window {
                        prop_assert_eq!(hwio[(tap * input + i) * out + o], source[(o * input + i) * window + tap]);
                    }
                }
            }
            let mut back = vec![0.0; source.len()];
            hwio_to_oihw(out, input, window, &hwio, &mut back).unwrap();
            prop_assert_eq!(back, source);
        }
    }

    #[test]
    fn wrong_lengths_are_named() {
        let error = transpose(2, 3, &[0.0; 5], &mut [0.0; 6]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layout::transpose: expected source of 6 elements, got 5 elements"
        );
    }
}

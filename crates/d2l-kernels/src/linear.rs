//! The dense layer `y = x · weightᵀ + bias` and its three gradients. `weight` is `[out_features][in_features]`.

use crate::error::checked_product;
use crate::matmul::{self, MatmulShape, matmul_bias_relu};
use crate::{ScratchNeed, ShapeError, reduce};

/// `y[batch][out_features] = x[batch][in_features] · weightᵀ + bias`, then `max(y, 0)` if `relu`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    batch: usize,
    in_features: usize,
    out_features: usize,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    const OPERATION: &str = "linear::forward";
    check(OPERATION, batch, in_features, out_features, x, weight, y)?;
    if let Some(bias) = bias {
        ShapeError::check_len(OPERATION, "bias", out_features, bias.len())?;
    }
    let [shape, _, _] = products(batch, in_features, out_features);
    matmul_bias_relu(&shape, x, weight, bias, relu, y);
    Ok(())
}

/// The gradient of the input: `dx[batch][in_features] = dy[batch][out_features] · weight`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn grad_input(
    batch: usize,
    in_features: usize,
    out_features: usize,
    dy: &[f32],
    weight: &[f32],
    dx: &mut [f32],
) -> Result<(), ShapeError> {
    check(
        "linear::grad_input",
        batch,
        in_features,
        out_features,
        dx,
        weight,
        dy,
    )?;
    let [_, shape, _] = products(batch, in_features, out_features);
    matmul_bias_relu(&shape, dy, weight, None, false, dx);
    Ok(())
}

/// The gradient of the weight: `dweight[out_features][in_features] = dyᵀ · x`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn grad_weight(
    batch: usize,
    in_features: usize,
    out_features: usize,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) -> Result<(), ShapeError> {
    check(
        "linear::grad_weight",
        batch,
        in_features,
        out_features,
        x,
        dweight,
        dy,
    )?;
    let [_, _, shape] = products(batch, in_features, out_features);
    matmul_bias_relu(&shape, dy, x, None, false, dweight);
    Ok(())
}

/// The gradient of the bias: `dbias[out_features] = Σ over the batch of dy`.
///
/// # Errors
/// If a slice does not have the length of its matrix.
pub fn grad_bias(batch: usize, out_features: usize, dy: &[f32], dbias: &mut [f32]) -> Result<(), ShapeError> {
    const OPERATION: &str = "linear::grad_bias";
    ShapeError::check_len(
        OPERATION,
        "dy",
        checked_product(OPERATION, &[batch, out_features])?,
        dy.len(),
    )?;
    ShapeError::check_len(OPERATION, "dbias", out_features, dbias.len())?;
    crate::reduce::sum_rows(out_features, dy, dbias);
    Ok(())
}

/// The scratch memory of the forward product, or of everything that a training step does here; none for matrices
/// beyond the address space.
pub fn scratch(batch: usize, in_features: usize, out_features: usize, train: bool) -> ScratchNeed {
    if checked_product("linear", &[batch, in_features, out_features]).is_err() {
        return ScratchNeed::default();
    }
    let [forward, grad_input, grad_weight] = products(batch, in_features, out_features);
    if !train {
        return matmul::scratch(&forward);
    }
    let sums = reduce::scratch(out_features, batch * out_features);
    [forward, grad_input, grad_weight]
        .iter()
        .fold(sums, |need, product| need.max(matmul::scratch(product)))
}

/// The products of the forward pass, the input's gradient and the weight's gradient.
fn products(batch: usize, in_features: usize, out_features: usize) -> [MatmulShape; 3] {
    let product = |[m, k, n]: [usize; 3], transpose_a, transpose_b| MatmulShape {
        m,
        k,
        n,
        transpose_a,
        transpose_b,
    };
    [
        product([batch, in_features, out_features], false, true),
        product([batch, out_features, in_features], false, false),
        product([out_features, batch, in_features], true, false),
    ]
}

fn check(
    operation: &'static str,
    batch: usize,
    in_features: usize,
    out_features: usize,
    input: &[f32],
    weight: &[f32],
    output: &[f32],
) -> Result<(), ShapeError> {
    let len = |factors: &[usize]| checked_product(operation, factors);
    ShapeError::check_len(operation, "input", len(&[batch, in_features])?, input.len())?;
    ShapeError::check_len(
        operation,
        "weight",
        len(&[out_features, in_features])?,
        weight.len(),
    )?;
    ShapeError::check_len(operation, "output", len(&[batch, out_features])?, output.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::naive;
    use crate::testing::{assert_close, at_every_level, values};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn products_follow_the_definition(batch in 0usize..40, input in 1usize..50, output in 1usize..50) {
            let (x, weight) = (values(batch * input, 1), values(output * input, 2));
            let (bias, dy) = (values(output, 3), values(batch * output, 4));
            let naive = |m, k, n, transpose_a, transpose_b, a: &[f32], b: &[f32]| {
                let mut c = vec![0.0; m * n];
                naive::matmul(&MatmulShape { m, k, n, transpose_a, transpose_b }, a, b, &mut c);
                c
            };
            let mut product = naive(batch, input, output, false, true, &x, &weight);
            product.chunks_exact_mut(output).flat_map(|row| row.iter_mut().zip(&bias)).for_each(|(y, b)| *y += b);
            let dx = naive(batch, output, input, false, false, &dy, &weight);
            let dweight = naive(output, batch, input, true, false, &dy, &x);
            at_every_level(|level| {
                let mut y = vec![f32::NAN; product.len()];
                forward(batch, input, output, &x, &weight, Some(&bias), false, &mut y).unwrap();
                assert_close(&format!("{level} forward"), &product, &y, 1e-5);
                forward(batch, input, output, &x, &weight, Some(&bias), true, &mut y).unwrap();
                let positive: Vec<f32> = product.iter().map(|y| y.max(0.0)).collect();
                assert_close(&format!("{level} forward with ReLU"), &positive, &y, 1e-5);
                let mut got = vec![f32::NAN; dx.len()];
                grad_input(batch, input, output, &dy, &weight, &mut got).unwrap();
                assert_close(&format!("{level} grad_input"), &dx, &got, 1e-5);
                let mut got = vec![f32::NAN; dweight.len()];
                grad_weight(batch, input, output, &x, &dy, &mut got).unwrap();
                assert_close(&format!("{level} grad_weight"), &dweight, &got, 1e-5);
                let mut got = vec![f32::NAN; output];
                grad_bias(batch, output, &dy, &mut got).unwrap();
                let sums = naive(1, batch, output, false, false, &vec![1.0; batch], &dy);
                assert_close(&format!("{level} grad_bias"), &sums, &got, 1e-5);
            });
        }
    }

    #[test]
    fn wrong_lengths_name_the_operation() {
        let message = forward(2, 3, 4, &[0.0; 6], &[0.0; 11], None, false, &mut [0.0; 8])
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "linear::forward: expected weight of 12 elements, got 11 elements"
        );
        assert!(
            forward(
                2,
                3,
                4,
                &[0.0; 6],
                &[0.0; 12],
                Some(&[0.0; 3]),
                false,
                &mut [0.0; 8]
            )
            .is_err()
        );
        assert!(grad_bias(2, 4, &[0.0; 8], &mut [0.0; 3]).is_err());
    }
}

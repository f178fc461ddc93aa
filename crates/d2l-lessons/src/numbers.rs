//! Plain numbers out of tensors, for printing, drawing and comparing.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The value of a tensor with one element, of any type.
///
/// # Errors
/// When it has not exactly one element.
pub fn scalar(tensor: &Tensor) -> Result<f64> {
    match values(tensor)?.as_slice() {
        [value] => Ok(*value),
        values => Err(Error::Lesson(format!(
            "expected one value, got {} in shape {:?}",
            values.len(),
            tensor.dims()
        ))),
    }
}

/// All values of a tensor of any shape and type, the last dimension fastest.
///
/// # Errors
/// When they cannot be read from the device.
pub fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    // To the CPU first: not every device has f64.
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// The rows of a matrix of any type.
///
/// # Errors
/// When it is not a matrix.
pub fn rows(matrix: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(matrix.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2()?)
}

/// How far `reached` is from `expected` in the element where it is farthest, relative to the expected value where that
/// is above 1; NaN as soon as one element is NaN.
///
/// # Errors
/// When the shapes differ.
pub fn distance(reached: &Tensor, expected: &Tensor) -> Result<f64> {
    if reached.dims() != expected.dims() {
        return Err(Error::Lesson(format!(
            "expected shape {:?}, got {:?}",
            expected.dims(),
            reached.dims()
        )));
    }
    let pairs = values(reached)?.into_iter().zip(values(expected)?);
    let distances = pairs.map(|(reached, expected)| (reached - expected).abs() / expected.abs().max(1.0));
    Ok(distances.fold(0.0, |largest, distance| {
        let keep = largest.is_nan() || distance <= largest;
        if keep { largest } else { distance }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_distance_is_relative_for_large_values_and_keeps_nan() {
        let far = |a: &[f32], b: &[f32]| distance(&tensor(a), &tensor(b)).unwrap();
        assert_eq!(far(&[1.0, 2.5], &[1.0, 2.0]), 0.25);
        assert_eq!(far(&[0.5, 0.0], &[0.0, 0.0]), 0.5);
        assert_eq!(far(&[], &[]), 0.0);
        for nan in [[f32::NAN, 9.0], [9.0, f32::NAN]] {
            assert!(far(&nan, &[0.0, 0.0]).is_nan());
        }
        assert!(distance(&tensor(&[1.0]), &tensor(&[1.0, 1.0])).is_err());
    }

    #[test]
    fn one_value_is_read_from_any_shape_and_type() {
        let one = Tensor::new(&[[7u32]], &Device::Cpu).unwrap();
        assert_eq!(scalar(&one).unwrap(), 7.0);
        assert!(scalar(&tensor(&[1.0, 2.0])).is_err());
    }
}

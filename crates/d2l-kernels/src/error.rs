//! The one error of this crate: a shape or a slice length that does not fit.

use std::fmt;

/// A shape or a slice that does not fit the operation. Names the operation, what was expected and what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    operation: &'static str,
    expected: String,
    found: String,
}

impl ShapeError {
    /// An error of `operation`, which wanted `expected` and was given `found`.
    pub fn new(operation: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            operation,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The operation that refused, such as `conv2d::forward`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Checks that the slice `name` of `operation` has `expected` elements and got `found`.
    pub fn check_len(
        operation: &'static str,
        name: &str,
        expected: usize,
        found: usize,
    ) -> Result<(), ShapeError> {
        if expected == found {
            return Ok(());
        }
        Err(Self::new(
            operation,
            format!("{name} of {expected} elements"),
            format!("{found} elements"),
        ))
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, got {}",
            self.operation, self.expected, self.found
        )
    }
}

impl std::error::Error for ShapeError {}

/// `a * b * …`, or an error of `operation` where the product does not fit the address space.
pub(crate) fn checked_product(operation: &'static str, factors: &[usize]) -> Result<usize, ShapeError> {
    factors
        .iter()
        .try_fold(1usize, |product, &factor| product.checked_mul(factor))
        .filter(|&product| product <= isize::MAX as usize / size_of::<f32>())
        .ok_or_else(|| {
            ShapeError::new(
                operation,
                "a size within the address space",
                format!("{factors:?}"),
            )
        })
}

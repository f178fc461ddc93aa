//! The matrix product as defined, accumulated in `f64`.

use super::MatmulShape;

/// `c = a · b`.
///
/// # Panics
/// If a slice is too short.
pub fn matmul(shape: &MatmulShape, a: &[f32], b: &[f32], c: &mut [f32]) {
    let MatmulShape {
        m,
        k,
        n,
        transpose_a,
        transpose_b,
    } = *shape;
    for row in 0..m {
        for column in 0..n {
            let sum: f64 = (0..k)
                .map(|step| {
                    let a = if transpose_a {
                        a[step * m + row]
                    } else {
                        a[row * k + step]
                    };
                    let b = if transpose_b {
                        b[column * k + step]
                    } else {
                        b[step * n + column]
                    };
                    f64::from(a) * f64::from(b)
                })
                .sum();
            c[row * n + column] = sum as f32;
        }
    }
}

use super::*;
use crate::testing::{assert_close, assert_same_bits, at_every_level, values, with_threads};
use proptest::prelude::*;

fn check(what: &str, shape: &MatmulShape) {
    let (a, b) = (values(shape.m * shape.k, 1), values(shape.k * shape.n, 2));
    let mut wanted = vec![f32::NAN; shape.m * shape.n];
    let mut got = wanted.clone();
    naive::matmul(shape, &a, &b, &mut wanted);
    matmul(shape, &a, &b, &mut got).unwrap();
    assert_close(
        &format!("{what} {shape:?}"),
        &wanted,
        &got,
        2e-6 * (shape.k.max(1) as f32).sqrt(),
    );
}

fn flags() -> impl Iterator<Item = (bool, bool)> {
    [(false, false), (false, true), (true, false), (true, true)].into_iter()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_shape_follows_the_definition(m in 0usize..70, k in 0usize..90, n in 0usize..70) {
        at_every_level(|level| {
            for (transpose_a, transpose_b) in flags() {
                check(&level.to_string(), &MatmulShape { m, k, n, transpose_a, transpose_b });
            }
        });
    }
}

/// Sums of several blocks, operands packed by piece, and blocks of the gemm crate.
#[test]
fn large_shapes_follow_the_definition() {
    for (transpose_a, transpose_b) in flags() {
        check(
            "several blocks",
            &MatmulShape {
                m: 33,
                k: 2100,
                n: 50,
                transpose_a,
                transpose_b,
            },
        );
        check(
            "packed by piece",
            &MatmulShape {
                m: 5,
                k: 700,
                n: 1700,
                transpose_a,
                transpose_b,
            },
        );
        check(
            "gemm",
            &MatmulShape {
                m: 300,
                k: 260,
                n: 530,
                transpose_a,
                transpose_b,
            },
        );
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let _guard = crate::testing::lock_level();
    for (m, k, n) in [(33, 2100, 50), (5, 700, 1700), (300, 260, 530), (12, 3, 900)] {
        for (transpose_a, transpose_b) in flags() {
            let shape = MatmulShape {
                m,
                k,
                n,
                transpose_a,
                transpose_b,
            };
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let product = |threads| {
                let mut c = vec![0.0; m * n];
                with_threads(threads, || matmul(&shape, &a, &b, &mut c)).unwrap();
                c
            };
            let one = product(1);
            for threads in [2, 3] {
                assert_same_bits(&format!("{threads} threads {shape:?}"), &one, &product(threads));
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let shape = MatmulShape {
        m: 2,
        k: 3,
        n: 4,
        transpose_a: false,
        transpose_b: false,
    };
    let (a, b) = (vec![0.0; 6], vec![0.0; 12]);
    assert!(matmul(&shape, &a, &b, &mut [0.0; 8]).is_ok());
    let message = matmul(&shape, &a[1..], &b, &mut [0.0; 8])
        .unwrap_err()
        .to_string();
    assert_eq!(message, "matmul: expected a of 6 elements, got 5 elements");
    assert!(matmul(&shape, &a, &b[1..], &mut [0.0; 8]).is_err());
    assert!(matmul(&shape, &a, &b, &mut [0.0; 9]).is_err());
    let huge = MatmulShape {
        m: usize::MAX,
        k: 2,
        n: 0,
        ..shape
    };
    assert!(matmul(&huge, &[], &[], &mut []).is_err());
}

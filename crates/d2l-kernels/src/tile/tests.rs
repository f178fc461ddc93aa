use super::*;
use crate::testing::{assert_close, at_every_level, values};

/// A product with a three-level walk over `a`, every epilogue, and every number of rows and columns.
#[test]
fn tiles_follow_the_definition() {
    at_every_level(|level| {
        let kernel = micro_kernel();
        let walk = Walk::new([2, 3, 5], [40, 9, 1]);
        let offsets: Vec<usize> = (0..30)
            .map(|step| step / 15 * 40 + step / 5 % 3 * 9 + step % 5)
            .collect();
        assert_eq!(walk.steps(), offsets.len());
        let a = values(100 + 3 * MAX_ROWS, 1);
        let matrix = values(offsets.len() * 70, 2);
        let bias = values(70, 3);
        for columns in [1, 4, 5, 16, 17, 33, 70] {
            for rows in 1..=kernel.rows {
                for (has_bias, accumulate, relu) in [
                    (false, false, false),
                    (true, false, false),
                    (true, false, true),
                    (false, true, false),
                ] {
                    let mut c = values(MAX_ROWS * 70, 4);
                    let mut wanted = c.clone();
                    for row in 0..rows {
                        for column in 0..columns {
                            let sum: f32 = offsets
                                .iter()
                                .enumerate()
                                .map(|(step, &offset)| a[3 * row + offset] * matrix[step * 70 + column])
                                .sum();
                            let start = if accumulate {
                                wanted[row * 70 + column]
                            } else {
                                0.0
                            };
                            let value = start + sum + if has_bias { bias[column] } else { 0.0 };
                            wanted[row * 70 + column] = if relu { value.max(0.0) } else { value };
                        }
                    }
                    for panel in kernel.panels(columns) {
                        let mut packed = vec![f32::NAN; walk.steps() * panel.width];
                        pack_rows(&panel, walk.steps(), &matrix, 70, &mut packed);
                        let mut tile = Tile {
                            a: [a.as_ptr(); MAX_ROWS],
                            c: [std::ptr::null_mut(); MAX_ROWS],
                            rows,
                            b: packed.as_ptr(),
                            walk,
                            epilogue: Epilogue {
                                bias: if has_bias {
                                    bias[panel.first..].as_ptr()
                                } else {
                                    std::ptr::null()
                                },
                                accumulate,
                                relu,
                            },
                        };
                        for row in 0..rows {
                            tile.a[row] = a[3 * row..].as_ptr();
                            tile.c[row] = c[row * 70 + panel.first..].as_mut_ptr();
                        }
                        // SAFETY: `a` reaches 3 · 11 + 40 + 18 + 4 < 136, `c` has 70 columns, the rest is sized above.
                        unsafe { kernel.run(&panel, &tile) };
                    }
                    assert_close(&format!("{level} {rows}x{columns}"), &wanted, &c, 1e-5);
                }
            }
        }
    });
}

#[test]
fn loops_that_amount_to_one_are_merged() {
    let merged = Walk::new([3, 4, 5], [20, 5, 1]);
    assert_eq!((merged.counts, merged.strides[2]), ([1, 1, 60], 1));
    let rows = Walk::new([3, 4, 5], [100, 5, 1]);
    assert_eq!((rows.counts, rows.strides), ([1, 3, 20], [0, 100, 1]));
    let none = Walk::new([3, 4, 5], [100, 10, 1]);
    assert_eq!((none.counts, none.strides), ([3, 4, 5], [100, 10, 1]));
    let single = Walk::new([3, 4, 1], [100, 10, 1]);
    assert_eq!((single.counts, single.strides), ([1, 3, 4], [0, 100, 10]));
}

#[test]
fn transposed_packing_is_packing_of_the_transpose() {
    let (steps, columns) = (37, 21);
    let source = values(steps * columns, 5);
    let mut transposed = vec![0.0; source.len()];
    crate::layout::transpose(columns, steps, &source, &mut transposed).unwrap();
    for panel in micro_kernel().panels(columns) {
        let mut wanted = vec![f32::NAN; steps * panel.width];
        let mut got = wanted.clone();
        pack_rows(&panel, steps, &transposed, columns, &mut wanted);
        pack_transposed(&panel, steps, &source, steps, &mut got);
        assert_eq!(wanted, got);
    }
}

/// Leaving out steps of `b` is the same as packing fewer of them.
#[test]
fn skipped_steps_are_left_out() {
    at_every_level(|level| {
        let kernel = micro_kernel();
        let panel = kernel.panel(kernel.width, 0);
        let (a, matrix) = (values(100, 1), values(3 * 10 * panel.width, 2));
        // Rounds of 2 × 3 steps, then 4 that are left out.
        let kept: Vec<f32> = matrix
            .chunks(10 * panel.width)
            .flat_map(|round| &round[..6 * panel.width])
            .copied()
            .collect();
        let product = |b: &[f32], walk: Walk| {
            let mut c = vec![0.0; panel.width];
            let (a, c_start) = ([a.as_ptr(); MAX_ROWS], [c.as_mut_ptr(); MAX_ROWS]);
            let tile = Tile {
                a,
                c: c_start,
                rows: 1,
                b: b.as_ptr(),
                walk,
                epilogue: Epilogue::STORE,
            };
            // SAFETY: `a` reaches 2 · 30 + 7 + 2, `b` holds every step, `c` a row.
            unsafe { kernel.run(&panel, &tile) };
            c
        };
        for strides in [[30, 7, 1], [30, 3, 1]] {
            let skipping = product(&matrix, Walk::skipping([3, 2, 3], strides, 4));
            assert_close(
                &level.to_string(),
                &product(&kept, Walk::new([3, 2, 3], strides)),
                &skipping,
                1e-6,
            );
        }
    });
}

#[test]
fn packing_panels_together_is_packing_each() {
    at_every_level(|_| {
        let kernel = micro_kernel();
        let (steps, pitch) = (5, 120);
        let source = values(steps * pitch, 5);
        for columns in [1, 40, 64, 117] {
            let mut wanted = vec![f32::NAN; steps * kernel.padded(columns)];
            let mut got = wanted.clone();
            for panel in kernel.panels(columns) {
                pack_rows(&panel, steps, &source, pitch, &mut wanted[panel.first * steps..]);
            }
            pack_wide_rows(kernel.panels(columns), steps, &source, pitch, &mut got);
            assert_eq!(wanted, got, "{columns} columns");
        }
    });
}

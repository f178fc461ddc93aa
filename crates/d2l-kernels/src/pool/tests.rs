use super::*;
use crate::checks::{assert_same_for_any_threads, golden, golden_weighting};
use crate::testing::{assert_close, assert_same_bits, at_every_level, values};
use proptest::prelude::*;

/// Either kind of pooling.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Fixed(Pool2dShape),
    Adaptive(AdaptivePool2dShape),
}

/// What all four functions computed.
struct Results {
    max: Vec<f32>,
    max_dx: Vec<f32>,
    avg: Vec<f32>,
    avg_dx: Vec<f32>,
}

impl Shape {
    fn lens(self) -> [usize; 3] {
        match self {
            Self::Fixed(shape) => [shape.x_len(), shape.y_len(), shape.channels],
            Self::Adaptive(shape) => [shape.x_len(), shape.y_len(), shape.channels],
        }
    }

    fn run(self, x: &[f32], dy: &[f32]) -> Results {
        let mut max = vec![f32::NAN; dy.len()];
        let [mut avg, mut max_dx, mut avg_dx] =
            [max.clone(), vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]];
        let mut argmax = vec![7; dy.len()];
        match &self {
            Self::Fixed(shape) => {
                max_forward(shape, x, &mut max, &mut argmax).unwrap();
                max_backward(shape, dy, &argmax, None, &mut max_dx).unwrap();
                avg_forward(shape, x, &mut avg).unwrap();
                avg_backward(shape, dy, &mut avg_dx).unwrap();
            }
            Self::Adaptive(shape) => {
                adaptive_max_forward(shape, x, &mut max, &mut argmax).unwrap();
                adaptive_max_backward(shape, dy, &argmax, None, &mut max_dx).unwrap();
                adaptive_avg_forward(shape, x, &mut avg).unwrap();
                adaptive_avg_backward(shape, dy, &mut avg_dx).unwrap();
            }
        }
        Results {
            max,
            max_dx,
            avg,
            avg_dx,
        }
    }

    fn run_naive(self, x: &[f32], dy: &[f32]) -> Results {
        let windows = match &self {
            Self::Fixed(shape) => naive::windows(shape),
            Self::Adaptive(shape) => naive::adaptive_windows(shape),
        };
        let [_, _, channels] = self.lens();
        let mut max = vec![0.0; dy.len()];
        let [mut avg, mut max_dx, mut avg_dx] = [max.clone(), vec![0.0; x.len()], vec![0.0; x.len()]];
        let mut position = vec![0; dy.len()];
        naive::max_forward(&windows, channels, x, &mut max, &mut position);
        naive::max_backward(&position, dy, &mut max_dx);
        naive::avg_forward(&windows, channels, x, &mut avg);
        naive::avg_backward(&windows, channels, dy, &mut avg_dx);
        Results {
            max,
            max_dx,
            avg,
            avg_dx,
        }
    }

    /// Coarse values, so that windows hold equal ones.
    fn inputs(self, seed: u64) -> [Vec<f32>; 2] {
        let [x_len, y_len, _] = self.lens();
        [
            values(x_len, seed)
                .iter()
                .map(|x| (x * 4.0).round() / 4.0)
                .collect(),
            values(y_len, seed + 1),
        ]
    }

    fn check_against_naive(self, seed: u64) {
        let [x, dy] = self.inputs(seed);
        let wanted = self.run_naive(&x, &dy);
        // A gradient is a sum over all windows of a pixel, up to some hundred.
        const OF_SUMS: f32 = 5e-6;
        at_every_level(|level| {
            let got = self.run(&x, &dy);
            assert_same_bits(&format!("max {level} {self:?}"), &wanted.max, &got.max);
            assert_close(
                &format!("max gradient {level} {self:?}"),
                &wanted.max_dx,
                &got.max_dx,
                OF_SUMS,
            );
            assert_close(&format!("average {level} {self:?}"), &wanted.avg, &got.avg, 1e-6);
            assert_close(
                &format!("average gradient {level} {self:?}"),
                &wanted.avg_dx,
                &got.avg_dx,
                OF_SUMS,
            );
        });
    }
}

prop_compose! {
    fn axis()(size in 1usize..10, kernel in 1usize..5)
        (size in Just(size), kernel in Just(kernel), stride in 1usize..6, padding in 0..=kernel / 2) -> [usize; 4] {
        [size, kernel, stride, padding]
    }
}

prop_compose! {
    fn fixed_shape()(
        rows in axis(), columns in axis(), batch in 0usize..4, channels in 1usize..40, ceil_mode: bool,
        count_include_pad: bool,
    ) -> Pool2dShape {
        Pool2dShape {
            batch, height: rows[0], width: columns[0], channels, kernel: [rows[1], columns[1]],
            stride: [rows[2], columns[2]], padding: [rows[3], columns[3]], ceil_mode, count_include_pad,
        }
    }
}

prop_compose! {
    fn adaptive_shape()(
        batch in 0usize..4, height in 1usize..10, width in 1usize..10, channels in 1usize..40,
        out_height in 1usize..12, out_width in 1usize..12,
    ) -> AdaptivePool2dShape {
        AdaptivePool2dShape { batch, height, width, channels, out_height, out_width }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fixed_windows_agree_with_the_definition(shape in fixed_shape(), seed: u64) {
        prop_assume!(shape.check().is_ok());
        Shape::Fixed(shape).check_against_naive(seed);
    }

    #[test]
    fn adaptive_windows_agree_with_the_definition(shape in adaptive_shape(), seed: u64) {
        Shape::Adaptive(shape).check_against_naive(seed);
    }
}

/// A shape of several pieces on each side.
fn large() -> Pool2dShape {
    Pool2dShape {
        batch: 3,
        height: 61,
        width: 47,
        channels: 19,
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        ceil_mode: true,
        count_include_pad: false,
    }
}

#[test]
fn large_shapes_agree_with_the_definition_at_any_number_of_threads() {
    let adaptive = AdaptivePool2dShape {
        batch: 2,
        height: 130,
        width: 90,
        channels: 33,
        out_height: 1,
        out_width: 1,
    };
    for shape in [Shape::Fixed(large()), Shape::Adaptive(adaptive)] {
        shape.check_against_naive(5);
        let [x, dy] = shape.inputs(6);
        assert_same_for_any_threads("pooling", || {
            let got = shape.run(&x, &dy);
            vec![got.max, got.max_dx, got.avg, got.avg_dx]
        });
    }
}

#[test]
fn golden_values_of_pytorch() {
    let x = golden("pool.x");
    let check = |name: &str, shape: Shape| {
        let dy = golden_weighting(shape.lens()[1]);
        let got = shape.run(&x, &dy);
        let kinds = [("max", got.max, got.max_dx), ("avg", got.avg, got.avg_dx)];
        for (kind, y, dx) in kinds {
            let name = match (shape, kind) {
                (Shape::Adaptive(_), kind) => format!("adaptive_{kind}.{name}"),
                (Shape::Fixed(_), "max") => format!("max.{name}"),
                (Shape::Fixed(shape), kind) => format!("{kind}.{name}{}", u8::from(shape.count_include_pad)),
            };
            assert_close(&name, &golden(&format!("{name}.y")), &y, 1e-6);
            assert_close(&name, &golden(&format!("{name}.dx")), &dx, 1e-6);
        }
    };
    at_every_level(|_| {
        for (kernel, stride, padding, ceil_mode) in [
            ([2, 2], [2, 2], [0, 0], false),
            ([2, 2], [2, 2], [0, 0], true),
            ([3, 3], [2, 2], [1, 1], false),
            ([3, 3], [2, 2], [1, 1], true),
            ([3, 2], [1, 3], [0, 1], true),
            ([2, 3], [4, 5], [1, 0], true),
            ([5, 4], [3, 1], [2, 2], false),
        ] {
            let digits = [kernel, stride, padding]
                .concat()
                .iter()
                .map(usize::to_string)
                .collect::<String>();
            for count_include_pad in [false, true] {
                let (batch, height, width, channels) = (2, 7, 6, 3);
                let shape = Pool2dShape {
                    batch,
                    height,
                    width,
                    channels,
                    kernel,
                    stride,
                    padding,
                    ceil_mode,
                    count_include_pad,
                };
                check(&format!("{digits}{}", u8::from(ceil_mode)), Shape::Fixed(shape));
            }
        }
        for (out_height, out_width) in [(1, 1), (3, 4), (7, 6), (9, 2)] {
            let shape = AdaptivePool2dShape {
                batch: 2,
                height: 7,
                width: 6,
                channels: 3,
                out_height,
                out_width,
            };
            check(&format!("{out_height}{out_width}"), Shape::Adaptive(shape));
        }
    });
}

#[test]
fn output_sizes_and_refusals_of_pytorch() {
    for case in golden("pool.sizes").chunks(6) {
        let [size, kernel, stride, padding, ceil, out] = case else {
            panic!()
        };
        let shape = Pool2dShape {
            batch: 1,
            height: *size as usize,
            width: 1,
            channels: 1,
            kernel: [*kernel as usize, 1],
            stride: [*stride as usize, 1],
            padding: [*padding as usize, 0],
            ceil_mode: *ceil == 1.0,
            count_include_pad: true,
        };
        let got = shape.check().map_or(-1.0, |()| shape.out_height() as f32);
        assert_eq!(got, *out, "{shape:?}");
    }
}

/// A 1×1 image per window: shapes in which only the values matter.
fn row_windows(count: usize, kernel: usize) -> Pool2dShape {
    Pool2dShape {
        batch: 1,
        height: 1,
        width: count * kernel,
        channels: 1,
        kernel: [1, kernel],
        stride: [1, kernel],
        padding: [0, 0],
        ceil_mode: false,
        count_include_pad: false,
    }
}

#[test]
fn nan_infinity_and_ties_as_pytorch() {
    const NAN: f32 = f32::NAN;
    const LOW: f32 = f32::NEG_INFINITY;
    // PyTorch's loop takes a value that is larger or NaN: the last NaN of a window, else the first maximum.
    let x = [
        1.0, NAN, 2.0, NAN, 3.0, NAN, LOW, LOW, LOW, 5.0, 5.0, 1.0, NAN, NAN, NAN, -1.0, LOW, -1.0,
    ];
    let shape = row_windows(6, 3);
    let (mut y, mut argmax) = ([0.0; 6], [0; 6]);
    at_every_level(|_| {
        max_forward(&shape, &x, &mut y, &mut argmax).unwrap();
        assert!(y[0].is_nan() && y[1].is_nan() && y[4].is_nan());
        assert_eq!([y[2], y[3], y[5]], [LOW, 5.0, -1.0]);
        assert_eq!(argmax, [1, 2, 0, 0, 2, 0]);
    });
}

#[test]
fn the_fused_relu_equals_a_separate_one() {
    let shape = large();
    let x: Vec<f32> = values(shape.x_len(), 1)
        .iter()
        .map(|x| (x - 0.7).max(0.0))
        .collect();
    let dy = values(shape.y_len(), 2);
    let (mut y, mut argmax) = (vec![0.0; dy.len()], vec![0; dy.len()]);
    max_forward(&shape, &x, &mut y, &mut argmax).unwrap();
    let [mut fused, mut separate] = [vec![0.0; x.len()], vec![0.0; x.len()]];
    at_every_level(|_| {
        max_backward(&shape, &dy, &argmax, Some(&y), &mut fused).unwrap();
        max_backward(&shape, &dy, &argmax, None, &mut separate).unwrap();
        separate
            .iter_mut()
            .zip(&x)
            .for_each(|(dx, &x)| *dx = if x > 0.0 { *dx } else { 0.0 });
        assert!(y.contains(&0.0));
        assert_close("relu", &separate, &fused, 0.0);
    });
}

#[test]
fn bad_shapes_and_lengths_are_named() {
    let good = row_windows(2, 3);
    let refused = |shape: Pool2dShape| shape.check().unwrap_err().to_string();
    assert!(
        refused(Pool2dShape {
            padding: [0, 2],
            ..good
        })
        .contains("half the window")
    );
    assert!(
        refused(Pool2dShape {
            stride: [0, 1],
            ..good
        })
        .contains("above 0")
    );
    assert!(
        refused(Pool2dShape {
            kernel: [1, 7],
            ..good
        })
        .contains("1×1")
    );
    assert!(
        refused(Pool2dShape {
            batch: usize::MAX,
            ..good
        })
        .contains("address space")
    );
    assert!(
        refused(Pool2dShape {
            kernel: [1, usize::MAX],
            padding: [0, usize::MAX / 2],
            ..good
        })
        .contains("pool2d")
    );
    let error = avg_forward(&good, &[0.0; 5], &mut [0.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool::avg_forward: expected x of 6 elements, got 5 elements"
    );
    let wide = row_windows(1, 70_000);
    let error = max_forward(&wide, &[0.0; 70_000], &mut [0.0], &mut [0]).unwrap_err();
    assert!(error.to_string().contains("65536"));
    let empty = AdaptivePool2dShape {
        batch: 1,
        height: 2,
        width: 2,
        channels: 1,
        out_height: 0,
        out_width: 1,
    };
    assert!(empty.check().is_err());
}

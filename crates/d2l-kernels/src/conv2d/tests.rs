use super::*;
use crate::testing::{assert_close, assert_same_bits, at_every_level, values, with_threads};
use proptest::prelude::*;

/// The three products and the bias gradient against their plain twins.
fn check_against_naive(what: &str, shape: &Conv2dShape, algorithm: Algorithm, tolerance: f32) {
    let x = values(shape.x_len(), 1);
    let weight = values(shape.weight_len(), 2);
    let bias = values(shape.out_channels, 3);
    let dy = values(shape.y_len(), 4);
    // Sums of n terms of size one grow like √n, and so do their errors.
    let scale = |terms: usize| tolerance * (terms.max(1) as f32).sqrt();
    let terms = shape.weight_len() / shape.out_channels;
    for (bias, activation) in [
        (None, Activation::None),
        (Some(&bias[..]), Activation::None),
        (Some(&bias[..]), Activation::Relu),
    ] {
        let mut wanted = vec![f32::NAN; shape.y_len()];
        let mut got = wanted.clone();
        naive::forward(shape, &x, &weight, bias, activation, &mut wanted);
        forward(shape, &x, &weight, bias, activation, algorithm, &mut got).unwrap();
        assert_close(&format!("{what} forward {shape:?}"), &wanted, &got, scale(terms));
    }

    let mut wanted = vec![f32::NAN; shape.x_len()];
    let mut got = wanted.clone();
    naive::grad_input(shape, &dy, &weight, &mut wanted);
    grad_input(shape, &dy, &weight, algorithm, &mut got).unwrap();
    let terms = shape.kernel[0] * shape.kernel[1] * shape.out_channels / shape.groups;
    assert_close(
        &format!("{what} grad_input {shape:?}"),
        &wanted,
        &got,
        scale(terms),
    );

    let mut wanted = vec![f32::NAN; shape.weight_len()];
    let mut got = wanted.clone();
    naive::grad_weight(shape, &x, &dy, &mut wanted);
    grad_weight(shape, &x, &dy, algorithm, &mut got).unwrap();
    let pixels = shape.y_len() / shape.out_channels;
    assert_close(
        &format!("{what} grad_weight {shape:?}"),
        &wanted,
        &got,
        scale(pixels),
    );

    let mut dbias = vec![f32::NAN; shape.out_channels];
    grad_bias(shape, &dy, &mut dbias).unwrap();
    let wanted: Vec<f32> = (0..shape.out_channels)
        .map(|o| {
            dy[o.min(dy.len())..]
                .iter()
                .step_by(shape.out_channels)
                .map(|&v| f64::from(v))
                .sum::<f64>() as f32
        })
        .collect();
    assert_close(
        &format!("{what} grad_bias {shape:?}"),
        &wanted,
        &dbias,
        scale(pixels),
    );
}

const TOLERANCE: f32 = 2e-6;

/// Any shape with an output; small enough that the plain twin takes milliseconds.
fn any_shape() -> impl Strategy<Value = Conv2dShape> {
    let axis = || (1usize..12, 1usize..5, 1usize..4, 0usize..5, 1usize..3);
    let channels = prop_oneof![4 => 1usize..9, 2 => 9usize..40, 1 => 40usize..=200];
    (0usize..4, 1usize..4, channels.clone(), channels, axis(), axis()).prop_map(
        |(batch, groups, group_in, group_out, rows, columns)| {
            // Many channels are paired with one group and few of the other kind.
            let groups = if group_in * group_out > 400 { 1 } else { groups };
            let group_out = if group_in > 40 {
                group_out.min(20)
            } else {
                group_out
            };
            let size = |(size, kernel, _, padding, dilation): (usize, usize, usize, usize, usize)| {
                size.max((dilation * (kernel - 1) + 1usize).saturating_sub(2 * padding))
                    .max(1)
            };
            Conv2dShape {
                batch,
                in_height: size(rows),
                in_width: size(columns),
                in_channels: group_in * groups,
                out_channels: group_out * groups,
                kernel: [rows.1, columns.1],
                stride: [rows.2, columns.2],
                padding: [rows.3, columns.3],
                dilation: [rows.4, columns.4],
                groups,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape_follows_the_definition(shape in any_shape()) {
        at_every_level(|level| {
            check_against_naive(&format!("{level}"), &shape, Algorithm::Direct, TOLERANCE);
        });
    }
}

/// Shapes that Winograd applies to, with tails in every direction.
fn winograd_shape() -> impl Strategy<Value = Conv2dShape> {
    let channels = || prop_oneof![3 => 1usize..20, 1 => 20usize..70];
    let axis = || (1usize..15, 0usize..4);
    (
        1usize..3,
        channels(),
        channels(),
        prop_oneof![Just(3usize), Just(5)],
        axis(),
        axis(),
    )
        .prop_map(
            |(batch, in_channels, out_channels, kernel, rows, columns)| Conv2dShape {
                batch,
                in_height: rows.0.max(kernel.saturating_sub(2 * rows.1)),
                in_width: columns.0.max(kernel.saturating_sub(2 * columns.1)),
                in_channels,
                out_channels,
                kernel: [kernel; 2],
                stride: [1; 2],
                padding: [rows.1, columns.1],
                dilation: [1; 2],
                groups: 1,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn winograd_follows_the_definition(shape in winograd_shape()) {
        at_every_level(|level| {
            check_against_naive(&format!("winograd {level}"), &shape, Algorithm::Winograd, 2e-5);
        });
    }
}

/// Many tiles (blocks as pieces), and few tiles with many channels (blocks that the threads share).
#[test]
fn winograd_is_cut_without_seams() {
    for shape in [
        square(3, 50, [5, 18], 3, 1, 1),
        square(8, 28, [4, 16], 5, 1, 2),
        square(2, 12, [70, 40], 3, 1, 1),
    ] {
        check_against_naive("winograd cut", &shape, Algorithm::Winograd, 2e-5);
    }
}

/// The errors that the documentation of `winograd` states.
#[test]
fn errors_stay_within_their_bounds() {
    // 4 × 4 outputs per tile are cheaper from some size on, 2 × 2 for the small picture.
    for (variant, shape, bound) in [
        (Variant::F23, square(2, 12, [64, 64], 3, 1, 1), 1e-6),
        (Variant::F43, square(2, 12, [64, 64], 3, 1, 1), 1e-5),
        (Variant::F25, square(2, 12, [64, 64], 5, 1, 2), 1e-5),
    ] {
        let (x, weight, dy) = (
            values(shape.x_len(), 1),
            values(shape.weight_len(), 2),
            values(shape.y_len(), 3),
        );
        let error = |wanted: &[f32], got: &[f32]| {
            let largest = wanted
                .iter()
                .fold(0.0f32, |largest, value| largest.max(value.abs()));
            wanted
                .iter()
                .zip(got)
                .fold(0.0f32, |worst, (wanted, got)| worst.max((wanted - got).abs()))
                / largest
        };
        let mut errors = [0.0; 3];
        let (mut wanted, mut got) = (vec![0.0; shape.y_len()], vec![0.0; shape.y_len()]);
        naive::forward(&shape, &x, &weight, None, Activation::None, &mut wanted);
        winograd::forward(variant, &shape, &x, &weight, None, Activation::None, &mut got);
        errors[0] = error(&wanted, &got);
        let (mut wanted, mut got) = (vec![0.0; shape.x_len()], vec![0.0; shape.x_len()]);
        naive::grad_input(&shape, &dy, &weight, &mut wanted);
        winograd::grad_input(variant, &shape, &dy, &weight, &mut got);
        errors[1] = error(&wanted, &got);
        let (mut wanted, mut got) = (vec![0.0; shape.weight_len()], vec![0.0; shape.weight_len()]);
        naive::grad_weight(&shape, &x, &dy, &mut wanted);
        winograd::grad_weight(variant, &shape, &x, &dy, &mut got);
        errors[2] = error(&wanted, &got);
        println!("{variant:?}: forward, input and weight gradient {errors:?}");
        assert!(
            errors.iter().all(|&error| error < bound),
            "{variant:?}: {errors:?} not below {bound:e}"
        );
    }
}

fn square(
    batch: usize,
    size: usize,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Conv2dShape {
    Conv2dShape {
        batch,
        in_height: size,
        in_width: size,
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1; 2],
        groups: 1,
    }
}

/// Sizes that are cut into several bands, chunks and runs, which the random shapes are too small for.
#[test]
fn large_shapes_are_cut_without_seams() {
    for shape in [
        square(1, 70, [33, 5], 3, 1, 1),
        square(3, 40, [20, 40], 3, 2, 1),
        square(40, 9, [3, 7], 5, 1, 2),
        square(2, 64, [1, 20], 11, 4, 1),
    ] {
        check_against_naive("cut", &shape, Algorithm::Direct, TOLERANCE);
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let _guard = crate::testing::lock_level();
    for shape in [square(5, 14, [32, 48], 3, 1, 1), square(3, 9, [7, 20], 3, 2, 1)] {
        for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
            let x = values(shape.x_len(), 1);
            let weight = values(shape.weight_len(), 2);
            let dy = values(shape.y_len(), 3);
            let all = |threads: usize| {
                let mut y = vec![0.0; shape.y_len()];
                let mut dx = vec![0.0; shape.x_len()];
                let mut dweight = vec![0.0; shape.weight_len()];
                with_threads(threads, || {
                    forward(&shape, &x, &weight, None, Activation::None, algorithm, &mut y).unwrap();
                    grad_input(&shape, &dy, &weight, algorithm, &mut dx).unwrap();
                    grad_weight(&shape, &x, &dy, algorithm, &mut dweight).unwrap();
                });
                [y, dx, dweight]
            };
            let one = all(1);
            for threads in [2, 3] {
                for (one, many) in one.iter().zip(&all(threads)) {
                    assert_same_bits(&format!("{threads} threads, {algorithm:?}"), one, many);
                }
            }
        }
    }
}

#[test]
fn impossible_shapes_and_lengths_are_refused() {
    let good = square(1, 5, [2, 4], 3, 1, 1);
    good.check().unwrap();
    let refused = |change: fn(&mut Conv2dShape), wanted: &str| {
        let mut shape = good;
        change(&mut shape);
        let message = shape.check().unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
    };
    refused(|shape| shape.kernel[0] = 0, "a kernel of at least 1");
    refused(|shape| shape.stride[1] = 0, "a stride of at least 1");
    refused(|shape| shape.dilation[0] = 0, "a dilation of at least 1");
    refused(|shape| shape.groups = 0, "at least one channel and one group");
    refused(
        |shape| shape.in_channels = 0,
        "at least one channel and one group",
    );
    refused(|shape| shape.groups = 3, "channel counts that the groups divide");
    refused(|shape| shape.kernel = [8, 3], "an input of at least 8 pixels");
    refused(
        |shape| shape.batch = usize::MAX / 8,
        "a size within the address space",
    );
    refused(
        |shape| shape.padding[0] = usize::MAX,
        "a size within the address space",
    );
    refused(
        |shape| shape.dilation[1] = usize::MAX,
        "a size within the address space",
    );

    let (x, weight) = (vec![0.0; good.x_len()], vec![0.0; good.weight_len()]);
    let mut y = vec![0.0; good.y_len()];
    let run = |x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]| {
        forward(&good, x, weight, bias, Activation::None, Algorithm::Auto, y)
    };
    assert!(run(&x, &weight, Some(&[0.0; 4]), &mut y).is_ok());
    let message = run(&x[1..], &weight, None, &mut y).unwrap_err().to_string();
    assert_eq!(
        message,
        "conv2d::forward: expected input of 50 elements, got 49 elements"
    );
    assert!(
        run(&x, &weight[1..], None, &mut y)
            .unwrap_err()
            .to_string()
            .contains("weight of 72")
    );
    assert!(
        run(&x, &weight, Some(&[0.0; 3]), &mut y)
            .unwrap_err()
            .to_string()
            .contains("bias of 4")
    );
    assert!(
        run(&x, &weight, None, &mut y[1..])
            .unwrap_err()
            .to_string()
            .contains("output of 100")
    );
}

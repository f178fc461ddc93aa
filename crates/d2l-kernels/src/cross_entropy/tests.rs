use super::*;
use crate::checks::{assert_same_for_any_threads, finite_differences, golden, to_f32, to_f64};
use crate::testing::{assert_close, assert_same_bits, at_every_level, values};
use proptest::prelude::*;

/// Losses and gradient, the one-pass form checked against the two separate ones.
fn run(loss: &CrossEntropy<'_>, logits: &[f32], dlosses: &[f32]) -> [Vec<f32>; 2] {
    let nan = |len| vec![f32::NAN; len];
    let [mut losses, mut losses2] = [nan(dlosses.len()), nan(dlosses.len())];
    let [mut dlogits, mut dlogits2] = [nan(logits.len()), nan(logits.len())];
    forward(loss, logits, &mut losses).unwrap();
    backward(loss, logits, dlosses, &mut dlogits).unwrap();
    forward_backward(loss, logits, dlosses, &mut losses2, &mut dlogits2).unwrap();
    assert_same_bits("losses", &losses, &losses2);
    assert_same_bits("dlogits", &dlogits, &dlogits2);
    [losses, dlogits]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_the_definition_and_its_finite_differences(
        batch in 0usize..6, classes in 1usize..40, smoothing in prop_oneof![Just(0f32), 0f32..=1.0], weighted: bool,
        ignored: bool, scale in 0.1f32..30.0, seed: u64,
    ) {
        let targets: Vec<u32> =
            values(batch, seed).iter().map(|v| ((v + 1.0) / 2.0 * classes as f32) as u32).collect();
        let weights: Vec<f32> = values(classes, seed + 1).iter().map(|v| v + 1.0).collect();
        let loss = CrossEntropy {
            classes,
            targets: &targets,
            label_smoothing: smoothing,
            class_weights: weighted.then_some(&weights),
            ignore_index: ignored.then_some(0),
        };
        let logits: Vec<f32> = values(batch * classes, seed + 2).iter().map(|z| z * scale).collect();
        let dlosses = values(batch, seed + 3);
        let losses = to_f32(&naive::forward(&loss, &to_f64(&logits)));
        let dlogits = finite_differences(&logits, &dlosses, |logits| naive::forward(&loss, logits));
        at_every_level(|level| {
            let [got_losses, got_dlogits] = run(&loss, &logits, &dlosses);
            assert_close(&format!("losses {level}"), &losses, &got_losses, 3e-6);
            assert_close(&format!("dlogits {level}"), &dlogits, &got_dlogits, 1e-5);
        });
    }
}

#[test]
fn golden_values_of_pytorch() {
    let logits = golden("cross_entropy.logits");
    let weights = [0.5, 1.0, 2.0, 0.1, 3.0];
    for case in 0..8 {
        let [smooth, weighted, ignored] = [case & 4 != 0, case & 2 != 0, case & 1 != 0];
        let loss = CrossEntropy {
            label_smoothing: if smooth { 0.1 } else { 0.0 },
            class_weights: weighted.then_some(&weights),
            ignore_index: ignored.then_some(4),
            ..CrossEntropy::new(5, &[0, 4, 2, 1, 4, 3])
        };
        let name = format!(
            "cross_entropy.{}{}{}",
            u8::from(smooth),
            u8::from(weighted),
            u8::from(ignored)
        );
        at_every_level(|_| {
            let total = total_weight(&loss).unwrap();
            let [losses, dlogits] = run(&loss, &logits, &[1.0 / total; 6]);
            assert_close(&name, &golden(&format!("{name}.losses")), &losses, 2e-6);
            assert_close(
                &name,
                &golden(&format!("{name}.mean")),
                &[losses.iter().sum::<f32>() / total],
                2e-6,
            );
            assert_close(&name, &golden(&format!("{name}.dlogits")), &dlogits, 1e-6);
        });
    }
}

#[test]
fn stable_for_huge_logits() {
    let logits = [1e4, -1e4, 0.0, -1e4, 1e4, 1e4];
    let loss = CrossEntropy {
        label_smoothing: 0.5,
        ..CrossEntropy::new(3, &[0, 1])
    };
    let wanted = to_f32(&naive::forward(&loss, &to_f64(&logits)));
    at_every_level(|_| {
        let [losses, dlogits] = run(&loss, &logits, &[1.0; 2]);
        assert_close("losses", &wanted, &losses, 1e-6);
        assert!(dlogits.iter().all(|dz| dz.is_finite()));
        let plain = CrossEntropy::new(3, &[0, 1]);
        let [losses, dlogits] = run(&plain, &logits, &[1.0; 2]);
        assert_eq!(losses[0], 0.0);
        assert_close("dlogits", &[0.0, 0.0, 0.0, 0.0, -0.5, 0.5], &dlogits, 1e-6);
    });
}

#[test]
fn infinity_and_nan() {
    let _guard = crate::testing::lock_level();
    let [losses, _] = run(
        &CrossEntropy::new(2, &[0, 0]),
        &[f32::NEG_INFINITY, 0.0, f32::NAN, 0.0],
        &[1.0; 2],
    );
    assert!(losses[0] == f32::INFINITY && losses[1].is_nan());
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let targets: Vec<u32> = (0..3000).map(|i| i % 37).collect();
    let loss = CrossEntropy {
        label_smoothing: 0.1,
        ..CrossEntropy::new(37, &targets)
    };
    let (logits, dlosses) = (values(3000 * 37, 1), values(3000, 2));
    assert_same_for_any_threads("cross-entropy", || run(&loss, &logits, &dlosses).to_vec());
}

#[test]
fn bad_arguments_are_named() {
    let refused = |loss: CrossEntropy<'_>| forward(&loss, &[0.0; 6], &mut [0.0; 2]).unwrap_err().to_string();
    let good = CrossEntropy::new(3, &[0, 2]);
    let expected = "cross_entropy::forward: expected targets below 3, got target 3 in row 1";
    assert_eq!(
        refused(CrossEntropy {
            targets: &[0, 3],
            ..good
        }),
        expected
    );
    assert!(
        refused(CrossEntropy {
            label_smoothing: 1.5,
            ..good
        })
        .contains("from 0 to 1")
    );
    assert!(
        refused(CrossEntropy {
            label_smoothing: f32::NAN,
            ..good
        })
        .contains("from 0 to 1")
    );
    assert!(
        refused(CrossEntropy {
            class_weights: Some(&[1.0]),
            ..good
        })
        .contains("class_weights of 3")
    );
    assert!(refused(CrossEntropy { classes: 0, ..good }).contains("at least 1 class"));
    assert!(refused(CrossEntropy { classes: 4, ..good }).contains("logits of 8"));
    // The ignored index may lie outside the classes.
    let ignored = CrossEntropy {
        targets: &[u32::MAX, 1],
        ignore_index: Some(u32::MAX),
        ..good
    };
    assert_eq!(total_weight(&ignored).unwrap(), 1.0);
}

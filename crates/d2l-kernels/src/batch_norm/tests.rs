mod residual;

use super::*;
use crate::checks::{
    assert_same_for_any_threads, finite_differences, golden, golden_weighting, to_f32, to_f64,
};
use crate::testing::{assert_close, at_every_level, values};
use proptest::prelude::*;

/// Everything one call of the forward and the backward function gives.
struct Results {
    y: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    dx: Vec<f32>,
    dgamma: Vec<f32>,
    dbeta: Vec<f32>,
}

fn run(norm: &BatchNorm<'_>, x: &[f32], dy: &[f32], running: Option<Moments<'_>>) -> Results {
    let nan = |len| vec![f32::NAN; len];
    let [mut y, mut dx] = [nan(x.len()), nan(x.len())];
    let [mut mean, mut variance, mut dgamma, mut dbeta] = [(); 4].map(|()| nan(norm.channels));
    let gradients = Gradients {
        dx: Some(&mut dx),
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
    };
    if let Some(running) = running {
        infer_forward(norm, x, running, &mut y).unwrap();
        infer_backward(norm, x, dy, running, gradients).unwrap();
    } else {
        train_forward(
            norm,
            x,
            &mut y,
            MomentsMut {
                mean: &mut mean,
                variance: &mut variance,
            },
        )
        .unwrap();
        train_backward(
            norm,
            x,
            dy,
            Moments {
                mean: &mean,
                variance: &variance,
            },
            gradients,
        )
        .unwrap();
    }
    Results {
        y,
        mean,
        variance,
        dx,
        dgamma,
        dbeta,
    }
}

/// Columns of different means and scales.
fn matrix(rows: usize, channels: usize, seed: u64) -> Vec<f32> {
    let scale = |i: usize| (1 + i % channels % 3) as f32;
    values(rows * channels, seed)
        .iter()
        .enumerate()
        .map(|(i, x)| x * scale(i) + (i % channels) as f32)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_definition_and_its_finite_differences(
        rows in 2usize..9, channels in 1usize..20, relu: bool, train: bool, seed: u64,
    ) {
        let x = matrix(rows, channels, seed);
        let dy = values(x.len(), seed + 1);
        let gamma = values(channels, seed + 2);
        let beta = values(channels, seed + 3);
        let running_mean = values(channels, seed + 4);
        let running_variance: Vec<f32> = values(channels, seed + 5).iter().map(|v| v + 1.5).collect();
        let norm = BatchNorm { rows, channels, gamma: &gamma, beta: &beta, eps: 0.1, relu };
        let running = Moments { mean: &running_mean, variance: &running_variance };
        let naive = |x: &[f64], gamma: &[f64], beta: &[f64]| {
            let (mean, variance) = match train {
                true => naive::moments(channels, x),
                false => (to_f64(&running_mean), to_f64(&running_variance)),
            };
            naive::normalise(x, (&mean, &variance), (gamma, beta), f64::from(norm.eps), None, relu)
        };
        let [x64, gamma64, beta64] = [&x, &gamma, &beta].map(|values| to_f64(values));
        let y = naive(&x64, &gamma64, &beta64);
        // A kink within the step of the differences would be no mistake.
        prop_assume!(!relu || y.iter().all(|&y| y == 0.0 || y > 1e-3));
        let unmasked = |x: &[f64]| naive(x, &gamma64, &beta64);
        let dx = finite_differences(&x, &dy, unmasked);
        let dgamma = finite_differences(&gamma, &dy, |gamma| naive(&x64, gamma, &beta64));
        let dbeta = finite_differences(&beta, &dy, |beta| naive(&x64, &gamma64, beta));
        at_every_level(|level| {
            let got = run(&norm, &x, &dy, (!train).then_some(running));
            assert_close(&format!("y {level}"), &to_f32(&y), &got.y, 3e-6);
            assert_close(&format!("dx {level}"), &dx, &got.dx, 2e-4);
            assert_close(&format!("dgamma {level}"), &dgamma, &got.dgamma, 2e-4);
            assert_close(&format!("dbeta {level}"), &dbeta, &got.dbeta, 2e-4);
            if train {
                let (mean, variance) = naive::moments(channels, &x64);
                assert_close("mean", &to_f32(&mean), &got.mean, 1e-6);
                assert_close("variance", &to_f32(&variance), &got.variance, 1e-6);
            }
        });
    }
}

#[test]
fn large_matrices_agree_with_the_definition_at_any_number_of_threads() {
    for (rows, channels) in [(70_001, 1), (30_000, 6), (4_001, 64), (70, 1500), (13_200, 160)] {
        let x = matrix(rows, channels, 1);
        let dy = values(x.len(), 2);
        let (gamma, beta) = (values(channels, 3), values(channels, 4));
        let norm = BatchNorm {
            rows,
            channels,
            gamma: &gamma,
            beta: &beta,
            eps: 1e-5,
            relu: true,
        };
        assert_same_for_any_threads("batch norm", || {
            let got = run(&norm, &x, &dy, None);
            vec![got.y, got.mean, got.variance, got.dx, got.dgamma, got.dbeta]
        });
        let (mean, variance) = naive::moments(channels, &to_f64(&x));
        at_every_level(|_| {
            let got = run(&norm, &x, &dy, None);
            assert_close("mean", &to_f32(&mean), &got.mean, 1e-6);
            assert_close("variance", &to_f32(&variance), &got.variance, 1e-6);
            let masked: Vec<f64> = dy
                .iter()
                .zip(&got.y)
                .map(|(&dy, &y)| if y > 0.0 { f64::from(dy) } else { 0.0 })
                .collect();
            let dbeta: Vec<f32> = (0..channels)
                .map(|c| masked.iter().skip(c).step_by(channels).sum::<f64>() as f32)
                .collect();
            assert_close("dbeta", &dbeta, &got.dbeta, 3e-5);
        });
    }
}

#[test]
fn the_variance_survives_a_large_mean() {
    // E[x²] − E[x]² in f32 would be off by more than the variance itself.
    let x: Vec<f32> = values(40_000, 1)
        .iter()
        .map(|x| 1e4 + (x * 64.0).round() / 64.0)
        .collect();
    let (mean, variance) = naive::moments(2, &to_f64(&x));
    let norm = BatchNorm {
        rows: 20_000,
        channels: 2,
        gamma: &[1.0; 2],
        beta: &[0.0; 2],
        eps: 1e-5,
        relu: false,
    };
    at_every_level(|_| {
        let got = run(&norm, &x, &x, None);
        for channel in 0..2 {
            // Three units in the last place of 1e4.
            assert!((f64::from(got.mean[channel]) - mean[channel]).abs() < 3e-3);
            assert!((f64::from(got.variance[channel]) / variance[channel] - 1.0).abs() < 1e-5);
        }
    });
}

/// The deviations of a piece are taken from the mean of its first rows, which may be far from all others.
#[test]
fn the_variance_survives_first_rows_that_differ() {
    let (rows, channels) = (8192, 8);
    let x: Vec<f32> = values(rows * channels, 1)
        .iter()
        .enumerate()
        .map(|(i, x)| if i / channels < rows / 40 { 1000.0 } else { *x })
        .collect();
    let (mean, variance) = naive::moments(channels, &to_f64(&x));
    let ones = vec![1.0; channels];
    let norm = BatchNorm {
        rows,
        channels,
        gamma: &ones,
        beta: &ones,
        eps: 1e-5,
        relu: false,
    };
    at_every_level(|_| {
        let got = run(&norm, &x, &x, None);
        for channel in 0..channels {
            let error = (f64::from(got.mean[channel]) - mean[channel]).abs();
            assert!(error < 1e-5 * variance[channel].sqrt(), "mean: {error:e}");
            assert!((f64::from(got.variance[channel]) / variance[channel] - 1.0).abs() < 1e-5);
        }
    });
}

#[test]
fn golden_values_of_pytorch() {
    let x = golden("batch_norm.x");
    let dy = golden_weighting(x.len());
    at_every_level(|_| {
        for relu in [false, true] {
            let norm = BatchNorm {
                rows: 10,
                channels: 3,
                gamma: &[1.5, -0.5, 1.0],
                beta: &[0.1, 0.2, -0.3],
                eps: 1e-5,
                relu,
            };
            let mut running = [0.5, -1.0, 2.0, 1.0, 2.0, 0.5];
            let (running_mean, running_variance) = running.split_at_mut(3);
            for train in [false, true] {
                let moments = Moments {
                    mean: running_mean,
                    variance: running_variance,
                };
                let got = run(&norm, &x, &dy, (!train).then_some(moments));
                let name = format!(
                    "batch_norm.{}{}",
                    if train { "train" } else { "infer" },
                    u8::from(relu)
                );
                for (part, values) in [
                    ("y", &got.y),
                    ("dx", &got.dx),
                    ("dparameter0", &got.dgamma),
                    ("dparameter1", &got.dbeta),
                ] {
                    assert_close(
                        &format!("{name}.{part}"),
                        &golden(&format!("{name}.{part}")),
                        values,
                        1e-5,
                    );
                }
                if train {
                    let batch = Moments {
                        mean: &got.mean,
                        variance: &got.variance,
                    };
                    update_running(0.1, 10, batch, running_mean, running_variance).unwrap();
                }
            }
            assert_close("running", &golden("batch_norm.running"), &running, 1e-6);
        }
    });
}

#[test]
fn edges() {
    let norm = |rows, channels| BatchNorm {
        rows,
        channels,
        gamma: &[2.0],
        beta: &[0.5],
        eps: 1e-5,
        relu: false,
    };
    // One row: the variance is 0 and y is beta.
    let got = run(&norm(1, 1), &[3.0], &[1.0], None);
    assert_eq!(
        (got.y[0], got.mean[0], got.variance[0], got.dx[0], got.dbeta[0]),
        (0.5, 3.0, 0.0, 0.0, 1.0)
    );
    let batch = Moments {
        mean: &got.mean,
        variance: &got.variance,
    };
    assert!(update_running(0.1, 1, batch, &mut [0.0], &mut [1.0]).is_err());
    // No row at all.
    let got = run(&norm(0, 1), &[], &[], None);
    assert!(got.mean[0].is_nan());
    assert_eq!((got.dgamma[0], got.dbeta[0]), (0.0, 0.0));
    // NaN stays, also through the ReLU.
    let norm = BatchNorm {
        relu: true,
        ..norm(2, 1)
    };
    assert!(
        run(&norm, &[f32::NAN, 1.0], &[1.0, 1.0], None)
            .y
            .iter()
            .all(|y| y.is_nan())
    );
    // Lengths.
    let error = infer_forward(
        &norm,
        &[1.0],
        Moments {
            mean: &[0.0],
            variance: &[1.0],
        },
        &mut [0.0],
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch_norm::infer_forward: expected x of 2 elements, got 1 elements"
    );
}

#[test]
fn an_unwanted_input_gradient_changes_no_other() {
    let (rows, channels) = (50, 3);
    let (x, dy) = (values(rows * channels, 1), values(rows * channels, 2));
    let (gamma, beta) = (values(channels, 3), values(channels, 4));
    let norm = BatchNorm {
        rows,
        channels,
        eps: 1e-5,
        gamma: &gamma,
        beta: &beta,
        relu: true,
    };
    let all = run(&norm, &x, &dy, None);
    let [mut dgamma, mut dbeta] = [(); 2].map(|()| vec![f32::NAN; channels]);
    let moments = Moments {
        mean: &all.mean,
        variance: &all.variance,
    };
    let gradients = Gradients {
        dx: None,
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
    };
    train_backward(&norm, &x, &dy, moments, gradients).unwrap();
    assert_eq!((dgamma, dbeta), (all.dgamma, all.dbeta));
}

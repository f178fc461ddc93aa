//! The functions that add a residual.

use super::*;
use crate::testing::assert_same_bits;

/// `y`, `mean` and `variance` of the forward function, then `dy` as it became, `dx`, `dgamma` and `dbeta`.
fn run(
    norm: &BatchNorm<'_>,
    x: &[f32],
    residual: &[f32],
    dy: &[f32],
    running: Option<Moments<'_>>,
) -> [Vec<f32>; 7] {
    let nan = |len| vec![f32::NAN; len];
    let [mut y, mut dx] = [nan(x.len()), nan(x.len())];
    let [mut mean, mut variance, mut dgamma, mut dbeta] = [(); 4].map(|()| nan(norm.channels));
    let mut dy = dy.to_vec();
    if let Some(running) = running {
        infer_forward_add(norm, x, residual, running, &mut y).unwrap();
        mean.copy_from_slice(running.mean);
        variance.copy_from_slice(running.variance);
    } else {
        let moments = MomentsMut {
            mean: &mut mean,
            variance: &mut variance,
        };
        train_forward_add(norm, x, residual, &mut y, moments).unwrap();
    }
    let moments = Moments {
        mean: &mean,
        variance: &variance,
    };
    let gradients = Gradients {
        dx: Some(&mut dx),
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
    };
    match running {
        Some(_) => infer_backward_add(norm, x, &y, &mut dy, moments, gradients).unwrap(),
        None => train_backward_add(norm, x, &y, &mut dy, moments, gradients).unwrap(),
    }
    [y, mean, variance, dy, dx, dgamma, dbeta]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_definition_and_its_finite_differences(
        rows in 2usize..9, channels in 1usize..20, relu: bool, train: bool, seed: u64,
    ) {
        let x = matrix(rows, channels, seed);
        let residual = values(x.len(), seed.wrapping_add(6));
        let dy = values(x.len(), seed.wrapping_add(1));
        let (gamma, beta) = (values(channels, seed.wrapping_add(2)), values(channels, seed.wrapping_add(3)));
        let running_mean = values(channels, seed.wrapping_add(4));
        let running_variance: Vec<f32> =
            values(channels, seed.wrapping_add(5)).iter().map(|v| v + 1.5).collect();
        let norm = BatchNorm { rows, channels, gamma: &gamma, beta: &beta, eps: 0.1, relu };
        let running = Moments { mean: &running_mean, variance: &running_variance };
        let naive = |x: &[f64], residual: &[f64], gamma: &[f64], beta: &[f64]| {
            let (mean, variance) = match train {
                true => naive::moments(channels, x),
                false => (to_f64(&running_mean), to_f64(&running_variance)),
            };
            let (moments, parameters) = ((&mean[..], &variance[..]), (gamma, beta));
            naive::normalise(x, moments, parameters, f64::from(norm.eps), Some(residual), relu)
        };
        let [x64, residual64, gamma64, beta64] = [&x, &residual, &gamma, &beta].map(|values| to_f64(values));
        let y = naive(&x64, &residual64, &gamma64, &beta64);
        // A kink within the step of the differences would be no mistake.
        prop_assume!(!relu || y.iter().all(|&y| y == 0.0 || y > 1e-3));
        let dx = finite_differences(&x, &dy, |x| naive(x, &residual64, &gamma64, &beta64));
        let dresidual = finite_differences(&residual, &dy, |residual| naive(&x64, residual, &gamma64, &beta64));
        let dgamma = finite_differences(&gamma, &dy, |gamma| naive(&x64, &residual64, gamma, &beta64));
        let dbeta = finite_differences(&beta, &dy, |beta| naive(&x64, &residual64, &gamma64, beta));
        at_every_level(|level| {
            let [got_y, _, _, got_dy, got_dx, got_dgamma, got_dbeta] =
                run(&norm, &x, &residual, &dy, (!train).then_some(running));
            assert_close(&format!("y {level}"), &to_f32(&y), &got_y, 3e-6);
            assert_close(&format!("dresidual {level}"), &dresidual, &got_dy, 2e-4);
            assert_close(&format!("dx {level}"), &dx, &got_dx, 2e-4);
            assert_close(&format!("dgamma {level}"), &dgamma, &got_dgamma, 2e-4);
            assert_close(&format!("dbeta {level}"), &dbeta, &got_dbeta, 2e-4);
        });
    }
}

#[test]
fn a_residual_of_zero_changes_nothing_at_any_number_of_threads() {
    for (rows, channels) in [(30_000, 6), (4_001, 64)] {
        let x = matrix(rows, channels, 1);
        let (dy, zero) = (values(x.len(), 2), vec![0.0; x.len()]);
        let (gamma, beta) = (values(channels, 3), values(channels, 4));
        let norm = BatchNorm {
            rows,
            channels,
            gamma: &gamma,
            beta: &beta,
            eps: 1e-5,
            relu: true,
        };
        assert_same_for_any_threads("residual", || run(&norm, &x, &dy, &dy, None).to_vec());
        at_every_level(|_| {
            let plain = super::run(&norm, &x, &dy, None);
            let [y, mean, variance, d, dx, dgamma, dbeta] = run(&norm, &x, &zero, &dy, None);
            for (wanted, got) in [
                (&plain.y, &y),
                (&plain.mean, &mean),
                (&plain.variance, &variance),
                (&plain.dx, &dx),
                (&plain.dgamma, &dgamma),
                (&plain.dbeta, &dbeta),
            ] {
                assert_same_bits("without residual", wanted, got);
            }
            let masked = |(i, &dy): (usize, &f32)| if y[i] > 0.0 { dy } else { 0.0 };
            let masked: Vec<f32> = dy.iter().enumerate().map(masked).collect();
            assert_same_bits("dy", &masked, &d);
        });
    }
}

#[test]
fn lengths_are_checked() {
    let norm = BatchNorm {
        rows: 2,
        channels: 1,
        gamma: &[1.0],
        beta: &[0.0],
        eps: 1e-5,
        relu: true,
    };
    let moments = Moments {
        mean: &[0.0],
        variance: &[1.0],
    };
    let error = infer_forward_add(&norm, &[1.0; 2], &[0.0], moments, &mut [0.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch_norm::infer_forward_add: expected residual of 2 elements, got 1 elements"
    );
    let (mut dx, mut dgamma, mut dbeta) = ([0.0; 2], [0.0], [0.0]);
    let gradients = Gradients {
        dx: Some(&mut dx),
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
    };
    let mut dy = [1.0; 2];
    assert!(train_backward_add(&norm, &[1.0; 2], &[0.0; 3], &mut dy, moments, gradients).is_err());
    assert_eq!(dy, [1.0; 2]);
}

use super::*;
use crate::checks::{assert_same_for_any_threads, golden};
use crate::testing::{assert_close, at_every_level, lock_level, values, with_threads};
use naive::Element;

/// An optimiser with its options; AMSGrad, and Adagrad's first accumulator, are the caller's choice of buffers.
#[derive(Clone, Copy, Debug)]
enum Optimiser {
    Sgd(SgdOptions),
    Adam(AdamOptions, bool),
    RmsProp(RmsPropOptions),
    Adagrad(AdagradOptions, f32),
    Adadelta(AdadeltaOptions),
}

impl Optimiser {
    fn initial_state(self) -> f32 {
        if let Self::Adagrad(_, initial) = self {
            initial
        } else {
            0.0
        }
    }

    fn step(self, step: u64, parameters: &mut [f32], gradient: &[f32], [a, b, c]: &mut [Vec<f32>; 3]) {
        match self {
            Self::Sgd(options) => sgd(&options, step, parameters, gradient, Some(a)),
            Self::Adam(options, amsgrad) => {
                let state = AdamState {
                    mean: a,
                    mean_square: b,
                    max_mean_square: amsgrad.then_some(c),
                };
                adam(&options, step, parameters, gradient, state)
            }
            Self::RmsProp(options) => {
                let state = RmsPropState {
                    mean_square: a,
                    mean: Some(b),
                    momentum: Some(c),
                };
                rms_prop(&options, parameters, gradient, state)
            }
            Self::Adagrad(options, _) => adagrad(&options, step, parameters, gradient, a),
            Self::Adadelta(options) => adadelta(&options, parameters, gradient, a, b),
        }
        .unwrap();
    }

    fn step_naive(self, step: u64, element: &mut Element, gradient: f64) {
        match self {
            Self::Sgd(options) => naive::sgd(&options, step, element, gradient),
            Self::Adam(options, amsgrad) => naive::adam(&options, amsgrad, step, element, gradient),
            Self::RmsProp(options) => naive::rms_prop(&options, element, gradient),
            Self::Adagrad(options, _) => naive::adagrad(&options, step, element, gradient),
            Self::Adadelta(options) => naive::adadelta(&options, element, gradient),
        }
    }

    /// The parameters after one step per row of `gradients`.
    fn run(self, start: &[f32], gradients: &[f32]) -> Vec<f32> {
        let mut parameters = start.to_vec();
        let mut state = [(); 3].map(|()| vec![self.initial_state(); start.len()]);
        for (step, gradient) in (1..).zip(gradients.chunks(start.len().max(1))) {
            self.step(step, &mut parameters, gradient, &mut state);
        }
        parameters
    }

    fn run_naive(self, start: &[f32], gradients: &[f32]) -> Vec<f32> {
        let run = |(index, &parameter): (usize, &f32)| {
            let state = [f64::from(self.initial_state()); 3];
            let mut element = Element {
                parameter: f64::from(parameter),
                state,
            };
            for (step, gradient) in (1..).zip(gradients.chunks(start.len().max(1))) {
                self.step_naive(step, &mut element, f64::from(gradient[index]));
            }
            element.parameter as f32
        };
        start.iter().enumerate().map(run).collect()
    }
}

/// The configurations of the golden file.
fn configurations() -> Vec<(&'static str, Optimiser)> {
    let sgd = SgdOptions {
        learning_rate: 0.1,
        ..SgdOptions::default()
    };
    let momentum = SgdOptions {
        learning_rate: 0.05,
        momentum: 0.9,
        ..sgd
    };
    let adam = AdamOptions {
        learning_rate: 0.01,
        ..AdamOptions::ADAM
    };
    let adam_l2 = AdamOptions {
        beta1: 0.8,
        beta2: 0.95,
        eps: 1e-6,
        weight_decay: 0.1,
        ..adam
    };
    let adamw = AdamOptions {
        learning_rate: 0.01,
        ..AdamOptions::ADAMW
    };
    let rms_prop = RmsPropOptions::default();
    let rms_prop_momentum = RmsPropOptions {
        alpha: 0.9,
        momentum: 0.5,
        weight_decay: 0.01,
        ..rms_prop
    };
    let centered = RmsPropOptions {
        centered: true,
        eps: 1e-4,
        ..rms_prop
    };
    let adagrad = AdagradOptions {
        learning_rate: 0.1,
        ..AdagradOptions::default()
    };
    let adagrad_decay = AdagradOptions {
        learning_rate_decay: 0.01,
        weight_decay: 0.01,
        ..adagrad
    };
    let adadelta = AdadeltaOptions::default();
    let adadelta_decay = AdadeltaOptions {
        learning_rate: 0.5,
        rho: 0.95,
        eps: 1e-5,
        weight_decay: 0.01,
    };
    use Optimiser::*;
    vec![
        ("sgd", Sgd(sgd)),
        (
            "sgd_decay",
            Sgd(SgdOptions {
                weight_decay: 0.01,
                ..sgd
            }),
        ),
        ("sgd_momentum", Sgd(momentum)),
        (
            "sgd_dampening",
            Sgd(SgdOptions {
                dampening: 0.3,
                weight_decay: 0.01,
                ..momentum
            }),
        ),
        (
            "sgd_nesterov",
            Sgd(SgdOptions {
                nesterov: true,
                weight_decay: 0.01,
                ..momentum
            }),
        ),
        ("adam", Adam(adam, false)),
        ("adam_l2", Adam(adam_l2, false)),
        ("adam_amsgrad", Adam(adam, true)),
        (
            "adamw",
            Adam(
                AdamOptions {
                    weight_decay: 0.1,
                    ..adamw
                },
                false,
            ),
        ),
        ("adamw_amsgrad", Adam(adamw, true)),
        ("rms_prop", RmsProp(rms_prop)),
        ("rms_prop_momentum", RmsProp(rms_prop_momentum)),
        ("rms_prop_centered", RmsProp(centered)),
        (
            "rms_prop_both",
            RmsProp(RmsPropOptions {
                momentum: 0.9,
                ..centered
            }),
        ),
        ("adagrad", Adagrad(adagrad, 0.0)),
        ("adagrad_decay", Adagrad(adagrad_decay, 0.1)),
        ("adadelta", Adadelta(adadelta)),
        ("adadelta_decay", Adadelta(adadelta_decay)),
    ]
}

#[test]
fn fifty_steps_equal_pytorch() {
    let (start, gradients) = (golden("optim.start"), golden("optim.gradients"));
    at_every_level(|level| {
        for (name, optimiser) in configurations() {
            let got = optimiser.run(&start, &gradients);
            assert_close(
                &format!("{name} {level}"),
                &golden(&format!("optim.{name}")),
                &got,
                1e-6,
            );
        }
    });
}

#[test]
fn agrees_with_the_definition_for_any_length_and_number_of_threads() {
    let steps = 3;
    for len in [0, 1, 17, 300, 2 * ELEMENTS + 1] {
        let start = values(len, 1);
        let gradients = values(len * steps, 2);
        for (name, optimiser) in configurations() {
            let wanted = optimiser.run_naive(&start, &gradients);
            assert_close(name, &wanted, &optimiser.run(&start, &gradients), 3e-6);
            assert_same_for_any_threads(name, || vec![optimiser.run(&start, &gradients)]);
        }
    }
}

#[test]
fn clipping() {
    let _guard = lock_level();
    let gradient: Vec<f32> = values(3 * ELEMENTS + 5, 1);
    let wanted: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
    let sum = with_threads(1, || sum_of_squares(&gradient));
    assert!((sum / wanted - 1.0).abs() < 1e-12);
    for threads in [2, 3] {
        assert_eq!(
            with_threads(threads, || sum_of_squares(&gradient)).to_bits(),
            sum.to_bits()
        );
    }
    let mut scaled = gradient.clone();
    scale(0.5, &mut scaled);
    assert!(scaled.iter().zip(&gradient).all(|(scaled, g)| *scaled == g * 0.5));
    assert_eq!(sum_of_squares(&[]), 0.0);
}

#[test]
fn the_first_step_ignores_what_a_buffer_held() {
    let options = SgdOptions {
        momentum: 0.9,
        ..SgdOptions::default()
    };
    let (mut parameters, mut buffer) = ([1.0], [f32::NAN]);
    sgd(&options, 1, &mut parameters, &[2.0], Some(&mut buffer)).unwrap();
    assert_eq!(buffer, [2.0]);
}

#[test]
fn bad_arguments_are_named() {
    let refused = |result: Result<(), ShapeError>| result.unwrap_err().to_string();
    let momentum = SgdOptions {
        momentum: 0.9,
        ..SgdOptions::default()
    };
    let error = refused(sgd(&momentum, 1, &mut [0.0], &[0.0], None));
    assert_eq!(error, "optim::sgd: expected a momentum buffer, got none");
    assert!(refused(sgd(&momentum, 0, &mut [0.0], &[0.0], Some(&mut [0.0]))).contains("step 0"));
    assert!(refused(sgd(&momentum, 1, &mut [0.0], &[0.0; 2], Some(&mut [0.0]))).contains("gradient of 1"));
    assert!(refused(sgd(&momentum, 1, &mut [0.0], &[0.0], Some(&mut [0.0; 2]))).contains("momentum of 1"));
    let centered = RmsPropOptions {
        centered: true,
        ..RmsPropOptions::default()
    };
    let state = RmsPropState {
        mean_square: &mut [0.0],
        mean: None,
        momentum: None,
    };
    assert!(refused(rms_prop(&centered, &mut [0.0], &[0.0], state)).contains("mean buffer"));
}

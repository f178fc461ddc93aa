//! Every method against PyTorch, in place and composed, and its state.

use super::*;
use crate::Clip;
use d2l_nn::ParamKind;
use serde_json::Value;

/// The gradients of `tests/golden/generate.py`.
fn gradient(step: u64, from: usize, shape: &[usize], dtype: DType) -> Tensor {
    let count = shape.iter().product::<usize>();
    let value = |i: usize| (0.7 * step as f64 + i as f64).sin() * (1.0 + 0.1 * i as f64);
    let values: Vec<f64> = (from..from + count).map(value).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
        .unwrap()
        .to_dtype(dtype)
        .unwrap()
}

fn params(dtype: DType) -> ParamStore {
    let params = ParamStore::new(dtype, &Device::Cpu);
    let weight: Vec<f64> = (0..6).map(|i| -1.0 + 0.4 * i as f64).collect();
    for (name, values, shape) in [
        ("a.weight", weight, vec![2, 3]),
        ("a.bias", vec![0.5, -0.25], vec![2]),
    ] {
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        params.insert(name, Var::from_tensor(&tensor).unwrap(), ParamKind::Parameter);
    }
    params
}

/// The sum of each parameter times its gradient: `backward` gives that gradient.
fn gradients(params: &ParamStore, optimizer: &Optimizer, step: u64) -> Gradients {
    let mut from = 0;
    let mut loss = Tensor::zeros((), params.dtype(), &Device::Cpu).unwrap();
    for (_, var) in params.parameters() {
        let gradient = gradient(step, from, var.dims(), params.dtype());
        from += var.elem_count();
        loss = (loss + (var.as_tensor() * gradient).unwrap().sum_all().unwrap()).unwrap();
    }
    optimizer.gradients(&loss.backward().unwrap()).unwrap()
}

fn values(params: &ParamStore) -> Vec<f64> {
    let flat = |var: &Var| {
        var.flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    params
        .parameters()
        .iter()
        .flat_map(|(_, var)| flat(var))
        .collect()
}

fn cases() -> Vec<(&'static str, Method, Vec<Group>, Clip)> {
    let sgd = SgdOptions {
        learning_rate: 0.1,
        ..Default::default()
    };
    let adam = AdamOptions {
        learning_rate: 0.01,
        ..AdamOptions::ADAM
    };
    let rmsprop = RmsPropOptions {
        learning_rate: 0.01,
        ..Default::default()
    };
    let adagrad = AdagradOptions {
        learning_rate: 0.1,
        ..Default::default()
    };
    let case = |name, method| (name, method, Vec::new(), Clip::default());
    let with_clip = |name, clip| (name, Method::Sgd(sgd), Vec::new(), clip);
    vec![
        case("sgd", Method::Sgd(sgd)),
        case(
            "sgd_momentum_dampening",
            Method::Sgd(SgdOptions {
                momentum: 0.9,
                dampening: 0.3,
                ..sgd
            }),
        ),
        case(
            "sgd_nesterov_decay",
            Method::Sgd(SgdOptions {
                momentum: 0.9,
                nesterov: true,
                weight_decay: 0.01,
                ..sgd
            }),
        ),
        case("adam", Method::adam(0.01)),
        case(
            "adam_decay_amsgrad",
            Method::Adam {
                options: AdamOptions {
                    weight_decay: 0.1,
                    ..adam
                },
                amsgrad: true,
            },
        ),
        case("adamw", Method::adamw(0.01).with_weight_decay(0.1)),
        case("rmsprop", Method::RmsProp(rmsprop)),
        case(
            "rmsprop_centered_momentum_decay",
            Method::RmsProp(RmsPropOptions {
                centered: true,
                momentum: 0.9,
                weight_decay: 0.1,
                ..rmsprop
            }),
        ),
        case(
            "adagrad",
            Method::Adagrad {
                options: adagrad,
                initial_accumulator: 0.0,
            },
        ),
        case(
            "adagrad_decays_initial",
            Method::Adagrad {
                options: AdagradOptions {
                    learning_rate_decay: 0.1,
                    weight_decay: 0.1,
                    ..adagrad
                },
                initial_accumulator: 0.5,
            },
        ),
        case("adadelta", "adadelta".parse().unwrap()),
        case(
            "adadelta_decay",
            Method::Adadelta(AdadeltaOptions {
                learning_rate: 0.5,
                rho: 0.8,
                weight_decay: 0.1,
                ..Default::default()
            }),
        ),
        (
            "groups",
            Method::sgd(0.1)
                .with_momentum(0.5, false)
                .unwrap()
                .with_weight_decay(0.1),
            vec![
                Group::no_decay_on_vectors(),
                Group::learning_rate_factor("*.bias", 10.0),
            ],
            Clip::default(),
        ),
        with_clip(
            "clip_norm",
            Clip {
                norm: Some(0.5),
                value: None,
            },
        ),
        with_clip(
            "clip_value",
            Clip {
                norm: None,
                value: Some(0.5),
            },
        ),
    ]
}

#[test]
fn every_method_goes_step_by_step_where_pytorch_goes() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/golden/optimizers.json")).unwrap();
    let steps: Vec<u64> = serde_json::from_value(golden["steps"].clone()).unwrap();
    let cases = cases();
    assert_eq!(cases.len() + 1, golden.as_object().unwrap().len());
    for (name, method, groups, clip) in cases {
        for (key, dtype, tolerance) in [("f32", DType::F32, 1e-6), ("f64", DType::F64, 1e-12)] {
            let expected: Vec<Vec<f64>> = serde_json::from_value(golden[name][key].clone()).unwrap();
            let mut expected = expected.into_iter();
            let params = params(dtype);
            let mut optimizer = Optimizer::with_groups(method, &params, &groups).unwrap();
            for step in 1..=*steps.last().unwrap() {
                let mut gradients = gradients(&params, &optimizer, step);
                gradients.clip(&clip).unwrap();
                optimizer.step(&gradients, optimizer.learning_rate()).unwrap();
                if steps.contains(&step) {
                    for (got, want) in values(&params).into_iter().zip(expected.next().unwrap()) {
                        let error = (got - want).abs() / want.abs().max(1.0);
                        assert!(error < tolerance, "{name} {key} step {step}: {got} for {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_state_saves_and_loads_to_the_bit() {
    for (name, method, groups, _) in cases() {
        for dtype in [DType::F32, DType::F64] {
            let (one, two) = (params(dtype), params(dtype));
            let mut first = Optimizer::with_groups(method, &one, &groups).unwrap();
            let mut second = Optimizer::with_groups(method, &two, &groups).unwrap();
            let go = |optimizer: &mut Optimizer, params: &ParamStore, steps: std::ops::Range<u64>| {
                for step in steps {
                    optimizer.step(&gradients(params, optimizer, step), 0.1).unwrap();
                }
            };
            go(&mut first, &one, 1..4);
            let state: HashMap<_, _> = first.state().unwrap().into_iter().collect();
            second.set_state(&state).unwrap();
            for ((_, from), (_, to)) in one.parameters().iter().zip(two.parameters()) {
                to.set(from).unwrap();
            }
            go(&mut first, &one, 4..8);
            go(&mut second, &two, 4..8);
            assert_eq!(values(&one), values(&two), "{name} {dtype:?}");
        }
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_whole() {
    let params = params(DType::F32);
    let mut adam = Optimizer::new(Method::adam(0.1), &params).unwrap();
    adam.step(&gradients(&params, &adam, 1), 0.1).unwrap();
    let state: HashMap<String, Tensor> = adam.state().unwrap().into_iter().collect();
    let refused = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let mut state = state.clone();
        change(&mut state);
        Optimizer::new(Method::adam(0.1), &params)
            .unwrap()
            .set_state(&state)
            .unwrap_err()
            .to_string()
    };
    let missing = refused(&|state| drop(state.remove("a.bias.exp_avg")));
    assert!(missing.contains("`a.bias.exp_avg` is missing"), "{missing}");
    let shape = refused(&|state| {
        state.insert("a.bias.exp_avg".into(), state["a.weight.exp_avg"].clone());
    });
    assert!(shape.contains("[2, 3]"), "{shape}");
    let extra = refused(&|state| {
        state.insert("b.exp_avg".into(), state["a.weight.exp_avg"].clone());
    });
    assert!(extra.contains("7"), "{extra}");
}

#[test]
fn parameters_without_a_gradient_stay_and_are_named() {
    let params = params(DType::F32);
    let mut optimizer = Optimizer::new(Method::adam(0.1), &params).unwrap();
    let loss = params.get("a.weight").unwrap().sqr().unwrap().sum_all().unwrap();
    let gradients = optimizer.gradients(&loss.backward().unwrap()).unwrap();
    optimizer.step(&gradients, 0.1).unwrap();
    assert_eq!(optimizer.without_gradient(), ["a.bias"]);
    assert_eq!(
        params.get("a.bias").unwrap().to_vec1::<f32>().unwrap(),
        [0.5, -0.25]
    );
    assert!(
        optimizer
            .state()
            .unwrap()
            .keys()
            .all(|name| name.starts_with("a.weight."))
    );
}

#[test]
fn values_and_groups_that_cannot_be_are_refused() {
    let params = params(DType::F32);
    let refused = |method| Optimizer::new(method, &params).unwrap_err().to_string();
    assert!(refused(Method::sgd(f64::NAN)).contains("learning rate"));
    assert!(refused(Method::sgd(-0.1)).contains("-0.1"));
    assert!(refused(Method::sgd(0.1).with_weight_decay(-1.0)).contains("weight decay"));
    assert!(refused(Method::sgd(0.1).with_momentum(0.0, true).unwrap()).contains("Nesterov"));
    let adam = AdamOptions {
        beta1: 1.0,
        ..AdamOptions::ADAM
    };
    assert!(
        refused(Method::Adam {
            options: adam,
            amsgrad: false
        })
        .contains("beta1")
    );
    assert!(Method::adam(0.1).with_momentum(0.9, false).is_err());
    let group = Group::learning_rate_factor("head.*", 10.0);
    let error = Optimizer::with_groups(Method::sgd(0.1), &params, &[group])
        .unwrap_err()
        .to_string();
    assert!(error.contains("head.*") && error.contains("a.weight"), "{error}");
    params.freeze(true, |name| name == "a.weight");
    assert_eq!(
        Optimizer::new(Method::sgd(0.1), &params)
            .unwrap()
            .without_gradient(),
        ["a.bias"]
    );
}

#[test]
fn names_and_pytorchs_defaults() {
    for name in Method::NAMES {
        assert_eq!(name.parse::<Method>().unwrap().name(), *name);
    }
    assert_eq!("adamw".parse::<Method>().unwrap().weight_decay(), 0.01);
    assert_eq!("adadelta".parse::<Method>().unwrap().learning_rate(), 1.0);
    assert!(
        "adamm"
            .parse::<Method>()
            .unwrap_err()
            .to_string()
            .contains("did you mean `adam`")
    );
}

#[test]
fn a_gradient_that_is_not_finite_is_found_by_name() {
    let params = params(DType::F32);
    let optimizer = Optimizer::new(Method::sgd(0.1), &params).unwrap();
    let bias = params.get("a.bias").unwrap();
    let bad = (bias.as_tensor() * f64::INFINITY).unwrap().sum_all().unwrap();
    let good = params.get("a.weight").unwrap().sum_all().unwrap();
    let mut gradients = optimizer
        .gradients(&(bad + good).unwrap().backward().unwrap())
        .unwrap();
    let norm = gradients
        .clip(&Clip {
            norm: Some(1.0),
            value: None,
        })
        .unwrap()
        .unwrap();
    assert!(norm.is_infinite());
    assert_eq!(gradients.first_non_finite(), Some("a.bias"));
}

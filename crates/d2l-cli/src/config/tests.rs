use super::*;

fn plan(settings: Settings) -> Result<Plan> {
    let settings = Settings {
        model: settings.model.or(Some("lenet".into())),
        ..settings
    };
    let origins = Origins::new(&settings, None)?;
    resolve(&settings, &origins)
}

fn faults(settings: Settings) -> Vec<String> {
    match plan(settings) {
        Err(Failure::Usage(messages)) => messages,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_options_it_is_the_books_run() {
    for spec in d2l_models::REGISTRY
        .iter()
        .filter(|spec| spec.task == Task::Classification)
    {
        let plan = plan(Settings {
            model: Some(spec.name.into()),
            ..Settings::default()
        })
        .unwrap();
        assert_eq!(plan.epochs, spec.settings.epochs as u64);
        assert_eq!(plan.batch_size, spec.settings.batch_size);
        assert_eq!(plan.method, Method::sgd(spec.settings.learning_rate));
        assert_eq!(plan.input, *spec.input);
        assert!(plan.is_the_books());
    }
}

#[test]
fn a_plan_survives_its_own_settings() {
    let settings = Settings {
        model: Some("mlp".into()),
        optimizer: Some("sgd".into()),
        momentum: Some(0.9),
        nesterov: Some(true),
        weight_decay: Some(1e-4),
        schedule: Some("cosine:warmup=1".into()),
        dropout: Some(0.25),
        width: Some(0.5),
        resize: Some(14),
        checkpoint_every: Some("30steps".into()),
        accumulate: Some(3),
        no_decay: Some(true),
        freeze: Some(vec!["hidden1.*".into()]),
        lr_scale: Some(vec!["output.*=0.5".into(), "*=2".into()]),
        label_smoothing: Some(0.1),
        class_weights: Some("balanced".into()),
        clip_value: Some(0.5),
        patience: Some(4),
        swa: Some(2),
        keep_last: Some(3),
        csv: Some(true),
        tensorboard: Some(true),
        seed: Some(3),
        ..Settings::default()
    };
    let first = plan(settings).unwrap();
    assert!(!first.is_the_books());
    assert_eq!(first.input, [1, 14, 14]);
    let again = plan(first.settings()).unwrap();
    assert_eq!(again.settings(), first.settings());
    assert_eq!(again.extras, first.extras);
    assert_eq!(
        (&again.objective, &again.groups),
        (&first.objective, &first.groups)
    );
    assert_eq!((again.accumulate, first.accumulate), (3, 3));
    assert_eq!(
        first.groups.lr_scale,
        [("output.*".to_owned(), 0.5), ("*".to_owned(), 2.0)]
    );
    assert!(first.extras.averaging.is_some() && first.extras.csv);
    assert_eq!(
        (again.method, again.input, again.checkpoint_every),
        (first.method, first.input, first.checkpoint_every)
    );
}

#[test]
fn every_bad_field_is_named_at_once() {
    let found = faults(Settings {
        epochs: Some(0),
        lr: Some(f64::NAN),
        optimizer: Some("sgdd".into()),
        device: Some("gpu".into()),
        dataset: Some("fashion".into()),
        checkpoint_every: Some("often".into()),
        dropout: Some(0.5),
        ..Settings::default()
    });
    let keys = [
        "--epochs",
        "--lr",
        "--optimizer",
        "--device",
        "--checkpoint-every",
        "--dropout",
    ];
    assert_eq!(found.len(), keys.len(), "{found:#?}");
    for (message, key) in found.iter().zip([
        "--epochs",
        "--lr",
        "--optimizer",
        "--device",
        "--checkpoint-every",
        "--dropout",
    ]) {
        assert!(message.starts_with(key), "{message} {key}");
    }
}

#[test]
fn other_optimisers_start_from_their_own_learning_rate() {
    let rate = |optimizer: &str| {
        plan(Settings {
            optimizer: Some(optimizer.into()),
            ..Settings::default()
        })
        .unwrap()
        .method
        .learning_rate()
    };
    assert_eq!(rate("sgd"), 0.9);
    assert_eq!(rate("adam"), 0.001);
}

#[test]
fn options_that_do_not_fit_say_why() {
    let only = |settings| faults(settings).remove(0);
    let adam = Some("adam".to_owned());
    let message = only(Settings {
        optimizer: adam,
        momentum: Some(0.9),
        ..Settings::default()
    });
    assert!(
        message.contains("--momentum: the optimiser adam has no momentum"),
        "{message}"
    );
    let message = only(Settings {
        nesterov: Some(true),
        ..Settings::default()
    });
    assert!(message.contains("--nesterov: needs a --momentum"), "{message}");
    let message = only(Settings {
        model: Some("softmax".into()),
        dropout: Some(0.5),
        ..Settings::default()
    });
    assert!(message.contains("--dropout: softmax has no dropout"), "{message}");
    let message = only(Settings {
        resize: Some(4),
        ..Settings::default()
    });
    assert!(
        message.contains("--resize: lenet does not work on 1×4×4"),
        "{message}"
    );
}

#[test]
fn checkpoints_count_epochs_or_steps() {
    let parse = |text: &str| text.parse::<CheckpointEvery>();
    assert_eq!(parse("2"), Ok(CheckpointEvery::Epochs(2)));
    assert_eq!(parse("2epochs"), Ok(CheckpointEvery::Epochs(2)));
    assert_eq!(parse("50steps"), Ok(CheckpointEvery::Steps(50)));
    for bad in ["0", "", "steps", "-1", "1.5", "2s"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn extras_that_cannot_be_are_refused_by_name() {
    let found = faults(Settings {
        epochs: Some(3),
        ema: Some(1.0),
        swa: Some(4),
        patience: Some(0),
        keep_last: Some(0),
        clip_value: Some(0.0),
        ..Settings::default()
    });
    for key in ["--ema", "--swa", "--patience", "--keep-last", "--clip-value"] {
        assert!(
            found.iter().any(|message| message.starts_with(key)),
            "{key}: {found:#?}"
        );
    }
}

#[test]
fn what_a_step_is_made_of_is_checked_by_name() {
    let found = faults(Settings {
        accumulate: Some(0),
        label_smoothing: Some(1.5),
        class_weights: Some("1,2,3".into()),
        lr_scale: Some(vec!["conv*".into(), "a=0".into()]),
        freeze: Some(vec![String::new()]),
        no_decay: Some(true),
        aux: Some(true),
        ..Settings::default()
    });
    let starts = [
        "--accumulate: has to be at least 1, got 0",
        "--label-smoothing: has to be a number from 0 to 1, got 1.5",
        "--class-weights: fashion-mnist has 10 classes, got 3 weights",
        "--lr-scale: expected PATTERN=FACTOR",
        "--lr-scale: expected PATTERN=FACTOR with a factor above 0, as in `conv*=0.1`, got `a=0`",
        "--freeze: an empty pattern",
        "--no-decay: there is no weight decay",
        "--aux: lenet has no aux",
    ];
    for start in starts {
        assert!(
            found.iter().any(|message| message.starts_with(start)),
            "{start}: {found:#?}"
        );
    }
    assert_eq!(found.len(), starts.len(), "{found:#?}");
}

#[test]
fn none_of_the_new_settings_is_the_books() {
    let changes: [fn(&mut Settings); 6] = [
        |s| s.accumulate = Some(2),
        |s| s.label_smoothing = Some(0.1),
        |s| s.class_weights = Some("balanced".into()),
        |s| s.freeze = Some(vec!["conv1.*".into()]),
        |s| s.lr_scale = Some(vec!["conv1.*=2".into()]),
        |s| s.aux = Some(true),
    ];
    for change in changes {
        let mut settings = Settings {
            model: Some("googlenet".into()),
            ..Settings::default()
        };
        change(&mut settings);
        let plan = plan(settings).unwrap();
        assert!(!plan.is_the_books(), "{:?}", plan.settings());
    }
}

#[test]
fn auxiliary_classifiers_and_a_plan_exclude_each_other() {
    let settings = Settings {
        model: Some("googlenet".into()),
        aux: Some(true),
        engine: Some("plan".into()),
        ..Settings::default()
    };
    assert!(faults(settings.clone())[0].starts_with("--engine: a plan has no auxiliary classifiers"));
    let plan = plan(Settings {
        engine: None,
        ..settings
    })
    .unwrap();
    assert_eq!(plan.supervised.heads.len(), 2);
    assert_eq!(plan.settings().aux, Some(true));
}

//! Damaged, foreign and half-written checkpoints.

use crate::common::{BATCHES, EPOCHS, build, left, options, train};
use d2l_nn::{Network, ParamStore, Rng, layers::Linear};
use d2l_train::{
    Checkpoint, CheckpointFault, CheckpointKind, Error, Method, Optimizer, Outcome, RunDir, RunFiles,
    TrainOptions, Trainer, callbacks::StepLimit, loss::CrossEntropy,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A run that was stopped in its second epoch.
fn stopped() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let _: Outcome = train(&path, 0, vec![Box::new(StepLimit(BATCHES + 2))]).unwrap();
    (folder, path)
}

fn fault(path: &Path) -> CheckpointFault {
    match Checkpoint::open(path) {
        Err(Error::Checkpoint { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn change(path: &Path, f: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    f(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn each_kind_of_damage_has_its_name() {
    let (_folder, run) = stopped();
    let whole = run.join("checkpoints/last");
    let copy = |name: &str| {
        let to = run.join(name);
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(&whole).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    };
    assert!(Checkpoint::open(&copy("good")).is_ok());

    assert_eq!(fault(&run.join("nowhere")), CheckpointFault::Missing);

    let path = copy("without-optimizer");
    fs::remove_file(path.join("optimizer.safetensors")).unwrap();
    assert_eq!(
        fault(&path),
        CheckpointFault::MissingFile {
            file: "optimizer.safetensors"
        }
    );

    let path = copy("truncated");
    let mut length = 0;
    change(&path.join("weights.safetensors"), |bytes| {
        length = bytes.len() as u64;
        bytes.truncate(bytes.len() / 2);
    });
    let expected = CheckpointFault::Length {
        file: "weights.safetensors",
        expected: length,
        found: length / 2,
    };
    assert_eq!(fault(&path), expected);

    let path = copy("edited");
    change(&path.join("weights.safetensors"), |bytes| {
        *bytes.last_mut().unwrap() ^= 1
    });
    assert_eq!(
        fault(&path),
        CheckpointFault::Edited {
            file: "weights.safetensors"
        }
    );

    let path = copy("state-edited");
    change(&path.join("state.json"), |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains("\"step\": 6"));
        *bytes = text.replace("\"step\": 6", "\"step\": 7").into_bytes();
    });
    assert_eq!(fault(&path), CheckpointFault::Edited { file: "state.json" });

    let path = copy("state-cut");
    change(&path.join("state.json"), |bytes| bytes.truncate(100));
    assert!(matches!(
        fault(&path),
        CheckpointFault::Unreadable {
            file: "state.json",
            ..
        }
    ));

    let path = copy("newer");
    change(&path.join("state.json"), |bytes| {
        *bytes = String::from_utf8(bytes.clone())
            .unwrap()
            .replace("\"version\": 1", "\"version\": 9")
            .into_bytes();
    });
    assert_eq!(
        fault(&path),
        CheckpointFault::Version {
            found: 9,
            supported: 1
        }
    );

    let path = copy("no-checkpoint");
    fs::write(path.join("state.json"), "{}").unwrap();
    assert!(fault(&path).to_string().contains("no version"));

    let path = copy("reformatted");
    change(&path.join("state.json"), |bytes| {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        *bytes = value.to_string().into_bytes();
    });
    assert!(Checkpoint::open(&path).is_ok(), "spaces mean nothing");
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_to_the_previous_one_and_says_so() {
    let (folder, path) = stopped();
    let whole = folder.path().join("whole");
    let _: Outcome = train(&whole, 0, vec![]).unwrap();
    let files = RunFiles::open(&path).unwrap();
    let (newest, fallback) = files.newest_checkpoint();
    assert_eq!(
        (newest.unwrap().position().step, fallback.is_none()),
        (BATCHES + 2, true)
    );

    change(&path.join("checkpoints/last/weights.safetensors"), |bytes| {
        bytes.truncate(10)
    });
    let (newest, fallback) = files.newest_checkpoint();
    assert_eq!(newest.unwrap().position().step, BATCHES);
    let said = fallback.unwrap().to_string();
    assert!(
        said.contains("weights.safetensors has 10 bytes") && said.contains("using"),
        "{said}"
    );

    // It goes on from there, to the same end.
    assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
    assert_eq!(left(&path), left(&whole));

    for kind in ["last", "previous", "best"] {
        change(&path.join(format!("checkpoints/{kind}/state.json")), Vec::clear);
    }
    let (none, fallback) = files.newest_checkpoint();
    let fallback = fallback.unwrap();
    assert!(none.is_none() && fallback.used.is_none() && fallback.refused.len() == 3);
}

#[test]
fn what_a_killed_run_left_half_done_is_finished_or_removed() {
    let (_folder, path) = stopped();
    let checkpoints = path.join("checkpoints");
    let step = || {
        RunFiles::open(&path)
            .unwrap()
            .newest_checkpoint()
            .0
            .unwrap()
            .position()
            .step
    };
    // Killed between the two renames: the new checkpoint is whole, but not in place yet.
    fs::rename(checkpoints.join("last"), checkpoints.join(".last.new")).unwrap();
    assert_eq!(step(), BATCHES + 2, "a reader finds it");
    drop(RunDir::open(&path).unwrap());
    assert_eq!(step(), BATCHES + 2);
    // Killed while it wrote the new one.
    fs::create_dir(checkpoints.join(".last.new")).unwrap();
    fs::write(checkpoints.join(".last.new/weights.safetensors"), "half").unwrap();
    fs::write(path.join(".writing-curves"), "half").unwrap();
    drop(RunDir::open(&path).unwrap());
    assert_eq!(step(), BATCHES + 2);
    assert!(!checkpoints.join(".last.new").exists() && !path.join(".writing-curves").exists());
}

fn trainer<'a>(
    model: &'a d2l_nn::Model,
    params: &ParamStore,
    method: Method,
    options: TrainOptions,
) -> Trainer<'a> {
    let optimizer = Optimizer::new(method, params).unwrap();
    let mut trainer = Trainer::new(model, params, CrossEntropy::default(), optimizer, options).unwrap();
    trainer.random_state("model", model);
    trainer
}

#[test]
fn a_foreign_checkpoint_is_refused_with_what_differs() {
    let (_folder, path) = stopped();
    let checkpoint = RunFiles::open(&path)
        .unwrap()
        .checkpoints()
        .open(CheckpointKind::Last)
        .unwrap();
    assert_eq!((checkpoint.model(), checkpoint.history().len()), ("small", 1));
    let (model, params) = build();
    let refused = |result: d2l_train::Result<()>, part: &str| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(part) && text.contains("checkpoints/last"), "{text}");
    };
    let other = TrainOptions {
        model: "lenet".into(),
        ..options(EPOCHS)
    };
    let result = trainer(&model, &params, Method::adam(0.1), other).resume(&checkpoint);
    refused(result, "written with the model `small`, this run has `lenet`");
    let result = trainer(&model, &params, Method::sgd(0.1), options(EPOCHS)).resume(&checkpoint);
    refused(result, "the optimiser `adam`, this run has `sgd`");
    let optimizer = Optimizer::new(Method::adam(0.1), &params).unwrap();
    let mut no_dropout = Trainer::new(
        &model,
        &params,
        CrossEntropy::default(),
        optimizer,
        options(EPOCHS),
    )
    .unwrap();
    refused(
        no_dropout.resume(&checkpoint),
        "the generators `model`, this run has ``",
    );

    let params = ParamStore::new(candle_core::DType::F32, &candle_core::Device::Cpu);
    let network = Network::new("small")
        .add("hidden", Linear::new(9))
        .add("head", Linear::new(3));
    let model = network.build(&[4], &params, &Rng::new(3)).unwrap();
    let before = params.get("hidden.weight").unwrap().to_vec2::<f32>().unwrap();
    let result = trainer(&model, &params, Method::adam(0.1), options(EPOCHS)).resume(&checkpoint);
    refused(
        result,
        "`hidden.weight` is [8, 4] in it and [9, 4] in the model; `hidden.bias` is [8]",
    );
    assert_eq!(
        params.get("hidden.weight").unwrap().to_vec2::<f32>().unwrap(),
        before
    );
}

#[test]
fn another_data_set_and_weights_that_are_not_finite_are_refused() {
    let (_folder, path) = stopped();
    let checkpoints = RunFiles::open(&path).unwrap().checkpoints();
    let checkpoint = checkpoints.open(CheckpointKind::Last).unwrap();
    let (model, params) = build();
    let mut resumed = trainer(&model, &params, Method::adam(0.05), options(EPOCHS));
    resumed.resume(&checkpoint).unwrap();
    let error = resumed
        .fit(&crate::common::clouds(60, 1, Some(9)), None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("4 batches of 50 examples") && error.contains("60 examples"),
        "{error}"
    );

    let mut resumed = trainer(&model, &params, Method::adam(0.05), options(EPOCHS));
    resumed.resume(&checkpoint).unwrap();
    resumed
        .callback(d2l_train::callbacks::Checkpoints::new(checkpoints.clone()))
        .callback(StepLimit(0));
    let mean = params.get("norm.running_mean").unwrap();
    mean.set(&(mean.as_tensor() * f64::NAN).unwrap()).unwrap();
    let error = resumed
        .fit(&crate::common::clouds(50, 1, Some(9)), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`norm.running_mean`"), "{error}");
    assert_eq!(
        checkpoints.open(CheckpointKind::Last).unwrap().position(),
        checkpoint.position()
    );
}

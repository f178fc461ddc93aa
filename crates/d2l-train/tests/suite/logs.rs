//! What a run can be asked to write besides its log: a table, events for TensorBoard, checkpoints of epochs.

use crate::common::{BATCHES, EPOCHS, build, train};
use d2l_train::{
    Averaging, Callback, Checkpoint, CheckpointFolder, Outcome,
    callbacks::{AverageWeights, CsvLog, KeepLast, StepLimit, TensorBoard},
};
use std::{fs, path::Path};

/// The records of an event file: their contents as text, which tags are readable in.
fn records(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let (mut records, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        records.push(String::from_utf8_lossy(&after[4..4 + length]).into_owned());
        rest = &after[4 + length + 4..];
    }
    records
}

fn event_files(run: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.to_string_lossy().contains("tfevents"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_stopped_run_and_its_resumption_leave_one_table_and_whole_events() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let png = {
        let path = folder.path().join("one.png");
        let record = |epoch| d2l_train::EpochRecord {
            epoch,
            step: 1,
            train_loss: 1.0,
            train_accuracy: None,
            test_loss: None,
            test_accuracy: None,
            validation_loss: None,
            validation_accuracy: None,
            examples_per_second: 1.0,
            seconds: 1.0,
        };
        d2l_train::plot::learning_curves(&[("a", &[record(1)])], &path).unwrap();
        fs::read(path).unwrap()
    };
    let callbacks = |limit: u64| -> Vec<Box<dyn Callback>> {
        vec![
            Box::new(CsvLog(run.join("metrics.csv"))),
            Box::new(TensorBoard::new(&run, 2).picture("pictures/a", png.clone())),
            Box::new(StepLimit(limit)),
        ]
    };
    let _: Outcome = train(&run, 0, callbacks(BATCHES + 2)).unwrap();
    let _: Outcome = train(&run, 0, callbacks(u64::MAX)).unwrap();

    let table = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let first_cells: Vec<&str> = table
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(first_cells, ["epoch", "1", "2", "3"]);

    let files = event_files(&run);
    assert_eq!(files.len(), 2, "{files:?}");
    let [first, second] = [&files[0], &files[1]].map(|file| records(file));
    let count =
        |records: &[String], tag: &str| records.iter().filter(|text| text.contains(tag)).count() as u64;
    assert_eq!(
        (count(&first, "pictures/a"), count(&second, "pictures/a")),
        (1, 0)
    );
    // Every second step: those of the whole run are even.
    assert_eq!(
        count(&first, "loss/step") + count(&second, "loss/step"),
        EPOCHS * BATCHES / 2
    );
    for tag in [
        "loss/train",
        "loss/test",
        "accuracy/test",
        "parameters/hidden.weight",
    ] {
        assert_eq!(count(&first, tag) + count(&second, tag), EPOCHS, "{tag}");
    }
}

#[test]
fn only_the_last_epochs_are_kept_and_each_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let checkpoints = CheckpointFolder::new(run.join("checkpoints"));
    // What a run that was killed left behind.
    fs::create_dir_all(run.join("checkpoints/.epoch-0001")).unwrap();
    let keep = KeepLast {
        folder: checkpoints.clone(),
        count: 2,
    };
    let _: Outcome = train(&run, 0, vec![Box::new(keep)]).unwrap();
    let kept = checkpoints.epochs().unwrap();
    assert_eq!(kept.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [2, 3]);
    for (epoch, path) in kept {
        assert_eq!(Checkpoint::open(&path).unwrap().position().epoch, epoch);
    }
    assert!(!run.join("checkpoints/.epoch-0001").exists());
    let none = CheckpointFolder::new(folder.path().join("none"))
        .epochs()
        .unwrap();
    assert!(none.is_empty());
}

#[test]
fn averaged_weights_go_through_a_stop_to_the_bit() {
    for (averaging, moments) in [
        (Averaging::Ema { decay: 0.9 }, EPOCHS * BATCHES),
        (Averaging::Swa { start: 2 }, EPOCHS - 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        let average = || -> Box<dyn Callback> { Box::new(AverageWeights(averaging)) };
        let _: Outcome = train(&whole, 0, vec![average()]).unwrap();
        for limit in [BATCHES + 2, 2 * BATCHES + 1, u64::MAX] {
            let _: Outcome = train(&stopped, 0, vec![average(), Box::new(StepLimit(limit))]).unwrap();
        }
        let file = "checkpoints/last/averages.safetensors";
        let [one, two] = [&whole, &stopped].map(|run| fs::read(run.join(file)).unwrap());
        assert!(one == two, "{averaging:?}");

        let checkpoint = Checkpoint::open(&whole.join("checkpoints/last")).unwrap();
        let (_, params) = build();
        checkpoint.load_weights(&params).unwrap();
        let averages = checkpoint.averages(&params).unwrap().unwrap();
        assert_eq!(averages.moments(), moments, "{averaging:?}");
        let last = params.get("output.weight").unwrap().to_vec2::<f32>().unwrap();
        averages.load_into(&params).unwrap();
        let averaged = params.get("output.weight").unwrap().to_vec2::<f32>().unwrap();
        assert_ne!(last, averaged);
    }
}

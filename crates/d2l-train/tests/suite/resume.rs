//! A run that was stopped or killed ends like one that never was.

use crate::common::{BATCHES, EPOCHS, left, train, train_epochs};
use d2l_nn::Rng;
use d2l_train::{
    Callback, Flow, Outcome, Result, Run, StopReason,
    callbacks::{StepLimit, StopFlag},
    order,
};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

fn whole() -> (tempfile::TempDir, crate::common::Left) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole");
    assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
    let left = left(&path);
    (folder, left)
}

#[test]
fn stopped_at_every_batch_and_resumed_it_ends_with_the_same_bytes() {
    let (folder, expected) = whole();
    for stop in 1..EPOCHS * BATCHES {
        let path = folder.path().join(format!("stopped-{stop}"));
        let outcome = train(&path, 0, vec![Box::new(StepLimit(stop))]).unwrap();
        assert_eq!(outcome, Outcome::Stopped(StopReason::StepLimit(stop)));
        assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
        assert_eq!(left(&path), expected, "stopped after step {stop}");
    }
}

#[test]
fn stopped_after_each_single_batch_all_along() {
    let (folder, expected) = whole();
    let path = folder.path().join("stopped-often");
    for stop in 1..=EPOCHS * BATCHES {
        let outcome = train(&path, 0, vec![Box::new(StepLimit(stop))]).unwrap();
        assert_eq!(outcome, Outcome::Stopped(StopReason::StepLimit(stop)));
    }
    assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
    assert_eq!(left(&path), expected);
}

/// Raises the flag in the middle of an evaluation.
struct Interrupt(Arc<AtomicBool>);

impl Callback for Interrupt {
    fn after_evaluation_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(Flow::Continue)
    }
}

#[test]
fn a_raised_flag_interrupts_an_evaluation_which_is_done_again() {
    let (folder, expected) = whole();
    let path = folder.path().join("interrupted");
    for _ in 0..2 {
        let flag = Arc::new(AtomicBool::new(false));
        let outcome = train(
            &path,
            0,
            vec![Box::new(Interrupt(flag.clone())), Box::new(StopFlag(flag))],
        )
        .unwrap();
        assert_eq!(outcome, Outcome::Stopped(StopReason::Interrupted));
    }
    assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
    assert_eq!(left(&path), expected);
}

/// Tells the parent of each batch, after its checkpoint; after `lives` of them it waits to be killed.
struct Victim {
    lives: u64,
}

impl Callback for Victim {
    fn order(&self) -> i32 {
        order::CHECKPOINT + 1
    }

    fn before_fit(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        println!("trains");
        Ok(Flow::Continue)
    }

    fn after_batch(&mut self, _: &mut Run<'_>) -> Result<Flow> {
        println!("batch");
        self.lives -= 1;
        if self.lives == 0 {
            loop {
                std::thread::park();
            }
        }
        Ok(Flow::Continue)
    }
}

const FOLDER: &str = "D2L_TRAIN_TEST_FOLDER";
const LIVES: &str = "D2L_TRAIN_TEST_LIVES";

/// Not a test of its own: what the children of the tests below run.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        let outcome = match std::env::var(LIVES) {
            Ok(lives) => {
                let lives = lives.parse().unwrap();
                train_epochs(&folder, KILLED_EPOCHS, 1, vec![Box::new(Victim { lives })])
            }
            Err(_) => train(&folder, 1, vec![]),
        };
        assert_eq!(outcome.unwrap(), Outcome::Finished);
    }
}

const KILLS: u64 = 20;
const LIVES_OF_EACH: u64 = 3;
/// So many that the job cannot end before the last kill, whatever the moments.
const KILLED_EPOCHS: u64 = KILLS * LIVES_OF_EACH / BATCHES + 1;

#[test]
fn killed_at_any_moment_and_resumed_it_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    assert_eq!(
        train_epochs(&whole, KILLED_EPOCHS, 0, vec![]).unwrap(),
        Outcome::Finished
    );
    let path = folder.path().join("killed");
    let moments = Rng::new(4).uniform_vec(KILLS as usize, 0.0, 1.0);
    for (kill, moment) in moments.into_iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "resume::child", "--nocapture"])
            .env(FOLDER, &path)
            .env(LIVES, LIVES_OF_EACH.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        // From before the first batch to within the third; a batch with its checkpoints takes some milliseconds.
        for _ in 0..=(kill as u64 % LIVES_OF_EACH) {
            let mut line = String::new();
            while !line.ends_with("trains") && !line.ends_with("batch") {
                line = said.next().unwrap().unwrap();
            }
        }
        std::thread::sleep(Duration::from_secs_f32(0.004 * moment));
        child.kill().unwrap();
        assert!(
            !child.wait().unwrap().success(),
            "kill {kill}: it waits to be killed"
        );
    }
    assert_eq!(
        train_epochs(&path, KILLED_EPOCHS, 0, vec![]).unwrap(),
        Outcome::Finished
    );
    assert_eq!(left(&path), left(&whole));
}

#[cfg(unix)]
#[test]
fn a_full_disk_keeps_the_checkpoints_there_were() {
    let (folder, expected) = whole();
    let path = folder.path().join("full");
    let outcome = train(&path, 0, vec![Box::new(StepLimit(BATCHES + 1))]).unwrap();
    assert!(matches!(outcome, Outcome::Stopped(_)));
    let before = left(&path);
    // No file may grow beyond 512 bytes; without the signal, writing more fails as on a full disk.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "resume::child"])
        .env(FOLDER, &path)
        .output()
        .unwrap();
    assert!(!limited.status.success());
    let said =
        String::from_utf8_lossy(&limited.stdout).into_owned() + &String::from_utf8_lossy(&limited.stderr);
    assert!(
        said.contains("cannot write") || said.contains("action: \"write\""),
        "{said}"
    );
    assert_eq!(left(&path).files(), before.files());
    assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
    assert_eq!(left(&path), expected);
}

#[test]
fn a_lost_log_gets_its_epochs_back() {
    let (folder, expected) = whole();
    let path = folder.path().join("lost");
    let outcome = train(&path, 0, vec![Box::new(StepLimit(2 * BATCHES + 1))]).unwrap();
    assert!(matches!(outcome, Outcome::Stopped(_)));
    std::fs::remove_file(path.join("metrics.jsonl")).unwrap();
    assert_eq!(train(&path, 0, vec![]).unwrap(), Outcome::Finished);
    let left = left(&path);
    assert_eq!(left.files(), expected.files());
    assert_eq!(left.epochs(), expected.epochs());
}

//! Threads that prepare batches ahead.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::Plan;
use crate::error::{Error, Result};

/// A batch in host memory: pixels `[n][c][h][w]`, labels `[n]`.
pub(crate) struct HostBatch {
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u32>,
}

/// Where the batches of an epoch come from.
pub(crate) enum Source {
    /// Prepared in the caller's thread.
    Inline(Arc<Plan>),
    /// Prepared by threads.
    Threads { workers: Vec<Worker>, first: usize },
}

pub(crate) struct Worker {
    batches: Option<Receiver<Result<HostBatch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    pub(crate) fn start(plan: Arc<Plan>, batches: Range<usize>, workers: usize, prefetch: usize) -> Self {
        let workers = workers.min(batches.len());
        if workers == 0 {
            return Self::Inline(plan);
        }
        let ahead = (prefetch / workers).max(1);
        let first = batches.start;
        let threads = (0..workers).map(|number| {
            // A worker also holds one finished batch while it waits for room in the channel.
            let (sender, receiver) = sync_channel(ahead - 1);
            let plan = plan.clone();
            let mine = batches.clone().skip(number).step_by(workers);
            let work = move || {
                for batch in mine {
                    let prepared = plan.prepare(batch);
                    let last = prepared.is_err();
                    // Nobody listens any more: the iterator was dropped.
                    if sender.send(prepared).is_err() || last {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new()
                .name(format!("d2l-loader-{number}"))
                .spawn(work)?;
            Ok(Worker {
                batches: Some(receiver),
                thread: Some(thread),
            })
        });
        match threads.collect::<std::io::Result<Vec<_>>>() {
            Ok(workers) => Self::Threads { workers, first },
            // The system gives no more threads: slower, but right.
            Err(_) => Self::Inline(plan),
        }
    }

    /// Batch `batch`; batches must be taken in order.
    pub(crate) fn take(&mut self, batch: usize) -> Result<HostBatch> {
        match self {
            Self::Inline(plan) => plan.prepare(batch),
            Self::Threads { workers, first } => {
                let number = (batch - *first) % workers.len();
                let died = |reason| Error::Worker { batch, reason };
                let Some(worker) = workers.get_mut(number) else {
                    return Err(died("it was never started".to_owned()));
                };
                match worker.batches.as_ref().map(Receiver::recv) {
                    Some(Ok(prepared)) => prepared,
                    _ => Err(died(worker.join().unwrap_or_else(|| "it ended early".to_owned()))),
                }
            }
        }
    }
}

impl Worker {
    /// Waits for the thread; what it said if it panicked.
    fn join(&mut self) -> Option<String> {
        let panic = self.thread.take()?.join().err()?;
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let Self::Threads { workers, .. } = self else {
            return;
        };
        // First close all channels, then wait: each worker has at most one batch left to do.
        workers.iter_mut().for_each(|worker| worker.batches = None);
        for worker in workers {
            worker.join();
        }
    }
}

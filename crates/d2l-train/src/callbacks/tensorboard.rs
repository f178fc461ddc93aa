use super::json_lines::step_record;
use crate::{
    Callback, Flow, Outcome, Result, Run, StepGradients,
    callback::order,
    metrics::{EpochRecord, Record},
    tensorboard::EventWriter,
};
use candle_core::{DType, Device, Tensor};
use std::{fs::File, io::BufWriter, path::PathBuf};

/// Writes the run as events for TensorBoard: `loss/step`, `learning_rate` and `gradient_norm` (of all gradients, before
/// they are clipped) every so many steps; after every epoch `loss/train`, `loss/test`, `accuracy/train`, `accuracy/test`
/// and `examples_per_second`, and as histograms the parameters and the gradients of the epoch's last step. The
/// horizontal axis counts steps.
///
/// A resumed run writes a file of its own, which takes back what the earlier ones have of steps after the checkpoint.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    log_every: u64,
    histograms: bool,
    pictures: Vec<(String, Vec<u8>)>,
    events: Option<EventWriter<BufWriter<File>>>,
}

impl TensorBoard {
    /// Event files in `folder`, with the numbers of every `log_every`-th step; 0 for none.
    pub fn new(folder: impl Into<PathBuf>, log_every: u64) -> Self {
        Self {
            folder: folder.into(),
            log_every,
            histograms: true,
            pictures: Vec::new(),
            events: None,
        }
    }

    /// Whether to write histograms of the parameters and gradients.
    #[must_use]
    pub fn histograms(mut self, histograms: bool) -> Self {
        self.histograms = histograms;
        self
    }

    /// A picture to be shown with the run, such as some of its data, as a PNG file.
    #[must_use]
    pub fn picture(mut self, tag: &str, png: Vec<u8>) -> Self {
        self.pictures.push((tag.to_owned(), png));
        self
    }
}

impl Callback for TensorBoard {
    fn order(&self) -> i32 {
        order::LOG
    }

    fn before_fit(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let mut events = EventWriter::create(&self.folder)?;
        let step = run.step();
        if step > 0 {
            events.restart(step + 1)?;
        } else {
            for (tag, png) in &self.pictures {
                events.png(tag, step, png)?;
            }
        }
        events.flush()?;
        self.events = Some(events);
        Ok(Flow::Continue)
    }

    fn after_backward(&mut self, gradients: &StepGradients<'_>) -> Result<()> {
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        let step = gradients.step();
        if self.log_every > 0 && step.is_multiple_of(self.log_every) {
            events.scalar("gradient_norm", step, gradients.norm()?)?;
        }
        if self.histograms && gradients.ends_epoch() {
            for name in gradients.names() {
                if let Some(gradient) = gradients.get(name)? {
                    events.histogram(&format!("gradients/{name}"), step, &host(&gradient)?)?;
                }
            }
        }
        Ok(())
    }

    fn after_batch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        if let Some(events) = &mut self.events
            && let Some(Record::Step(record)) = step_record(run, self.log_every)?
        {
            events.scalar("loss/step", record.step, record.loss)?;
            events.scalar("learning_rate", record.step, record.lr)?;
        }
        Ok(Flow::Continue)
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        let (Some(events), Some(record)) = (&mut self.events, run.history().last()) else {
            return Ok(Flow::Continue);
        };
        for (tag, value) in scalars(record) {
            events.scalar(tag, record.step, value)?;
        }
        if self.histograms {
            for (name, var) in run.store()?.parameters() {
                let values = host(&var.as_detached_tensor())?;
                events.histogram(&format!("parameters/{name}"), record.step, &values)?;
            }
        }
        events.flush()?;
        Ok(Flow::Continue)
    }

    fn after_fit(&mut self, _: &mut Run<'_>, _: &Outcome) -> Result<()> {
        self.events.as_mut().map_or(Ok(()), EventWriter::flush)
    }
}

/// The elements of a tensor.
fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    let host = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    Ok(host.flatten_all()?.to_vec1()?)
}

/// The numbers of an epoch that were measured.
fn scalars(record: &EpochRecord) -> impl Iterator<Item = (&'static str, f64)> {
    let all = [
        ("loss/train", Some(record.train_loss)),
        ("loss/test", record.test_loss),
        ("accuracy/train", record.train_accuracy),
        ("accuracy/test", record.test_accuracy),
        ("loss/validation", record.validation_loss),
        ("accuracy/validation", record.validation_accuracy),
        ("examples_per_second", Some(record.examples_per_second)),
    ];
    all.into_iter().filter_map(|(tag, value)| Some((tag, value?)))
}

//! The extras of a run: callbacks, and the averaged weights at its end.

use d2l_train::{
    BatchSource, Callback, Run, RunDir, Task,
    callbacks::{AverageWeights, CsvLog, EarlyStopping, KeepLast, TensorBoard},
    evaluate,
    loss::CrossEntropy,
    metrics::Metric,
};
use serde_json::json;

use super::{Job, Parts, Place};
use crate::commands::show::picture;
use crate::failure::Result;
use crate::grid::{Cell, Tone, draw, to_png};

/// The averaged weights in the run's folder.
const AVERAGED: &str = "averaged.safetensors";
/// Training pictures that TensorBoard shows.
const SHOWN: usize = 32;

impl Job<'_> {
    /// The callbacks of what was asked for.
    pub(super) fn extra_callbacks(&self, run: &RunDir) -> Result<Vec<Box<dyn Callback>>> {
        let extras = &self.plan.extras;
        let mut callbacks: Vec<Box<dyn Callback>> = Vec::new();
        if extras.csv {
            callbacks.push(Box::new(CsvLog(run.join("metrics.csv"))));
        }
        if extras.tensorboard {
            let events = TensorBoard::new(run.path(), self.plan.log_every.unwrap_or(10));
            callbacks.push(Box::new(events.picture("data/train", self.pictures()?)));
        }
        if let Some(averaging) = extras.averaging {
            callbacks.push(Box::new(AverageWeights(averaging)));
        }
        if let Some(patience) = extras.patience {
            callbacks.push(Box::new(EarlyStopping {
                metric: match self.plan.held_out {
                    Some(_) => Metric::ValidationAccuracy,
                    None => Metric::TestAccuracy,
                },
                patience,
                min_change: 0.0,
            }));
        }
        if let Some(count) = extras.keep_last {
            let folder = run.checkpoints();
            callbacks.push(Box::new(KeepLast { folder, count }));
        }
        Ok(callbacks)
    }

    /// The first training pictures with their classes, as PNG.
    fn pictures(&self) -> Result<Vec<u8>> {
        let set = &self.data.train;
        let cells = (0..SHOWN.min(set.len())).filter_map(|index| {
            let (picture, label) = picture(set, index)?;
            Some(Cell {
                picture,
                caption: vec![(set.class_name(label), Tone::Plain)],
                frame: Tone::Plain,
            })
        });
        to_png(&draw(self.plan.dataset.title, &cells.collect::<Vec<_>>())?)
    }

    /// Measures the averaged weights, if the run has any, and writes them to the run's folder. The run is over: its
    /// parameters are the averaged ones from here on.
    pub(super) fn conclude_averages(&self, parts: &Parts, place: &Place, run: &Run<'_>) -> Result<()> {
        let Some(averages) = run.averages().filter(|averages| averages.moments() > 0) else {
            return Ok(());
        };
        averages.load_into(&parts.params)?;
        let path = place.run.join(AVERAGED);
        parts.params.save(&path)?;
        let loss = CrossEntropy::default();
        let evaluation = evaluate(
            &parts.model,
            &loss,
            Task::Classification,
            &parts.test as &dyn BatchSource,
        )?;
        if self.ui.json {
            return self.ui.json_line(&json!({
                "type": "averaged",
                "moments": averages.moments(),
                "test_loss": evaluation.loss,
                "test_accuracy": evaluation.accuracy(),
                "weights": path,
            }));
        }
        let accuracy = evaluation.accuracy().unwrap_or(f64::NAN);
        self.ui.line(format_args!(
            "averaged weights: test loss {:.4}, test accuracy {accuracy:.4}",
            evaluation.loss
        ))?;
        self.ui.fact("Averaged", path.display());
        Ok(())
    }
}

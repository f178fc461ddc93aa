//! Training a network of the zoo on pictures, as a user of d2l-models and d2l-train does it.

use crate::{Error, Page, Pictures, Result};
use candle_core::{DType, Device};
use d2l_data::{DataSet, LoaderOptions};
use d2l_models::ModelOptions;
use d2l_nn::{Model, ParamStore, Rng};
use d2l_train::{
    Callback, EpochRecord, Flow, Method, Optimizer, Outcome, Run, StopReason, Task, TrainOptions, Trainer,
    loss::CrossEntropy,
};

/// A classifier of pictures and how it is trained.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The network, by its name in the registry of d2l-models.
    pub model: &'static str,
    /// What is chosen about it.
    pub options: ModelOptions,
    /// The data set, by name.
    pub dataset: &'static str,
    /// The optimiser, its learning rate included.
    pub method: Method,
    /// Passes over the training data.
    pub epochs: u64,
    /// Examples per step.
    pub batch_size: usize,
    /// Only so many training examples, and a tenth as many test examples.
    pub limit: Option<usize>,
}

/// A trained classifier.
pub struct Fitted {
    /// The network.
    pub model: Model,
    /// Its parameters.
    pub params: ParamStore,
    /// The epochs.
    pub history: Vec<EpochRecord>,
    /// What it was trained on.
    pub data: DataSet,
    /// The side of the pictures, where they were resized for the network.
    pub resize: Option<usize>,
}

impl Classifier {
    /// The network `model` with the book's settings on Fashion-MNIST; for a quick look two epochs of 2,000 examples.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn of_the_book(model: &'static str, page: &Page<'_>) -> Result<Self> {
        let settings = d2l_models::find(model)?.settings;
        Ok(Self {
            model,
            options: ModelOptions::default(),
            dataset: "fashion-mnist",
            method: Method::sgd(settings.learning_rate),
            epochs: page.choose(settings.epochs as u64, 2),
            batch_size: settings.batch_size,
            limit: page.choose(None, Some(2_000)),
        })
    }

    /// Trains it, with a line per epoch on the page.
    ///
    /// # Errors
    /// When the data cannot be had, the network cannot be built or training fails.
    pub fn train(&self, page: &mut Page<'_>) -> Result<Fitted> {
        let spec = d2l_models::find(self.model)?;
        let data = page.load(self.dataset)?;
        let device = page.device().clone();
        let params = ParamStore::new(DType::F32, &device);
        let network = spec.network(&self.options)?;
        let model = network.build(spec.input, &params, &Rng::new(page.seed()))?;

        let side = spec.input.last().copied().unwrap_or(0);
        let resize = (data.train.shape() != [1, side, side]).then_some(side);
        let options = LoaderOptions {
            batch_size: self.batch_size,
            resize,
            ..LoaderOptions::default()
        };
        let train = LoaderOptions {
            shuffle: Some(page.seed()),
            limit: self.limit,
            ..options.clone()
        };
        let test = LoaderOptions {
            limit: self.limit.map(|limit| limit.div_ceil(10)),
            ..options
        };
        let train = Pictures::new(&data.train, train, &device)?;
        let test = Pictures::new(&data.test, test, &device)?;

        let optimizer = Optimizer::new(self.method, &params)?;
        let options = TrainOptions::new(Task::Classification, self.epochs);
        let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options)?;
        if matches!(device, Device::Cpu) {
            trainer.use_plan(&model, self.batch_size)?;
        }
        let what = format!("training {}", self.model);
        trainer.callback(Follow { page, what });
        let outcome = trainer.fit(&train, Some(&test))?;
        let history = trainer.history().to_vec();
        drop(trainer);
        if outcome != Outcome::Finished {
            return Err(Error::Stopped);
        }
        Ok(Fitted {
            model,
            params,
            history,
            data,
            resize,
        })
    }
}

/// Writes a training on the page: its progress, and a line per epoch.
struct Follow<'p, 'a> {
    page: &'p mut Page<'a>,
    what: String,
}

impl Callback for Follow<'_, '_> {
    fn after_batch(&mut self, run: &mut Run<'_>) -> d2l_train::Result<Flow> {
        let (done, total) = (run.step(), run.options().epochs * run.batches() as u64);
        Ok(match self.page.progress(&self.what, done, total) {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop(StopReason::Interrupted),
        })
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> d2l_train::Result<Flow> {
        if let Some(record) = run.history().last() {
            self.page.say(epoch_line(record));
        }
        Ok(Flow::Continue)
    }
}

/// An epoch as the book prints it.
fn epoch_line(record: &EpochRecord) -> String {
    let mut line = format!("epoch {}, train loss {:.4}", record.epoch, record.train_loss);
    if let Some(accuracy) = record.train_accuracy {
        line += &format!(", train acc {accuracy:.3}");
    }
    if let Some(accuracy) = record.test_accuracy {
        line += &format!(", test acc {accuracy:.3}");
    }
    line
}

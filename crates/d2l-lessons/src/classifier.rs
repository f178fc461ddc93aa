//! Training a network of the zoo on pictures, as a user of d2l-models and d2l-train does it.

use crate::{
    Error, Expect, Figure, Page, Pictures, Result,
    figure::{Chart, Panel},
};
use candle_core::{DType, Device};
use d2l_data::{DataSet, LoaderOptions};
use d2l_models::{Expected, ModelOptions};
use d2l_nn::{Model, Network, ParamStore, Rng};
use d2l_train::{
    Callback, EpochRecord, Flow, Method, Optimizer, Outcome, Run, StopReason, Task, TrainOptions, Trainer,
    loss::CrossEntropy,
};

/// Points of a curve in an epoch, as in the book.
const POINTS: u64 = 5;

/// A classifier of pictures and how it is trained.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// What it is called.
    pub name: &'static str,
    /// The network.
    pub network: Network,
    /// What enters it: `[channels, height, width]`. Pictures of another size are resized.
    pub input: Vec<usize>,
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
    /// How training went.
    pub curves: Curves,
    /// What it was trained on.
    pub data: DataSet,
    /// The side of the pictures, where they were resized for the network.
    pub resize: Option<usize>,
}

/// Learning curves by epoch, a few points in each: the means of the epoch up to there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Training loss.
    pub train_loss: Vec<(f64, f64)>,
    /// Training accuracy.
    pub train_accuracy: Vec<(f64, f64)>,
    /// Test accuracy, one point an epoch.
    pub test_accuracy: Vec<(f64, f64)>,
}

/// How far from the book's figures a full training may end; a single run of the book's is behind each of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// Distance from the book's training loss.
    pub train_loss: f64,
    /// Distance from its training accuracy.
    pub train_accuracy: f64,
    /// How much worse the test accuracy, which is noisy, may be.
    pub test_accuracy: f64,
}

impl Classifier {
    /// The network `model` with the book's settings on Fashion-MNIST. A quick look is two epochs of 2,000 pictures, or
    /// for networks of larger pictures one epoch of 32 in batches of 16.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn of_the_book(model: &'static str, page: &Page<'_>) -> Result<Self> {
        let spec = d2l_models::find(model)?;
        let settings = spec.settings;
        let (epochs, batch_size, limit) = if spec.input.last() > Some(&28) {
            (1, 16, 32)
        } else {
            (2, settings.batch_size, 2_000)
        };
        Ok(Self {
            name: model,
            network: spec.network(&ModelOptions::default())?,
            input: spec.input.to_vec(),
            dataset: "fashion-mnist",
            method: Method::sgd(settings.learning_rate),
            epochs: page.choose(settings.epochs as u64, epochs),
            batch_size: page.choose(settings.batch_size, batch_size),
            limit: page.choose(None, Some(limit)),
        })
    }

    /// Trains it, with a line per epoch on the page.
    ///
    /// # Errors
    /// When the data cannot be had, the network cannot be built or training fails.
    pub fn train(&self, page: &mut Page<'_>) -> Result<Fitted> {
        let device = page.device().clone();
        let params = ParamStore::new(DType::F32, &device);
        let model = self.network.build(&self.input, &params, &Rng::new(page.seed()))?;
        let data = page.load(self.dataset)?;
        let resize = self.resize(&data);
        let (train, test) = self.batches(&data, page)?;

        let optimizer = Optimizer::new(self.method, &params)?;
        let options = TrainOptions::new(Task::Classification, self.epochs);
        let mut curves = Curves::default();
        let mut trainer = Trainer::new(&model, &params, CrossEntropy::default(), optimizer, options)?;
        if matches!(device, Device::Cpu) {
            trainer.use_plan(&model, self.batch_size)?;
        }
        trainer.callback(Follow {
            page,
            what: format!("training {}", self.name),
            curves: &mut curves,
        });
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
            curves,
            data,
            resize,
        })
    }

    /// The side that the pictures have to be brought to.
    fn resize(&self, data: &DataSet) -> Option<usize> {
        let side = self.input.last().copied()?;
        (data.train.shape() != [1, side, side]).then_some(side)
    }

    fn batches(&self, data: &DataSet, page: &Page<'_>) -> Result<(Pictures, Pictures)> {
        let options = LoaderOptions {
            batch_size: self.batch_size,
            resize: self.resize(data),
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
        Ok((
            Pictures::new(&data.train, train, page.device())?,
            Pictures::new(&data.test, test, page.device())?,
        ))
    }
}

impl Fitted {
    /// Draws the learning curves and puts the last epoch beside the book's.
    ///
    /// # Errors
    /// When the book reports nothing of `model`.
    pub fn beside_the_book(&self, page: &mut Page<'_>, model: &str, within: Within) -> Result<()> {
        let book = d2l_models::find(model)?.expected;
        let book = book.ok_or_else(|| Error::Lesson(format!("the book reports no training of {model}")))?;
        self.beside(page, book, within)
    }

    /// Draws the learning curves and puts the last epoch beside `book`.
    ///
    /// # Errors
    /// When there was no epoch.
    pub fn beside(&self, page: &mut Page<'_>, book: Expected, within: Within) -> Result<()> {
        page.draw("curves", self.curves.figure());
        let last = self.history.last();
        let last = last.ok_or_else(|| Error::Lesson("nothing was trained: there was no epoch".into()))?;
        let accuracy = |accuracy: Option<f64>| accuracy.unwrap_or(f64::NAN);
        let (train, test) = (accuracy(last.train_accuracy), accuracy(last.test_accuracy));
        within.expect(page, book, [last.train_loss, train, test]);
        Ok(())
    }
}

impl Within {
    /// Puts the training loss, training accuracy and test accuracy of a full training beside the book's.
    pub fn expect(self, page: &mut Page<'_>, book: Expected, [loss, train, test]: [f64; 3]) {
        let near = Expect::near(book.train_loss, self.train_loss);
        page.expect_of_full("train loss", near, loss);
        let near = Expect::near(book.train_accuracy, self.train_accuracy);
        page.expect_of_full("train accuracy", near, train);
        // Rounded, for who reads it.
        let least = ((book.test_accuracy - self.test_accuracy) * 1e3).round() / 1e3;
        page.expect_of_full("test accuracy", Expect::AtLeast(least), test);
    }
}

impl Curves {
    /// Loss on the left, accuracy on the right.
    pub fn figure(&self) -> Figure {
        let loss = Chart::new("epoch", "loss").line("train", self.train_loss.clone());
        let accuracy = Chart::new("epoch", "accuracy").line("train", self.train_accuracy.clone());
        let test = self.test_accuracy.clone();
        // One epoch is a point, not a line.
        let accuracy = match test.len() {
            1 => accuracy.points("test", test),
            _ => accuracy.dashed("test", test),
        };
        Figure::row([Panel::Chart(loss), Panel::Chart(accuracy)])
    }
}

/// Writes a training on the page: its progress, a line per epoch, and its curves.
struct Follow<'p, 'a> {
    page: &'p mut Page<'a>,
    what: String,
    curves: &'p mut Curves,
}

impl Callback for Follow<'_, '_> {
    fn after_batch(&mut self, run: &mut Run<'_>) -> d2l_train::Result<Flow> {
        let batches = run.batches() as u64;
        let (done, total) = (run.step(), run.options().epochs * batches);
        if done.is_multiple_of((batches / POINTS).max(1)) || done.is_multiple_of(batches.max(1)) {
            let at = done as f64 / batches.max(1) as f64;
            let metrics = run.train_metrics()?;
            self.curves.train_loss.push((at, metrics.loss));
            let accuracy = metrics.accuracy.map(|accuracy| (at, accuracy));
            self.curves.train_accuracy.extend(accuracy);
        }
        Ok(match self.page.progress(&self.what, done, total) {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop(StopReason::Interrupted),
        })
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> d2l_train::Result<Flow> {
        if let Some(record) = run.history().last() {
            let accuracy = record
                .test_accuracy
                .map(|accuracy| (record.epoch as f64, accuracy));
            self.curves.test_accuracy.extend(accuracy);
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

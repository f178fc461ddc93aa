//! Predicting house prices (section 4.10): a table with gaps made into features, a linear network trained with Adam,
//! judged by the logarithm of the price in k folds, and a file to hand in at Kaggle.

use crate::{Chapter, Cost, Error, Expect, Figure, Lesson, Page, Result, figure::Chart, figure::Panel};
use candle_core::{DType, Device, Tensor};
use candle_nn::ModuleT;
use d2l_data::{HousePrices, house_prices};
use d2l_nn::{Model, Network, ParamStore, Rng, layers::Linear};
use d2l_train::{
    Flow, Method, Optimizer, Outcome, Spread, StopReason, Task, TensorSource, TrainOptions, Trainer,
    callbacks::OnEpoch,
    cross_validate,
    loss::{Elementwise, Function},
    metrics::RegressionMetrics,
    split::{Dealing, Split},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "kaggle-house-prices",
    chapter: Chapter::Mlp,
    section: "4.10",
    title: "Predicting house prices on Kaggle",
    expected: "5 folds: log-RMSE about 0.1655 on the training part, 0.1703 on the part held out; 0.1624 on all houses",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: data
    let data = house_prices::load(page.sources())?;
    let features = data.features();
    page.say(format_args!(
        "{} houses, {} of them with a price; {} features, the first {}",
        features.rows(),
        data.prices().len(),
        features.names().len(),
        features
            .names()
            .iter()
            .take(4)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    ));
    page.expect("features", Expect::Exactly(331.0), features.names().len() as f64);
    let houses = Houses::of(&data, page.device())?;
    // ANCHOR_END: data

    // ANCHOR: k_fold
    let setting = Setting {
        epochs: page.choose(100, 3),
        ..Setting::default()
    };
    let folds = Dealing::default().folds(houses.count()?, 5)?;
    let seed = page.seed();
    let total = folds.len() as u64 * setting.epochs;
    let fitted = k_fold(&setting, seed, &houses, &folds, &mut |fold, epoch| {
        page.progress("epoch", fold as u64 * setting.epochs + epoch, total)
            .is_err()
    })?;
    for (index, fold) in fitted.iter().enumerate() {
        page.say(format_args!(
            "fold {}: train log rmse {:.4}, valid log rmse {:.4}",
            index + 1,
            fold.train_error(),
            fold.held_out_error()
        ));
    }
    let train = Spread::of(fitted.iter().map(Fitted::train_error));
    let valid = Spread::of(fitted.iter().map(Fitted::held_out_error));
    page.say(format_args!("5 folds: train {train}, valid {valid}"));
    // ANCHOR_END: k_fold
    page.expect_of_full("mean train log rmse", Expect::Between(0.155, 0.185), train.mean);
    page.expect_of_full("mean valid log rmse", Expect::Between(0.155, 0.185), valid.mean);
    page.draw("folds", curves(&fitted));

    // ANCHOR: submission
    let whole = fit(&setting, seed, &houses, None, &mut |_| false)?;
    page.say(format_args!(
        "all houses: train log rmse {:.4}",
        whole.train_error()
    ));
    page.expect_of_full(
        "train log rmse of all",
        Expect::Between(0.15, 0.18),
        whole.train_error(),
    );
    let prices = whole.predict(&data.test(page.device())?)?;
    let submission = data.submission(&prices)?;
    for line in submission.lines().take(4) {
        page.say(line);
    }
    page.expect(
        "lines to hand in",
        Expect::Exactly(1460.0),
        submission.lines().count() as f64,
    );
    // ANCHOR_END: submission
    Ok(())
}

/// How the network is trained; the defaults are the book's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Adam's weight decay.
    pub weight_decay: f64,
    /// How often all houses are seen.
    pub epochs: u64,
    /// Houses per step.
    pub batch_size: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            learning_rate: 5.0,
            weight_decay: 0.0,
            epochs: 100,
            batch_size: 64,
        }
    }
}

/// Houses with their prices.
#[derive(Clone, Debug)]
pub struct Houses {
    /// `[n, features]`
    pub features: Tensor,
    /// `[n, 1]`, in dollars
    pub prices: Tensor,
}

impl Houses {
    /// The houses that have a price.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn of(data: &HousePrices, device: &Device) -> Result<Self> {
        let (features, prices) = data.train(device)?;
        Ok(Self { features, prices })
    }

    /// How many there are.
    ///
    /// # Errors
    /// When the features are no matrix.
    pub fn count(&self) -> Result<usize> {
        Ok(self.features.dims2()?.0)
    }

    /// Those with these numbers.
    ///
    /// # Errors
    /// When there is no such house.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        let rows = Tensor::new(rows, self.features.device())?;
        Ok(Self {
            features: self.features.index_select(&rows, 0)?,
            prices: self.prices.index_select(&rows, 0)?,
        })
    }
}

/// A trained network, with its errors after every epoch.
pub struct Fitted {
    model: Model,
    /// The log-RMSE on the houses learned from.
    pub train: Vec<f64>,
    /// The log-RMSE on the houses held out, if any were.
    pub held_out: Vec<f64>,
}

impl Fitted {
    /// The last error on the houses learned from.
    pub fn train_error(&self) -> f64 {
        self.train.last().copied().unwrap_or(f64::NAN)
    }

    /// The last error on the houses held out.
    pub fn held_out_error(&self) -> f64 {
        self.held_out.last().copied().unwrap_or(f64::NAN)
    }

    /// The prices of other houses, from their features `[n, features]`.
    ///
    /// # Errors
    /// When the features are not as many as those learned from.
    pub fn predict(&self, features: &Tensor) -> Result<Vec<f32>> {
        Ok(self.model.forward_t(features, false)?.flatten_all()?.to_vec1()?)
    }
}

// ANCHOR: log_rmse
/// √ mean (ln ŷ − ln y)², where a prediction below 1 counts as 1: an error of the same part of the price counts the
/// same for a cheap house and a dear one.
///
/// # Errors
/// When the shapes do not fit.
pub fn log_rmse(model: &dyn ModuleT, houses: &Houses) -> d2l_train::Result<f64> {
    let mut metrics = RegressionMetrics::default();
    metrics.add(&model.forward_t(&houses.features, false)?, &houses.prices)?;
    Ok(metrics.log_rmse())
}
// ANCHOR_END: log_rmse

// ANCHOR: fit
/// Trains a linear network on `train` with Adam and the squared error; `stops` is told of every epoch and may end it.
///
/// # Errors
/// When training fails; [`Error::Stopped`] when it was ended.
pub fn fit(
    setting: &Setting,
    seed: u64,
    train: &Houses,
    held_out: Option<&Houses>,
    stops: &mut dyn FnMut(u64) -> bool,
) -> Result<Fitted> {
    let (features, device) = (train.features.dims2()?.1, train.features.device());
    let params = ParamStore::new(DType::F32, device);
    let network = Network::new("house-prices").add("linear", Linear::new(1));
    let model = network.build(&[features], &params, &Rng::new(seed))?;
    let method = Method::adam(setting.learning_rate).with_weight_decay(setting.weight_decay);
    let batches = TensorSource::new(
        train.features.clone(),
        train.prices.clone(),
        setting.batch_size,
        Some(seed),
    )?;

    let (mut train_errors, mut held_out_errors) = (Vec::new(), Vec::new());
    let mut trainer = Trainer::new(
        &model,
        &params,
        Elementwise::mean(Function::Squared),
        Optimizer::new(method, &params)?,
        TrainOptions::new(Task::Regression, setting.epochs),
    )?;
    trainer.callback(OnEpoch(|run: &mut d2l_train::Run<'_>| {
        train_errors.push(log_rmse(&model, train)?);
        if let Some(held_out) = held_out {
            held_out_errors.push(log_rmse(&model, held_out)?);
        }
        Ok(if stops(run.position().epoch) {
            Flow::Stop(StopReason::Interrupted)
        } else {
            Flow::Continue
        })
    }));
    let outcome = trainer.fit(&batches, None)?;
    drop(trainer);
    match outcome {
        Outcome::Finished => Ok(Fitted {
            model,
            train: train_errors,
            held_out: held_out_errors,
        }),
        Outcome::Stopped(_) => Err(Error::Stopped),
    }
}
// ANCHOR_END: fit

// ANCHOR: folds
/// Trains once per fold, judged by the houses of that fold; `stops` is told of every fold (from 0) and epoch.
///
/// # Errors
/// As [`fit`].
pub fn k_fold(
    setting: &Setting,
    seed: u64,
    houses: &Houses,
    folds: &[Split],
    stops: &mut dyn FnMut(usize, u64) -> bool,
) -> Result<Vec<Fitted>> {
    cross_validate(folds, |index, fold| {
        let (train, held_out) = (houses.select(&fold.train)?, houses.select(&fold.held_out)?);
        fit(setting, seed, &train, Some(&held_out), &mut |epoch| {
            stops(index, epoch)
        })
    })
}
// ANCHOR_END: folds

/// The errors of every fold by epoch on logarithmic axes: on the houses learned from, and beside it on those held out.
pub fn curves(folds: &[Fitted]) -> Figure {
    let points =
        |errors: &[f64]| -> Vec<(f64, f64)> { (1..).map(f64::from).zip(errors.iter().copied()).collect() };
    let mut train = Chart::new("epoch", "log rmse").title("train").log_y();
    let mut held_out = Chart::new("epoch", "log rmse").title("held out").log_y();
    for (number, fold) in (1..).zip(folds) {
        train = train.line(format!("fold {number}"), points(&fold.train));
        // The same colours; one legend is enough.
        held_out = held_out.line("", points(&fold.held_out));
    }
    Figure::row([Panel::Chart(train), Panel::Chart(held_out)])
}

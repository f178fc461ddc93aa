//! k-fold cross-validation (section 4.4): every example is held out once, and the mean over the folds says more than
//! any single split.

use crate::{Chapter, Cost, Expect, Figure, Lesson, Page, Result, figure::Bars, figure::Panel};
use d2l_train::{
    Spread, cross_validate,
    split::{Dealing, Split},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "k-fold",
    chapter: Chapter::Mlp,
    section: "4.4",
    title: "k-fold cross-validation",
    expected: "k blocks, each held out once; mean and spread of the error on the part held out",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: blocks
    let folds = Dealing::default().folds(10, 5)?;
    for (number, fold) in (1..).zip(&folds) {
        page.say(format_args!(
            "fold {number}: train {:?}, held out {:?}",
            fold.train, fold.held_out
        ));
    }
    // ANCHOR_END: blocks
    let held_out: usize = folds.iter().map(|fold| fold.held_out.len()).sum();
    page.expect(
        "examples held out over all folds",
        Expect::Exactly(10.0),
        held_out as f64,
    );

    // ANCHOR: stratified
    let classes = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
    let dealing = Dealing {
        shuffle: Some(page.seed()),
        classes: Some(&classes),
    };
    for (number, fold) in (1..).zip(dealing.folds(classes.len(), 2)?) {
        let ones = fold
            .held_out
            .iter()
            .filter(|&&row| classes.get(row) == Some(&1))
            .count();
        page.say(format_args!(
            "fold {number} with every class in its proportion: {:?}",
            fold.held_out
        ));
        page.expect(
            &format!("ones of 4 in half {number}"),
            Expect::Exactly(2.0),
            ones as f64,
        );
    }
    // ANCHOR_END: stratified

    // ANCHOR: mean_and_spread
    let ys: Vec<f64> = (1..=10).map(f64::from).collect();
    let errors = cross_validate(&folds, |_, fold| mean_model(&ys, fold))?;
    let spread = Spread::of(errors.iter().copied());
    page.say(format_args!("squared error on the part held out: {errors:?}"));
    page.say(format_args!("over {} folds: {spread}", spread.count));
    // ANCHOR_END: mean_and_spread
    for (number, (error, exact)) in (1..).zip(errors.iter().zip([25.25, 6.5, 0.25, 6.5, 25.25])) {
        page.expect(&format!("error of fold {number}"), Expect::Exactly(exact), *error);
    }
    page.expect("mean", Expect::Exactly(12.75), spread.mean);
    let deviation = spread.deviation.unwrap_or(f64::NAN);
    page.expect("standard deviation", Expect::Exactly(11.692_679_333_7), deviation);

    let mut bars = Bars {
        x_label: "fold".to_owned(),
        y_label: "squared error on the part held out".to_owned(),
        ..Bars::default()
    };
    bars.bars = (1..)
        .map(|number: usize| number.to_string())
        .zip(errors)
        .collect();
    page.draw("folds", Figure::row([Panel::Bars(bars)]));
    Ok(())
}

// ANCHOR: mean_model
/// The plainest model there is: it predicts the mean of what it has seen. Its mean squared error on what it has not.
///
/// # Errors
/// Never; a model that is trained may.
pub fn mean_model(ys: &[f64], fold: &Split) -> Result<f64> {
    let pick = |rows: &[usize]| -> Vec<f64> { rows.iter().filter_map(|&row| ys.get(row).copied()).collect() };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let prediction = mean(&pick(&fold.train));
    let squares: Vec<f64> = pick(&fold.held_out)
        .iter()
        .map(|y| (y - prediction).powi(2))
        .collect();
    Ok(mean(&squares))
}
// ANCHOR_END: mean_model

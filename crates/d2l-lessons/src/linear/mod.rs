//! Chapter 3: linear neural networks.

pub mod animator;
pub mod exhaustive_search;
pub mod house_price_line;
pub mod image_data;
pub mod logistic_regression;
pub mod losses;
pub mod perceptron;
pub mod regression_concise;
pub mod regression_scratch;
pub mod smoothed_loss;
pub mod softmax_concise;
pub mod softmax_digits;
pub mod softmax_scratch;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    house_price_line::LESSON,
    exhaustive_search::LESSON,
    losses::LESSON,
    regression_scratch::LESSON,
    smoothed_loss::LESSON,
    regression_concise::LESSON,
    logistic_regression::LESSON,
    image_data::LESSON,
    softmax_scratch::LESSON,
    softmax_concise::LESSON,
    softmax_digits::LESSON,
    perceptron::LESSON,
];

//! Chapter 4: multilayer perceptrons.

pub mod activations;
pub mod dropout_concise;
pub mod dropout_scratch;
pub mod k_fold;
pub mod kaggle_house_prices;
pub mod mlp_concise;
pub mod mlp_digits;
pub mod mlp_scratch;
pub mod numerical_stability;
pub mod polynomial;
pub mod weight_decay_concise;
pub mod weight_decay_scratch;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    activations::LESSON,
    mlp_scratch::LESSON,
    mlp_concise::LESSON,
    mlp_digits::LESSON,
    polynomial::LESSON,
    k_fold::LESSON,
    weight_decay_scratch::LESSON,
    weight_decay_concise::LESSON,
    dropout_scratch::LESSON,
    dropout_concise::LESSON,
    numerical_stability::LESSON,
    kaggle_house_prices::LESSON,
];

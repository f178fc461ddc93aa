//! Chapter 4: multilayer perceptrons.

pub mod k_fold;
pub mod kaggle_house_prices;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[k_fold::LESSON, kaggle_house_prices::LESSON];

//! Chapter 3: linear neural networks.

pub mod image_data;
pub mod regression_scratch;
pub mod softmax_scratch;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    regression_scratch::LESSON,
    image_data::LESSON,
    softmax_scratch::LESSON,
];

//! Chapter 6: convolutional neural networks.

pub mod channels;
pub mod correlation;
pub mod feature_maps;
pub mod lenet;
pub mod padding_stride;
pub mod pooling;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    correlation::LESSON,
    padding_stride::LESSON,
    channels::LESSON,
    pooling::LESSON,
    lenet::LESSON,
    feature_maps::LESSON,
];

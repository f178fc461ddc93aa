//! Chapter 7: modern convolutional neural networks.

pub mod alexnet;
pub mod batch_norm_concise;
pub mod batch_norm_scratch;
pub mod densenet;
pub mod googlenet;
pub mod nin;
pub mod resnet;
pub mod vgg;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    alexnet::LESSON,
    vgg::LESSON,
    nin::LESSON,
    googlenet::LESSON,
    batch_norm_scratch::LESSON,
    batch_norm_concise::LESSON,
    resnet::LESSON,
    densenet::LESSON,
];

//! Chapter 5: deep-learning computation.

pub mod blocks;
pub mod custom_layers;
pub mod deferred_init;
pub mod devices;
pub mod parameters;
pub mod saving;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    blocks::LESSON,
    parameters::LESSON,
    deferred_init::LESSON,
    custom_layers::LESSON,
    saving::LESSON,
    devices::LESSON,
];

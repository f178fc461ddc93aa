//! Chapter 3: linear neural networks.

pub mod regression_scratch;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[regression_scratch::LESSON];

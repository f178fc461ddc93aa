//! Chapter 2: preliminaries.

pub mod autograd;
pub mod calculus;
pub mod linear_algebra;
pub mod naive_bayes;
pub mod preprocessing;
pub mod probability;
pub mod spam_filter;
pub mod tensors;
pub mod vectorisation;

use crate::Lesson;

/// The chapter's lessons, in the book's order.
pub const LESSONS: &[Lesson] = &[
    tensors::LESSON,
    preprocessing::LESSON,
    linear_algebra::LESSON,
    calculus::LESSON,
    autograd::LESSON,
    probability::LESSON,
    spam_filter::LESSON,
    naive_bayes::LESSON,
    vectorisation::LESSON,
];

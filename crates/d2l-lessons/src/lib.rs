#![doc = include_str!("../README.md")]

mod catalogue;
mod classifier;
mod error;
pub mod figure;
#[cfg(test)]
mod golden;
pub mod numbers;
mod page;
mod pictures;
mod report;
mod shapes;

pub mod computation;
pub mod convolution;
pub mod linear;
pub mod mlp;
pub mod modern;
pub mod preliminaries;

pub use catalogue::{Chapter, Cost, Lesson, UnknownLesson, find, lessons};
pub use classifier::{Classifier, Curves, Fitted, Within};
pub use error::{Error, Result};
pub use figure::Figure;
pub use page::{Page, PageOptions, Silent, Watcher};
pub use pictures::Pictures;
pub use report::{Expect, Report, Row};

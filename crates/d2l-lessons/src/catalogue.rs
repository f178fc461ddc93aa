//! The list of lessons, in the book's order.

use crate::{Page, Result, computation, convolution, linear, mlp, modern, preliminaries};

/// A chapter of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Chapter 2.
    Preliminaries,
    /// Chapter 3.
    Linear,
    /// Chapter 4.
    Mlp,
    /// Chapter 5.
    Computation,
    /// Chapter 6.
    Convolution,
    /// Chapter 7.
    ModernConvolution,
}

impl Chapter {
    /// The chapter's name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Preliminaries => "Preliminaries",
            Self::Linear => "Linear neural networks",
            Self::Mlp => "Multilayer perceptrons",
            Self::Computation => "Deep-learning computation",
            Self::Convolution => "Convolutional neural networks",
            Self::ModernConvolution => "Modern convolutional neural networks",
        }
    }
}

/// How long the full form of a lesson takes on a processor of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Seconds.
    Seconds,
    /// Some minutes.
    Minutes,
    /// Hours.
    Hours,
}

/// A section of the book as a program.
#[derive(Debug)]
pub struct Lesson {
    /// Its name on the command line.
    pub name: &'static str,
    /// The chapter it belongs to.
    pub chapter: Chapter,
    /// The section of the book's second edition (or, where it has none, the nearest).
    pub section: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What the book expects to come out.
    pub expected: &'static str,
    /// How long its full form takes.
    pub cost: Cost,
    /// The program.
    pub run: fn(&mut Page<'_>) -> Result<()>,
}

/// All lessons, in the book's order.
pub fn lessons() -> impl Iterator<Item = &'static Lesson> {
    [
        preliminaries::LESSONS,
        linear::LESSONS,
        mlp::LESSONS,
        computation::LESSONS,
        convolution::LESSONS,
        modern::LESSONS,
    ]
    .into_iter()
    .flatten()
}

/// No lesson has that name.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("there is no lesson `{name}`{}; `lesson list` names them all", .nearest.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
pub struct UnknownLesson {
    /// What was asked for.
    pub name: String,
    /// The lesson whose name is nearest, if one is near.
    pub nearest: Option<&'static str>,
}

/// The lesson of that name; case and `_` for `-` do not matter.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<&'static Lesson, UnknownLesson> {
    let wanted = name.to_lowercase().replace('_', "-");
    lessons().find(|lesson| lesson.name == wanted).ok_or_else(|| {
        let distance = |lesson: &&Lesson| strsim::damerau_levenshtein(lesson.name, &wanted);
        UnknownLesson {
            name: name.to_owned(),
            nearest: lessons()
                .min_by_key(distance)
                .filter(|lesson| distance(lesson) <= 3)
                .map(|lesson| lesson.name),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_spelling_and_a_near_one_is_suggested() {
        assert_eq!(find("Linear_Regression_Scratch").unwrap().section, "3.2");
        let error = find("linear-regresion-scratch").unwrap_err();
        assert_eq!(error.nearest, Some("linear-regression-scratch"));
    }

    #[test]
    fn names_are_unique_and_chapters_in_order() {
        let mut names: Vec<_> = lessons().map(|lesson| lesson.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let chapters: Vec<_> = lessons().map(|lesson| lesson.chapter).collect();
        assert!(chapters.is_sorted());
    }
}

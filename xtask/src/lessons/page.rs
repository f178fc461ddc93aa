//! docs/lessons.md as text.

use super::Lesson;
use serde_json::{Map, Value};
use std::fmt::Write as _;

const HEAD: &str = "\
# Lessons

Every section of the book's linear, MLP and convolutional chapters as a program: `d2l lesson NAME` prints what the
book's cells print and draws its pictures, `d2l lesson list` names them all. Below, the figures the book (or
mathematics) leads one to expect beside those that were reached, one run with seed 0 each. A quick form uses less data
and fewer epochs; what needs the full training is not judged there.

This page is written by `cargo xtask lessons` (`--all` for the networks that take hours); do not edit it by hand.
";

/// The page of `lessons`, with the results `kept` of those that were run.
pub(super) fn page(lessons: &[Lesson], kept: &Map<String, Value>) -> String {
    let mut page = HEAD.to_owned();
    page += &summary(lessons, kept);
    for chapter in lessons.chunk_by(|a, b| a.chapter == b.chapter) {
        let title = chapter.first().map_or("", |lesson| &lesson.chapter);
        let _ = write!(page, "\n## {title}\n");
        for lesson in chapter {
            page += &section(lesson, kept.get(&lesson.name));
        }
    }
    page
}

/// How many rows were reached, and what was not run.
fn summary(lessons: &[Lesson], kept: &Map<String, Value>) -> String {
    let of_lessons = || lessons.iter().filter_map(|lesson| kept.get(&lesson.name));
    let rows: Vec<&Value> = of_lessons().flat_map(rows).collect();
    let count = |passed: Option<bool>| {
        rows.iter()
            .filter(|row| row["passed"].as_bool() == passed)
            .count()
    };
    let quick = of_lessons().filter(|result| result["quick"] == true).count();
    let run = of_lessons().count();
    format!(
        "\n{run} of {} lessons run, {quick} of them in their quick form: {} rows reached, {} missed, {} not judged.\n",
        lessons.len(),
        count(Some(true)),
        count(Some(false)),
        count(None)
    )
}

fn section(lesson: &Lesson, result: Option<&Value>) -> String {
    let Lesson {
        name,
        section,
        title,
        expected,
        takes,
        ..
    } = lesson;
    let mut text =
        format!("\n### {section} {title}\n\n`d2l lesson {name}` ({takes}). Expected: {expected}.\n");
    let Some(result) = result else {
        text += "\nNot run yet.\n";
        return text;
    };
    text += "\n| | expected | reached | |\n|---|---|---|---|\n";
    for row in rows(result) {
        let verdict = match row["passed"].as_bool() {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "not judged",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            cell(&row["what"]),
            cell(&row["expected"]),
            number(row["reached"].as_f64())
        );
    }
    let form = if result["quick"] == true {
        "quick form"
    } else {
        "full form"
    };
    let setting = &result["setting"];
    let _ = writeln!(
        text,
        "\n{form}, {:.1} s, {} with {} threads, commit {}, {}",
        result["seconds"].as_f64().unwrap_or(0.0),
        cell(&setting["machine"]["cpu"]),
        setting["threads"],
        cell(&setting["versions"]["commit"]),
        cell(&setting["date"])
    );
    text
}

fn rows(result: &Value) -> impl Iterator<Item = &Value> {
    result["rows"].as_array().into_iter().flatten()
}

/// A text for a cell of a table.
fn cell(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('|', "\\|")
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "not a number".to_owned(),
        Some(value) if value == value.round() && value.abs() < 1e15 => format!("{value:.0}"),
        Some(value) if (1e-3..1e6).contains(&value.abs()) => format!("{value:.4}"),
        Some(value) => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_has_every_lesson_and_says_what_was_missed_or_not_run() {
        let lesson = |name: &str| Lesson {
            name: name.into(),
            chapter: "Linear neural networks".into(),
            section: "3.2".into(),
            title: "Linear regression".into(),
            expected: "a loss of 0.1".into(),
            takes: "seconds".into(),
        };
        let rows = json!([
            { "what": "loss|", "expected": "at most 0.1", "reached": 0.05, "passed": true },
            { "what": "error", "expected": "0", "reached": null, "passed": false },
            { "what": "accuracy", "expected": "0.8", "reached": 0.5, "passed": null },
        ]);
        let result = json!({ "quick": true, "seconds": 1.25, "rows": rows, "setting": {
            "machine": { "cpu": "a processor" }, "threads": 2, "versions": { "commit": "abc" }, "date": "2026-01-31" } });
        let kept = [("one".to_owned(), result)].into_iter().collect();
        let page = page(&[lesson("one"), lesson("two")], &kept);
        for text in [
            "1 of 2 lessons run, 1 of them in their quick form: 1 rows reached, 1 missed, 1 not judged.",
            "| loss\\| | at most 0.1 | 0.0500 | reached |",
            "| error | 0 | not a number | **missed** |",
            "| accuracy | 0.8 | 0.5000 | not judged |",
            "quick form, 1.2 s, a processor with 2 threads, commit abc, 2026-01-31",
            "`d2l lesson two`",
            "Not run yet.",
        ] {
            assert!(page.contains(text), "{text} in\n{page}");
        }
    }
}

use anstyle::Style;
use d2l_lessons::{Cost, Lesson};
use serde_json::{Value, json};

use crate::failure::Result;
use crate::table::{Align, Table};
use crate::ui::{BOLD, DIM, Ui};

/// `d2l lesson list`: the lessons by chapter.
pub(super) fn list(ui: Ui) -> Result<()> {
    let lessons: Vec<&Lesson> = d2l_lessons::lessons().collect();
    if ui.json {
        return ui.json_document(&lessons.iter().map(|lesson| json(lesson)).collect::<Vec<_>>());
    }
    for (index, chapter) in lessons.chunk_by(|a, b| a.chapter == b.chapter).enumerate() {
        let Some(first) = chapter.first() else { continue };
        let gap = if index > 0 { "\n" } else { "" };
        ui.line(format_args!("{gap}{BOLD}{}{BOLD:#}", first.chapter.title()))?;
        let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]).indented(2);
        for lesson in chapter {
            table.styled_row(vec![
                (lesson.section.to_owned(), DIM),
                (lesson.name.to_owned(), BOLD),
                (lesson.title.to_owned(), Style::new()),
                (cost(lesson.cost).to_owned(), DIM),
            ]);
        }
        for line in table.lines() {
            ui.line(line)?;
        }
    }
    Ok(())
}

/// A lesson for `d2l list lessons`: name, title, detail, JSON.
pub(crate) fn lessons() -> impl Iterator<Item = (&'static Lesson, Value)> {
    d2l_lessons::lessons().map(|lesson| (lesson, json(lesson)))
}

fn json(lesson: &Lesson) -> Value {
    json!({
        "kind": "lesson",
        "name": lesson.name,
        "chapter": lesson.chapter.title(),
        "section": lesson.section,
        "title": lesson.title,
        "expected": lesson.expected,
        "takes": cost(lesson.cost),
    })
}

fn cost(cost: Cost) -> &'static str {
    match cost {
        Cost::Seconds => "seconds",
        Cost::Minutes => "minutes",
        Cost::Hours => "hours",
    }
}

//! Every lesson in its quick form: nothing fails, every judged row is reached, every picture can be drawn.

#![allow(clippy::unwrap_used)]

use d2l_data::SourceOptions;
use d2l_lessons::{Page, PageOptions, Report, Silent, lessons};
use std::{fs, path::Path};

fn quick(run: fn(&mut Page<'_>) -> d2l_lessons::Result<()>) -> Report {
    let options = PageOptions {
        quick: true,
        sources: SourceOptions {
            offline: true,
            ..SourceOptions::default()
        },
        ..PageOptions::default()
    };
    let mut watcher = Silent;
    let mut page = Page::new(options, &mut watcher);
    run(&mut page).unwrap();
    page.finish()
}

fn is_drawn(file: &Path) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes.starts_with(b"\x89PNG") || String::from_utf8_lossy(&bytes).contains("<svg")
}

#[test]
fn every_lesson_runs_quickly_and_reaches_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    for lesson in lessons() {
        let report = quick(lesson.run);
        assert!(
            report.failures().is_empty(),
            "{}: {:?}",
            lesson.name,
            report.failures()
        );
        assert!(!report.lines.is_empty(), "{} prints nothing", lesson.name);
        assert!(!report.rows.is_empty(), "{} states nothing", lesson.name);
        for file in report.save_figures(&folder.path().join(lesson.name)).unwrap() {
            assert!(is_drawn(&file), "{}", file.display());
        }
    }
}

mod list;
mod watch;

use std::time::Instant;

use anstyle::Style;
use d2l_lessons::{Error, Lesson, Page, PageOptions, Report, Row};
use serde_json::{Value, json};

use crate::args::{LessonArgs, PlaceArgs};
use crate::data::{Source, Teller};
use crate::failure::{Failure, Result};
use crate::machine::{DeviceChoice, in_pool};
use crate::runs::place;
use crate::table::{Align, Table};
use crate::ui::{BAD, BOLD, DIM, GOOD, Ui, duration};
pub(crate) use list::lessons as list_lessons;
pub(super) use watch::Watch;

/// `d2l lesson`: experiments of the book.
pub(crate) fn lesson(args: &LessonArgs, ui: Ui) -> Result<()> {
    if args.names.is_empty() || args.names == ["list"] {
        return list::list(ui);
    }
    let lessons: Vec<&Lesson> = args
        .names
        .iter()
        .map(|name| d2l_lessons::find(name).map_err(Failure::usage))
        .collect::<Result<_>>()?;
    let classroom = Classroom::new(&args.place, ui)?;
    let mut all: Vec<Value> = Vec::new();
    for lesson in lessons {
        if !ui.json {
            ui.line(format_args!("{BOLD}{} {}{BOLD:#}", lesson.section, lesson.title))?;
        }
        let given = classroom.give(lesson, args.quick, args.seed)?;
        let files = given.report.save_figures(&args.output.join(lesson.name))?;
        if ui.json {
            all.push(json!({
                "name": lesson.name,
                "chapter": lesson.chapter.title(),
                "section": lesson.section,
                "title": lesson.title,
                "expected": lesson.expected,
                "quick": args.quick,
                "seed": args.seed,
                "seconds": given.seconds,
                "rows": given.report.rows.iter().map(row_json).collect::<Vec<_>>(),
                "lines": given.report.lines,
                "figures": files,
            }));
            continue;
        }
        ui.line(format_args!("\nthe book expects: {}", lesson.expected))?;
        show_rows(&given.report.rows, ui)?;
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|e| e == "png"))
        {
            ui.line(file.display())?;
        }
        ui.line(format_args!("{DIM}{}{DIM:#}\n", duration(given.seconds)))?;
    }
    if ui.json {
        ui.json_document(&all)?;
    }
    Ok(())
}

/// Where lessons are given.
pub(super) struct Classroom {
    device: DeviceChoice,
    threads: usize,
    source: Source,
    stop: watch::Stop,
    ui: Ui,
}

/// What came of a lesson.
pub(super) struct Given {
    pub(super) report: Report,
    pub(super) seconds: f64,
}

impl Classroom {
    pub(super) fn new(args: &PlaceArgs, ui: Ui) -> Result<Self> {
        let (device, threads) = place(args.device.as_deref(), args.threads)?;
        Ok(Self {
            device,
            threads,
            source: Source {
                data_dir: args.source.data_dir.clone(),
                offline: args.source.offline,
            },
            stop: watch::Stop::watch()?,
            ui,
        })
    }

    /// Gives a lesson; what it prints goes to standard output as it comes, unless the output is JSON.
    pub(super) fn give(&self, lesson: &Lesson, quick: bool, seed: u64) -> Result<Given> {
        let mut watch = Watch::new(self.ui, &self.stop);
        self.give_to(&mut watch, lesson, quick, seed)
    }

    /// The same with nothing printed but the progress.
    pub(super) fn give_silently(&self, lesson: &Lesson, seed: u64) -> Result<Given> {
        let mut watch = Watch::new(self.ui, &self.stop).silent();
        self.give_to(&mut watch, lesson, false, seed)
    }

    fn give_to(&self, watch: &mut Watch, lesson: &Lesson, quick: bool, seed: u64) -> Result<Given> {
        let started = Instant::now();
        let teller = Teller::new(self.ui);
        let result = in_pool(self.threads, || {
            let options = PageOptions {
                quick,
                seed,
                device: self.device.open()?,
                sources: self.source.options(&teller),
            };
            let mut page = Page::new(options, watch);
            let result = (lesson.run)(&mut page);
            Ok((result, page.finish()))
        });
        watch.finish();
        let (result, report) = result?;
        match result {
            Ok(()) => Ok(Given {
                report,
                seconds: started.elapsed().as_secs_f64(),
            }),
            Err(Error::Stopped) => Err(self.stop.failure()),
            Err(error) => Err(anyhow::Error::new(error)
                .context(format!("lesson {}", lesson.name))
                .into()),
        }
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "what": row.what,
        "expected": row.expect.to_string(),
        "reached": row.reached,
        "passed": row.passed(),
    })
}

fn show_rows(rows: &[Row], ui: Ui) -> Result<()> {
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]).indented(2);
    table.row(DIM, ["", "expected", "reached", ""]);
    for row in rows {
        table.styled_row(vec![
            (row.what.clone(), Style::new()),
            (row.expect.to_string(), Style::new()),
            (number(row.reached), BOLD),
            verdict(row.passed()),
        ]);
    }
    for line in table.lines() {
        ui.line(line)?;
    }
    Ok(())
}

/// What is said of a row, and how.
pub(super) fn verdict(passed: Option<bool>) -> (String, Style) {
    match passed {
        Some(true) => ("reached".to_owned(), GOOD),
        Some(false) => ("missed".to_owned(), BAD),
        None => ("not judged: a quick look".to_owned(), DIM),
    }
}

/// A figure with four digits that count, and no more.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == value.round() && size < 1e15 {
        format!("{value:.0}")
    } else if (1e-3..1e6).contains(&size) {
        let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
        format!("{value:.digits$}")
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_four_digits() {
        let shown = [0.44831, 61_706.0, 8.4049, 0.000_051_23, 123.456, -0.5, f64::NAN].map(number);
        assert_eq!(
            shown,
            ["0.4483", "61706", "8.405", "5.123e-5", "123.5", "-0.5000", "NaN"]
        );
    }
}

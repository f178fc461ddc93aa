use anstyle::Style;
use d2l_lessons::{Lesson, Row};
use d2l_train::Spread;
use serde_json::json;

use super::lesson::{Classroom, number, verdict};
use crate::args::VerifyArgs;
use crate::failure::{Failure, Result};
use crate::table::{Align, Table};
use crate::ui::{BOLD, DIM, Ui, duration, plural};

/// What is verified unless asked otherwise: all that a processor trains in a minute or so.
const QUICK: &[&str] = &[
    "linear-regression",
    "weight-decay",
    "dropout",
    "softmax-regression-scratch",
    "softmax-regression-concise",
    "mlp-scratch",
    "mlp-concise",
    "lenet",
];

/// `d2l verify`: the book's figures beside those that are reached here.
pub(crate) fn verify(args: &VerifyArgs, ui: Ui) -> Result<()> {
    let lessons = chosen(args)?;
    let classroom = Classroom::new(&args.place, ui)?;
    let mut verified = Vec::new();
    for lesson in lessons {
        let mut seconds = 0.0;
        let mut runs = Vec::new();
        for seed in 0..args.seeds {
            let given = classroom.give_silently(lesson, seed)?;
            seconds += given.seconds;
            runs.push(given.report.rows);
        }
        let rows = combine(&runs);
        if !ui.json {
            show(lesson, &rows, seconds, args.seeds, ui)?;
        }
        verified.push((lesson, rows, seconds));
    }
    let missed = verified
        .iter()
        .flat_map(|(_, rows, _)| rows)
        .filter(|row| !row.passed)
        .count();
    let count: usize = verified.iter().map(|(_, rows, _)| rows.len()).sum();
    if ui.json {
        let lessons: Vec<_> = verified
            .iter()
            .map(|(lesson, rows, seconds)| {
                json!({
                    "name": lesson.name,
                    "section": lesson.section,
                    "seconds": seconds,
                    "rows": rows.iter().map(Means::json).collect::<Vec<_>>(),
                })
            })
            .collect();
        ui.json_document(
            &json!({ "seeds": args.seeds, "rows": count, "missed": missed, "lessons": lessons }),
        )?;
    } else {
        ui.line(format_args!(
            "{BOLD}{}, {missed} missed{BOLD:#}",
            plural(count, "row")
        ))?;
    }
    match missed {
        0 => Ok(()),
        _ => Err(Failure::work(format!(
            "{} of {count} missed",
            plural(missed, "row")
        ))),
    }
}

/// The lessons asked for, in the book's order.
fn chosen(args: &VerifyArgs) -> Result<Vec<&'static Lesson>> {
    if args.all {
        return Ok(d2l_lessons::lessons().collect());
    }
    let wanted: Vec<&str> = match args.names.is_empty() {
        true => QUICK.to_vec(),
        false => args.names.iter().map(String::as_str).collect(),
    };
    for name in &wanted {
        if !d2l_lessons::lessons().any(|lesson| matches(lesson, name)) {
            d2l_lessons::find(name).map_err(Failure::usage)?;
        }
    }
    let asked = |lesson: &&Lesson| wanted.iter().any(|name| matches(lesson, name));
    Ok(d2l_lessons::lessons().filter(asked).collect())
}

/// Whether a lesson is called `name`, or `name-` and more.
fn matches(lesson: &Lesson, name: &str) -> bool {
    let rest = lesson.name.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A row of several runs.
struct Means {
    row: Row,
    mean: f64,
    deviation: f64,
    passed: bool,
}

impl Means {
    fn json(&self) -> serde_json::Value {
        json!({
            "what": self.row.what,
            "expected": self.row.expect.to_string(),
            "mean": self.mean,
            "standard_deviation": self.deviation,
            "passed": self.passed,
        })
    }
}

/// Puts the runs' rows of the same name together.
fn combine(runs: &[Vec<Row>]) -> Vec<Means> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let means = |row: &Row| {
        let same = |other: &&Row| other.what == row.what;
        let rows: Vec<&Row> = runs.iter().filter_map(|run| run.iter().find(same)).collect();
        let Spread { mean, deviation, .. } = Spread::of(rows.iter().map(|row| row.reached));
        // One test accuracy is a matter of luck, so the means are judged; but what each run expects of itself alone
        // has no mean.
        let passed = match rows.iter().all(|other| other.expect == row.expect) {
            true => row.expect.admits(mean),
            false => rows.iter().all(|row| row.expect.admits(row.reached)),
        };
        Means {
            row: row.clone(),
            mean,
            deviation: deviation.unwrap_or(0.0),
            passed,
        }
    };
    first.iter().map(means).collect()
}

fn show(lesson: &Lesson, rows: &[Means], seconds: f64, seeds: u64, ui: Ui) -> Result<()> {
    ui.line(format_args!(
        "{BOLD}{} {}{BOLD:#}  {DIM}{}{DIM:#}",
        lesson.section,
        lesson.name,
        duration(seconds)
    ))?;
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]).indented(2);
    for row in rows {
        let reached = match seeds {
            1 => number(row.mean),
            _ => format!("{} ± {}", number(row.mean), number(row.deviation)),
        };
        table.styled_row(vec![
            (row.row.what.clone(), Style::new()),
            (row.row.expect.to_string(), DIM),
            (reached, BOLD),
            verdict(Some(row.passed)),
        ]);
    }
    for line in table.lines() {
        ui.line(line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use d2l_lessons::Expect;

    fn row(reached: f64) -> Row {
        Row {
            what: "loss".into(),
            expect: Expect::near(1.0, 0.1),
            reached,
            judged: true,
        }
    }

    #[test]
    fn runs_are_judged_by_their_mean() {
        let rows = combine(&[vec![row(0.8)], vec![row(1.2)]]);
        assert!(rows[0].passed && (rows[0].deviation - 0.08f64.sqrt()).abs() < 1e-12);
        assert!(!combine(&[vec![row(0.8)], vec![row(f64::NAN)]])[0].passed);
    }

    #[test]
    fn rows_that_expect_something_of_their_own_run_are_judged_one_by_one() {
        let own = |expected, reached| Row {
            expect: Expect::Exactly(expected),
            ..row(reached)
        };
        assert!(combine(&[vec![own(1.0, 1.0)], vec![own(3.0, 3.0)]])[0].passed);
        assert!(!combine(&[vec![own(1.0, 3.0)], vec![own(3.0, 1.0)]])[0].passed);
    }

    #[test]
    fn every_quick_row_is_a_lesson() {
        for name in QUICK {
            assert!(
                d2l_lessons::lessons().any(|lesson| matches(lesson, name)),
                "{name}"
            );
        }
    }
}

//! Calculus (section 2.4): a derivative as a limit, and a curve with its tangent.

use crate::{Chapter, Cost, Expect, Figure, Lesson, Page, Result, figure::Chart};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "calculus",
    chapter: Chapter::Preliminaries,
    section: "2.4",
    title: "Calculus",
    expected: "(f(1 + h) - f(1)) / h for f(x) = 3x² - 4x goes to 2 as h goes to 0",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: limit
    let mut h = 0.1;
    for _ in 0..5 {
        let limit = numerical_limit(f, 1.0, h);
        page.say(format_args!("h={h:.5}, numerical limit={limit:.5}"));
        page.expect(
            &format!("numerical limit at h = {h:.5}"),
            Expect::near(2.0 + 3.0 * h, 1e-6),
            limit,
        );
        h *= 0.1;
    }
    // ANCHOR_END: limit

    // ANCHOR: plot
    let xs = (0..30).map(|i| f64::from(i) * 0.1);
    let chart = Chart::new("x", "f(x)")
        .line("f(x)", xs.clone().map(|x| (x, f(x))))
        .dashed("Tangent line (x=1)", xs.map(|x| (x, tangent(f, 1.0, x))));
    page.draw("tangent", Figure::chart(chart));
    // ANCHOR_END: plot
    page.expect("tangent at x = 2", Expect::near(1.0, 1e-4), tangent(f, 1.0, 2.0));
    Ok(())
}

// ANCHOR: derivative
/// f(x) = 3x² − 4x
pub fn f(x: f64) -> f64 {
    3.0 * x * x - 4.0 * x
}

/// (f(x + h) − f(x)) / h, which goes to f′(x) as h goes to 0.
pub fn numerical_limit(f: impl Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    (f(x + h) - f(x)) / h
}

/// The line that touches f at `at`, as it is at `x`; its slope is a numerical limit with h = 1e-5.
pub fn tangent(f: impl Fn(f64) -> f64, at: f64, x: f64) -> f64 {
    f(at) + numerical_limit(&f, at, 1e-5) * (x - at)
}
// ANCHOR_END: derivative

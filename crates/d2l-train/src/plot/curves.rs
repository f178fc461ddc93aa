//! Learning curves: losses and accuracies by epoch, or losses by step.

use super::{COLORS, save};
use crate::{
    Error, Result,
    metrics::{EpochRecord, StepRecord},
};
use kuva::{
    backend::terminal::TerminalBackend,
    plot::{LinePlot, ScatterPlot},
    render::{figure::Figure, layout::Layout, layout::TickFormat, plots::Plot, render::Scene},
};
use std::path::Path;

/// Beyond so many points, marks on the lines would hide them.
const MARKED_POINTS: usize = 40;

/// Width and height of a panel.
const CELL: (f64, f64) = (460.0, 340.0);

/// Learning curves of one or several runs over each other.
///
/// By epoch: loss, and accuracy beside it where a run has one; test curves are dashed and thicker, those of a part held
/// out dotted. By step: the loss. Of several runs, each has one colour.
#[derive(Clone, Copy, Debug)]
pub struct Curves<'a> {
    /// What is drawn.
    pub runs: Runs<'a>,
    /// From 0, the values as they are, up to below 1: each value is drawn as the exponential moving average of those up
    /// to it, in which the share of what went before is this (Adam's correction for the first values included, as
    /// TensorBoard does). The values themselves stay behind it, thin.
    pub smoothing: f64,
}

/// The runs of [`Curves`], by name.
#[derive(Clone, Copy, Debug)]
pub enum Runs<'a> {
    /// By epoch.
    Epochs(&'a [(&'a str, &'a [EpochRecord])]),
    /// By step.
    Steps(&'a [(&'a str, &'a [StepRecord])]),
}

impl Curves<'_> {
    /// Draws them as an SVG or PNG file, by the name's ending.
    ///
    /// # Errors
    /// When there is nothing to draw, the smoothing makes no sense, the file's ending is neither, or it cannot be
    /// written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |message: &str| Error::Plot {
            path: path.to_owned(),
            message: message.into(),
        };
        save(&self.scene(&self.panels().map_err(failed)?), path)
    }

    /// Draws them as text in colours (ANSI), a panel of `columns` × `rows` characters below the other, and the names of
    /// the lines below that.
    ///
    /// # Errors
    /// When there is nothing to draw, or the smoothing makes no sense.
    pub fn text(&self, columns: usize, rows: usize) -> Result<String> {
        let panels = self.panels().map_err(|message| Error::Invalid(message.into()))?;
        let backend = TerminalBackend::new(columns, rows);
        let mut text = String::new();
        for panel in &panels {
            let (plots, layout) = panel.draw(self.smoothing, false);
            let figure = Figure::new(1, 1).with_cell_size(CELL.0, CELL.1);
            let figure = figure.with_plots(vec![plots]).with_layouts(vec![layout]);
            text += &backend.render_scene(&figure.render());
            text.push('\n');
        }
        for line in panels.first().map_or(&[][..], |panel| &panel.lines) {
            let rgb = |at| u8::from_str_radix(line.color.get(at..at + 2).unwrap_or("80"), 16).unwrap_or(128);
            let (red, green, blue) = (rgb(1), rgb(3), rgb(5));
            text += &format!("  \x1b[38;2;{red};{green};{blue}m━━\x1b[0m {}", line.label);
        }
        Ok(text)
    }

    /// The panels that have something in them.
    fn panels(&self) -> Result<Vec<Panel>, &'static str> {
        if !(0.0..1.0).contains(&self.smoothing) {
            return Err("the smoothing has to be at least 0 and below 1");
        }
        let panels = match self.runs {
            Runs::Epochs(runs) => vec![Panel::of_losses(runs), Panel::of_accuracies(runs)],
            Runs::Steps(runs) => vec![Panel::of_steps(runs)],
        };
        let drawn: Vec<Panel> = panels
            .into_iter()
            .filter(|panel| !panel.lines.is_empty())
            .collect();
        match (drawn.is_empty(), self.runs) {
            (false, _) => Ok(drawn),
            (true, Runs::Epochs(_)) => Err("no epoch has been recorded"),
            (true, Runs::Steps(_)) => Err("no step has been recorded: a run logs them with `log-every`"),
        }
    }

    fn scene(&self, panels: &[Panel]) -> Scene {
        let (plots, layouts) = panels
            .iter()
            .map(|panel| panel.draw(self.smoothing, true))
            .unzip();
        Figure::new(1, panels.len())
            .with_cell_size(CELL.0, CELL.1)
            .with_plots(plots)
            .with_layouts(layouts)
            .with_shared_legend_bottom()
            .render()
    }
}

/// Axes with lines over them.
struct Panel {
    x_label: &'static str,
    y_label: &'static str,
    lines: Vec<Line>,
}

/// A curve of a run.
struct Line {
    label: String,
    color: &'static str,
    look: Look,
    points: Vec<(f64, f64)>,
}

/// How a curve is drawn.
#[derive(Clone, Copy)]
enum Look {
    Train,
    Test,
    Validation,
}

/// A value of an epoch, where it has one.
type Value = fn(&EpochRecord) -> Option<f64>;

impl Panel {
    fn of_losses(runs: &[(&str, &[EpochRecord])]) -> Self {
        Self::of_epochs(
            "loss",
            runs,
            [|r| Some(r.train_loss), |r| r.test_loss, |r| r.validation_loss],
        )
    }

    fn of_accuracies(runs: &[(&str, &[EpochRecord])]) -> Self {
        let values: [Value; 3] = [
            |r| r.train_accuracy,
            |r| r.test_accuracy,
            |r| r.validation_accuracy,
        ];
        Self::of_epochs("accuracy", runs, values)
    }

    /// Curves of the `values` of training, test and validation.
    fn of_epochs(y_label: &'static str, runs: &[(&str, &[EpochRecord])], values: [Value; 3]) -> Self {
        let looks = [
            ("train", Look::Train),
            ("test", Look::Test),
            ("validation", Look::Validation),
        ];
        let mut lines = Vec::new();
        for (run, (name, records)) in runs.iter().enumerate() {
            for (index, ((curve, look), value)) in looks.into_iter().zip(values).enumerate() {
                let point = |record: &EpochRecord| Some((record.epoch as f64, value(record)?));
                lines.push(Line {
                    label: format!("{name} {curve}").trim_start().to_owned(),
                    color: color(if runs.len() == 1 { index } else { run }),
                    look,
                    points: records.iter().filter_map(point).collect(),
                });
            }
        }
        lines.retain(|line| !line.points.is_empty());
        Self {
            x_label: "epoch",
            y_label,
            lines,
        }
    }

    fn of_steps(runs: &[(&str, &[StepRecord])]) -> Self {
        let line = |(run, (name, records)): (usize, &(&str, &[StepRecord]))| Line {
            label: format!("{name} train").trim_start().to_owned(),
            color: color(run),
            look: Look::Train,
            points: records
                .iter()
                .map(|record| (record.step as f64, record.loss))
                .collect(),
        };
        let mut lines: Vec<Line> = runs.iter().enumerate().map(line).collect();
        lines.retain(|line| !line.points.is_empty());
        Self {
            x_label: "step",
            y_label: "loss",
            lines,
        }
    }

    fn draw(&self, smoothing: f64, named: bool) -> (Vec<Plot>, Layout) {
        let plots: Vec<Plot> = self
            .lines
            .iter()
            .flat_map(|line| line.draw(smoothing, named))
            .collect();
        let ends = self.lines.iter().filter_map(|line| line.points.last());
        let last = ends.map(|&(x, _)| x).fold(2.0, f64::max);
        let mut layout = Layout::auto_from_plots(&plots)
            .with_x_label(self.x_label)
            .with_y_label(self.y_label)
            .with_x_axis_min(1.0)
            .with_x_axis_max(last)
            .with_x_tick_format(TickFormat::Integer);
        if self.x_label == "epoch" {
            layout = layout.with_x_tick_step((last / 10.0).ceil());
        }
        (plots, layout)
    }
}

impl Line {
    fn draw(&self, smoothing: f64, named: bool) -> Vec<Plot> {
        let plain = |points: Vec<(f64, f64)>| LinePlot::new().with_data(points).with_color(self.color);
        let mut plots = Vec::new();
        let points = match smoothing > 0.0 {
            true => {
                plots.push(Plot::Line(plain(self.points.clone()).with_stroke_width(0.4)));
                smoothed(&self.points, smoothing)
            }
            false => self.points.clone(),
        };
        let mut line = plain(points.clone());
        if named {
            line = line.with_legend(&self.label);
        }
        plots.push(Plot::Line(match self.look {
            Look::Train => line.with_stroke_width(1.5),
            Look::Test => line.with_dashed().with_stroke_width(2.5),
            Look::Validation => line.with_dotted().with_stroke_width(2.5),
        }));
        if points.len() <= MARKED_POINTS {
            let marks = ScatterPlot::new().with_data(points).with_color(self.color);
            plots.push(Plot::Scatter(marks.with_size(3.0)));
        }
        plots
    }
}

fn color(index: usize) -> &'static str {
    COLORS.get(index % COLORS.len()).copied().unwrap_or("black")
}

/// The exponential moving averages `m ← s·m + (1 − s)·y`, each divided by `1 − sᵗ`.
fn smoothed(points: &[(f64, f64)], share: f64) -> Vec<(f64, f64)> {
    let (mut mean, mut weight) = (0.0, 0.0);
    let average = |&(x, y): &(f64, f64)| {
        mean = share * mean + (1.0 - share) * y;
        weight = share * weight + (1.0 - share);
        (x, mean / weight)
    };
    points.iter().map(average).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<StepRecord> {
        let step = |step| StepRecord {
            epoch: 1,
            step,
            loss: if step % 2 == 0 { 1.0 } else { 3.0 },
            lr: 0.1,
        };
        (1..=60).map(step).collect()
    }

    #[test]
    fn smoothing_starts_at_the_first_value_and_ends_near_the_mean() {
        let points: Vec<(f64, f64)> = steps().iter().map(|step| (step.step as f64, step.loss)).collect();
        let average = smoothed(&points, 0.9);
        assert_eq!(average[0], (1.0, 3.0));
        assert!((average[1].1 - (0.9 * 3.0 + 1.0) / 1.9).abs() < 1e-12);
        assert!((average[59].1 - 2.0).abs() < 0.1);
    }

    #[test]
    fn steps_are_drawn_to_files_and_as_text() {
        let steps = steps();
        let runs = [("a", &steps[..]), ("b", &steps[..30])];
        let curves = Curves {
            runs: Runs::Steps(&runs),
            smoothing: 0.6,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.svg");
        curves.save(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(
            [">step<", ">loss<", "a train", "b train"]
                .iter()
                .all(|text| svg.contains(text))
        );
        let text = curves.text(80, 24).unwrap();
        assert!(
            text.lines().count() >= 23 && text.contains("step") && text.contains(" b train"),
            "{text}"
        );
    }

    #[test]
    fn nothing_to_draw_and_senseless_smoothing_are_refused() {
        let steps = steps();
        fn with(runs: Runs<'_>, smoothing: f64) -> Result<String> {
            Curves { runs, smoothing }.text(80, 24)
        }
        assert!(with(Runs::Steps(&[("a", &[])]), 0.0).is_err());
        assert!(with(Runs::Epochs(&[]), 0.0).is_err());
        for smoothing in [1.0, -0.1, f64::NAN] {
            let runs = [("a", &steps[..])];
            assert!(with(Runs::Steps(&runs), smoothing).is_err(), "{smoothing}");
        }
    }
}

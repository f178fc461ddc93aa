//! Learning curves as pictures.

use crate::{Error, LrCurve, LrPoint, Result, atomic, metrics::EpochRecord};
use kuva::{
    backend::{raster::RasterBackend, svg::SvgBackend},
    plot::{LinePlot, ScatterPlot},
    render::{figure::Figure, layout::Layout, layout::TickFormat, plots::Plot, render::Scene},
};
use std::path::Path;

/// Okabe and Ito's colours, which people with any colour vision can tell apart.
pub const COLORS: [&str; 7] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
];
/// Beyond so many epochs, points on the lines would hide them.
const MARKED_EPOCHS: usize = 40;

/// Draws the learning curves of one or several runs over each other, as an SVG or PNG file by the name's ending: loss
/// by epoch, and accuracy beside it where a run has one. Test curves are dashed and thicker, those of a part held out dotted; of several runs, each has
/// one colour.
///
/// # Errors
/// When there is no epoch to draw, the file's ending is neither, or it cannot be written.
pub fn learning_curves(runs: &[(&str, &[EpochRecord])], path: &Path) -> Result<()> {
    if runs.iter().all(|(_, records)| records.is_empty()) {
        return Err(Error::Plot {
            path: path.to_owned(),
            message: "no epoch has been recorded".into(),
        });
    }
    save(&scene(runs), path)
}

/// Draws the losses of a search for a learning rate by the rate, on a logarithmic axis: those of the steps as points,
/// the smoothed ones as a line, and a line down at the suggestion. An SVG or PNG file by the name's ending.
///
/// # Errors
/// When there are fewer than two points, the file's ending is neither, or it cannot be written.
pub fn learning_rates(curve: &LrCurve, path: &Path) -> Result<()> {
    if curve.points.len() < 2 {
        return Err(Error::Plot {
            path: path.to_owned(),
            message: "a search for a learning rate needs two steps at least".into(),
        });
    }
    let points = |value: fn(&LrPoint) -> f64| -> Vec<(f64, f64)> {
        curve
            .points
            .iter()
            .map(|point| (point.learning_rate, value(point)))
            .collect()
    };
    let losses = points(|point| point.loss);
    let [train, smoothed, best, ..] = COLORS;
    let mut plots = vec![
        Plot::Scatter(
            ScatterPlot::new()
                .with_data(losses.clone())
                .with_color(train)
                .with_size(2.0),
        ),
        Plot::Line(
            LinePlot::new()
                .with_data(points(|point| point.smoothed))
                .with_color(smoothed)
                .with_stroke_width(2.0)
                .with_legend("smoothed loss"),
        ),
    ];
    if let Some(rate) = curve.suggestion() {
        let heights = || losses.iter().map(|&(_, loss)| loss);
        let (low, high) = (
            heights().fold(f64::MAX, f64::min),
            heights().fold(f64::MIN, f64::max),
        );
        let line = LinePlot::new()
            .with_data(vec![(rate, low), (rate, high)])
            .with_color(best);
        plots.push(Plot::Line(
            line.with_dashed().with_legend(format!("steepest at {rate:.2e}")),
        ));
    }
    let layout = Layout::auto_from_plots(&plots)
        .with_log_x()
        .with_x_label("learning rate")
        .with_y_label("loss");
    let figure = Figure::new(1, 1)
        .with_cell_size(520.0, 360.0)
        .with_plots(vec![plots])
        .with_layouts(vec![layout])
        .with_shared_legend_bottom();
    save(&figure.render(), path)
}

/// Writes a scene of kuva's in the format of the file's ending, .svg or .png.
///
/// # Errors
/// When the file's ending is neither, or it cannot be written.
pub fn save(scene: &Scene, path: &Path) -> Result<()> {
    let failed = |message: String| Error::Plot {
        path: path.to_owned(),
        message,
    };
    let ending = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    let bytes = match ending.as_deref() {
        Some("svg") => SvgBackend.render_scene(scene).into_bytes(),
        Some("png") => RasterBackend { scale: 2.0 }.render_scene(scene).map_err(failed)?,
        _ => return Err(failed("the name must end in .svg or .png".into())),
    };
    atomic::write(path, &bytes)
}

/// One panel: what is drawn solid and dashed, and what it is called.
struct Panel {
    label: &'static str,
    train: fn(&EpochRecord) -> Option<f64>,
    test: fn(&EpochRecord) -> Option<f64>,
    validation: fn(&EpochRecord) -> Option<f64>,
}

const LOSS: Panel = Panel {
    label: "loss",
    train: |r| Some(r.train_loss),
    test: |r| r.test_loss,
    validation: |r| r.validation_loss,
};
const ACCURACY: Panel = Panel {
    label: "accuracy",
    train: |r| r.train_accuracy,
    test: |r| r.test_accuracy,
    validation: |r| r.validation_accuracy,
};

fn scene(runs: &[(&str, &[EpochRecord])]) -> Scene {
    let panels = [LOSS, ACCURACY];
    let drawn: Vec<(Vec<Plot>, Layout)> = panels.iter().filter_map(|panel| draw(panel, runs)).collect();
    let columns = drawn.len();
    let (plots, layouts) = drawn.into_iter().unzip();
    Figure::new(1, columns)
        .with_cell_size(460.0, 340.0)
        .with_plots(plots)
        .with_layouts(layouts)
        .with_shared_legend_bottom()
        .render()
}

/// A panel, if any run has something to draw in it.
fn draw(panel: &Panel, runs: &[(&str, &[EpochRecord])]) -> Option<(Vec<Plot>, Layout)> {
    let mut plots = Vec::new();
    let mut last = 1;
    let color = |index: usize| COLORS.get(index % COLORS.len()).copied().unwrap_or("black");
    for (run, (name, records)) in runs.iter().enumerate() {
        let curves = [
            ("train", panel.train),
            ("test", panel.test),
            ("validation", panel.validation),
        ];
        for (index, (curve, value)) in curves.into_iter().enumerate() {
            let points: Vec<(f64, f64)> = records
                .iter()
                .filter_map(|r| Some((r.epoch as f64, value(r)?)))
                .collect();
            if points.is_empty() {
                continue;
            }
            last = last.max(records.last().map_or(1, |r| r.epoch));
            let color = color(if runs.len() == 1 { index } else { run });
            let label = if name.is_empty() {
                curve.to_owned()
            } else {
                format!("{name} {curve}")
            };
            let line = LinePlot::new()
                .with_data(points.clone())
                .with_color(color)
                .with_legend(label);
            let line = match curve {
                "train" => line.with_stroke_width(1.5),
                "test" => line.with_dashed().with_stroke_width(2.5),
                _ => line.with_dotted().with_stroke_width(2.5),
            };
            plots.push(Plot::Line(line));
            if points.len() <= MARKED_EPOCHS {
                plots.push(Plot::Scatter(
                    ScatterPlot::new()
                        .with_data(points)
                        .with_color(color)
                        .with_size(3.0),
                ));
            }
        }
    }
    if plots.is_empty() {
        return None;
    }
    let step = last.div_ceil(10).max(1);
    let layout = Layout::auto_from_plots(&plots)
        .with_x_label("epoch")
        .with_y_label(panel.label)
        .with_x_axis_min(1.0)
        .with_x_axis_max((last.max(2)) as f64)
        .with_x_tick_step(step as f64)
        .with_x_tick_format(TickFormat::Integer);
    Some((plots, layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(epochs: u64, classification: bool) -> Vec<EpochRecord> {
        let record = |epoch| EpochRecord {
            epoch,
            step: epoch * 10,
            train_loss: 1.0 / epoch as f64,
            train_accuracy: classification.then_some(0.5),
            test_loss: Some(1.1 / epoch as f64),
            test_accuracy: classification.then_some(0.4),
            validation_loss: None,
            validation_accuracy: None,
            examples_per_second: 1.0,
            seconds: 1.0,
        };
        (1..=epochs).map(record).collect()
    }

    #[test]
    fn curves_name_their_axes_and_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.svg");
        let (one, two) = (records(12, true), records(1, false));
        learning_curves(&[("lenet", &one), ("line", &two)], &path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in [
            "epoch",
            "loss",
            "accuracy",
            "lenet train",
            "lenet test",
            "line train",
            ">2<",
            ">12<",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        learning_curves(&[("line", &two)], &path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(!svg.contains("accuracy") && svg.contains(">1<"));
        let path = folder.path().join("curves.PNG");
        learning_curves(&[("", &one)], &path).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_search_for_a_learning_rate_shows_its_suggestion() {
        let point = |step: i32| {
            let loss = if step < 30 {
                3.0 - 0.05 * f64::from(step)
            } else {
                2.0
            };
            LrPoint {
                learning_rate: 1e-6 * 1.2f64.powi(step),
                loss,
                smoothed: loss,
            }
        };
        let mut curve = LrCurve {
            points: (0..50).map(point).collect(),
            diverged: true,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rates.svg");
        learning_rates(&curve, &path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        for text in ["learning rate", "smoothed loss", "steepest at "] {
            assert!(svg.contains(text), "{text}");
        }
        curve.points.truncate(1);
        assert!(
            learning_rates(&curve, &path)
                .unwrap_err()
                .to_string()
                .contains("two steps")
        );
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = |records: &[EpochRecord], name| {
            learning_curves(&[("a", records)], &folder.path().join(name))
                .unwrap_err()
                .to_string()
        };
        assert!(error(&[], "a.svg").contains("no epoch"));
        assert!(error(&records(2, true), "a.bmp").contains(".svg or .png"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

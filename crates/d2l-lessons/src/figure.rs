//! Pictures of a lesson: charts, bars and grey pictures in panels beside each other.

mod pictures;
#[cfg(test)]
mod tests;

use crate::{Error, Result};
use d2l_train::plot::COLORS;
use kuva::{
    plot::{BarPlot, LinePlot, ScatterPlot, legend::LegendPosition},
    render::{
        figure::Figure as Panels,
        layout::{Layout, TickFormat},
        plots::Plot,
        render::Scene,
    },
};
use std::path::Path;

/// The width that a legend has below a panel, at least.
const LEGEND_WIDTH: f64 = 330.0;
/// Height of a row of a legend.
const LEGEND_ROW: f64 = 18.0;
/// What an entry of a legend takes beside its letters, and a letter.
const ENTRY: (f64, f64) = (34.0, 7.0);

/// Panels beside and below each other, in rows from the left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// The panels of a row.
    pub columns: usize,
    /// All panels.
    pub panels: Vec<Panel>,
}

/// One panel of a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Panel {
    /// Lines and points over axes.
    Chart(Chart),
    /// A bar for each name.
    Bars(Bars),
    /// A grey picture; pictures are not mixed with charts.
    Picture(Picture),
}

/// Lines and points over axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Above the panel; may be empty.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// What is drawn, in this order.
    pub series: Vec<Series>,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
}

/// One line, or one set of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend; without one it has no entry there.
    pub label: String,
    /// Where it goes.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub mark: Mark,
}

/// How a [`Series`] is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line.
    #[default]
    Line,
    /// A dashed line.
    Dashed,
    /// Points.
    Points,
}

/// A bar for each name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Above the panel; may be empty.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// The bars, from the left.
    pub bars: Vec<(String, f64)>,
}

/// A picture in grey, the smallest value black and the largest white.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Above the panel; may be empty.
    pub title: String,
    /// The rows from the top, each from the left, of equal length.
    pub rows: Vec<Vec<f64>>,
    /// Whether each value is written on its square.
    pub values: bool,
}

impl Figure {
    /// A figure with one chart.
    pub fn chart(chart: Chart) -> Self {
        Self::row([Panel::Chart(chart)])
    }

    /// Panels in one row.
    pub fn row(panels: impl IntoIterator<Item = Panel>) -> Self {
        let panels: Vec<Panel> = panels.into_iter().collect();
        Self {
            columns: panels.len(),
            panels,
        }
    }

    /// Panels in rows of `columns`.
    pub fn grid(columns: usize, panels: impl IntoIterator<Item = Panel>) -> Self {
        Self {
            columns,
            panels: panels.into_iter().collect(),
        }
    }

    /// Writes it as an SVG or PNG file, by the name's ending.
    ///
    /// # Errors
    /// When there is no panel, charts and pictures are mixed, the ending is neither, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(d2l_train::plot::save(&self.scene()?, path)?)
    }

    fn scene(&self) -> Result<Scene> {
        let pictures: Vec<&Picture> = self.panels.iter().filter_map(Panel::as_picture).collect();
        if self.panels.is_empty() || !pictures.is_empty() && pictures.len() != self.panels.len() {
            return Err(Error::Lesson(
                "a figure holds charts or pictures, not both or nothing".into(),
            ));
        }
        if !pictures.is_empty() {
            return Ok(pictures::scene(self.columns, &pictures));
        }
        let columns = self.columns.clamp(1, self.panels.len());
        let (plots, layouts): (Vec<Vec<Plot>>, Vec<Layout>) = self.panels.iter().map(Panel::draw).unzip();
        let (width, height) = if self.panels.len() == 1 {
            (520.0, 360.0)
        } else {
            (420.0, 320.0)
        };
        let legend_rows = self.panels.iter().map(Panel::legend_rows).max().unwrap_or(0);
        let figure = Panels::new(self.panels.len().div_ceil(columns), columns)
            .with_cell_size(width, height + legend_rows as f64 * LEGEND_ROW)
            .with_plots(plots)
            .with_layouts(layouts);
        Ok(figure.render())
    }
}

impl Chart {
    /// An empty chart with its axes.
    pub fn new(x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self {
            x_label: x_label.into(),
            y_label: y_label.into(),
            ..Self::default()
        }
    }

    /// The same under a title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The same with a line more.
    #[must_use]
    pub fn line(self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.series(label, points, Mark::Line)
    }

    /// The same with a dashed line more.
    #[must_use]
    pub fn dashed(self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.series(label, points, Mark::Dashed)
    }

    /// The same with a set of points more.
    #[must_use]
    pub fn points(self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.series(label, points, Mark::Points)
    }

    fn series(
        mut self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
        mark: Mark,
    ) -> Self {
        self.series.push(Series {
            label: label.into(),
            points: points.into_iter().collect(),
            mark,
        });
        self
    }

    /// The same with a logarithmic horizontal axis.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.log_x = true;
        self
    }

    /// The same with a logarithmic vertical axis.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    /// The entries of the legend.
    fn labels(&self) -> impl Iterator<Item = &str> {
        let labels = self.series.iter().map(|series| series.label.as_str());
        labels.filter(|label| !label.is_empty())
    }

    /// How many entries of the legend fit beside each other.
    fn legend_columns(&self) -> usize {
        let letters = self.labels().map(|label| label.chars().count()).max();
        let width = ENTRY.0 + ENTRY.1 * letters.unwrap_or(0) as f64;
        ((LEGEND_WIDTH / width) as usize).max(1)
    }

    /// Whether the horizontal axis counts up to a few, such as epochs.
    fn counts_few(&self) -> bool {
        let mut xs = self
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(|(x, _)| *x);
        self.x_label == "epoch" && xs.all(|x| (0.0..=10.0).contains(&x))
    }

    fn draw(&self) -> (Vec<Plot>, Layout) {
        let colors = COLORS.iter().cycle();
        let plots: Vec<Plot> = self
            .series
            .iter()
            .zip(colors)
            .map(|(series, color)| series.draw(color))
            .collect();
        let mut layout = titled(&plots, &self.title)
            .with_x_label(&self.x_label)
            .with_y_label(&self.y_label)
            .with_legend_position(LegendPosition::OutsideBottomColumns)
            .with_legend_col_limit(self.legend_columns())
            .with_legend_box(false);
        if self.log_x {
            layout = layout.with_log_x();
        } else if self.counts_few() {
            // Without this there would be ticks at epoch 1.5.
            layout = layout
                .with_x_tick_step(1.0)
                .with_x_tick_format(TickFormat::Integer);
        }
        if self.log_y {
            layout = layout.with_log_y();
        }
        (plots, layout)
    }
}

impl Series {
    /// Points that are not finite are left out: an axis cannot show them.
    fn draw(&self, color: &str) -> Plot {
        let finite = |&&(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
        let points: Vec<(f64, f64)> = self.points.iter().filter(finite).copied().collect();
        if self.mark == Mark::Points {
            let mut plot = ScatterPlot::new()
                .with_data(points)
                .with_color(color)
                .with_size(2.5);
            if !self.label.is_empty() {
                plot = plot.with_legend(&self.label);
            }
            return Plot::Scatter(plot);
        }
        let mut plot = LinePlot::new()
            .with_data(points)
            .with_color(color)
            .with_stroke_width(2.0);
        if self.mark == Mark::Dashed {
            plot = plot.with_dashed();
        }
        if !self.label.is_empty() {
            plot = plot.with_legend(&self.label);
        }
        Plot::Line(plot)
    }
}

impl Panel {
    fn as_picture(&self) -> Option<&Picture> {
        match self {
            Self::Picture(picture) => Some(picture),
            _ => None,
        }
    }

    fn legend_rows(&self) -> usize {
        match self {
            Self::Chart(chart) => chart.labels().count().div_ceil(chart.legend_columns()),
            _ => 0,
        }
    }

    fn draw(&self) -> (Vec<Plot>, Layout) {
        match self {
            Self::Chart(chart) => chart.draw(),
            Self::Bars(bars) => bars.draw(),
            // Drawn by themselves.
            Self::Picture(_) => (Vec::new(), Layout::auto_from_plots(&[])),
        }
    }
}

impl Bars {
    fn draw(&self) -> (Vec<Plot>, Layout) {
        let [color, ..] = COLORS;
        let plot = BarPlot::new().with_bars(self.bars.iter().map(|(name, height)| (name.as_str(), *height)));
        let plots = vec![Plot::Bar(plot.with_color(color))];
        let layout = titled(&plots, &self.title)
            .with_x_label(&self.x_label)
            .with_y_label(&self.y_label);
        (plots, layout)
    }
}

fn titled(plots: &[Plot], title: &str) -> Layout {
    let layout = Layout::auto_from_plots(plots);
    if title.is_empty() {
        layout
    } else {
        layout.with_title(title)
    }
}

//! Grey pictures beside each other, each of their pixels a square.

use super::Picture;
use kuva::render::{
    color::Color,
    render::{Primitive, Scene, TextAnchor},
};

/// About how wide and high a picture becomes.
const SIDE: f64 = 120.0;
/// Values are written on squares of this size.
const VALUE_SIDE: f64 = 44.0;
const GAP: f64 = 14.0;
/// Between a title's last line and its picture.
const TITLE_PADDING: f64 = 6.0;
const LINE_HEIGHT: f64 = 15.0;
const TEXT_SIZE: u32 = 12;
/// What a letter takes on average.
const LETTER: f64 = 7.0;

/// Draws the pictures in rows of `columns`.
pub(super) fn scene(columns: usize, pictures: &[&Picture]) -> Scene {
    let columns = columns.clamp(1, pictures.len().max(1));
    let largest = |size: fn(&Picture) -> f64| pictures.iter().map(|p| size(p)).fold(0.0, f64::max);
    let lines = largest(|p| p.title.lines().count() as f64);
    let titles = if lines > 0.0 {
        TITLE_PADDING + lines * LINE_HEIGHT
    } else {
        0.0
    };
    let cell_width = largest(Picture::width).max(largest(Picture::title_width)) + GAP;
    let cell_height = largest(Picture::height) + titles + GAP;
    let rows = pictures.len().div_ceil(columns);
    let mut scene = Scene::new(GAP + columns as f64 * cell_width, GAP + rows as f64 * cell_height);
    for (index, picture) in pictures.iter().enumerate() {
        let left = GAP + (index % columns) as f64 * cell_width;
        let top = GAP + (index / columns) as f64 * cell_height;
        let middle = left + (cell_width - GAP) / 2.0;
        let lines_below = (0..picture.title.lines().count()).rev();
        for (line, below) in picture.title.lines().zip(lines_below) {
            let baseline = top + titles - TITLE_PADDING - below as f64 * LINE_HEIGHT;
            scene.add(text(middle, baseline, line, Color::Rgb(0x20, 0x24, 0x2a)));
        }
        picture.draw(&mut scene, (middle - picture.width() / 2.0).floor(), top + titles);
    }
    scene
}

impl Picture {
    /// The side of a square: a whole number, so that no seams show between two.
    fn square(&self) -> f64 {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(1);
        let side = (SIDE / columns.max(self.rows.len()).max(1) as f64)
            .floor()
            .max(1.0);
        if self.values { side.max(VALUE_SIDE) } else { side }
    }

    fn width(&self) -> f64 {
        self.square() * self.rows.iter().map(Vec::len).max().unwrap_or(0) as f64
    }

    fn title_width(&self) -> f64 {
        let letters = self.title.lines().map(|line| line.chars().count()).max();
        letters.unwrap_or(0) as f64 * LETTER
    }

    fn height(&self) -> f64 {
        self.square() * self.rows.len() as f64
    }

    fn draw(&self, scene: &mut Scene, left: f64, top: f64) {
        let values = || {
            self.rows
                .iter()
                .flatten()
                .copied()
                .filter(|value| value.is_finite())
        };
        let (low, high) = (
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        );
        let square = self.square();
        for (y, row) in self.rows.iter().enumerate() {
            for (x, &value) in row.iter().enumerate() {
                let grey = if high > low {
                    ((value - low) / (high - low) * 255.0) as u8
                } else {
                    128
                };
                let (x, y) = (left + x as f64 * square, top + y as f64 * square);
                scene.add(Primitive::Rect {
                    x,
                    y,
                    width: square,
                    height: square,
                    fill: Color::Rgb(grey, grey, grey),
                    stroke: None,
                    stroke_width: None,
                    opacity: None,
                });
                if self.values {
                    let ink = if grey < 128 { 255 } else { 0 };
                    let middle = (x + square / 2.0, y + square / 2.0 + 4.0);
                    scene.add(text(middle.0, middle.1, &short(value), Color::Rgb(ink, ink, ink)));
                }
            }
        }
        scene.add(Primitive::Rect {
            x: left,
            y: top,
            width: self.width(),
            height: self.height(),
            fill: Color::None,
            stroke: Some(Color::Rgb(0x9a, 0xa0, 0xa6)),
            stroke_width: Some(1.0),
            opacity: None,
        });
    }
}

/// A value in few letters.
fn short(value: f64) -> String {
    if value == value.round() {
        format!("{value}")
    } else {
        format!("{value:.2}")
    }
}

fn text(x: f64, y: f64, content: &str, color: Color) -> Primitive {
    Primitive::Text {
        x,
        y,
        content: content.to_owned(),
        size: TEXT_SIZE,
        anchor: TextAnchor::Middle,
        rotate: None,
        bold: false,
        color: Some(color),
    }
}

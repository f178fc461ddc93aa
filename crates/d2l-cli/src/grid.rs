//! A grid of small pictures with captions, as one picture.

use image::{Rgb, RgbImage};
use kuva::backend::raster::RasterBackend;
use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene, TextAnchor};

use crate::failure::{Doing, Failure, Result};

/// Pictures are enlarged by a whole factor up to about this many pixels, so that each of their own stays a square.
const PICTURE_PIXELS: u32 = 112;
const GAP: u32 = 14;
const FRAME: u32 = 3;
const TEXT_SIZE: u32 = 14;
const LINE_PIXELS: u32 = 18;
/// What a letter of the caption's font takes on average.
const LETTER_PIXELS: u32 = 8;
const MOST_COLUMNS: usize = 10;

const INK: [u8; 3] = [0x20, 0x24, 0x2a];
const GREEN: [u8; 3] = [0x1a, 0x7f, 0x37];
const RED: [u8; 3] = [0xc8, 0x1e, 0x1e];

/// How a caption line, and the frame around a picture, is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Right,
    Wrong,
}

impl Tone {
    fn rgb(self) -> [u8; 3] {
        match self {
            Self::Plain => INK,
            Self::Right => GREEN,
            Self::Wrong => RED,
        }
    }
}

/// A picture with lines of text under it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// The picture, in its own pixels.
    pub(crate) picture: RgbImage,
    /// The lines under it, and what each is to look like.
    pub(crate) caption: Vec<(String, Tone)>,
    /// A frame around the picture, unless plain.
    pub(crate) frame: Tone,
}

/// Draws the cells row by row.
pub(crate) fn draw(title: &str, cells: &[Cell]) -> Result<RgbImage> {
    let layout = Layout::of(title, cells)?;
    let mut canvas = captions(title, cells, &layout)?;
    for (index, cell) in cells.iter().enumerate() {
        let (left, top) = layout.corner(index);
        let (width, height) = cell.picture.dimensions();
        let factor = layout.factor;
        if cell.frame != Tone::Plain {
            fill(
                &mut canvas,
                left - FRAME,
                top - FRAME,
                width * factor + 2 * FRAME,
                height * factor + 2 * FRAME,
                cell.frame.rgb(),
            );
        }
        for (x, y, pixel) in cell.picture.enumerate_pixels() {
            fill(
                &mut canvas,
                left + x * factor,
                top + y * factor,
                factor,
                factor,
                pixel.0,
            );
        }
    }
    Ok(canvas)
}

/// About how wide a sheet of tiles becomes.
const SHEET_PIXELS: u32 = 1400;
/// What a tile is enlarged to at most.
const MOST_TILE_PIXELS: u32 = 196;
const TILE_GAP: u32 = 4;
const SEPARATOR: [u8; 3] = [0x2f, 0x8f, 0x83];

/// Draws many pictures of one size without captions, as near to a square as they go.
pub(crate) fn tiles(title: &str, tiles: &[RgbImage]) -> Result<RgbImage> {
    let Some((width, height)) = tiles.first().map(RgbImage::dimensions) else {
        return Err(Failure::work("there are no pictures to draw"));
    };
    let columns = (tiles.len() as f64).sqrt().ceil() as u32;
    let rows = (tiles.len() as u32).div_ceil(columns);
    let side = width.max(height).max(1);
    let room = (SHEET_PIXELS / columns)
        .saturating_sub(TILE_GAP)
        .min(MOST_TILE_PIXELS);
    let factor = (room / side).max(1);
    let (step_x, step_y) = (width * factor + TILE_GAP, height * factor + TILE_GAP);
    let top = GAP + 2 * LINE_PIXELS;
    let title_width = title.chars().count() as u32 * (LETTER_PIXELS + 2);
    let sheet_width = (columns * step_x).max(title_width) + 2 * GAP;
    let mut scene = Scene::new(f64::from(sheet_width), f64::from(top + rows * step_y + GAP));
    let (middle, baseline) = (f64::from(sheet_width) / 2.0, f64::from(GAP + LINE_PIXELS));
    scene.add(text(middle, baseline, title, Tone::Plain, true));
    let mut canvas = render(&scene)?;
    let left = (sheet_width - columns * step_x) / 2;
    // Stands out from grey, white and black pictures alike, and from red and blue ones.
    let (frame_width, frame_height) = (columns * step_x + TILE_GAP, rows * step_y + TILE_GAP);
    fill(
        &mut canvas,
        left - TILE_GAP,
        top - TILE_GAP,
        frame_width,
        frame_height,
        SEPARATOR,
    );
    for (index, tile) in (0..).zip(tiles) {
        let (corner_x, corner_y) = (left + index % columns * step_x, top + index / columns * step_y);
        for (x, y, pixel) in tile.enumerate_pixels() {
            let (x, y) = (corner_x + x * factor, corner_y + y * factor);
            fill(&mut canvas, x, y, factor, factor, pixel.0);
        }
    }
    Ok(canvas)
}

/// A picture as the bytes of a PNG file.
pub(crate) fn to_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .doing(|| "encoding the picture")?;
    Ok(bytes.into_inner())
}

/// Where everything goes, in pixels.
struct Layout {
    columns: u32,
    rows: u32,
    factor: u32,
    cell_width: u32,
    cell_height: u32,
    picture_width: u32,
    width: u32,
    top: u32,
}

impl Layout {
    fn of(title: &str, cells: &[Cell]) -> Result<Self> {
        let widest = cells.iter().map(|cell| cell.picture.width()).max().unwrap_or(0);
        let tallest = cells.iter().map(|cell| cell.picture.height()).max().unwrap_or(0);
        if widest == 0 || tallest == 0 {
            return Err(Failure::work("there are no pictures to draw"));
        }
        let factor = (PICTURE_PIXELS / widest.max(tallest)).max(1);
        let columns = cells.len().min(MOST_COLUMNS) as u32;
        let lines = cells.iter().map(|cell| cell.caption.len()).max().unwrap_or(0) as u32;
        let letters = cells
            .iter()
            .flat_map(|cell| &cell.caption)
            .map(|(text, _)| text.chars().count())
            .max();
        let text_width = letters.unwrap_or(0) as u32 * LETTER_PIXELS;
        let cell_width = (widest * factor + 2 * FRAME).max(text_width) + GAP;
        // Bold letters are wider.
        let title_width = title.chars().count() as u32 * (LETTER_PIXELS + 2) + GAP;
        Ok(Self {
            columns,
            rows: (cells.len() as u32).div_ceil(columns.max(1)),
            factor,
            cell_width,
            width: (columns * cell_width + GAP).max(title_width),
            cell_height: tallest * factor + 2 * FRAME + lines * LINE_PIXELS + GAP,
            picture_width: widest * factor,
            top: GAP + 2 * LINE_PIXELS,
        })
    }

    /// The upper left corner of a cell's picture.
    fn corner(&self, index: usize) -> (u32, u32) {
        let (row, column) = (index as u32 / self.columns, index as u32 % self.columns);
        let left = (self.width - self.columns * self.cell_width) / 2;
        let inset = (self.cell_width - self.picture_width) / 2;
        (
            left + column * self.cell_width + inset,
            self.top + FRAME + row * self.cell_height,
        )
    }

    fn height(&self) -> u32 {
        self.top + self.rows * self.cell_height
    }
}

/// The white sheet with all text on it, drawn by kuva with the font it carries.
fn captions(title: &str, cells: &[Cell], layout: &Layout) -> Result<RgbImage> {
    let mut scene = Scene::new(f64::from(layout.width), f64::from(layout.height()));
    scene.add(text(
        f64::from(layout.width) / 2.0,
        f64::from(GAP + LINE_PIXELS),
        title,
        Tone::Plain,
        true,
    ));
    for (index, cell) in cells.iter().enumerate() {
        let (left, top) = layout.corner(index);
        let middle = f64::from(left) + f64::from(layout.picture_width) / 2.0;
        let below = top + cell.picture.height() * layout.factor + FRAME;
        for (line, (content, tone)) in cell.caption.iter().enumerate() {
            let baseline = f64::from(below + LINE_PIXELS * (line as u32 + 1)) - 3.0;
            scene.add(text(middle, baseline, content, *tone, false));
        }
    }
    render(&scene)
}

fn render(scene: &Scene) -> Result<RgbImage> {
    let png = RasterBackend::new()
        .with_scale(1.0)
        .render_scene(scene)
        .map_err(Failure::work)?;
    Ok(image::load_from_memory(&png)
        .doing(|| "drawing the captions")?
        .to_rgb8())
}

fn text(x: f64, y: f64, content: &str, tone: Tone, bold: bool) -> Primitive {
    let [red, green, blue] = tone.rgb();
    Primitive::Text {
        x,
        y,
        content: content.to_owned(),
        size: TEXT_SIZE,
        anchor: TextAnchor::Middle,
        rotate: None,
        bold,
        color: Some(Color::Rgb(red, green, blue)),
    }
}

fn fill(canvas: &mut RgbImage, left: u32, top: u32, width: u32, height: u32, colour: [u8; 3]) {
    for y in top..(top + height).min(canvas.height()) {
        for x in left..(left + width).min(canvas.width()) {
            canvas.put_pixel(x, y, Rgb(colour));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(shade: u8, caption: &str, frame: Tone) -> Cell {
        Cell {
            picture: RgbImage::from_pixel(28, 28, Rgb([shade; 3])),
            caption: vec![(caption.to_owned(), frame)],
            frame,
        }
    }

    #[test]
    fn pictures_keep_their_pixels_and_wrong_ones_are_framed() {
        let cells = vec![cell(10, "shirt", Tone::Plain), cell(200, "coat", Tone::Wrong)];
        let sheet = draw("two", &cells).unwrap();
        let layout = Layout::of("two", &cells).unwrap();
        for (index, shade) in [10, 200].into_iter().enumerate() {
            let (left, top) = layout.corner(index);
            assert_eq!(sheet.get_pixel(left, top).0, [shade; 3]);
            assert_eq!(sheet.get_pixel(left + 111, top + 111).0, [shade; 3]);
        }
        let (left, top) = layout.corner(1);
        assert_eq!(sheet.get_pixel(left - 1, top).0, RED);
        let (left, top) = layout.corner(0);
        assert_eq!(sheet.get_pixel(left - 1, top).0, [255; 3]);
        let below = top + 112 + FRAME;
        let ink = sheet
            .enumerate_pixels()
            .filter(|(_, y, pixel)| *y > below && pixel.0 != [255; 3])
            .count();
        assert!(ink > 20, "the captions are missing: {ink} pixels");
    }

    #[test]
    fn tiles_stand_side_by_side() {
        let tile = |shade: u8| RgbImage::from_pixel(4, 2, Rgb([shade; 3]));
        let sheet = tiles("five", &[10, 20, 30, 40, 50].map(tile)).unwrap();
        // Three columns and two rows, each tile 49 times as large.
        let shades: Vec<u8> = sheet.pixels().map(|pixel| pixel.0[0]).collect();
        for shade in [10, 20, 30, 40, 50] {
            let count = shades.iter().filter(|s| **s == shade).count();
            assert!(
                (4 * 49 * 2 * 49..4 * 49 * 2 * 49 + 200).contains(&count),
                "{shade}: {count}"
            );
        }
        assert!(sheet.width() >= 3 * (4 * 49 + TILE_GAP) && sheet.height() >= 2 * (2 * 49 + TILE_GAP));
    }

    #[test]
    fn an_empty_grid_is_refused() {
        assert!(draw("none", &[]).is_err());
        assert!(tiles("none", &[]).is_err());
    }
}

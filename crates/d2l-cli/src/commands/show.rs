use std::path::PathBuf;

use d2l_data::{ImageSet, Split};
use image::{Rgb, RgbImage};
use serde_json::json;

use crate::args::{ShowArgs, SplitName};
use crate::data::{Source, describe};
use crate::failure::{Failure, Result};
use crate::grid::{self, Cell, Tone};
use crate::runs::write_file;
use crate::ui::Ui;

/// More pictures than this make no picture that anybody can look at.
pub(crate) const MOST_PICTURES: usize = 1000;

/// `d2l show`: pictures of a data set with their labels.
pub(crate) fn show(args: &ShowArgs, ui: Ui) -> Result<()> {
    let spec = d2l_data::datasets::find(&args.dataset).map_err(Failure::usage)?;
    if args.count == 0 || args.count > MOST_PICTURES {
        return Err(Failure::usage(format!(
            "--count: has to be 1 to {MOST_PICTURES}, got {}",
            args.count
        )));
    }
    let source = Source {
        data_dir: args.source.data_dir.clone(),
        offline: args.source.offline,
    };
    let data = source.load(spec, ui)?;
    ui.fact("Data", describe(spec, &data));
    let set = data.split(split(args.split));
    let mut cells = Vec::new();
    for index in 0..args.count.min(set.len()) {
        let Some((picture, label)) = picture(set, index) else {
            break;
        };
        cells.push(Cell {
            picture,
            caption: vec![(set.class_name(label), Tone::Plain)],
            frame: Tone::Plain,
        });
    }
    let title = format!("{}, {} split", spec.title, split_name(args.split));
    let path = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.png", spec.name)));
    write_file(&path, &grid::to_png(&grid::draw(&title, &cells)?)?)?;
    if ui.json {
        let counts: serde_json::Map<_, _> = set
            .class_names()
            .iter()
            .cloned()
            .zip(set.class_counts().into_iter().map(Into::into))
            .collect();
        return ui.json_document(&json!({
            "dataset": spec.name,
            "split": split_name(args.split),
            "shown": cells.len(),
            "examples": set.len(),
            "class_counts": counts,
            "source": data.provenance.source,
            "sample": data.provenance.is_sample,
            "output": path,
        }));
    }
    ui.line(path.display())
}

pub(crate) fn split(name: SplitName) -> Split {
    match name {
        SplitName::Train => Split::Train,
        SplitName::Test => Split::Test,
    }
}

pub(crate) fn split_name(name: SplitName) -> &'static str {
    match name {
        SplitName::Train => "train",
        SplitName::Test => "test",
    }
}

/// Example `index` as a picture: grey for one channel, red, green and blue for three.
pub(crate) fn picture(set: &ImageSet, index: usize) -> Option<(RgbImage, u32)> {
    let (pixels, label) = set.image(index)?;
    let [channels, height, width] = set.shape();
    let value = |channel: usize, x: u32, y: u32| {
        let channel = channel.min(channels.saturating_sub(1));
        pixels
            .get((channel * height + y as usize) * width + x as usize)
            .copied()
            .unwrap_or(0)
    };
    let picture = RgbImage::from_fn(width as u32, height as u32, |x, y| match channels {
        3 => Rgb([value(0, x, y), value(1, x, y), value(2, x, y)]),
        _ => Rgb([value(0, x, y); 3]),
    });
    Some((picture, label))
}

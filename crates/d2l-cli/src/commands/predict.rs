use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstyle::Style;
use candle_core::{Device, Tensor};
use d2l_data::{ImageSet, Loader, LoaderOptions};
use d2l_nn::SupervisedModel;
use d2l_train::{metrics::Prediction, predict as classify};
use image::RgbImage;
use serde_json::{Value, json};

use super::show::{MOST_PICTURES, picture};
use crate::args::PredictArgs;
use crate::failure::{Doing, Failure, Result};
use crate::grid::{self, Cell, Tone};
use crate::machine::{DeviceChoice, answering, in_pool};
use crate::runs::{StoredRun, Weights, place, write_file};
use crate::table::{Align, Table};
use crate::ui::{BAD, BOLD, DIM, Ui};

/// Pictures that go through the network at once.
const BATCH: usize = 256;
/// A picture whose border is brighter than this on average looks like a thing on a bright ground.
const BRIGHT: u64 = 128;

/// `d2l predict`: what a trained network sees in pictures.
pub(crate) fn predict(args: &PredictArgs, ui: Ui) -> Result<()> {
    let (device, threads) = place(args.place.device.as_deref(), args.place.threads)?;
    if args.top == 0 {
        return Err(Failure::usage("--top: has to be at least 1, got 0"));
    }
    if let Some(count) = args.test
        && (count == 0 || count > MOST_PICTURES)
    {
        return Err(Failure::usage(format!(
            "--test: has to be 1 to {MOST_PICTURES}, got {count}"
        )));
    }
    let run = StoredRun::open(&args.run)?;
    let weights = run.weights(args.weights, ui)?;
    let job = Job {
        args,
        run: &run,
        weights: &weights,
        device,
        ui,
    };
    in_pool(threads, || match args.test {
        Some(count) => job.test(count),
        None => job.pictures(),
    })
}

struct Job<'a> {
    args: &'a PredictArgs,
    run: &'a StoredRun,
    weights: &'a Weights,
    device: DeviceChoice,
    ui: Ui,
}

impl Job<'_> {
    fn class(&self, class: usize) -> String {
        self.run
            .record
            .classes
            .get(class)
            .cloned()
            .unwrap_or_else(|| class.to_string())
    }

    fn open(&self) -> Result<(SupervisedModel, Device)> {
        let device = self.device.open()?;
        let (model, _) = self.run.model(self.weights, &device)?;
        Ok((model, device))
    }

    fn to_json(&self, prediction: &Prediction) -> Value {
        let probabilities: serde_json::Map<_, _> = prediction
            .probabilities
            .iter()
            .enumerate()
            .map(|(class, probability)| (self.class(class), json!(probability)))
            .collect();
        json!({ "class": prediction.class, "name": self.class(prediction.class), "probabilities": probabilities })
    }

    /// The pictures the user named.
    fn pictures(&self) -> Result<()> {
        let (pictures, mut bright) = (self.read_pictures()?, Vec::new());
        let (model, device) = self.open()?;
        let module = answering(model.model(), &device);
        let mut documents = Vec::new();
        let mut cells = Vec::new();
        let mut table = Table::new(&[Align::Left, Align::Left, Align::Right, Align::Left]);
        for (path, set) in &pictures {
            let xs = batch(set, side(self.run, set.shape())?, &device)?;
            let Some(prediction) = classify(module.as_ref(), &xs)?.into_iter().next() else {
                continue;
            };
            if !self.args.invert && has_bright_border(set) {
                bright.push(path.display().to_string());
            }
            documents.push(json!({ "image": path, "prediction": self.to_json(&prediction) }));
            for (rank, (class, probability)) in prediction.top(self.args.top).into_iter().enumerate() {
                let first = rank == 0;
                let name = if first {
                    path.display().to_string()
                } else {
                    String::new()
                };
                let style = if first { BOLD } else { DIM };
                table.styled_row(vec![
                    (name, Style::new()),
                    (self.class(class), style),
                    (format!("{:.1}%", 100.0 * probability), style),
                    (bar(probability), style),
                ]);
            }
            let seen = seen_by_network(&xs)?;
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            cells.push(Cell {
                picture: seen,
                caption: vec![(file, Tone::Plain), (self.caption(&prediction), Tone::Plain)],
                frame: Tone::Plain,
            });
        }
        if !bright.is_empty() {
            self.ui.warn(format_args!(
                "{} is bright around the edge; the pictures of {} are bright on black: try --invert",
                bright.join(", "),
                self.run.dataset.title
            ));
        }
        if let Some(path) = &self.args.output {
            write_file(
                path,
                &grid::to_png(&grid::draw("what the network sees", &cells)?)?,
            )?;
        }
        if self.ui.json {
            return self.ui.json_document(&json!({
                "run": self.run.name(),
                "model": self.run.spec.name,
                "predictions": documents,
                "output": self.args.output,
            }));
        }
        for line in table.lines() {
            self.ui.line(line)?;
        }
        Ok(())
    }

    fn read_pictures(&self) -> Result<Vec<(PathBuf, Arc<ImageSet>)>> {
        let read = |path: &PathBuf| {
            let set = read_picture(self.run, path, self.args.invert)?;
            Ok((path.clone(), Arc::new(set)))
        };
        self.args.images.iter().map(read).collect()
    }

    /// The first pictures of the test set.
    fn test(&self, count: usize) -> Result<()> {
        let data = self.run.data(&self.args.place, self.ui)?;
        let (model, device) = self.open()?;
        let module = answering(model.model(), &device);
        let count = count.min(data.test.len());
        let (mut cells, mut documents, mut right) = (Vec::new(), Vec::new(), 0);
        let loader = loader(&data.test, count, self.run.settings.resize)?;
        for pictures in loader.epoch(0, 0, &device) {
            for prediction in classify(module.as_ref(), &pictures?.0)? {
                let Some((picture, label)) = picture(&data.test, cells.len()) else {
                    continue;
                };
                let good = prediction.class == label as usize;
                right += usize::from(good);
                let (truth, seen) = (data.test.class_name(label), self.class(prediction.class));
                let tone = if good { Tone::Right } else { Tone::Wrong };
                let caption = vec![(truth.clone(), Tone::Plain), (self.caption(&prediction), tone)];
                documents.push(json!({
                    "index": cells.len(),
                    "label": label,
                    "label_name": truth,
                    "right": good,
                    "prediction": self.to_json(&prediction),
                }));
                if !good && !self.ui.json {
                    self.ui.line(format_args!(
                        "test {:>4}: {truth} taken for {BAD}{seen}{BAD:#}",
                        cells.len()
                    ))?;
                }
                let frame = if good { Tone::Plain } else { Tone::Wrong };
                cells.push(Cell {
                    picture,
                    caption,
                    frame,
                });
            }
        }
        let path = self
            .args
            .output
            .clone()
            .unwrap_or_else(|| self.run.files.folder().join("predictions.png"));
        let title = format!(
            "{}: {right} of {count} right (true label above, prediction below)",
            self.run.name()
        );
        write_file(&path, &grid::to_png(&grid::draw(&title, &cells)?)?)?;
        if self.ui.json {
            return self.ui.json_document(&json!({
                "run": self.run.name(),
                "model": self.run.spec.name,
                "right": right,
                "examples": count,
                "predictions": documents,
                "output": path,
            }));
        }
        self.ui
            .line(format_args!("{right} of {count} right: {}", path.display()))
    }

    fn caption(&self, prediction: &Prediction) -> String {
        let probability = prediction
            .probabilities
            .get(prediction.class)
            .copied()
            .unwrap_or(0.0);
        format!("{} {:.0}%", self.class(prediction.class), 100.0 * probability)
    }
}

/// What pictures of `shape` have to be resized to for the run's network, if they have to.
pub(super) fn side(run: &StoredRun, shape: [usize; 3]) -> Result<Option<usize>> {
    match run.record.input.as_slice() {
        input if input == shape => Ok(None),
        [_, height, width] if height == width => Ok(Some(*height)),
        input => Err(Failure::work(format!(
            "the network wants pictures of {}; make them that size first",
            super::summary::shape(input)
        ))),
    }
}

/// A picture as a data set of one: so it is resized and scaled exactly as in training. `invert` swaps black and white.
pub(super) fn read_picture(run: &StoredRun, path: &Path, invert: bool) -> Result<ImageSet> {
    let read = || -> anyhow::Result<ImageSet> {
        let picture = image::ImageReader::open(path)?.with_guessed_format()?.decode()?;
        let channels = run.record.input.first().copied().unwrap_or(1);
        // Where a picture is transparent there is nothing: black, as around the things of the data sets.
        let mut rgba = picture.to_rgba8();
        for pixel in rgba.pixels_mut() {
            let [colour @ .., alpha] = &mut pixel.0;
            for value in colour {
                *value = (u16::from(*value) * u16::from(*alpha) / 255) as u8;
            }
            *alpha = u8::MAX;
        }
        let opaque = image::DynamicImage::ImageRgba8(rgba);
        let mut pixels = match channels {
            1 => opaque.to_luma8().into_raw(),
            3 => planes(&opaque.to_rgb8()),
            other => anyhow::bail!("the network wants {other} channels, and a picture has 1 or 3"),
        };
        if invert {
            pixels.iter_mut().for_each(|value| *value = u8::MAX - *value);
        }
        let shape = [channels, picture.height() as usize, picture.width() as usize];
        Ok(ImageSet::new(
            pixels,
            vec![0],
            shape,
            run.record.classes.clone().into(),
        )?)
    };
    read().doing(|| format!("cannot read the picture {}", path.display()))
}

/// The loader of the first `count` pictures of a set.
fn loader(set: &Arc<ImageSet>, count: usize, resize: Option<usize>) -> Result<Loader> {
    let options = LoaderOptions {
        batch_size: BATCH.min(count),
        limit: Some(count),
        workers: 0,
        resize,
        ..LoaderOptions::default()
    };
    Ok(Loader::new(Arc::clone(set), options)?)
}

/// The one picture of a set as the network gets it.
pub(super) fn batch(set: &Arc<ImageSet>, resize: Option<usize>, device: &Device) -> Result<Tensor> {
    match loader(set, 1, resize)?.epoch(0, 0, device).next() {
        Some(batch) => Ok(batch?.0),
        None => Err(Failure::work("there is no picture")),
    }
}

/// Red, green and blue one after the other instead of pixel by pixel.
fn planes(picture: &RgbImage) -> Vec<u8> {
    (0..3)
        .flat_map(|channel| {
            picture
                .pixels()
                .filter_map(move |pixel| pixel.0.get(channel).copied())
        })
        .collect()
}

/// The picture `[1, c, h, w]` as it enters the network.
pub(super) fn seen_by_network(xs: &Tensor) -> Result<RgbImage> {
    let (_, channels, height, width) = xs.dims4()?;
    let values = xs.flatten_all()?.to_vec1::<f32>()?;
    let value = |channel: usize, x: u32, y: u32| {
        let channel = channel.min(channels - 1);
        let value = values
            .get((channel * height + y as usize) * width + x as usize)
            .copied()
            .unwrap_or(0.0);
        (value * 255.0).round().clamp(0.0, 255.0) as u8
    };
    Ok(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        image::Rgb([value(0, x, y), value(1, x, y), value(2, x, y)])
    }))
}

fn has_bright_border(set: &ImageSet) -> bool {
    let Some((pixels, _)) = set.image(0) else {
        return false;
    };
    let [_, height, width] = set.shape();
    let on_border = |index: &usize| {
        let (y, x) = (index / width % height, index % width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let border = pixels
        .iter()
        .enumerate()
        .filter(|(index, _)| on_border(index))
        .map(|(_, value)| u64::from(*value));
    let (sum, count) = border.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    count > 0 && sum / count > BRIGHT
}

/// A probability as a bar of up to 20 characters.
fn bar(probability: f32) -> String {
    "█".repeat((probability * 20.0).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bright_border_is_noticed() {
        let set =
            |value: u8| ImageSet::new(vec![value; 16], vec![0], [1, 4, 4], vec!["a".into()].into()).unwrap();
        assert!(has_bright_border(&set(255)));
        assert!(!has_bright_border(&set(0)));
    }

    #[test]
    fn colours_become_planes() {
        let picture = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(planes(&picture), [1, 4, 2, 5, 3, 6]);
    }
}

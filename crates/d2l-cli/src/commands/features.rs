//! `d2l features`: what each convolution makes of a picture, and the kernels of the first.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Tensor;
use d2l_data::ImageSet;
use d2l_nn::Network;
use image::{Rgb, RgbImage};
use serde_json::json;

use super::predict::{batch, read_picture, seen_by_network, side};
use super::summary::shape;
use crate::args::FeaturesArgs;
use crate::failure::{Doing, Failure, Result};
use crate::grid;
use crate::machine::in_pool;
use crate::runs::{StoredRun, place, write_file};
use crate::table::{Align, Table};
use crate::ui::{BOLD, Ui};

/// `d2l features`.
pub(crate) fn features(args: &FeaturesArgs, ui: Ui) -> Result<()> {
    let (device, threads) = place(args.place.device.as_deref(), args.place.threads)?;
    let run = StoredRun::open(&args.run)?;
    let convolutions = convolutions(&run.network()?, &run.record.input)?;
    if convolutions.is_empty() {
        return Err(Failure::work(format!(
            "{} has no convolution whose features could be drawn",
            run.spec.name
        )));
    }
    let weights = run.weights(args.weights, ui)?;
    let (what, set) = picture(args, &run, ui)?;
    in_pool(threads, || {
        let device = device.open()?;
        let (model, params) = run.model(&weights, &device)?;
        let xs = batch(&set, side(&run, set.shape())?, &device)?;
        let mut sheets = vec![Sheet {
            name: "input".to_owned(),
            title: format!("{what}: what the network sees"),
            tiles: vec![seen_by_network(&xs)?],
            shape: run.record.input.clone(),
        }];
        if let Some(first) = convolutions.first() {
            sheets.push(kernels(&params, &first.path)?);
        }
        let mut seen = HashMap::new();
        model.model().forward_with(&xs, false, &mut |name, ys| {
            if let Some(index) = convolutions.iter().position(|conv| conv.shown_by(name)) {
                // A convolution is shown before the ReLU behind it, if they are not computed as one.
                seen.entry(index).or_insert((name.to_owned(), ys.clone()));
            }
            Ok(())
        })?;
        for (index, conv) in convolutions.iter().enumerate() {
            if let Some((shown, maps)) = seen.get(&index) {
                sheets.push(conv.sheet(shown, maps)?);
            }
        }
        let folder = args.output.clone();
        let folder = folder.unwrap_or_else(|| run.files.folder().join("features"));
        report(&run, &folder, &sheets, ui)
    })
}

/// The picture as a data set of one, and what to call it.
fn picture(args: &FeaturesArgs, run: &StoredRun, ui: Ui) -> Result<(String, Arc<ImageSet>)> {
    if let Some(path) = &args.image {
        let name = path.file_name().unwrap_or_default();
        let set = read_picture(run, path, args.invert)?;
        return Ok((name.to_string_lossy().into_owned(), Arc::new(set)));
    }
    let (data, index) = (run.data(&args.place, ui)?, args.test.unwrap_or(0));
    let Some((pixels, label)) = data.test.image(index) else {
        return Err(Failure::usage(format!(
            "--test: the test set has pictures 0 to {}, got {index}",
            data.test.len().saturating_sub(1)
        )));
    };
    let name = format!("test {index}, {}", data.test.class_name(label));
    let one = ImageSet::new(
        pixels.to_vec(),
        vec![u16::try_from(label)?],
        data.test.shape(),
        run.record.classes.clone().into(),
    )?;
    Ok((name, Arc::new(one)))
}

/// A convolution, and the ReLU that may be computed with it.
struct Convolution {
    path: String,
    relu: Option<String>,
}

impl Convolution {
    fn shown_by(&self, name: &str) -> bool {
        self.path == name || self.relu.as_deref() == Some(name)
    }

    /// `maps`: `[1, channels, height, width]`
    fn sheet(&self, shown: &str, maps: &Tensor) -> Result<Sheet> {
        let maps = maps.squeeze(0)?;
        let (channels, height, width) = maps.dims3()?;
        let values = maps.flatten_all()?.to_vec1::<f32>()?;
        let behind = if shown == self.path { "" } else { " and ReLU" };
        Ok(Sheet {
            name: self.path.clone(),
            title: format!("{}{behind}: {channels} maps of {height}×{width}", self.path),
            tiles: values
                .chunks(height * width)
                .map(|map| grey(map, height, width))
                .collect(),
            shape: vec![channels, height, width],
        })
    }
}

fn convolutions(network: &Network, input: &[usize]) -> Result<Vec<Convolution>> {
    let rows = network.summary(input)?.layers;
    let is_conv = |(_, row): &(usize, &d2l_nn::LayerSummary)| row.kind == "Conv2d";
    let conv = |(i, row): (usize, &d2l_nn::LayerSummary)| Convolution {
        path: row.name.clone(),
        relu: rows
            .get(i + 1)
            .filter(|next| next.kind == "ReLU")
            .map(|next| next.name.clone()),
    };
    Ok(rows.iter().enumerate().filter(is_conv).map(conv).collect())
}

/// A picture with many pictures in it.
struct Sheet {
    name: String,
    title: String,
    tiles: Vec<RgbImage>,
    shape: Vec<usize>,
}

/// The kernels of the first convolution; those on three channels in colour.
fn kernels(params: &d2l_nn::ParamStore, path: &str) -> Result<Sheet> {
    let name = format!("{path}.weight");
    let weight = params
        .get(&name)
        .ok_or_else(|| Failure::work(format!("the network has no `{name}`")))?;
    let (out_channels, in_channels, height, width) = weight.dims4()?;
    let values = weight.flatten_all()?.to_vec1::<f32>()?;
    let largest = values.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
    let size = height * width;
    let tiles: Vec<RgbImage> = if in_channels == 3 {
        let colour = |kernel: &[f32]| {
            let shade = |channel: usize, at: usize| {
                let value = kernel.get(channel * size + at).copied().unwrap_or(0.0);
                (127.5 + 127.5 * value / largest).round() as u8
            };
            image_of(height, width, |at| [shade(0, at), shade(1, at), shade(2, at)])
        };
        values.chunks(3 * size).map(colour).collect()
    } else {
        let signed = |kernel: &[f32]| {
            image_of(height, width, |at| {
                red_blue(kernel.get(at).copied().unwrap_or(0.0) / largest)
            })
        };
        values.chunks(size).map(signed).collect()
    };
    Ok(Sheet {
        name: "kernels".to_owned(),
        title: format!("{path}: {out_channels} kernels of {height}×{width}"),
        tiles,
        shape: vec![out_channels, in_channels, height, width],
    })
}

fn image_of(height: usize, width: usize, pixel: impl Fn(usize) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb(pixel(y as usize * width + x as usize))
    })
}

/// A map from black at its smallest value to white at its largest; black if they are the same.
fn grey(map: &[f32], height: usize, width: usize) -> RgbImage {
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (most - least).max(f32::MIN_POSITIVE);
    image_of(height, width, |at| {
        let value = map.get(at).copied().unwrap_or(least);
        [(255.0 * (value - least) / range).round() as u8; 3]
    })
}

/// −1 blue, 0 white, 1 red.
fn red_blue(value: f32) -> [u8; 3] {
    let end = if value < 0.0 {
        [0x21, 0x66, 0xac]
    } else {
        [0xb2, 0x18, 0x2b]
    };
    let share = value.abs().min(1.0);
    end.map(|channel: u8| (255.0 + (f32::from(channel) - 255.0) * share).round() as u8)
}

/// Writes the sheets, in the order in which the picture goes through them, and says which they are.
fn report(run: &StoredRun, folder: &PathBuf, sheets: &[Sheet], ui: Ui) -> Result<()> {
    std::fs::create_dir_all(folder).doing(|| format!("cannot make the folder {}", folder.display()))?;
    let mut table = Table::new(&[Align::Left, Align::Left]);
    let mut documents = Vec::new();
    for (index, sheet) in sheets.iter().enumerate() {
        let path = folder.join(format!("{index:02}-{}.png", sheet.name));
        write_file(&path, &grid::to_png(&grid::tiles(&sheet.title, &sheet.tiles)?)?)?;
        table.row(BOLD, [path.display().to_string(), shape(&sheet.shape)]);
        documents.push(json!({ "name": sheet.name, "shape": sheet.shape, "output": path }));
    }
    if ui.json {
        return ui.json_document(&json!({
            "run": run.name(),
            "model": run.spec.name,
            "pictures": documents,
            "output": folder,
        }));
    }
    for line in table.lines() {
        ui.line(line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_their_ends() {
        assert_eq!(red_blue(0.0), [255; 3]);
        assert_eq!(red_blue(-1.0), [0x21, 0x66, 0xac]);
        assert_eq!(red_blue(7.0), [0xb2, 0x18, 0x2b]);
        let map = grey(&[-1.0, 0.0, 1.0, 3.0], 2, 2);
        assert_eq!([map.get_pixel(0, 0).0[0], map.get_pixel(1, 1).0[0]], [0, 255]);
        assert_eq!(map.get_pixel(0, 1).0[0], 128);
        assert_eq!(grey(&[5.0; 4], 2, 2).get_pixel(0, 0).0, [0; 3]);
    }
}

//! Pictures and labels from the Parquet files that the Hub makes of image data sets: a column
//! `image`, a group with PNG `bytes`, and an integer column `label`.

use std::fs::File;

use image::ImageFormat;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};

use crate::idx::Idx;

/// A split in IDX form.
pub(super) struct SplitIdx {
    pub(super) images: Idx,
    pub(super) labels: Idx,
}

/// Reads a split of grey pictures of `shape` (`[1, height, width]`).
pub(super) fn read(file: &File, [_, height, width]: [usize; 3]) -> Result<SplitIdx, String> {
    let failed = |error: parquet::errors::ParquetError| format!("cannot be read as Parquet: {error}");
    let file = file.try_clone().map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for (number, row) in reader.get_row_iter(None).map_err(failed)?.enumerate() {
        let row = row.map_err(failed)?;
        let (png, label) = example(&row).ok_or_else(|| format!("row {number} has no image and label"))?;
        let picture = image::load_from_memory_with_format(png, ImageFormat::Png);
        let picture = picture
            .map_err(|error| format!("row {number}: {error}"))?
            .into_luma8();
        if (picture.height() as usize, picture.width() as usize) != (height, width) {
            return Err(format!(
                "row {number} has {}×{} pixels",
                picture.height(),
                picture.width()
            ));
        }
        pixels.extend_from_slice(picture.as_raw());
        labels.push(label);
    }
    let count = labels.len();
    // The digests are of the files these become; the store computes them when it writes those.
    let images = Idx {
        dimensions: vec![count, height, width],
        data: pixels,
        sha256: String::new(),
    };
    let labels = Idx {
        dimensions: vec![count],
        data: labels,
        sha256: String::new(),
    };
    Ok(SplitIdx { images, labels })
}

fn example(row: &Row) -> Option<(&[u8], u8)> {
    let (mut png, mut label) = (None, None);
    for (name, field) in row.get_column_iter() {
        match (name.as_str(), field) {
            ("image", Field::Group(image)) => {
                png = image.get_column_iter().find_map(|(name, field)| match field {
                    Field::Bytes(bytes) if name == "bytes" => Some(bytes.data()),
                    _ => None,
                });
            }
            ("label", Field::Long(value)) => label = u8::try_from(*value).ok(),
            ("label", Field::Int(value)) => label = u8::try_from(*value).ok(),
            _ => {}
        }
    }
    png.zip(label)
}

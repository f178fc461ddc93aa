//! Event files that TensorBoard reads: `tensorboard --logdir runs`.
//!
//! A file is a sequence of TFRecords, each an `Event` message of protocol buffers:
//!
//! ```text
//! Event     1 wall_time (double)  2 step  3 file_version  5 summary  7 session_log
//! Summary   1 value: 1 tag  2 simple_value (float)  4 image  5 histo
//! Image     1 height  2 width  3 colorspace  4 encoded_image_string
//! Histogram 1 min  2 max  3 num  4 sum  5 sum_squares  6 bucket_limit  7 bucket (doubles)
//! SessionLog 1 status (1: start)
//! ```

mod proto;
mod record;

use crate::{Error, Result};
use proto::Message;
use record::record;
use std::{
    fs::File,
    io::{BufWriter, ErrorKind, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// How the name of an event file begins.
pub const FILE_PREFIX: &str = "events.out.tfevents.";

const BUCKETS: usize = 30;

/// Writes events to a file or any other writer.
///
/// ```
/// let mut events = d2l_train::tensorboard::EventWriter::new(Vec::new())?;
/// events.scalar("loss/train", 235, 0.31)?;
/// # Ok::<(), d2l_train::Error>(())
/// ```
#[derive(Debug)]
pub struct EventWriter<W: Write> {
    out: W,
    /// Seconds since 1970.
    clock: fn() -> f64,
}

impl EventWriter<BufWriter<File>> {
    /// A new event file in a folder, named after the time.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        let seconds = now() as u64;
        for number in 0.. {
            let path = folder.join(format!("{FILE_PREFIX}{seconds:010}.{number}.d2l"));
            match File::create_new(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create", path)(error)),
                Ok(file) => return Self::new(BufWriter::new(file)),
            }
        }
        Err(Error::Invalid(format!(
            "no name is left for an event file in {}",
            folder.display()
        )))
    }
}

impl<W: Write> EventWriter<W> {
    /// A stream of events.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn new(out: W) -> Result<Self> {
        Self::with_clock(out, now)
    }

    fn with_clock(out: W, clock: fn() -> f64) -> Result<Self> {
        let mut writer = Self { out, clock };
        writer.event(0, |event| event.bytes(3, b"brain.Event:2"))?;
        Ok(writer)
    }

    /// Says that a run goes on: what earlier files of its folder have of `step` and later does not count.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn restart(&mut self, step: u64) -> Result<()> {
        self.event(step, |event| event.message(7, Message::default().int(1, 1)))
    }

    /// A number.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.value(tag, step, |message| message.float(2, value as f32))
    }

    /// How values are distributed: 30 buckets of the same width. Values that are not finite are left out.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<()> {
        let histogram = histogram(values);
        self.value(tag, step, |message| message.message(5, histogram))
    }

    /// A picture, encoded as PNG.
    ///
    /// # Errors
    /// When the bytes are not a PNG file, or the writer fails.
    pub fn png(&mut self, tag: &str, step: u64, png: &[u8]) -> Result<()> {
        let [width, height] =
            png_size(png).ok_or_else(|| Error::Invalid(format!("the picture {tag} is not a PNG file")))?;
        let image = Message::default()
            .int(1, height)
            .int(2, width)
            .int(3, 3)
            .bytes(4, png);
        self.value(tag, step, |message| message.message(4, image))
    }

    /// Hands all that was written to the operating system.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::Callback(Box::new(e)))
    }

    fn value(&mut self, tag: &str, step: u64, fill: impl FnOnce(Message) -> Message) -> Result<()> {
        let value = fill(Message::default().bytes(1, tag.as_bytes()));
        self.event(step, |event| {
            event.message(5, Message::default().message(1, value))
        })
    }

    fn event(&mut self, step: u64, fill: impl FnOnce(Message) -> Message) -> Result<()> {
        let event = Message::default().double(1, (self.clock)()).int(2, step);
        let record = record(&fill(event).into_bytes());
        self.out
            .write_all(&record)
            .map_err(|e| Error::Callback(Box::new(e)))
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |past| past.as_secs_f64())
}

fn histogram(values: &[f32]) -> Message {
    let values = || {
        values
            .iter()
            .map(|&value| f64::from(value))
            .filter(|value| value.is_finite())
    };
    let (mut min, mut max, mut count, mut sum, mut squares) = (f64::MAX, f64::MIN, 0_u64, 0.0, 0.0);
    for value in values() {
        (min, max, count) = (min.min(value), max.max(value), count + 1);
        (sum, squares) = (sum + value, squares + value * value);
    }
    if count == 0 {
        (min, max) = (0.0, 0.0);
    }
    let width = (max - min) / BUCKETS as f64;
    let mut buckets = [0.0; BUCKETS];
    for value in values() {
        let index = if width > 0.0 {
            ((value - min) / width) as usize
        } else {
            0
        };
        if let Some(bucket) = buckets.get_mut(index.min(BUCKETS - 1)) {
            *bucket += 1.0;
        }
    }
    let limits: Vec<f64> = (1..=BUCKETS)
        .map(|index| {
            if index == BUCKETS {
                max
            } else {
                min + width * index as f64
            }
        })
        .collect();
    Message::default()
        .double(1, min)
        .double(2, max)
        .double(3, count as f64)
        .double(4, sum)
        .double(5, squares)
        .doubles(6, &limits)
        .doubles(7, &buckets)
}

/// Width and height, which a PNG file has right behind its signature.
fn png_size(png: &[u8]) -> Option<[u64; 2]> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(8..16)?;
    let (width, height) = header.split_first_chunk::<4>()?;
    let number = |bytes: &[u8; 4]| u64::from(u32::from_be_bytes(*bytes));
    Some([number(width), number(height.first_chunk()?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One red pixel.
    const PNG: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\
        \x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

    /// All kinds of events; `tests/golden/read_events.py` says what TensorBoard has to make of them.
    fn sample() -> Vec<u8> {
        let mut events = EventWriter::with_clock(Vec::new(), || 1_700_000_000.25).unwrap();
        for step in 1..=3 {
            events.scalar("loss/step", step, 1.0 / step as f64).unwrap();
        }
        let values: Vec<f32> = (0..100).map(|i| i as f32 / 10.0).collect();
        events.histogram("weights/a", 3, &values).unwrap();
        events
            .histogram("weights/constant", 3, &[0.5, 0.5, f32::NAN])
            .unwrap();
        events.png("pictures/red", 3, PNG).unwrap();
        events.restart(3).unwrap();
        events.scalar("loss/step", 3, 0.25).unwrap();
        events.scalar("accuracy/test", 300, 0.875).unwrap();
        events.scalar("gradient_norm", 300, 2.5).unwrap();
        events.histogram("gradients/a", 300, &[-1.5, 0.0, 2.0]).unwrap();
        events.out
    }

    /// The golden file is one that TensorBoard's reader was shown; see `tests/golden/read_events.py`.
    #[test]
    fn the_bytes_are_those_that_tensorboard_reads() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events.out.tfevents.golden");
        if std::env::var_os("D2L_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, sample()).unwrap();
        }
        assert!(
            std::fs::read(path).unwrap() == sample(),
            "the event file is not the golden one"
        );
    }

    #[test]
    fn files_of_the_same_second_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            EventWriter::create(folder.path()).unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        let error = EventWriter::create(&folder.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("none"), "{error}");
    }

    #[test]
    fn a_picture_that_is_no_png_is_refused() {
        let mut events = EventWriter::new(Vec::new()).unwrap();
        for bytes in [&b"GIF89a"[..], &PNG[..20], &[]] {
            assert!(
                events
                    .png("a", 1, bytes)
                    .unwrap_err()
                    .to_string()
                    .contains("not a PNG")
            );
        }
        assert_eq!(png_size(PNG), Some([1, 1]));
    }
}

//! What several tests need: a tiny data set, directories that hold it, and a web server.

#![allow(dead_code, reason = "each test crate uses its part")]

pub(crate) mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use d2l_data::datasets::{DatasetSpec, FileSpec};
use d2l_data::idx::Idx;
use d2l_data::{Event, Network, SourceOptions};
use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) const STEMS: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

pub(crate) const TRAIN: usize = 30;
pub(crate) const TEST: usize = 20;
pub(crate) const SIDE: usize = 6;

pub(crate) fn leak(text: String) -> &'static str {
    text.leak()
}

pub(crate) fn sha256(bytes: &[u8]) -> &'static str {
    use sha2::Digest as _;
    leak(
        sha2::Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

pub(crate) fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn idx(dimensions: &[usize], data: Vec<u8>) -> Vec<u8> {
    Idx {
        dimensions: dimensions.to_vec(),
        data,
        sha256: String::new(),
    }
    .to_bytes()
}

/// The four files of a tiny data set of three classes, uncompressed.
pub(crate) fn contents() -> [Vec<u8>; 4] {
    let pixels = |count: usize, salt: usize| -> Vec<u8> {
        (0..count * SIDE * SIDE)
            .map(|i| (i * 37 + i / 7 * salt) as u8)
            .collect()
    };
    let labels = |count: usize| -> Vec<u8> { (0..count).map(|i| (i % 3) as u8).collect() };
    [
        idx(&[TRAIN, SIDE, SIDE], pixels(TRAIN, 11)),
        idx(&[TRAIN], labels(TRAIN)),
        idx(&[TEST, SIDE, SIDE], pixels(TEST, 5)),
        idx(&[TEST], labels(TEST)),
    ]
}

/// The tiny data set, fetched from `host` if anything.
pub(crate) fn spec(host: Option<&str>) -> DatasetSpec {
    let contents = contents();
    let files = std::array::from_fn(|i| {
        let packed = gzip(&contents[i], 9);
        FileSpec {
            stem: STEMS[i],
            examples: if i < 2 { TRAIN } else { TEST },
            sha256: sha256(&contents[i]),
            gzip_bytes: packed.len() as u64,
            gzip_sha256: sha256(&packed),
        }
    });
    DatasetSpec {
        name: "tiny",
        aliases: &[],
        title: "Tiny",
        about: "for tests",
        licence: "none",
        homepage: "",
        class_names: &["a", "b", "c"],
        shape: [1, SIDE, SIDE],
        files,
        hub: None,
        hosts: host.map_or(&[], |host| &*vec![leak(host.to_owned())].leak()),
        sample: None,
    }
}

/// A directory with the tiny data set; `change` may spoil it.
pub(crate) fn directory(packed: bool, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (stem, content) in STEMS.iter().zip(contents()) {
        if packed {
            std::fs::write(directory.path().join(format!("{stem}.gz")), gzip(&content, 6)).unwrap();
        } else {
            std::fs::write(directory.path().join(stem), content).unwrap();
        }
    }
    change(directory.path());
    directory
}

/// Options that look at nothing but what a test sets.
pub(crate) fn nowhere() -> SourceOptions<'static> {
    SourceOptions {
        system_dir: None,
        offline: true,
        ..SourceOptions::default()
    }
}

/// Short time-outs.
pub(crate) fn impatient() -> Network {
    Network {
        hub_endpoint: None,
        connect_timeout: std::time::Duration::from_secs(2),
        stall_timeout: std::time::Duration::from_secs(1),
        file_timeout: std::time::Duration::from_secs(20),
    }
}

/// All files under a directory, for "nothing is left behind".
pub(crate) fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Keeps all events.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<Event>>);

impl d2l_data::Progress for Recorder {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Recorder {
    pub(crate) fn text(&self) -> String {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|event| format!("{event}\n"))
            .collect()
    }
}

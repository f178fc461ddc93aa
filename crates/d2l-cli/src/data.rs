//! Data sets for the commands: where to look, what to say about it, and batches for the trainer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;
use d2l_data::{
    DataSet, DatasetSpec, Event, ImageSet, Loader, LoaderOptions, Network, Progress, Provenance,
    SourceOptions, default_cache_dir,
};
use d2l_train::{Batch, BatchSource};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Result;
use crate::ui::{Ui, thousands};

/// The environment variable with the folder of the user's data sets.
pub(crate) const CACHE_VARIABLE: &str = "D2L_CACHE";
/// The environment variable with the folder of the system's data sets.
pub(crate) const SYSTEM_VARIABLE: &str = "D2L_SYSTEM_DATA";

/// What the user said about where data may come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// This folder and no other.
    pub(crate) data_dir: Option<PathBuf>,
    /// Never the network.
    pub(crate) offline: bool,
}

impl Source {
    /// Everything the data crate wants to know, the user's environment included.
    pub(crate) fn options<'a>(&self, progress: &'a dyn Progress) -> SourceOptions<'a> {
        let folder = |variable| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let mut network = Network::default();
        if let Some(endpoint) = std::env::var("HF_ENDPOINT")
            .ok()
            .filter(|endpoint| !endpoint.is_empty())
        {
            network.hub_endpoint = Some(endpoint);
        }
        let mut options = SourceOptions {
            data_dir: self.data_dir.clone(),
            cache_dir: folder(CACHE_VARIABLE).or_else(default_cache_dir),
            offline: self.offline,
            network,
            progress,
            ..SourceOptions::default()
        };
        if let Some(system) = folder(SYSTEM_VARIABLE) {
            options.system_dir = Some(system);
        }
        options
    }

    /// Loads a data set from the first source that has it, telling the user what happens.
    pub(crate) fn load(&self, spec: &DatasetSpec, ui: Ui) -> Result<DataSet> {
        let teller = Teller::new(ui);
        Ok(d2l_data::source::load(spec, &self.options(&teller))?)
    }
}

/// One line on a data set: how much of it, and from where.
pub(crate) fn describe(spec: &DatasetSpec, data: &DataSet) -> String {
    format!(
        "{}: {} training and {} test examples from {}",
        spec.title,
        thousands(data.train.len() as u64),
        thousands(data.test.len() as u64),
        place(&data.provenance)
    )
}

/// Where data came from, in a few words.
pub(crate) fn place(provenance: &Provenance) -> String {
    provenance.source.clone()
}

/// Tells the user of the search for data, with a bar for downloads.
pub(crate) struct Teller {
    ui: Ui,
    bar: Mutex<Option<ProgressBar>>,
}

impl Teller {
    pub(crate) fn new(ui: Ui) -> Self {
        Self {
            ui,
            bar: Mutex::new(None),
        }
    }

    fn download(&self, file: &str, received: u64, total: Option<u64>) {
        if !self.ui.shows_progress() {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| {
            let template = "{msg:>10}  {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total.unwrap_or(0))
                .with_style(style)
                .with_message(file.to_owned())
        });
        bar.set_position(received);
    }

    fn end_download(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Teller {
    fn event(&self, event: &Event) {
        match event {
            Event::Bytes {
                file,
                received,
                total,
            } => return self.download(file, *received, *total),
            Event::Skipped { broken: false, .. } | Event::Found { .. } => {}
            Event::Skipped { source, reason, .. } => {
                self.ui.warn(format_args!("{source} cannot be used: {reason}"))
            }
            Event::Warning(text) => self.ui.warn(text),
            Event::Start { file, from } => self.ui.fact("Fetching", format_args!("{file} from {from}")),
            Event::Failed { reason, .. } => self.ui.fact("Failed", reason),
            Event::Stored { path, .. } => self.ui.fact("Stored", path.display()),
            other => self.ui.note(other),
        }
        self.end_download();
    }
}

/// A loader as the trainer wants it: batches on a device.
pub(crate) struct LoaderSource {
    loader: Loader,
    device: Device,
}

impl LoaderSource {
    pub(crate) fn new(set: &Arc<ImageSet>, options: LoaderOptions, device: &Device) -> Result<Self> {
        Ok(Self {
            loader: Loader::new(Arc::clone(set), options)?,
            device: device.clone(),
        })
    }
}

impl BatchSource for LoaderSource {
    fn batches(&self) -> usize {
        self.loader.len()
    }

    fn examples(&self) -> usize {
        self.loader.examples()
    }

    fn epoch(&self, epoch: u64, first_batch: usize) -> d2l_train::Batches<'_> {
        let batches = self.loader.epoch(epoch, first_batch, &self.device);
        Box::new(batches.map(|batch| {
            let (xs, ys) = batch?;
            let len = ys.elem_count();
            Ok(Batch { xs, ys, len })
        }))
    }
}

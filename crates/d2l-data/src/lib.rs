#![doc = include_str!("../README.md")]

pub mod datasets;
mod digest;
mod error;
pub mod fetch;
pub mod idx;
mod image_set;
pub mod loader;
mod progress;
mod provenance;
pub mod source;

pub use datasets::DatasetSpec;
pub use error::{Error, Result};
pub use fetch::Network;
pub use image_set::{DataSet, ImageSet, Split};
pub use loader::{Batches, Loader, LoaderOptions};
pub use progress::{Event, Progress, Silent};
pub use provenance::{FileRecord, Provenance, SourceKind};
pub use source::{SourceOptions, default_cache_dir};

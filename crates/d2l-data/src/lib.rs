#![doc = include_str!("../README.md")]

pub mod datasets;
mod digest;
mod error;
pub mod fetch;
pub mod house_prices;
pub mod idx;
mod image_set;
pub mod loader;
mod official;
mod progress;
mod provenance;
pub mod source;
pub mod table;

pub use datasets::{DatasetEntry, DatasetSpec, TableSpec};
pub use error::{Error, Result};
pub use fetch::Network;
pub use house_prices::HousePrices;
pub use image_set::{DataSet, ImageSet, Split};
pub use loader::{Batches, Loader, LoaderOptions};
pub use progress::{Event, Progress, Silent};
pub use provenance::{FileRecord, Provenance, SourceKind};
pub use source::{SourceOptions, default_cache_dir};
pub use table::Table;

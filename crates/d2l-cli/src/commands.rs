//! A file per command.

mod bench;
mod data;
mod eval;
mod export;
mod features;
mod find_lr;
mod kfold;
mod lesson;
mod list;
mod plot;
mod predict;
mod show;
mod summary;
mod sweep;
mod train;
mod verify;

pub(crate) use bench::bench;
pub(crate) use data::data;
pub(crate) use eval::eval;
pub(crate) use export::export;
pub(crate) use features::features;
pub(crate) use find_lr::find_lr;
pub(crate) use kfold::kfold;
pub(crate) use lesson::lesson;
pub(crate) use list::list;
pub(crate) use plot::plot;
pub(crate) use predict::predict;
pub(crate) use show::show;
pub(crate) use summary::summary;
use summary::{memory_parts, shape as summary_shape};
pub(crate) use sweep::sweep;
pub(crate) use train::{Seeds, train};
pub(crate) use verify::verify;

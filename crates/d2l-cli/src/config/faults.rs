//! What is wrong with settings, and where each of them came from.

use std::path::PathBuf;

use super::table;
use crate::args::Settings;
use crate::failure::{Failure, Result};

/// Says of each setting where it came from, for messages.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    flags: toml::Table,
    file: Option<(PathBuf, toml::Table)>,
}

impl Origins {
    pub(crate) fn new(flags: &Settings, file: Option<(PathBuf, &Settings)>) -> Result<Self> {
        let file = file
            .map(|(path, settings)| Ok::<_, Failure>((path, table(settings)?)))
            .transpose()?;
        Ok(Self {
            flags: table(flags)?,
            file,
        })
    }

    fn name(&self, key: &str) -> String {
        match &self.file {
            _ if self.flags.contains_key(key) && key != "model" => format!("--{key}"),
            Some((path, table)) if table.contains_key(key) => format!("`{key}` in {}", path.display()),
            _ => key.to_owned(),
        }
    }
}

/// Collects what is wrong, a line per bad field.
pub(super) struct Faults<'a> {
    pub(super) origins: &'a Origins,
    pub(super) messages: Vec<String>,
}

impl Faults<'_> {
    pub(super) fn add(&mut self, key: &str, message: impl std::fmt::Display) {
        self.messages
            .push(format!("{}: {message}", self.origins.name(key)));
    }

    pub(super) fn take<T, E: std::fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(key, error)).ok()
    }

    pub(super) fn at_least(&mut self, key: &str, value: usize, least: usize, most: usize) {
        if value < least || value > most {
            let range = if most == usize::MAX {
                format!("at least {least}")
            } else {
                format!("{least} to {most}")
            };
            self.add(key, format!("has to be {range}, got {value}"));
        }
    }

    pub(super) fn number(&mut self, key: &str, value: Option<f64>, zero_allowed: bool) {
        let Some(value) = value else { return };
        let good = value.is_finite() && (value > 0.0 || zero_allowed && value == 0.0);
        if !good {
            let range = if zero_allowed { "at least 0" } else { "above 0" };
            self.add(key, format!("has to be a number {range}, got {value}"));
        }
    }
}

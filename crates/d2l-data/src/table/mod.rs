//! CSV tables with missing values, and what a network is given of them (section 2.2 of the book).
//!
//! A cell is missing if it is empty or says so as pandas understands it ([`MISSING`]). A column is
//! of numbers if every other cell of it is one, else of text. [`Table::features`] makes one matrix
//! of both: numbers filled or standardised, text one-hot with a column of its own for "missing",
//! the columns in the order and under the names of `pandas.get_dummies(dummy_na=True)`.

mod features;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use crate::error::{Error, Result};
use crate::official::read_table;
pub use features::{Features, Numbers};

/// What stands for a missing value: pandas' list before its version 2, which the book was written
/// with. (Later versions take `None` for missing too; in the house prices that is a kind of wall.)
pub const MISSING: &[&str] = &[
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "n/a", "nan", "null",
];

/// More columns than any table here has a use for; a file that claims more is no table.
const MAX_COLUMNS: usize = 10_000;

/// A table: named columns of cells, some of which are missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    names: Vec<String>,
    /// By column, then by row.
    columns: Vec<Vec<Option<String>>>,
    /// Where each row stands, for messages.
    origins: Vec<Origin>,
}

#[derive(Clone, Debug, PartialEq)]
struct Origin {
    file: Arc<str>,
    line: u64,
}

/// Whether a column is of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Every cell that is not missing is a number.
    Numbers,
    /// Some cell is not.
    Text,
}

impl Table {
    /// Reads a CSV file, plain or gzip, of at most 64 MiB.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Csv`] as for [`Self::read`].
    pub fn read_file(path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::read(file, &path.display().to_string())
    }

    /// Reads CSV with a header, plain or gzip, of at most 64 MiB. Messages call it `name`.
    ///
    /// # Errors
    /// [`Error::Csv`], naming the line, if there is no header, no row, a column without or with
    /// another's name, a row with more or fewer cells than the header, or text that is not UTF-8.
    pub fn read(reader: impl Read, name: &str) -> Result<Self> {
        let bytes = read_table(reader).map_err(|error| fault(name, None, None, error))?;
        Self::parse(&bytes, name)
    }

    pub(crate) fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let mut reader = ReaderBuilder::new().from_reader(bytes);
        let header = reader.headers().map_err(|error| unreadable(name, &error))?;
        let names = checked_header(header, name)?;
        let file: Arc<str> = name.into();
        let mut columns = vec![Vec::new(); names.len()];
        let mut origins = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(name, &error))?;
            let line = record.position().map_or(0, csv::Position::line);
            for (column, cell) in columns.iter_mut().zip(&record) {
                column.push((!MISSING.contains(&cell)).then(|| cell.to_owned()));
            }
            origins.push(Origin {
                file: Arc::clone(&file),
                line,
            });
        }
        if origins.is_empty() {
            return Err(fault(name, None, None, "there is a header and no row"));
        }
        Ok(Self {
            names,
            columns,
            origins,
        })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.origins.len()
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The cells of a column; a missing one is `None`.
    ///
    /// # Errors
    /// [`Error::Csv`] if there is no such column.
    pub fn cells(&self, name: &str) -> Result<&[Option<String>]> {
        let index = self.names.iter().position(|other| other == name);
        let column = index.and_then(|index| self.columns.get(index));
        column.map(Vec::as_slice).ok_or_else(|| {
            let first: Vec<&str> = self.names.iter().take(8).map(String::as_str).collect();
            let reason = format!(
                "the header has no such column; it starts with {}",
                first.join(", ")
            );
            fault(self.file(), Some(1), Some(name), reason)
        })
    }

    /// Whether a column is of numbers; one without a value is.
    ///
    /// # Errors
    /// [`Error::Csv`] if there is no such column.
    pub fn kind(&self, name: &str) -> Result<ColumnKind> {
        Ok(kind_of(self.cells(name)?))
    }

    /// The numbers of a column; a missing one is `None`.
    ///
    /// # Errors
    /// [`Error::Csv`] if there is no such column, or naming the line of a cell that is no finite number, or one beyond `f32`.
    pub fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let cells = self.cells(name)?.iter().zip(&self.origins);
        cells
            .map(|(cell, origin)| {
                let Some(text) = cell else { return Ok(None) };
                // Features are f32: what is infinite there is no number here.
                let number = number(text).filter(|number| (*number as f32).is_finite());
                number.map(Some).ok_or_else(|| {
                    let reason = format!("`{text}` is not a finite number of single precision");
                    fault(&origin.file, Some(origin.line), Some(name), reason)
                })
            })
            .collect()
    }

    /// The numbers of a column in which none may be missing.
    ///
    /// # Errors
    /// As [`Self::numbers`], and for a missing one.
    pub fn complete_numbers(&self, name: &str) -> Result<Vec<f64>> {
        let numbers = self.numbers(name)?.into_iter().zip(&self.origins);
        numbers
            .map(|(number, origin)| {
                number.ok_or_else(|| {
                    fault(
                        &origin.file,
                        Some(origin.line),
                        Some(name),
                        "there is no value, and one is needed",
                    )
                })
            })
            .collect()
    }

    /// The error for what is wrong with a row's cell.
    pub(crate) fn bad_cell(&self, row: usize, column: &str, reason: impl std::fmt::Display) -> Error {
        match self.origins.get(row) {
            Some(origin) => fault(&origin.file, Some(origin.line), Some(column), reason),
            None => fault(self.file(), None, Some(column), reason),
        }
    }

    /// The table without a column.
    ///
    /// # Errors
    /// [`Error::Csv`] if there is no such column.
    pub fn without(mut self, name: &str) -> Result<Self> {
        self.cells(name)?;
        if let Some(index) = self.names.iter().position(|other| other == name) {
            self.names.remove(index);
            self.columns.remove(index);
        }
        Ok(self)
    }

    /// The rows of both tables, this one's first.
    ///
    /// # Errors
    /// [`Error::Csv`] if the other does not have the same columns in the same order.
    pub fn followed_by(mut self, other: &Self) -> Result<Self> {
        let pairs = self.names.iter().zip(&other.names);
        if let Some((expected, found)) = pairs.clone().find(|(expected, found)| expected != found) {
            let reason = format!("{} has `{expected}` where this has `{found}`", self.file());
            return Err(fault(other.file(), Some(1), Some(found), reason));
        }
        if self.names.len() != other.names.len() {
            let reason = format!(
                "{} columns where {} has {}",
                other.names.len(),
                self.file(),
                self.names.len()
            );
            return Err(fault(other.file(), Some(1), None, reason));
        }
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.extend_from_slice(more);
        }
        self.origins.extend_from_slice(&other.origins);
        Ok(self)
    }

    fn file(&self) -> &str {
        self.origins.first().map_or("", |origin| &origin.file)
    }
}

fn checked_header(header: &StringRecord, file: &str) -> Result<Vec<String>> {
    let at_header = |column: Option<&str>, reason: &str| fault(file, Some(1), column, reason);
    if header.is_empty() || header.iter().all(|name| name.trim().is_empty()) {
        return Err(fault(
            file,
            None,
            None,
            "the file is empty; a header with the names of the columns is needed",
        ));
    }
    if header.len() > MAX_COLUMNS {
        let reason = format!("{} columns; no more than {MAX_COLUMNS} are read", header.len());
        return Err(at_header(None, &reason));
    }
    let mut seen = HashSet::new();
    for (index, name) in header.iter().enumerate() {
        if name.is_empty() {
            return Err(at_header(None, &format!("column {} has no name", index + 1)));
        }
        if !seen.insert(name) {
            return Err(at_header(Some(name), "there are two columns of this name"));
        }
    }
    Ok(header.iter().map(str::to_owned).collect())
}

fn kind_of(cells: &[Option<String>]) -> ColumnKind {
    if cells.iter().flatten().all(|cell| number(cell).is_some()) {
        ColumnKind::Numbers
    } else {
        ColumnKind::Text
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

fn unreadable(file: &str, error: &csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => fault(
            file,
            line,
            None,
            format!(
                "{len} cells where the header has {expected_len}; is the file cut off, or a quote left open?"
            ),
        ),
        ErrorKind::Utf8 { .. } => fault(file, line, None, "the text is not UTF-8; save the file as such"),
        _ => fault(file, line, None, error),
    }
}

fn fault(file: &str, line: Option<u64>, column: Option<&str>, reason: impl std::fmt::Display) -> Error {
    Error::Csv {
        file: file.to_owned(),
        line,
        column: column.map(str::to_owned),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;

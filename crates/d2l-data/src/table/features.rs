//! A matrix of features made of a table.

use std::collections::BTreeSet;
use std::ops::Range;

use candle_core::{Device, Tensor};

use super::{ColumnKind, Table, fault, kind_of};
use crate::error::{Error, Result};

/// More values than a table that a network learns from has: 1 GiB of them.
const MAX_VALUES: usize = 1 << 28;

/// What becomes of columns of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// They stay as they are; a missing one becomes the mean of its column (0 where there is none).
    MeanFilled,
    /// Less their mean, over their standard deviation (of a sample: n − 1); a missing one becomes 0,
    /// which is the mean. A column that does not vary becomes 0.
    Standardised,
}

/// A matrix of features with the names of its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    names: Vec<String>,
    /// `[row][column]`
    values: Vec<f32>,
    rows: usize,
}

impl Features {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The names of the columns, in order; that of a one-hot column is `COLUMN_VALUE` or `COLUMN_nan`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// One row, or nothing beyond the last.
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        let width = self.names.len();
        self.values.get(row.checked_mul(width)?..)?.get(..width)
    }

    /// A range of rows as a tensor `[rows, columns]` of `f32`.
    ///
    /// # Errors
    /// [`Error::Options`] if there are no such rows; if the device cannot hold them.
    pub fn tensor(&self, rows: Range<usize>, device: &Device) -> Result<Tensor> {
        let width = self.names.len();
        let values = match rows.start.checked_mul(width).zip(rows.end.checked_mul(width)) {
            Some((start, end)) => self.values.get(start..end),
            None => None,
        };
        let values =
            values.ok_or_else(|| Error::Options(format!("there are no rows {rows:?} of {}", self.rows)))?;
        Ok(Tensor::from_slice(values, (rows.len(), width), device)?)
    }
}

impl Table {
    /// All columns as features: those of numbers first, in order, then every column of text as
    /// one-hot columns, its values sorted, and one more for "missing".
    ///
    /// # Errors
    /// [`Error::Csv`], naming the line of a number that is not finite, or if the matrix would be
    /// larger than any that is of use (a column of text with a value of its own in every row).
    pub fn features(&self, numbers: Numbers) -> Result<Features> {
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        for name in self.names() {
            if self.kind(name)? == ColumnKind::Numbers {
                names.push(name.clone());
                columns.push(Column::Numbers(numbers.of(&self.numbers(name)?)));
            }
        }
        for (name, cells) in self.names.iter().zip(&self.columns) {
            if kind_of(cells) == ColumnKind::Numbers {
                continue;
            }
            let values: BTreeSet<&str> = cells.iter().flatten().map(String::as_str).collect();
            for value in values.into_iter().map(Some).chain([None]) {
                names.push(format!("{name}_{}", value.unwrap_or("nan")));
                columns.push(Column::Is(cells, value));
            }
            self.check_size(names.len(), name)?;
        }
        self.check_size(names.len(), "")?;
        let mut matrix = Vec::with_capacity(names.len() * self.rows());
        for row in 0..self.rows() {
            matrix.extend(columns.iter().map(|column| column.value(row)));
        }
        Ok(Features {
            names,
            values: matrix,
            rows: self.rows(),
        })
    }

    fn check_size(&self, columns: usize, last: &str) -> Result<()> {
        if columns.saturating_mul(self.rows()) <= MAX_VALUES {
            return Ok(());
        }
        let rows = self.rows();
        let reason = format!(
            "{rows} rows of {columns} and more features are too many; leave out columns of text with many values"
        );
        Err(fault(
            self.file(),
            None,
            (!last.is_empty()).then_some(last),
            reason,
        ))
    }
}

/// A column of the matrix.
enum Column<'a> {
    Numbers(Vec<f64>),
    /// 1 where the cell is this.
    Is(&'a [Option<String>], Option<&'a str>),
}

impl Column<'_> {
    fn value(&self, row: usize) -> f32 {
        match self {
            Self::Numbers(numbers) => numbers.get(row).copied().unwrap_or_default() as f32,
            Self::Is(cells, value) => {
                let is = cells.get(row).is_some_and(|cell| cell.as_deref() == *value);
                f32::from(u8::from(is))
            }
        }
    }
}

impl Numbers {
    fn of(self, cells: &[Option<f64>]) -> Vec<f64> {
        let known: Vec<f64> = cells.iter().copied().flatten().collect();
        let count = known.len() as f64;
        let mean = if known.is_empty() {
            0.0
        } else {
            known.iter().sum::<f64>() / count
        };
        match self {
            Self::MeanFilled => cells.iter().map(|cell| cell.unwrap_or(mean)).collect(),
            Self::Standardised => {
                let squares: f64 = known.iter().map(|x| (x - mean).powi(2)).sum();
                let deviation = (squares / (count - 1.0)).sqrt();
                // One value or none has no deviation, and many equal ones have none to divide by.
                let varies = deviation.is_finite() && deviation > 0.0;
                let scaled = |x: f64| if varies { (x - mean) / deviation } else { 0.0 };
                cells.iter().map(|cell| cell.map_or(0.0, scaled)).collect()
            }
        }
    }
}

//! Aligned columns of text.

use anstyle::Style;

/// Which side of its column a cell leans to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells, each column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<(String, Style)>>,
    indent: usize,
}

impl Table {
    /// An empty table with one column per entry of `columns`.
    pub(crate) fn new(columns: &[Align]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            indent: 0,
        }
    }

    /// The same table with every line moved to the right.
    pub(crate) fn indented(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row in one style.
    pub(crate) fn row<S: Into<String>>(&mut self, style: Style, cells: impl IntoIterator<Item = S>) {
        self.rows
            .push(cells.into_iter().map(|cell| (cell.into(), style)).collect());
    }

    /// Adds a row whose cells have styles of their own.
    pub(crate) fn styled_row(&mut self, cells: Vec<(String, Style)>) {
        self.rows.push(cells);
    }

    /// The lines of the table, without trailing blanks.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut widths = vec![0; self.columns.len()];
        for row in &self.rows {
            for (width, (cell, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.rows
            .iter()
            .map(|row| {
                let mut line = " ".repeat(self.indent);
                for (column, (cell, style)) in row.iter().enumerate() {
                    let width = widths.get(column).copied().unwrap_or(0);
                    let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                    let right = self.columns.get(column) == Some(&Align::Right);
                    let last = column + 1 == row.len();
                    if column > 0 {
                        line.push_str("  ");
                    }
                    if right {
                        line.push_str(&padding);
                    }
                    if !cell.is_empty() {
                        line.push_str(&format!("{style}{cell}{style:#}"));
                    }
                    if !right && !last {
                        line.push_str(&padding);
                    }
                }
                line.truncate(line.trim_end().len());
                line
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]).indented(1);
        table.row(Style::new(), ["name", "count", "about"]);
        table.row(Style::new().bold(), ["a", "10", ""]);
        assert_eq!(
            table.lines(),
            [
                " name  count  about",
                " \u{1b}[1ma\u{1b}[0m        \u{1b}[1m10\u{1b}[0m"
            ]
        );
    }
}

//! Data preprocessing (section 2.2): a table with missing values becomes tensors.

use crate::{Chapter, Cost, Error, Expect, Lesson, Page, Result, numbers::distance};
use candle_core::{Device, Tensor};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "preprocessing",
    chapter: Chapter::Preliminaries,
    section: "2.2",
    title: "Data preprocessing",
    expected: "[[3, 1, 0], [2, 0, 1], [4, 0, 1], [3, 0, 1]] and the four prices, exactly",
    cost: Cost::Seconds,
    run,
};

// ANCHOR: house_tiny
/// The book's table of four houses; `NA` is a value that is missing.
pub const HOUSE_TINY: &str = "\
NumRooms,Alley,Price
NA,Pave,127500
2,NA,106000
4,NA,178100
NA,NA,140000
";
// ANCHOR_END: house_tiny

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: reading
    page.say(HOUSE_TINY);
    let [rooms, alley, price] = read_csv(HOUSE_TINY)?;
    // ANCHOR_END: reading

    // ANCHOR: missing
    let filled = fill_with_mean(&rooms)?;
    page.say(format_args!(
        "NumRooms, missing values filled with the mean: {filled:?}"
    ));
    let interpolated = interpolate(&rooms)?;
    page.say(format_args!(
        "NumRooms, interpolated between its neighbours: {interpolated:?}"
    ));
    let alleys = one_hot(&alley);
    for (name, column) in &alleys {
        page.say(format_args!("{name}: {column:?}"));
    }
    // ANCHOR_END: missing

    // ANCHOR: tensors
    let mut columns = vec![filled];
    columns.extend(alleys.into_iter().map(|(_, column)| column));
    let inputs = Tensor::new(columns, &Device::Cpu)?.t()?;
    let outputs = Tensor::new(numbers(&price)?.as_slice(), &Device::Cpu)?;
    page.show("X", &inputs);
    page.show("y", &outputs);
    // ANCHOR_END: tensors

    let expected = [
        [3f64, 1.0, 0.0],
        [2.0, 0.0, 1.0],
        [4.0, 0.0, 1.0],
        [3.0, 0.0, 1.0],
    ];
    let off = distance(&inputs, &Tensor::new(&expected, &Device::Cpu)?)?;
    page.expect("X: distance from the book", Expect::Exactly(0.0), off);
    let expected = [127_500f64, 106_000.0, 178_100.0, 140_000.0];
    let off = distance(&outputs, &Tensor::new(&expected, &Device::Cpu)?)?;
    page.expect("y: distance from the book", Expect::Exactly(0.0), off);
    let interpolated = Tensor::new(interpolated.as_slice(), &Device::Cpu)?;
    let off = distance(&interpolated, &Tensor::new(&[2f64, 2.0, 4.0, 4.0], &Device::Cpu)?)?;
    page.expect("NumRooms interpolated: distance", Expect::Exactly(0.0), off);
    Ok(())
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, from the first line.
    pub name: String,
    /// Its cells from the top, nothing where a value is missing.
    pub cells: Vec<Option<String>>,
}

// ANCHOR: read_csv
/// Reads a table of `N` columns, whose first line has their names; `NA` or nothing is a missing value. (Enough for
/// this table: it knows no quotes.)
///
/// # Errors
/// When there is no line, or a line has not `N` cells.
pub fn read_csv<const N: usize>(text: &str) -> Result<[Column; N]> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| cells(index + 1, line));
    let names: [&str; N] = lines.next().ok_or_else(|| {
        Error::Lesson("the table is empty: it needs a line with the columns' names".into())
    })??;
    let mut columns = names.map(|name| Column {
        name: name.to_owned(),
        cells: Vec::new(),
    });
    for line in lines {
        for (column, cell) in columns.iter_mut().zip(line?) {
            let missing = cell.is_empty() || cell == "NA";
            column.cells.push((!missing).then(|| cell.to_owned()));
        }
    }
    Ok(columns)
}

fn cells<const N: usize>(number: usize, line: &str) -> Result<[&str; N]> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    cells.try_into().map_err(|cells: Vec<&str>| {
        Error::Lesson(format!(
            "line {number} of the table has {} cells instead of {N}",
            cells.len()
        ))
    })
}
// ANCHOR_END: read_csv

/// The cells as numbers, nothing where one is missing.
fn known_numbers(column: &Column) -> Result<Vec<Option<f64>>> {
    let number = |(row, cell): (usize, &Option<String>)| match cell {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            let name = &column.name;
            Error::Lesson(format!(
                "`{text}` in row {} of column `{name}` is not a number",
                row + 1
            ))
        }),
    };
    column.cells.iter().enumerate().map(number).collect()
}

/// The column as numbers.
///
/// # Errors
/// When a cell is missing or not a number.
pub fn numbers(column: &Column) -> Result<Vec<f64>> {
    let complete = known_numbers(column)?.into_iter().collect::<Option<_>>();
    complete.ok_or_else(|| {
        let name = &column.name;
        Error::Lesson(format!(
            "column `{name}` has missing values: fill or interpolate them first"
        ))
    })
}

fn all_missing(column: &Column) -> Error {
    Error::Lesson(format!(
        "column `{}` has no value at all to fill the missing ones from",
        column.name
    ))
}

// ANCHOR: fill_with_mean
/// The column as numbers, each missing one the mean of the others.
///
/// # Errors
/// When a cell is not a number, or all are missing.
pub fn fill_with_mean(column: &Column) -> Result<Vec<f64>> {
    let cells = known_numbers(column)?;
    let known: Vec<f64> = cells.iter().flatten().copied().collect();
    if known.is_empty() {
        return Err(all_missing(column));
    }
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    Ok(cells.into_iter().map(|cell| cell.unwrap_or(mean)).collect())
}
// ANCHOR_END: fill_with_mean

// ANCHOR: interpolate
/// The column as numbers, each missing one on the straight line between its nearest known neighbours; before the first
/// and after the last known one, that one.
///
/// # Errors
/// When a cell is not a number, or all are missing.
pub fn interpolate(column: &Column) -> Result<Vec<f64>> {
    let cells = known_numbers(column)?;
    let place = |(row, cell): (usize, &Option<f64>)| cell.map(|value| (row as f64, value));
    let known: Vec<(f64, f64)> = cells.iter().enumerate().filter_map(place).collect();
    let value = |row: f64| {
        let before = known.iter().rev().find(|(x, _)| *x <= row);
        let after = known.iter().find(|(x, _)| *x >= row);
        match (before, after) {
            (Some((x0, y0)), Some((x1, y1))) if x1 > x0 => Some(y0 + (y1 - y0) * (row - x0) / (x1 - x0)),
            (Some((_, y)), _) | (_, Some((_, y))) => Some(*y),
            (None, None) => None,
        }
    };
    let all = (0..cells.len())
        .map(|row| value(row as f64))
        .collect::<Option<_>>();
    all.ok_or_else(|| all_missing(column))
}
// ANCHOR_END: interpolate

// ANCHOR: one_hot
/// A column of 0 and 1 for each category in order of the alphabet, and one for missing values if there are any.
pub fn one_hot(column: &Column) -> Vec<(String, Vec<f64>)> {
    let mut categories = column.cells.clone();
    categories.sort();
    categories.dedup();
    let missing_last = categories
        .iter()
        .take_while(|category| category.is_none())
        .count();
    categories.rotate_left(missing_last);
    let indicator = |category: Option<String>| {
        let name = category.as_deref().unwrap_or("missing");
        let values = column
            .cells
            .iter()
            .map(|cell| f64::from(*cell == category))
            .collect();
        (format!("{}_{name}", column.name), values)
    };
    categories.into_iter().map(indicator).collect()
}
// ANCHOR_END: one_hot

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &str) -> Column {
        let [column] = read_csv(&format!("c\n{}", cells.replace(' ', "\n"))).unwrap();
        column
    }

    /// numpy.interp(range(7), [1, 4, 5], [2, 8, 5]) = [2, 2, 4, 6, 8, 5, 5]
    #[test]
    fn gaps_are_bridged_as_by_numpy() {
        let cells = column("NA 2 NA NA 8 5 NA");
        assert_eq!(interpolate(&cells).unwrap(), [2.0, 2.0, 4.0, 6.0, 8.0, 5.0, 5.0]);
        assert_eq!(
            fill_with_mean(&cells).unwrap(),
            [5.0, 2.0, 5.0, 5.0, 8.0, 5.0, 5.0]
        );
    }

    #[test]
    fn categories_come_in_order_with_missing_last_and_only_if_there_is_one() {
        let names = |cells: &str| {
            one_hot(&column(cells))
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("b NA a b"), ["c_a", "c_b", "c_missing"]);
        assert_eq!(names("b a"), ["c_a", "c_b"]);
        assert_eq!(one_hot(&column("b NA a b"))[1].1, [1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_table_that_is_none_names_the_line_or_the_cell() {
        let message = |result: Result<Vec<f64>>| result.unwrap_err().to_string();
        assert!(read_csv::<1>("").is_err());
        let ragged = read_csv::<2>("a,b\n1,2\n3").unwrap_err().to_string();
        assert!(
            ragged.contains("line 3") && ragged.contains("1 cells instead of 2"),
            "{ragged}"
        );
        assert!(message(fill_with_mean(&column("1 x"))).contains("`x` in row 2 of column `c`"));
        assert!(message(numbers(&column("1 NA"))).contains("`c` has missing values"));
        for empty in [fill_with_mean(&column("NA NA")), interpolate(&column("NA NA"))] {
            assert!(message(empty).contains("no value at all"));
        }
    }
}

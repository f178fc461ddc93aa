//! Joining matrices of equally many rows side by side, and taking one of them out again.
//!
//! NHWC activations are such matrices with rows = batch·height·width, so this is the concatenation of channels.

pub mod naive;
#[cfg(test)]
mod tests;

use crate::ShapeError;
use crate::error::checked_product;
use crate::par::for_each_chunk_mut;
use crate::pieces::{ELEMENTS, per_level};

/// Rows per piece of work, fixed by the width of the wider matrix.
fn rows_per_piece(columns: usize) -> usize {
    (ELEMENTS / columns.max(1)).max(1)
}

/// Writes the columns of all `parts`, each `(values, channels)`, side by side.
///
/// # Shapes
/// `parts[i].0`: `[rows][parts[i].1]`; `y`: `[rows][sum of all channels]`. A part may have no channels.
///
/// # Errors
/// Slices of other lengths.
pub fn join(rows: usize, parts: &[(&[f32], usize)], y: &mut [f32]) -> Result<(), ShapeError> {
    const NAME: &str = "concat::join";
    let mut total = 0usize;
    for (index, &(part, channels)) in parts.iter().enumerate() {
        let len = checked_product(NAME, &[rows, channels])?;
        ShapeError::check_len(NAME, &format!("part {index}"), len, part.len())?;
        total = total.saturating_add(channels);
    }
    ShapeError::check_len(NAME, "y", checked_product(NAME, &[rows, total])?, y.len())?;
    if y.is_empty() {
        return Ok(());
    }
    let piece_rows = rows_per_piece(total);
    for_each_chunk_mut(y, piece_rows * total, |piece, y| {
        let mut first = 0;
        for &(part, channels) in parts.iter().filter(|(_, channels)| *channels > 0) {
            let part = part[piece * piece_rows * channels..].chunks_exact(channels);
            for (y, part) in y.chunks_exact_mut(total).zip(part) {
                y[first..first + channels].copy_from_slice(part);
            }
            first += channels;
        }
    });
    Ok(())
}

/// Takes `channels` columns from `offset` on out of `dy`: writes them to `dx`, or adds them with `accumulate`. Called
/// for every part, this is the gradient of [`join`].
///
/// # Shapes
/// `dy`: `[rows][total_channels]`; `dx`: `[rows][channels]`.
///
/// # Errors
/// Columns that `dy` does not have, slices of other lengths.
pub fn split_one(
    rows: usize,
    total_channels: usize,
    offset: usize,
    channels: usize,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) -> Result<(), ShapeError> {
    const NAME: &str = "concat::split_one";
    if offset
        .checked_add(channels)
        .is_none_or(|end| end > total_channels)
    {
        return Err(ShapeError::new(
            NAME,
            format!("columns among {total_channels}"),
            format!("{channels} from {offset} on"),
        ));
    }
    ShapeError::check_len(
        NAME,
        "dy",
        checked_product(NAME, &[rows, total_channels])?,
        dy.len(),
    )?;
    ShapeError::check_len(NAME, "dx", checked_product(NAME, &[rows, channels])?, dx.len())?;
    if dx.is_empty() {
        return Ok(());
    }
    let piece_rows = rows_per_piece(total_channels);
    for_each_chunk_mut(dx, piece_rows * channels, |piece, dx| {
        let dy = &dy[piece * piece_rows * total_channels..];
        if accumulate {
            add_columns(total_channels, offset, channels, dy, dx);
        } else {
            let dy = dy.chunks_exact(total_channels);
            for (dx, dy) in dx.chunks_exact_mut(channels).zip(dy) {
                dx.copy_from_slice(&dy[offset..offset + channels]);
            }
        }
    });
    Ok(())
}

per_level! {
    /// Adds the columns to the rows that `dx` holds.
    fn add_columns<'a>(total: usize, offset: usize, channels: usize, dy: &'a [f32], dx: &'a mut [f32]) {
        for (dx, dy) in dx.chunks_exact_mut(channels).zip(dy.chunks_exact(total)) {
            for (dx, dy) in dx.iter_mut().zip(&dy[offset..offset + channels]) {
                *dx += dy;
            }
        }
    }
}

//! Joining and taking apart, element by element: for tests and as the baseline of benchmarks.
//!
//! # Panics
//! Every function panics if a slice is too short.

/// All parts, each `(values, channels)`, side by side.
pub fn join(rows: usize, parts: &[(&[f32], usize)]) -> Vec<f32> {
    let mut y = Vec::new();
    for row in 0..rows {
        for (part, channels) in parts {
            for channel in 0..*channels {
                y.push(part[row * channels + channel]);
            }
        }
    }
    y
}

/// `channels` columns of `dy` from `offset` on.
pub fn split_one(rows: usize, total_channels: usize, offset: usize, channels: usize, dy: &[f32]) -> Vec<f32> {
    let element = |row, channel| dy[row * total_channels + offset + channel];
    (0..rows)
        .flat_map(|row| (0..channels).map(move |channel| element(row, channel)))
        .collect()
}

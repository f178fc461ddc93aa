//! Random changes to training pictures, each a pure function of (seed, epoch, example).

use rand_chacha::rand_core::Rng as _;

use super::order::{Purpose, below, generator};
use crate::error::{Error, Result};

/// What is changed at random, and by which seed. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// The probability of a mirror image (left and right exchanged), 0 to 1.
    pub horizontal_flip: f64,
    /// Pixels of black added on every side before a crop of the original size at a random place.
    pub crop_padding: usize,
    /// The seed.
    pub seed: u64,
}

impl Augment {
    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        self.horizontal_flip == 0.0 && self.crop_padding == 0
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.horizontal_flip) {
            return Err(Error::Options(format!(
                "a flip with probability {}",
                self.horizontal_flip
            )));
        }
        if self.crop_padding > u16::MAX as usize {
            return Err(Error::Options(format!(
                "a crop with {} pixels of padding",
                self.crop_padding
            )));
        }
        Ok(())
    }

    /// Draws what happens to one example in one epoch.
    fn draw(&self, epoch: u64, example: u32) -> Change {
        let mut generator = generator(self.seed, Purpose::Augment, epoch, u64::from(example));
        // Both draws are always made, so that switching one on leaves the other's outcome alone.
        let places = 2 * self.crop_padding as u32 + 1;
        let down = below(&mut generator, places) as isize - self.crop_padding as isize;
        let right = below(&mut generator, places) as isize - self.crop_padding as isize;
        let uniform = f64::from(generator.next_u32()) / f64::from(u32::MAX);
        Change {
            down,
            right,
            mirror: self.horizontal_flip > 0.0 && uniform <= self.horizontal_flip,
        }
    }

    /// Writes the changed picture `[c][h][w]` of `source` to `target`.
    pub(crate) fn apply(
        &self,
        epoch: u64,
        example: u32,
        [channels, height, width]: [usize; 3],
        source: &[u8],
        target: &mut [u8],
    ) {
        let change = self.draw(epoch, example);
        let planes = source
            .chunks_exact(height * width)
            .zip(target.chunks_exact_mut(height * width));
        for (source, target) in planes.take(channels) {
            for (row, target) in target.chunks_exact_mut(width).enumerate() {
                let from = row.checked_add_signed(change.down).filter(|&row| row < height);
                let Some(source) = from.and_then(|row| source.chunks_exact(width).nth(row)) else {
                    target.fill(0);
                    continue;
                };
                for (column, value) in target.iter_mut().enumerate() {
                    let column = if change.mirror { width - 1 - column } else { column };
                    let from = column.checked_add_signed(change.right);
                    *value = from.and_then(|column| source.get(column)).copied().unwrap_or(0);
                }
            }
        }
    }
}

struct Change {
    down: isize,
    right: isize,
    mirror: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [2, 3, 4];

    fn apply(augment: Augment, epoch: u64, example: u32) -> Vec<u8> {
        let source: Vec<u8> = (1..=24).collect();
        let mut target = vec![99; 24];
        augment.apply(epoch, example, SHAPE, &source, &mut target);
        target
    }

    #[test]
    fn nothing_asked_is_nothing_done() {
        assert!(Augment::default().is_none());
        assert_eq!(apply(Augment::default(), 1, 2), (1..=24).collect::<Vec<u8>>());
    }

    #[test]
    fn a_certain_flip_mirrors_every_row() {
        let augment = Augment {
            horizontal_flip: 1.0,
            ..Augment::default()
        };
        for example in 0..20 {
            assert_eq!(apply(augment, 0, example)[..8], [4, 3, 2, 1, 8, 7, 6, 5]);
        }
    }

    #[test]
    fn a_crop_shifts_and_pads_with_black() {
        let augment = Augment {
            crop_padding: 1,
            seed: 5,
            ..Augment::default()
        };
        let mut seen = std::collections::HashSet::new();
        for example in 0..200 {
            let changed = apply(augment, 0, example);
            assert_eq!(changed, apply(augment, 0, example), "a pure function");
            // Every value that is there is where one shift of the whole picture puts it.
            let place = changed.iter().position(|&value| value != 0).unwrap();
            let from = usize::from(changed[place]) - 1;
            let (down, right) = (
                place as isize / 4 - from as isize / 4,
                place as isize % 4 - from as isize % 4,
            );
            assert!(down.abs() <= 1 && right.abs() <= 1, "{changed:?}");
            seen.insert((down, right));
        }
        assert_eq!(seen.len(), 9, "all nine places occur");
    }

    #[test]
    fn a_flip_is_as_likely_as_asked_and_changes_with_the_epoch() {
        let augment = Augment {
            horizontal_flip: 0.25,
            seed: 1,
            ..Augment::default()
        };
        let flips = |epoch| {
            (0..4000)
                .filter(|&example| apply(augment, epoch, example)[0] == 4)
                .collect::<Vec<u32>>()
        };
        let (first, second) = (flips(0), flips(1));
        // Five standard deviations are 137.
        assert!(first.len().abs_diff(1000) < 137, "{}", first.len());
        assert_ne!(first, second);
    }

    #[test]
    fn nonsense_is_refused() {
        for flip in [-0.1, 1.1, f64::NAN] {
            assert!(
                Augment {
                    horizontal_flip: flip,
                    ..Augment::default()
                }
                .check()
                .is_err()
            );
        }
    }
}

//! Which examples are learned from and which are held out: by a fraction, or in k folds; in order or
//! shuffled by a seed; as they come or with every class in its proportion (section 4.4 of the book).

use crate::{Error, Result};
use d2l_kernels::rng::Philox;

/// The generator's stream for splits; the epochs of an order count up from 0.
const STREAM: u64 = u64::MAX;

/// The numbers of the examples on either side of a split, in rising order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To be learned from.
    pub train: Vec<usize>,
    /// Held out, to be judged by.
    pub held_out: Vec<usize>,
}

/// How examples are dealt out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dealing<'a> {
    /// The seed of a shuffled order; without one, blocks of the order that the examples have.
    pub shuffle: Option<u64>,
    /// The class of each example, to have every class on each side in its proportion (within one example).
    pub classes: Option<&'a [u16]>,
}

impl Dealing<'_> {
    /// Holds out `fraction` of `count` examples: the last ones of the order, as Keras does with
    /// `validation_split`. At least one example stays on either side.
    ///
    /// # Errors
    /// When the fraction is not between 0 and 1, there are fewer than two examples, or the classes
    /// are not as many as the examples.
    pub fn hold_out(&self, count: usize, fraction: f64) -> Result<Split> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::Invalid(format!(
                "the fraction to hold out has to be between 0 and 1, got {fraction}"
            )));
        }
        if count < 2 {
            return Err(Error::Invalid(format!("{count} examples cannot be split in two")));
        }
        let wanted = ((count as f64 * fraction).round() as usize).clamp(1, count - 1);
        let groups = self.groups(count)?;
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        let mut held_out = Vec::with_capacity(wanted);
        for (group, share) in groups.iter().zip(proportions(&sizes, wanted)) {
            held_out.extend(group.iter().skip(group.len() - share));
        }
        Ok(Split::new(count, held_out))
    }

    /// Cuts `count` examples into `k` folds, each held out once. Folds differ by one example at most, the first
    /// ones being the larger (where `k` divides `count` they are the book's).
    ///
    /// # Errors
    /// When `k` is not between 2 and `count`, or the classes are not as many as the examples.
    pub fn folds(&self, count: usize, k: usize) -> Result<Vec<Split>> {
        if k < 2 || k > count {
            return Err(Error::Invalid(format!(
                "{count} examples cannot be cut into {k} folds: expected 2 to {count}"
            )));
        }
        let mut folds = vec![Vec::new(); k];
        if self.classes.is_none() {
            let order = self.groups(count)?.concat();
            let mut rest = order.as_slice();
            for (index, fold) in folds.iter_mut().enumerate() {
                let size = count / k + usize::from(index < count % k);
                let (block, after) = rest.split_at(size.min(rest.len()));
                fold.extend_from_slice(block);
                rest = after;
            }
        } else {
            // Dealt like cards, class after class, so that neither a class nor a fold has more than one too many.
            for (card, example) in self.groups(count)?.concat().into_iter().enumerate() {
                if let Some(fold) = folds.get_mut(card % k) {
                    fold.push(example);
                }
            }
        }
        Ok(folds.into_iter().map(|fold| Split::new(count, fold)).collect())
    }

    /// The examples in their order: one group of all, or one of each class.
    fn groups(&self, count: usize) -> Result<Vec<Vec<usize>>> {
        let mut order: Vec<usize> = (0..count).collect();
        if let Some(seed) = self.shuffle {
            Philox::new(seed, STREAM).shuffle(&mut order);
        }
        let Some(classes) = self.classes else {
            return Ok(vec![order]);
        };
        if classes.len() != count {
            return Err(Error::Invalid(format!(
                "{} classes for {count} examples: each example needs one",
                classes.len()
            )));
        }
        let mut groups = std::collections::BTreeMap::<u16, Vec<usize>>::new();
        for example in order {
            if let Some(&class) = classes.get(example) {
                groups.entry(class).or_default().push(example);
            }
        }
        Ok(groups.into_values().collect())
    }
}

impl Split {
    fn new(count: usize, mut held_out: Vec<usize>) -> Self {
        held_out.sort_unstable();
        let mut is_held_out = vec![false; count];
        for &example in &held_out {
            if let Some(flag) = is_held_out.get_mut(example) {
                *flag = true;
            }
        }
        let kept = is_held_out.iter().enumerate().filter(|(_, held_out)| !**held_out);
        Self {
            train: kept.map(|(example, _)| example).collect(),
            held_out,
        }
    }
}

/// `wanted` shared out in proportion to `sizes`, the largest remainders rounded up.
fn proportions(sizes: &[usize], wanted: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let exact = |size: usize| size as u128 * wanted as u128;
    let mut shares: Vec<usize> = sizes
        .iter()
        .map(|&size| (exact(size) / all.max(1) as u128) as usize)
        .collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    let remainder = |&index: &usize| {
        sizes
            .get(index)
            .map_or(0, |&size| exact(size) % all.max(1) as u128)
    };
    by_remainder.sort_by_key(|index| (std::cmp::Reverse(remainder(index)), *index));
    let left = wanted - shares.iter().sum::<usize>();
    for index in by_remainder.into_iter().take(left) {
        if let Some(share) = shares.get_mut(index) {
            *share += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds_are_the_books_blocks() {
        let folds = Dealing::default().folds(10, 5).unwrap();
        assert_eq!(folds[0].held_out, [0, 1]);
        assert_eq!(folds[0].train, [2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(folds[4].held_out, [8, 9]);
        let sizes = |count, k| -> Vec<usize> {
            let folds = Dealing::default().folds(count, k).unwrap();
            folds.iter().map(|fold| fold.held_out.len()).collect()
        };
        assert_eq!(sizes(1460, 5), [292; 5]);
        assert_eq!(sizes(11, 4), [3, 3, 3, 2]);
    }

    #[test]
    fn the_last_are_held_out_unless_shuffled() {
        let split = Dealing::default().hold_out(10, 0.2).unwrap();
        assert_eq!(split.held_out, [8, 9]);
        let shuffled = |seed| {
            let dealing = Dealing {
                shuffle: Some(seed),
                ..Dealing::default()
            };
            dealing.hold_out(1000, 0.2).unwrap().held_out
        };
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        assert_ne!(shuffled(1), (800..1000).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let all = Dealing::default();
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(
                all.hold_out(10, fraction)
                    .unwrap_err()
                    .to_string()
                    .contains("between 0 and 1")
            );
        }
        assert!(all.hold_out(1, 0.5).is_err());
        for (count, k) in [(10, 1), (10, 0), (3, 4)] {
            assert!(
                all.folds(count, k)
                    .unwrap_err()
                    .to_string()
                    .contains(&format!("into {k} folds"))
            );
        }
        let short = Dealing {
            shuffle: None,
            classes: Some(&[0, 1]),
        };
        assert!(short.hold_out(3, 0.5).is_err() && short.folds(3, 2).is_err());
    }

    proptest! {
        /// Every example is on one side exactly, in every fold, and held out once over all folds.
        #[test]
        fn nothing_is_lost_or_used_twice(
            classes in prop::collection::vec(0u16..4, 2..60),
            k in 2usize..6,
            fraction in 0.01f64..0.99,
            seed in prop::option::of(0u64..5),
            stratified: bool,
        ) {
            let count = classes.len();
            let k = k.min(count);
            let dealing = Dealing { shuffle: seed, classes: stratified.then_some(classes.as_slice()) };
            let folds = dealing.folds(count, k).unwrap();
            let mut held_out: Vec<usize> = folds.iter().flat_map(|fold| fold.held_out.clone()).collect();
            held_out.sort_unstable();
            prop_assert!(held_out.into_iter().eq(0..count));
            let once = dealing.hold_out(count, fraction).unwrap();
            let wanted = ((count as f64 * fraction).round() as usize).clamp(1, count - 1);
            prop_assert_eq!(once.held_out.len(), wanted);
            for split in folds.iter().chain([&once]) {
                let mut both = [split.train.clone(), split.held_out.clone()].concat();
                both.sort_unstable();
                prop_assert!(both.into_iter().eq(0..count));
                prop_assert!(!split.train.is_empty() && !split.held_out.is_empty());
                if stratified {
                    for class in 0..4 {
                        let of = |rows: &[usize]| rows.iter().filter(|&&row| classes[row] == class).count() as f64;
                        let share = split.held_out.len() as f64 / count as f64;
                        let all: Vec<usize> = (0..count).collect();
                        prop_assert!((of(&split.held_out) - of(&all) * share).abs() < 2.0);
                    }
                }
            }
            let sizes: Vec<usize> = folds.iter().map(|fold| fold.held_out.len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }
}

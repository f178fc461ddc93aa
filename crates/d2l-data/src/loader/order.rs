//! The order of an epoch.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What a stream of random numbers is for; keeps the streams of one seed apart.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Order,
    Augment,
}

/// The generator of `seed` for a purpose and a stream within it.
///
/// Seed, purpose and `item` are laid into the ChaCha key by hand, so the numbers do not depend on
/// how a version of `rand` expands a seed.
pub(crate) fn generator(seed: u64, purpose: Purpose, item: u64, stream: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    let tag = match purpose {
        Purpose::Order => *b"ordering",
        Purpose::Augment => *b"augments",
    };
    let words = [seed.to_le_bytes(), tag, item.to_le_bytes()];
    for (target, source) in key.iter_mut().zip(words.as_flattened()) {
        *target = *source;
    }
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(stream);
    generator
}

/// A number below `bound`, each equally likely (Lemire's method with rejection).
pub(crate) fn below(generator: &mut ChaCha8Rng, bound: u32) -> u32 {
    let threshold = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}

/// 0 to `examples` − 1, shuffled (Fisher–Yates) if there is a seed.
pub(crate) fn order(examples: usize, seed: Option<u64>, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..examples as u32).collect();
    if let Some(seed) = seed {
        let mut generator = generator(seed, Purpose::Order, 0, epoch);
        for last in (1..order.len()).rev() {
            let other = below(&mut generator, last as u32 + 1);
            order.swap(last, other as usize);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_seed_and_epoch_alone_decide() {
        let first = order(1000, Some(7), 3);
        assert_eq!(first, order(1000, Some(7), 3));
        assert_ne!(first, order(1000, Some(7), 4));
        assert_ne!(first, order(1000, Some(8), 3));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(order(3, None, 9), [0, 1, 2]);
        assert!(order(0, Some(1), 0).is_empty());
    }

    /// A change of these numbers breaks the reproducibility of every earlier run. They were made
    /// independently, by `tests/golden/order.py`.
    #[test]
    fn the_order_never_changes() {
        assert_eq!(order(10, Some(0), 0), [7, 8, 1, 0, 9, 6, 3, 5, 4, 2]);
        assert_eq!(order(10, Some(0), 1), [1, 6, 5, 8, 3, 0, 7, 4, 9, 2]);
        let long = order(40, Some(1 << 60), 5);
        assert_eq!(long[..8], [38, 20, 33, 24, 3, 15, 14, 4]);
        assert_eq!(long[32..], [31, 37, 30, 6, 5, 2, 7, 19]);
    }

    #[test]
    fn below_is_even() {
        let mut generator = generator(1, Purpose::Augment, 0, 0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[below(&mut generator, 6) as usize] += 1;
        }
        // Five standard deviations of a binomial with n = 60,000 and p = 1/6 are 456.
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 456),
            "{counts:?}"
        );
    }
}

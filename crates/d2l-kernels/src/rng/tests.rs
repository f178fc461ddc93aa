use super::*;
use crate::testing::{at_every_level, with_threads};

/// Random123's `kat_vectors`, philox4x32 with 10 rounds.
#[test]
fn known_answers_of_random123() {
    let cases = [
        (
            [0; 4],
            [0; 2],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        ),
        (
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        ),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, expected) in cases {
        assert_eq!(philox4x32_10(counter, key), expected);
    }
}

#[test]
fn groups_are_the_sequence() {
    let mut rng = Philox::new(7, 1 << 40);
    let words = group(7, 1 << 40, 0);
    assert!(words.iter().all(|&word| word == rng.next_u32()));
    // Across the carry from the low to the high word of the block number.
    let words = group(7, 3, u64::from(u32::MAX) - 2);
    let mut rng = Philox::new(7, 3);
    rng.jump((u64::from(u32::MAX) - 2) * 4);
    assert!(words.iter().all(|&word| word == rng.next_u32()));
}

#[test]
fn state_round_trips_at_every_position() {
    let mut rng = Philox::new(1, 2);
    for _ in 0..9 {
        let mut copy = Philox::from_state(rng.state());
        assert_eq!(copy.next_u64(), rng.clone().next_u64());
        rng.next_u32();
    }
    rng.fill_normal(0.0, 1.0, &mut [0.0; 5]);
    assert_eq!(rng.state().position, 12 + 8);
}

#[test]
fn jumps_equal_drawing() {
    for words in [0, 1, 3, 4, 5, 1000] {
        let (mut drawn, mut jumped) = (Philox::new(5, 6), Philox::new(5, 6));
        drawn.next_u32();
        jumped.next_u32();
        (0..words).for_each(|_| _ = drawn.next_u32());
        jumped.jump(words);
        assert_eq!(drawn.state(), jumped.state());
        assert_eq!(drawn.next_u32(), jumped.next_u32());
    }
}

#[test]
fn streams_and_seeds_differ() {
    let first = |seed, stream| Philox::new(seed, stream).next_u64();
    assert_ne!(first(0, 0), first(0, 1));
    assert_ne!(first(0, 0), first(1, 0));
    assert_eq!(Philox::new(4, 0).stream(9).next_u64(), first(4, 9));
}

#[test]
fn fills_are_the_same_for_any_threads_and_level() {
    let draw = || {
        let mut rng = Philox::new(11, 0);
        rng.next_u32();
        let (mut uniform, mut normal) = (vec![0f32; 3 * PIECE + 5], vec![0f32; 2 * PIECE + 63]);
        rng.fill_uniform(-2.0, 3.0, &mut uniform);
        rng.fill_normal(1.0, 0.5, &mut normal);
        uniform.extend(normal);
        uniform.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = draw();
    at_every_level(|_| {
        for threads in [1, 2, 3] {
            assert!(with_threads(threads, draw) == expected, "{threads} threads");
        }
    });
    // And equal to drawing word by word.
    let mut rng = Philox::new(11, 0);
    rng.jump(4);
    assert!(
        expected[..3 * PIECE]
            .iter()
            .all(|&bits| bits == (-2.0 + 5.0 * rng.uniform_f32()).to_bits())
    );
}

#[test]
fn uniform_moments_and_range() {
    let mut values = vec![0f32; 1 << 18];
    Philox::new(3, 0).fill_uniform(-1.0, 3.0, &mut values);
    assert!(values.iter().all(|value| (-1.0..3.0).contains(value)));
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    // Standard error: 4/√12/512 = 0.00226.
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    let mut narrow = vec![0f32; 1000];
    Philox::new(3, 0).fill_uniform(1.0, 1.0 + f32::EPSILON, &mut narrow);
    assert!(narrow.iter().all(|&value| value == 1.0));
}

#[test]
fn normal_moments_and_tails() {
    let mut values = vec![0f32; 1 << 20];
    Philox::new(3, 0).fill_normal(0.0, 1.0, &mut values);
    let count = values.len() as f64;
    let moment = |power| {
        values
            .iter()
            .map(|&value| f64::from(value).powi(power))
            .sum::<f64>()
            / count
    };
    // Five standard errors (√(1/n), √(2/n), √(15/n), √(96/n)).
    assert!(moment(1).abs() < 5.0 / count.sqrt());
    assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
    assert!(moment(3).abs() < 5.0 * (15.0 / count).sqrt());
    assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / count).sqrt());
    let tail = values.iter().filter(|value| value.abs() > 3.0).count() as f64 / count;
    assert!((tail - 0.0027).abs() < 5.0 * (0.0027f64 / count).sqrt(), "{tail}");
    // Neighbours are not correlated.
    let products: f64 = values
        .windows(2)
        .map(|pair| f64::from(pair[0]) * f64::from(pair[1]))
        .sum();
    assert!((products / count).abs() < 5.0 / count.sqrt());
}

#[test]
fn below_is_uniform_and_bounded() {
    let mut rng = Philox::new(9, 0);
    let mut counts = [0u32; 7];
    for _ in 0..70_000 {
        counts[rng.below(7) as usize] += 1;
    }
    // Chi-squared with 6 degrees of freedom: 22.5 has probability 0.001.
    let chi: f64 = counts
        .iter()
        .map(|&count| (f64::from(count) - 1e4).powi(2) / 1e4)
        .sum();
    assert!(chi < 22.5, "{counts:?}");
    assert!((0..100).all(|_| rng.below(1) == 0));
    let large = (1 << 63) + 1;
    assert!((0..100).all(|_| rng.below(large) < large));
    rng.below(0);
}

#[test]
fn shuffles_are_fair_permutations() {
    let mut rng = Philox::new(2, 0);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..24_000 {
        let mut items = [0, 1, 2, 3];
        rng.shuffle(&mut items);
        *counts.entry(items).or_insert(0u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    // Chi-squared with 23 degrees of freedom: 49.7 has probability 0.001.
    let chi: f64 = counts
        .values()
        .map(|&count| (f64::from(count) - 1e3).powi(2) / 1e3)
        .sum();
    assert!(chi < 49.7, "{chi}");
    rng.shuffle::<u8>(&mut []);
}

use super::*;
use crate::checks::assert_same_for_any_threads;
use crate::testing::{assert_same_bits, at_every_level, values};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn parts_are_joined_and_found_again(
        rows in 0usize..40, widths in proptest::collection::vec(0usize..40, 0..5), seed: u64,
    ) {
        let values_of: Vec<Vec<f32>> = widths
            .iter()
            .enumerate()
            .map(|(index, channels)| values(rows * channels, seed.wrapping_add(index as u64)))
            .collect();
        let parts: Vec<(&[f32], usize)> =
            values_of.iter().map(Vec::as_slice).zip(widths.iter().copied()).collect();
        let total: usize = widths.iter().sum();
        let mut y = vec![f32::NAN; rows * total];
        join(rows, &parts, &mut y).unwrap();
        assert_same_bits("join", &naive::join(rows, &parts), &y);
        let mut offset = 0;
        for &(part, channels) in &parts {
            assert_same_bits("twin", part, &naive::split_one(rows, total, offset, channels, &y));
            at_every_level(|_| {
                let mut dx = vec![f32::NAN; part.len()];
                split_one(rows, total, offset, channels, &y, &mut dx, false).unwrap();
                assert_same_bits("split", part, &dx);
                split_one(rows, total, offset, channels, &y, &mut dx, true).unwrap();
                let doubled: Vec<f32> = part.iter().map(|x| x + x).collect();
                assert_same_bits("accumulate", &doubled, &dx);
            });
            offset += channels;
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let (rows, widths) = (3001, [48, 1, 16]);
    let total = widths.iter().sum();
    let data = widths.map(|channels| values(rows * channels, channels as u64));
    assert_same_for_any_threads("concat", || {
        let parts = [0, 1, 2].map(|index| (data[index].as_slice(), widths[index]));
        let mut y = vec![f32::NAN; rows * total];
        join(rows, &parts, &mut y).unwrap();
        let mut dx = data[2].clone();
        split_one(rows, total, 49, 16, &y, &mut dx, true).unwrap();
        vec![y, dx]
    });
}

#[test]
fn wrong_lengths_and_columns_are_refused() {
    assert!(join(2, &[(&[0.0; 4], 2), (&[0.0; 3], 2)], &mut [0.0; 8]).is_err());
    assert!(join(2, &[(&[0.0; 4], 2)], &mut [0.0; 5]).is_err());
    assert!(split_one(2, 3, 1, 2, &[0.0; 6], &mut [0.0; 3], false).is_err());
    assert!(split_one(2, 3, 1, 2, &[0.0; 5], &mut [0.0; 4], false).is_err());
    assert!(split_one(2, 3, usize::MAX, 2, &[0.0; 6], &mut [0.0; 4], false).is_err());
    let error = split_one(2, 3, 2, 2, &[0.0; 6], &mut [0.0; 4], true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "concat::split_one: expected columns among 3, got 2 from 2 on"
    );
}

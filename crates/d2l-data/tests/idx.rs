//! The IDX reader against odd and hostile bytes; `memory.rs` has what they cost.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{self, Read};

use d2l_data::idx::Idx;
use proptest::prelude::*;
use support::{gzip, idx};

#[test]
fn equal_labels_are_no_bomb() {
    let labels = vec![4; 60_000];
    let packed = gzip(&idx(&[60_000], labels.clone()), 9);
    assert_eq!(Idx::read_labels(&packed[..]).unwrap().data, labels);
}

#[test]
fn members_of_gzip_may_follow_each_other() {
    let file = idx(&[3, 2, 2], (0..12).collect());
    let packed = [gzip(&file[..10], 6), gzip(&file[10..], 6)].concat();
    assert_eq!(
        Idx::read_images(&packed[..]).unwrap().data,
        (0..12).collect::<Vec<u8>>()
    );
    let packed = [gzip(&file, 6), b"tail".to_vec()].concat();
    assert!(Idx::read_images(&packed[..]).is_err());
}

#[test]
fn a_reader_that_fails_and_one_that_gives_single_bytes() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was cut"))
        }
    }
    let error = Idx::read_labels(Failing).unwrap_err();
    assert!(error.to_string().contains("the cable was cut"), "{error}");

    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }
    let file = idx(&[5], vec![1, 2, 3, 4, 5]);
    assert_eq!(Idx::read_labels(Slow(&file)).unwrap().data, [1, 2, 3, 4, 5]);
    assert_eq!(
        Idx::read_labels(Slow(&gzip(&file, 6))).unwrap().data,
        [1, 2, 3, 4, 5]
    );
}

/// A valid file of one to three dimensions.
fn file() -> impl Strategy<Value = (Vec<usize>, Vec<u8>)> {
    prop::collection::vec(1usize..8, 1..4).prop_flat_map(|dimensions| {
        let size = dimensions.iter().product::<usize>();
        (Just(dimensions), prop::collection::vec(any::<u8>(), size))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read((dimensions, data) in file(), level in 0u32..10) {
        let bytes = idx(&dimensions, data.clone());
        for file in [bytes.clone(), gzip(&bytes, level)] {
            let read = Idx::read(&file[..], dimensions.len()).unwrap();
            prop_assert_eq!(&read.dimensions, &dimensions);
            prop_assert_eq!(&read.data, &data);
            prop_assert_eq!(read.sha256.as_str(), support::sha256(&bytes));
        }
    }

    #[test]
    fn any_cut_and_any_addition_is_noticed((dimensions, data) in file(), at in any::<prop::sample::Index>()) {
        let bytes = idx(&dimensions, data);
        for file in [bytes.clone(), gzip(&bytes, 6)] {
            let cut = &file[..at.index(file.len())];
            prop_assert!(Idx::read(cut, dimensions.len()).is_err());
            let longer = [&file[..], &[0]].concat();
            prop_assert!(Idx::read(&longer[..], dimensions.len()).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_of_gzip_never_gives_other_data((dimensions, data) in file(), at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let mut packed = gzip(&idx(&dimensions, data.clone()), 6);
        let place = at.index(packed.len());
        packed[place] ^= 1 << bit;
        // The header's time, name and system have no bearing on the content.
        if let Ok(read) = Idx::read(&packed[..], dimensions.len()) {
            prop_assert_eq!(read.data, data);
        }
    }
}

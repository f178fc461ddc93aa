//! The memory that the IDX reader uses for files that claim more than they hold. One test at a time:
//! the allocator's peak is the process's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Mutex;

use d2l_data::idx::{EXPANSION_SLACK, Idx, IdxError, MAX_EXPANSION};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use support::{gzip, idx};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Buffers and the decoder's window, whatever the file.
const FIXED: usize = 512 << 10;

/// The result of `work`, and the most bytes it had allocated at once.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}

#[test]
fn a_huge_claim_costs_no_memory() {
    for dimensions in [
        [0x7fff_ffffu32, 28, 28],
        [1 << 20, 1 << 10, 1 << 10],
        [40_000, 28, 28],
    ] {
        let mut file = vec![0, 0, 8, 3];
        dimensions
            .iter()
            .for_each(|size| file.extend_from_slice(&size.to_be_bytes()));
        file.extend_from_slice(&[7; 1000]);
        for file in [gzip(&file, 6), file] {
            let (result, peak) = peak(|| Idx::read_images(&file[..]));
            let error = result.unwrap_err();
            assert!(
                matches!(error, IdxError::Truncated { found: 1000, .. }),
                "{error}"
            );
            assert!(peak < FIXED, "{peak} bytes for a file of {}", file.len());
        }
    }
    let file = [&[0, 0, 8, 3][..], &[0xff; 12]].concat();
    assert!(matches!(Idx::read_images(&file[..]), Err(IdxError::Overflow(_))));
}

#[test]
fn a_decompression_bomb_is_stopped() {
    let bytes = 128 << 20;
    let mut file = idx(&[1 << 11, 1 << 8, 1 << 8], Vec::new());
    file.resize(16 + bytes, 0);
    let packed = gzip(&file, 9);
    assert!(packed.len() * 900 < bytes);
    drop(file);
    let (result, peak) = peak(|| Idx::read_images(&packed[..]));
    let error = result.unwrap_err();
    assert!(matches!(error, IdxError::Bomb { .. }), "{error}");
    // A growing vector holds up to twice its content, and three times while it moves.
    let bound = 3 * (MAX_EXPANSION as usize * packed.len() + EXPANSION_SLACK as usize) + FIXED;
    assert!(peak < bound && bound < bytes, "{peak} of {bound}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_are_an_error_within_bounds(
        start in prop::sample::select(vec![vec![], vec![0, 0, 8, 3], vec![0, 0, 8, 1], vec![0x1f, 0x8b, 8]]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let file = [start, rest].concat();
        for rank in [1, 3] {
            let (result, peak) = peak(|| Idx::read(&file[..], rank));
            prop_assert!(peak < FIXED, "{} bytes for {}", peak, file.len());
            if let Ok(read) = result {
                prop_assert_eq!(read.to_bytes(), file.clone());
            }
        }
    }
}

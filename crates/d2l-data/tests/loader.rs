//! The loader: the same batches whatever the number of workers, in order, and no thread left.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use d2l_data::loader::{Augment, Normalize};
use d2l_data::{ImageSet, Loader, LoaderOptions};
use proptest::prelude::*;

fn set(examples: usize, channels: usize, side: usize) -> Arc<ImageSet> {
    let pixels = (0..examples * channels * side * side)
        .map(|i| (i * 31 + i / 11) as u8)
        .collect();
    let labels = (0..examples).map(|i| (i % 7) as u16).collect();
    let names = (0..7).map(|class| class.to_string()).collect();
    Arc::new(ImageSet::new(pixels, labels, [channels, side, side], names).unwrap())
}

type Batch = (Vec<usize>, Vec<f32>, Vec<u32>);

fn plain((xs, ys): (Tensor, Tensor)) -> Batch {
    (
        xs.dims().to_vec(),
        xs.flatten_all().unwrap().to_vec1().unwrap(),
        ys.to_vec1().unwrap(),
    )
}

fn batches(loader: &Loader, epoch: u64, first: usize) -> Vec<Batch> {
    loader
        .epoch(epoch, first, &Device::Cpu)
        .map(|batch| plain(batch.unwrap()))
        .collect()
}

#[test]
fn in_order_and_unchanged_without_a_seed() {
    let set = set(10, 2, 3);
    let loader = Loader::new(
        set.clone(),
        LoaderOptions {
            batch_size: 4,
            ..Default::default()
        },
    )
    .unwrap();
    assert_eq!(
        (loader.len(), loader.examples(), loader.shape()),
        (3, 10, [2, 3, 3])
    );
    let all = batches(&loader, 0, 0);
    assert_eq!(
        all.iter().map(|batch| batch.0.clone()).collect::<Vec<_>>(),
        [[4, 2, 3, 3], [4, 2, 3, 3], [2, 2, 3, 3]]
    );
    let values: Vec<f32> = all.iter().flat_map(|batch| batch.1.clone()).collect();
    // PyTorch's ToTensor divides by 255.
    let expected: Vec<f32> = set.pixels().iter().map(|&byte| f32::from(byte) / 255.0).collect();
    assert_eq!(values, expected);
    let labels: Vec<u32> = all.iter().flat_map(|batch| batch.2.clone()).collect();
    assert!(labels.iter().zip(set.labels()).all(|(&a, &b)| a == u32::from(b)));
}

#[test]
fn drop_last_and_limit() {
    let set = set(10, 1, 2);
    let options = LoaderOptions {
        batch_size: 4,
        drop_last: true,
        ..Default::default()
    };
    let loader = Loader::new(set.clone(), options.clone()).unwrap();
    assert_eq!(
        (loader.len(), loader.examples(), batches(&loader, 0, 0).len()),
        (2, 8, 2)
    );
    let loader = Loader::new(
        set.clone(),
        LoaderOptions {
            limit: Some(3),
            ..options.clone()
        },
    )
    .unwrap();
    assert!(loader.is_empty() && batches(&loader, 0, 0).is_empty());
    let options = LoaderOptions {
        limit: Some(5),
        shuffle: Some(1),
        drop_last: false,
        ..options
    };
    let loader = Loader::new(set, options).unwrap();
    assert_eq!(loader.examples(), 5);
    let mut order = loader.order(9);
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3, 4], "the first five, shuffled");
}

#[test]
fn normalisation_is_per_channel() {
    let normalize = Normalize {
        mean: vec![0.5, 0.25],
        std: vec![0.5, 2.0],
    };
    let options = LoaderOptions {
        batch_size: 3,
        normalize: Some(normalize),
        ..Default::default()
    };
    let set = set(3, 2, 2);
    let loader = Loader::new(set.clone(), options).unwrap();
    let values = &batches(&loader, 0, 0)[0].1;
    for (i, (&value, &byte)) in values.iter().zip(set.pixels()).enumerate() {
        let (mean, std) = [(0.5, 0.5), (0.25, 2.0)][i / 4 % 2];
        assert_eq!(value, (f32::from(byte) / 255.0 - mean) / std);
    }
}

#[test]
fn nonsense_is_refused() {
    let set = set(4, 1, 2);
    let refused = |options| assert!(Loader::new(set.clone(), options).is_err());
    let options = LoaderOptions::default;
    refused(LoaderOptions {
        batch_size: 0,
        ..options()
    });
    refused(LoaderOptions {
        resize: Some(0),
        ..options()
    });
    refused(LoaderOptions {
        normalize: Some(Normalize {
            mean: vec![0.0; 2],
            std: vec![1.0; 2],
        }),
        ..options()
    });
    refused(LoaderOptions {
        normalize: Some(Normalize {
            mean: vec![0.0],
            std: vec![0.0],
        }),
        ..options()
    });
    refused(LoaderOptions {
        augment: Augment {
            horizontal_flip: 2.0,
            ..Augment::default()
        },
        ..options()
    });
}

/// PIL 8-bit bilinear, made by `golden/resize.py`.
#[test]
fn resize_is_pils_to_the_last_bit() {
    let golden = include_str!("golden/resize.txt");
    let mut lines = golden.lines().filter(|line| !line.starts_with('#'));
    let mut numbers = || -> Vec<u8> {
        lines
            .next()
            .unwrap()
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect()
    };
    let source = numbers();
    let side = source.len().isqrt();
    let names: Arc<[String]> = Arc::new(["a".to_owned()]);
    let set = Arc::new(ImageSet::new(source, vec![0], [1, side, side], names).unwrap());
    for size in [8usize, 10, 28, 32, 41] {
        let expected: Vec<f32> = numbers().iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let loader = Loader::new(
            set.clone(),
            LoaderOptions {
                resize: Some(size),
                ..Default::default()
            },
        )
        .unwrap();
        let (dims, values, _) = batches(&loader, 0, 0).remove(0);
        assert_eq!(dims, [1, 1, size, size]);
        assert_eq!(values, expected, "to {size}");
    }
}

#[test]
fn a_dropped_iterator_ends_its_workers_promptly() {
    let threads = || std::fs::read_dir("/proc/self/task").map(Iterator::count).ok();
    let set = set(20_000, 1, 28);
    let options = LoaderOptions {
        batch_size: 64,
        shuffle: Some(1),
        workers: 4,
        prefetch: 8,
        ..Default::default()
    };
    let loader = Loader::new(set, options).unwrap();
    for taken in [0, 1, 7] {
        let mut epoch = loader.epoch(0, 0, &Device::Cpu);
        epoch.by_ref().take(taken).for_each(|batch| drop(batch.unwrap()));
        let before = threads();
        let start = Instant::now();
        drop(epoch);
        assert!(start.elapsed() < Duration::from_secs(2));
        if let (Some(before), Some(after)) = (before, threads()) {
            // Other tests start threads of their own, so only a gross leak would show here; the
            // join in `drop` is what makes it exact.
            assert!(after <= before + 16);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The batches do not depend on the number of workers or how far they may be ahead, nor on
    /// where in the epoch one starts.
    #[test]
    fn workers_change_nothing(
        examples in 1usize..60, batch_size in 1usize..17, workers in 1usize..6, prefetch in 0usize..9,
        seed in prop::option::of(any::<u64>()), epoch in 0u64..3, first in 0usize..8, drop_last: bool,
        flip in prop::sample::select(vec![0.0, 0.5]), crop_padding in 0usize..2,
        resize in prop::option::of(2usize..6),
    ) {
        let augment = Augment { horizontal_flip: flip, crop_padding, seed: seed.unwrap_or(3) };
        let options = LoaderOptions { batch_size, shuffle: seed, drop_last, augment, resize, workers: 0, ..Default::default() };
        let set = set(examples, 2, 4);
        let alone = Loader::new(set.clone(), options.clone()).unwrap();
        let many = Loader::new(set, LoaderOptions { workers, prefetch, ..options }).unwrap();
        let expected = batches(&alone, epoch, 0);
        prop_assert_eq!(expected.len(), alone.len());
        prop_assert_eq!(&batches(&many, epoch, 0), &expected);
        prop_assert_eq!(&batches(&many, epoch, first)[..], expected.get(first..).unwrap_or_default());
    }
}

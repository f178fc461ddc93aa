//! A plan in its steady state allocates no tensor: after the first steps, what a step holds at its highest is what it
//! held before, but for the kernels' bookkeeping (lists of pixels, sums per channel).

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use d2l_nn::{
    Network, ParamStore, Rng,
    layers::{Activation, BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, Pool2d, Residual},
    ops::{CrossEntropyOptions, cross_entropy_with_gradient},
    plan::Mode,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn network() -> Network {
    let conv = |channels| Conv2d::new(channels, 3).padding(1);
    let block = Residual {
        main: Network::new("main")
            .add("conv1", conv(32))
            .add("norm1", BatchNorm::default())
            .add("relu", Activation::Relu)
            .add("conv2", conv(32))
            .add("norm2", BatchNorm::default()),
        shortcut: Network::new("shortcut"),
    };
    let branches = vec![
        Network::new("identity"),
        Network::new("conv")
            .add("conv", conv(16))
            .add("sigmoid", Activation::Sigmoid),
    ];
    Network::new("network")
        .add("conv", conv(32))
        .add("relu", Activation::Relu)
        .add("pool", Pool2d::max(2, 2))
        .add("block", block)
        .add("relu2", Activation::Relu)
        .add("branches", Layer::Branches(branches))
        .add("pool2", Pool2d::average(2, 2))
        .add("flatten", Flatten)
        .add("hidden", Linear::new(256))
        .add("relu3", Activation::Relu)
        .add("dropout", Dropout { p: 0.5 })
        .add("output", Linear::new(10))
}

#[test]
fn a_steady_step_allocates_no_tensor() {
    const BATCH: usize = 32;
    const BOOKKEEPING: usize = 256 << 10;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let model = network().build(&[3, 24, 24], &params, &Rng::new(0)).unwrap();
        let xs = Rng::new(1)
            .uniform(&[BATCH, 3, 24, 24], -1.0, 1.0, DType::F32, &Device::Cpu)
            .unwrap();
        let ys = Tensor::from_vec(vec![3u32; BATCH], BATCH, &Device::Cpu).unwrap();
        let mut plan = model.plan(Mode::Train, BATCH).unwrap();
        assert!(
            plan.memory().activations > 20 * BOOKKEEPING as u64,
            "{:?}",
            plan.memory()
        );
        let mut step = |number| {
            plan.step(&xs, number, |logits, gradient| {
                cross_entropy_with_gradient(logits, &ys, &CrossEntropyOptions::default(), gradient)
            })
            .unwrap();
            plan.update(&mut |_, values, gradient| {
                values.iter_mut().zip(gradient).for_each(|(v, g)| *v -= 0.1 * g);
                Ok(())
            })
            .unwrap();
        };
        // Each thread meets each kernel at last, and keeps its scratch memory.
        (0..20).for_each(&mut step);
        for number in 20..30 {
            let before = ALLOCATOR.current_usage();
            ALLOCATOR.reset_peak_usage();
            step(number);
            let above = ALLOCATOR.peak_usage().saturating_sub(before);
            assert!(above < BOOKKEEPING, "step {number} took {above} bytes more");
        }
    });
}

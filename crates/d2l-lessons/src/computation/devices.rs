//! Devices (section 5.6): where tensors and parameters live.

use super::blocks::mlp;
use crate::{Chapter, Cost, Expect, Lesson, Page, Result, numbers::distance};
use candle_core::{DType, Device, Tensor, utils};
use candle_nn::ModuleT;
use d2l_nn::ParamStore;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "devices",
    chapter: Chapter::Computation,
    section: "5.6",
    title: "Devices",
    expected: "a tensor, a copy of it and a network's output all live on the device asked for",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: available
    page.say(format_args!("built for CUDA: {}", utils::cuda_is_available()));
    page.say(format_args!("built for Metal: {}", utils::metal_is_available()));
    let device = page.device().clone();
    page.say(format_args!("this page's device: {:?}", device.location()));
    // ANCHOR_END: available

    // ANCHOR: tensors
    let x = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
    let y = page.rng("Y").uniform(&[2, 3], 0.0, 1.0, DType::F32, &device)?;
    // Operands have to be on one device; who wants a copy says so.
    let x = x.to_device(&device)?;
    let sum = (&x + &y)?;
    page.show("X + Y", &sum);
    // ANCHOR_END: tensors
    expect_on(page, "the sum's device", &sum, &device);
    page.expect(
        "X + Y − X beside Y",
        Expect::AtMost(1e-6),
        distance(&(&sum - &x)?, &y)?,
    );

    // ANCHOR: network
    let params = ParamStore::new(DType::F32, &device);
    let net = mlp().build(&[3], &params, &page.rng("net"))?;
    let output = net.forward_t(&x, false)?;
    page.say(format_args!("net(X) is on {:?}", output.device().location()));
    // ANCHOR_END: network
    expect_on(page, "the output's device", &output, &device);
    for (name, var) in params.parameters() {
        expect_on(page, &format!("the device of {name}"), &var, &device);
    }
    Ok(())
}

/// A row that is 1 where `tensor` is on `device`.
fn expect_on(page: &mut Page<'_>, what: &str, tensor: &Tensor, device: &Device) {
    let there = f64::from(u8::from(tensor.device().same_device(device)));
    page.expect(what, Expect::Exactly(1.0), there);
}

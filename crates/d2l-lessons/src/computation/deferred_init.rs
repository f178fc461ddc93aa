//! Deferred initialisation (section 5.3): layers that know their inputs only when a network is built.

use crate::{Chapter, Cost, Expect, Lesson, Page, Result};
use candle_core::DType;
use candle_nn::ModuleT;
use d2l_nn::{
    Network, ParamStore,
    layers::{Activation, Linear},
};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "deferred-initialisation",
    chapter: Chapter::Computation,
    section: "5.3",
    title: "Deferred initialisation",
    expected: "no parameter before the input is known; a first weight of 256×20 after",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    // ANCHOR: description
    // Only outputs are written down: 256 and 10.
    let net = Network::new("net")
        .add("hidden", Linear::new(256))
        .add("relu", Activation::Relu)
        .add("out", Linear::new(10));
    let params = ParamStore::new(DType::F32, page.device());
    page.say(format_args!("before: {} parameters", params.parameters().len()));
    // ANCHOR_END: description
    page.expect(
        "parameters before",
        Expect::Exactly(0.0),
        params.parameters().len() as f64,
    );

    // ANCHOR: build
    let x = page
        .rng("X")
        .uniform(&[2, 20], 0.0, 1.0, DType::F32, page.device())?;
    let built = net.build(&[20], &params, &page.rng("net"))?;
    let output = built.forward_t(&x, false)?;
    for (name, var) in params.parameters() {
        page.say(format_args!("{name}: {:?}", var.dims()));
    }
    // ANCHOR_END: build
    page.expect(
        "parameters after",
        Expect::Exactly(4.0),
        params.parameters().len() as f64,
    );
    let inputs = params
        .get("hidden.weight")
        .and_then(|weight| weight.dims().last().copied());
    page.expect(
        "inputs of the first layer",
        Expect::Exactly(20.0),
        inputs.map_or(f64::NAN, |n| n as f64),
    );
    page.expect(
        "outputs of the network",
        Expect::Exactly(10.0),
        output.dim(1)? as f64,
    );

    // ANCHOR: mistake
    // A network with its parameters keeps to the input that it was built for.
    let wrong = page
        .rng("X")
        .uniform(&[2, 30], 0.0, 1.0, DType::F32, page.device())?;
    let message = built
        .forward_t(&wrong, false)
        .err()
        .map(|error| error.to_string());
    // The first line: candle may put a backtrace behind it.
    let line = message.as_deref().and_then(|message| message.lines().next());
    page.say(line.unwrap_or("no error"));
    // ANCHOR_END: mistake
    let refused = f64::from(u8::from(message.is_some()));
    page.expect("another input is refused", Expect::Exactly(1.0), refused);
    Ok(())
}

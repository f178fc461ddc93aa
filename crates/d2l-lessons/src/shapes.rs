//! The shapes that leave a network's layers, as the book prints them, beside the ones it prints.

use crate::{Expect, Page, Result};
use d2l_nn::Network;

/// Prints the shape behind every layer of `network` for one picture and compares those that the book names: pairs of
/// a layer and its output without the batch.
///
/// # Errors
/// When the input does not fit the network.
pub(crate) fn print_shapes(
    page: &mut Page<'_>,
    network: &Network,
    input: &[usize],
    book: &[(&str, &[usize])],
) -> Result<()> {
    let summary = network.summary(input)?;
    let outer = summary.layers.iter().filter(|layer| !layer.name.contains('.'));
    for layer in outer {
        page.say(format_args!(
            "{} ({}) output shape: {:?}",
            layer.name,
            layer.kind,
            with_batch(&layer.output_shape)
        ));
    }
    let mut same = 0;
    for (name, shape) in book {
        let found = summary.layers.iter().find(|layer| layer.name == *name);
        if found.is_some_and(|layer| layer.output_shape == *shape) {
            same += 1;
        } else {
            page.say(format_args!("The book has {name}: {:?}", with_batch(shape)));
        }
    }
    page.expect(
        &format!("shapes of {} as in the book", network.name),
        Expect::Exactly(book.len() as f64),
        f64::from(same),
    );
    Ok(())
}

/// Prints the number of parameters and compares it with the book's.
///
/// # Errors
/// When the input does not fit the network.
pub(crate) fn print_parameters(
    page: &mut Page<'_>,
    network: &Network,
    input: &[usize],
    book: usize,
) -> Result<()> {
    let parameters = network.summary(input)?.parameters;
    page.say(format_args!("{}: {parameters} parameters", network.name));
    page.expect(
        &format!("parameters of {}", network.name),
        Expect::near(book as f64, 0.0),
        parameters as f64,
    );
    Ok(())
}

fn with_batch(shape: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(shape.iter().copied()).collect()
}

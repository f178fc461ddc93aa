//! What a convolutional network sees (beside section 6.6): the feature maps of one picture before and after training,
//! and the first layer's kernels.

use super::correlation::picture;
use crate::{Chapter, Classifier, Cost, Error, Expect, Figure, Lesson, Page, Result, figure::Panel};
use candle_core::{DType, Tensor};
use d2l_data::{DataSet, Loader, LoaderOptions};
use d2l_nn::{Model, ParamStore, Rng};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "feature-maps",
    chapter: Chapter::Convolution,
    section: "6.6",
    title: "Feature maps",
    expected: "a map for each of the 6 and 16 channels, and kernels that training has changed",
    cost: Cost::Minutes,
    run,
};

/// The layers that are looked at, with their channels.
const LAYERS: [(&str, usize); 2] = [("sigmoid1", 6), ("sigmoid2", 16)];

fn run(page: &mut Page<'_>) -> Result<()> {
    let lenet = Classifier::of_the_book("lenet", page)?;
    // ANCHOR: before
    let data = page.load(lenet.dataset)?;
    let image = first_image(&data, page)?;
    page.draw(
        "picture",
        Figure::row([picture("the picture", &image.squeeze(0)?.squeeze(0)?)?]),
    );
    // The same seed as training starts from.
    let params = ParamStore::new(DType::F32, page.device());
    let untrained = lenet
        .network
        .build(&lenet.input, &params, &Rng::new(page.seed()))?;
    let maps_before = draw_maps(page, "before", &untrained, &image)?;
    let kernels_before = draw_kernels(page, "before", &params)?;
    // ANCHOR_END: before

    // ANCHOR: after
    let fitted = lenet.train(page)?;
    let maps_after = draw_maps(page, "after", &fitted.model, &image)?;
    let kernels_after = draw_kernels(page, "after", &fitted.params)?;
    // ANCHOR_END: after

    for ((layer, channels), (before, after)) in LAYERS.into_iter().zip(maps_before.iter().zip(&maps_after)) {
        let (maps, book) = (after.dim(1)? as f64, channels as f64);
        page.expect(&format!("maps of {layer}"), Expect::Exactly(book), maps);
        let moved = (after - before)?.abs()?.mean_all()?.to_scalar::<f32>()?;
        let what = format!("mean change of the maps of {layer}");
        page.expect(&what, Expect::AtLeast(1e-4), f64::from(moved));
    }
    let moved = (kernels_after - kernels_before)?
        .abs()?
        .mean_all()?
        .to_scalar::<f32>()?;
    page.expect(
        "mean change of the kernels",
        Expect::AtLeast(1e-4),
        f64::from(moved),
    );
    Ok(())
}

/// The first test picture, as a batch.
fn first_image(data: &DataSet, page: &Page<'_>) -> Result<Tensor> {
    let options = LoaderOptions {
        batch_size: 1,
        limit: Some(1),
        ..LoaderOptions::default()
    };
    let loader = Loader::new(data.test.clone(), options)?;
    let first = loader.epoch(0, 0, page.device()).next();
    let (image, _) = first.ok_or_else(|| Error::Lesson("the test data has no picture".into()))??;
    Ok(image)
}

// ANCHOR: maps
/// Draws what each channel makes of the picture, a figure per layer.
fn draw_maps(page: &mut Page<'_>, when: &str, model: &Model, image: &Tensor) -> Result<Vec<Tensor>> {
    let (_, maps) = model.forward_at(image, false, &LAYERS.map(|(name, _)| name))?;
    for ((layer, _), maps) in LAYERS.into_iter().zip(&maps) {
        page.say(format_args!("{layer} {when} training: {:?}", maps.dims()));
        let channels = channel_pictures(&maps.squeeze(0)?)?;
        page.draw(&format!("{layer}-{when}"), Figure::grid(6, channels));
    }
    Ok(maps)
}

/// Draws the kernels of the first layer.
fn draw_kernels(page: &mut Page<'_>, when: &str, params: &ParamStore) -> Result<Tensor> {
    let weight = params.get("conv1.weight");
    let weight = weight.ok_or_else(|| Error::Lesson("the network has no conv1.weight".into()))?;
    // A copy: training goes on with the variable.
    let kernels = weight.squeeze(1)?.copy()?.detach();
    page.draw(
        &format!("kernels-{when}"),
        Figure::grid(6, channel_pictures(&kernels)?),
    );
    Ok(kernels)
}
// ANCHOR_END: maps

/// A picture for each channel of `[channels, height, width]`.
fn channel_pictures(maps: &Tensor) -> Result<Vec<Panel>> {
    (0..maps.dim(0)?)
        .map(|channel| picture(&format!("{}", channel + 1), &maps.get(channel)?))
        .collect()
}

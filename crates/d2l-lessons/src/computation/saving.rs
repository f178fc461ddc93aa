//! Reading and writing (section 5.5): a tensor, a list, a dictionary, and a model's parameters.

use super::blocks::mlp;
use crate::{Chapter, Cost, Error, Expect, Lesson, Page, Result, numbers::distance};
use candle_core::{DType, Device, Tensor, safetensors};
use candle_nn::ModuleT;
use d2l_nn::{ParamStore, Rng};
use std::{collections::HashMap, path::Path};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    name: "saving",
    chapter: Chapter::Computation,
    section: "5.5",
    title: "Reading and writing files",
    expected: "what is read is what was written; a model with read parameters gives the same outputs",
    cost: Cost::Seconds,
    run,
};

fn run(page: &mut Page<'_>) -> Result<()> {
    let folder = tempfile::tempdir()
        .map_err(|error| Error::Lesson(format!("cannot create a temporary folder: {error}")))?;
    tensors(page, folder.path())?;
    model(page, folder.path())
}

fn tensors(page: &mut Page<'_>, folder: &Path) -> Result<()> {
    let x = Tensor::arange(0f32, 4.0, &Device::Cpu)?;
    let y = Tensor::zeros(4, DType::F32, &Device::Cpu)?;

    // ANCHOR: tensor
    let file = folder.join("x.safetensors");
    safetensors::save(&HashMap::from([("x", x.clone())]), &file)?;
    let read = read(&file)?;
    let x2 = named(&read, "x")?;
    page.show("x as read", x2);
    // ANCHOR_END: tensor
    page.expect("x as read", Expect::Exactly(0.0), distance(x2, &x)?);

    // ANCHOR: list
    // A list: the places are the names.
    let list: HashMap<String, Tensor> = [&x, &y]
        .into_iter()
        .cloned()
        .enumerate()
        .map(|(i, t)| (i.to_string(), t))
        .collect();
    let file = folder.join("list.safetensors");
    safetensors::save(&list, &file)?;
    let list2 = self::read(&file)?;
    // ANCHOR_END: list
    for (name, tensor) in [("0", &x), ("1", &y)] {
        let difference = distance(named(&list2, name)?, tensor)?;
        page.expect(
            &format!("element {name} of the list"),
            Expect::Exactly(0.0),
            difference,
        );
    }

    // ANCHOR: dictionary
    let dictionary = HashMap::from([("x", x.clone()), ("y", y.clone())]);
    let file = folder.join("dictionary.safetensors");
    safetensors::save(&dictionary, &file)?;
    let dictionary2 = self::read(&file)?;
    // ANCHOR_END: dictionary
    for (name, tensor) in dictionary {
        let difference = distance(named(&dictionary2, name)?, &tensor)?;
        page.expect(
            &format!("{name} of the dictionary"),
            Expect::Exactly(0.0),
            difference,
        );
    }
    Ok(())
}

fn model(page: &mut Page<'_>, folder: &Path) -> Result<()> {
    // ANCHOR: model
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let net = mlp().build(&[20], &params, &page.rng("net"))?;
    let x = page
        .rng("X")
        .normal(&[2, 20], 0.0, 1.0, DType::F32, &Device::Cpu)?;
    let y = net.forward_t(&x, false)?;
    let file = folder.join("mlp.safetensors");
    params.save(&file)?;

    // The file has the parameters, not the network: that is built anew, here from another seed.
    let params = ParamStore::new(DType::F32, &Device::Cpu);
    let clone = mlp().build(&[20], &params, &Rng::new(page.seed() + 1))?;
    let before = distance(&clone.forward_t(&x, false)?, &y)?;
    params.load(&file)?;
    let after = distance(&clone.forward_t(&x, false)?, &y)?;
    page.say(format_args!(
        "outputs differ by {before:.3} before, and by {after} after loading"
    ));
    // ANCHOR_END: model
    page.expect("outputs before loading", Expect::AtLeast(1e-3), before);
    page.expect("outputs after loading", Expect::Exactly(0.0), after);
    Ok(())
}

fn read(file: &Path) -> Result<HashMap<String, Tensor>> {
    Ok(safetensors::load(file, &Device::Cpu)?)
}

fn named<'t>(tensors: &'t HashMap<String, Tensor>, name: &str) -> Result<&'t Tensor> {
    let found = tensors.get(name);
    found.ok_or_else(|| Error::Lesson(format!("the file has no tensor `{name}`")))
}

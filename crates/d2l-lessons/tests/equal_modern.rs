//! Chapter 7 from scratch and concisely: LeNet with batch norm has the same parameters after some steps.

#![allow(clippy::unwrap_used)] // Helpers of tests are outside what clippy takes for a test.

use d2l_data::SourceOptions;
use d2l_lessons::{
    Classifier, Fitted, Page, PageOptions, Silent, modern::batch_norm_scratch::lenet_batch_norm,
    numbers::distance,
};
use d2l_nn::Network;

/// One epoch of 1,024 pictures: four steps at a learning rate of 1.
fn trained(network: impl FnOnce(Network) -> Network) -> Fitted {
    let options = PageOptions {
        quick: true,
        sources: SourceOptions {
            offline: true,
            ..SourceOptions::default()
        },
        ..PageOptions::default()
    };
    let mut watcher = Silent;
    let mut page = Page::new(options, &mut watcher);
    let book = Classifier::of_the_book("lenet-bn", &page).unwrap();
    let classifier = Classifier {
        network: network(book.network.clone()),
        epochs: 1,
        limit: Some(1024),
        ..book
    };
    classifier.train(&mut page).unwrap()
}

#[test]
fn lenet_with_batch_norm() {
    let (mine, theirs) = (trained(|_| lenet_batch_norm()), trained(|network| network));
    let difference = |mine_name: &str, name: &str| {
        let get = |fitted: &Fitted, name: &str| fitted.params.get(name).unwrap();
        distance(&get(&mine, mine_name), &get(&theirs, name)).unwrap()
    };
    for layer in ["conv1", "conv2", "linear1", "linear2", "output"] {
        for name in ["weight", "bias"] {
            let name = format!("{layer}.{name}");
            assert!(
                difference(&name, &name) < 1e-3,
                "{name}: {}",
                difference(&name, &name)
            );
        }
    }
    for n in 1..=4 {
        // The library keeps the unbiased variance, as PyTorch does: 256/255 of the book's behind a linear layer.
        for (mine, name, tolerance) in [
            ("gamma", "weight", 1e-3),
            ("beta", "bias", 1e-3),
            ("moving_mean", "running_mean", 1e-3),
            ("moving_var", "running_var", 5e-3),
        ] {
            let (mine, name) = (format!("norm{n}.{mine}"), format!("norm{n}.{name}"));
            let difference = difference(&mine, &name);
            assert!(difference < tolerance, "{mine}: {difference}");
        }
    }
    let loss = |fitted: &Fitted| fitted.history.last().unwrap().train_loss;
    assert!((loss(&mine) - loss(&theirs)).abs() < 1e-3);
}

//! The layers of the model zoo, at the batch sizes its networks train with here.

use crate::{Case, Layer, Pass, Pool};

/// Batch of every network but the small ones.
const BATCH: usize = 32;
/// Batch of LeNet and the multilayer perceptron.
const SMALL_BATCH: usize = 256;

/// networks, input size, input channels, output channels, kernel, stride, padding
type Conv = (&'static str, usize, usize, usize, usize, usize, usize);

const CONVOLUTIONS: &[Conv] = &[
    ("alexnet", 224, 1, 96, 11, 4, 1),
    ("alexnet nin", 26, 96, 256, 5, 1, 2),
    ("alexnet nin", 12, 256, 384, 3, 1, 1),
    ("alexnet", 12, 384, 384, 3, 1, 1),
    ("alexnet", 12, 384, 256, 3, 1, 1),
    ("vgg11", 224, 1, 16, 3, 1, 1),
    ("vgg11", 112, 16, 32, 3, 1, 1),
    ("vgg11", 56, 32, 64, 3, 1, 1),
    ("vgg11", 56, 64, 64, 3, 1, 1),
    ("vgg11", 28, 64, 128, 3, 1, 1),
    ("vgg11", 28, 128, 128, 3, 1, 1),
    ("vgg11", 14, 128, 128, 3, 1, 1),
    ("nin", 224, 1, 96, 11, 4, 0),
    ("nin", 54, 96, 96, 1, 1, 0),
    ("nin", 26, 256, 256, 1, 1, 0),
    ("nin", 12, 384, 384, 1, 1, 0),
    ("nin", 5, 384, 10, 3, 1, 1),
    ("googlenet resnet18 densenet", 96, 1, 64, 7, 2, 3),
    ("googlenet", 24, 64, 192, 3, 1, 1),
    ("googlenet", 24, 64, 64, 1, 1, 0),
    ("googlenet", 12, 192, 64, 1, 1, 0),
    ("googlenet", 12, 256, 128, 1, 1, 0),
    ("googlenet", 12, 96, 128, 3, 1, 1),
    ("googlenet", 12, 128, 192, 3, 1, 1),
    ("googlenet", 12, 16, 32, 5, 1, 2),
    ("googlenet", 12, 32, 96, 5, 1, 2),
    ("googlenet", 6, 480, 192, 1, 1, 0),
    ("googlenet", 6, 528, 256, 1, 1, 0),
    ("googlenet", 6, 96, 208, 3, 1, 1),
    ("googlenet", 6, 144, 288, 3, 1, 1),
    ("googlenet", 6, 24, 64, 5, 1, 2),
    ("googlenet", 3, 832, 384, 1, 1, 0),
    ("googlenet", 3, 192, 384, 3, 1, 1),
    ("googlenet", 3, 48, 128, 5, 1, 2),
    ("resnet18", 24, 64, 64, 3, 1, 1),
    ("resnet18", 24, 64, 128, 3, 2, 1),
    ("resnet18", 24, 64, 128, 1, 2, 0),
    ("resnet18", 12, 128, 128, 3, 1, 1),
    ("resnet18", 12, 128, 256, 3, 2, 1),
    ("resnet18", 6, 256, 256, 3, 1, 1),
    ("resnet18", 6, 256, 512, 3, 2, 1),
    ("resnet18", 3, 512, 512, 3, 1, 1),
    ("densenet", 24, 64, 32, 3, 1, 1),
    ("densenet", 24, 160, 32, 3, 1, 1),
    ("densenet", 24, 192, 96, 1, 1, 0),
    ("densenet", 12, 192, 32, 3, 1, 1),
    ("densenet", 12, 224, 112, 1, 1, 0),
    ("densenet", 6, 208, 32, 3, 1, 1),
    ("densenet", 3, 216, 32, 3, 1, 1),
    ("lenet", 28, 1, 6, 5, 1, 2),
    ("lenet", 14, 6, 16, 5, 1, 0),
];

/// networks, batch, input features, output features
const DENSE: &[(&str, usize, usize, usize)] = &[
    ("alexnet", 32, 6400, 4096),
    ("vgg11", 32, 6272, 4096),
    ("alexnet vgg11", 32, 4096, 4096),
    ("alexnet", 128, 6400, 4096),
    ("vgg11", 128, 6272, 4096),
    ("alexnet vgg11", 128, 4096, 4096),
    ("mlp", SMALL_BATCH, 784, 256),
    ("mlp", SMALL_BATCH, 256, 10),
    ("lenet", SMALL_BATCH, 400, 120),
];

/// networks, input size, channels, kernel, stride, padding
const MAX_POOLS: &[(&str, usize, usize, usize, usize, usize)] = &[
    ("alexnet nin", 54, 96, 3, 2, 0),
    ("alexnet nin", 26, 256, 3, 2, 0),
    ("vgg11", 224, 16, 2, 2, 0),
    ("vgg11", 56, 64, 2, 2, 0),
    ("googlenet resnet18 densenet", 48, 64, 3, 2, 1),
    ("googlenet", 12, 192, 3, 1, 1),
];

/// networks, input size, channels
const BATCH_NORMS: &[(&str, usize, usize)] = &[
    ("resnet18 densenet", 48, 64),
    ("resnet18", 24, 64),
    ("resnet18", 12, 128),
    ("resnet18", 3, 512),
    ("densenet", 24, 160),
];

/// Everything that is measured.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |networks: &str, group: String, layer: Layer, passes: &[Pass]| {
        for &pass in passes {
            cases.push(Case {
                networks: networks.into(),
                group: group.clone(),
                pass,
                layer: layer.clone(),
            });
        }
    };
    const PRODUCTS: [Pass; 3] = [Pass::Forward, Pass::GradWeight, Pass::GradInput];
    for &(networks, size, in_channels, out_channels, kernel, stride, padding) in CONVOLUTIONS {
        let batch = if networks == "lenet" { SMALL_BATCH } else { BATCH };
        // The gradient of a picture is never asked for in training.
        let passes = if in_channels == 1 {
            &PRODUCTS[..2]
        } else {
            &PRODUCTS[..]
        };
        let group = if kernel == 1 { "conv 1x1" } else { "conv" };
        let layer = Layer::Conv {
            batch,
            size,
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
        };
        push(networks, group.into(), layer, passes);
    }
    for &(networks, batch, in_features, out_features) in DENSE {
        let layer = Layer::Linear {
            batch,
            in_features,
            out_features,
        };
        push(networks, format!("dense {batch}"), layer, &PRODUCTS);
    }
    const BOTH: [Pass; 2] = [Pass::Forward, Pass::Backward];
    for &(networks, size, channels, kernel, stride, padding) in MAX_POOLS {
        let pool = Pool {
            batch: BATCH,
            size,
            channels,
            kernel,
            stride,
            padding,
        };
        push(networks, "pool".into(), Layer::MaxPool(pool), &BOTH);
    }
    for (networks, batch, size, channels) in [
        ("lenet", SMALL_BATCH, 28, 6),
        ("lenet", SMALL_BATCH, 10, 16),
        ("densenet", BATCH, 24, 96),
        ("densenet", BATCH, 12, 112),
    ] {
        let pool = Pool {
            batch,
            size,
            channels,
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        push(networks, "pool".into(), Layer::AvgPool(pool), &BOTH);
    }
    for &(networks, size, channels) in BATCH_NORMS {
        for (group, relu) in [("batch norm", false), ("batch norm with ReLU", true)] {
            let layer = Layer::BatchNorm {
                batch: BATCH,
                size,
                channels,
                relu,
            };
            push(networks, group.into(), layer, &BOTH);
        }
    }
    cases
}

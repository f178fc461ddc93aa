use crate::scaled;
use d2l_nn::{
    Head, Init, Network, Supervised,
    layers::{
        Activation, AdaptivePool2d, BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, Pool2d, PoolKind,
    },
    ops::BatchNormOptions,
};

/// What can be chosen about GoogLeNet. The default is the book's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoogLeNet {
    /// Factor on the channels.
    pub width: f64,
    /// As torchvision has it: every convolution without bias and with batch norm behind it, 3×3 kernels where the
    /// paper has 5×5, and pooling that rounds up instead of padding.
    pub torchvision: bool,
}

impl Default for GoogLeNet {
    fn default() -> Self {
        Self {
            width: 1.0,
            torchvision: false,
        }
    }
}

/// Channels of an Inception block's four paths.
type Inception = (usize, [usize; 2], [usize; 2], usize);

const STAGE3: [Inception; 2] = [(64, [96, 128], [16, 32], 32), (128, [128, 192], [32, 96], 64)];
const STAGE4: [Inception; 5] = [
    (192, [96, 208], [16, 48], 64),
    (160, [112, 224], [24, 64], 64),
    (128, [128, 256], [24, 64], 64),
    (112, [144, 288], [32, 64], 64),
    (256, [160, 320], [32, 128], 128),
];
const STAGE5: [Inception; 2] = [
    (256, [160, 320], [32, 128], 128),
    (384, [192, 384], [48, 128], 128),
];

/// GoogLeNet (Szegedy et al. 2014, the book's section 7.4): nine Inception blocks in three stages behind a stem of
/// convolutions, then global average pooling. The book leaves out the auxiliary classifiers;
/// [`googlenet_with_auxiliaries`] has them.
///
/// Weights start Xavier-uniform. With 1×96×96 and 10 classes it has 5,977,530 parameters.
pub fn googlenet(options: &GoogLeNet, classes: usize) -> Network {
    let wide = |channels| scaled(channels, options.width);
    let halve = |last: bool| match (options.torchvision, last) {
        (false, _) => Pool2d::max(3, 2).padding(1),
        (true, false) => Pool2d::max(3, 2).rounded_up(),
        (true, true) => Pool2d::max(2, 2).rounded_up(),
    };
    let stem = Conv2d::new(wide(64), 7).stride(2).padding(3);
    let stem = convolution(Network::new("stem"), "", stem, options).add("pool", halve(false));
    let stage2 = convolution(Network::new("stage2"), "1", Conv2d::new(wide(64), 1), options);
    let second = Conv2d::new(wide(192), 3).padding(1);
    let stage2 = convolution(stage2, "2", second, options).add("pool", halve(false));
    let blocks = |blocks: &[Inception]| {
        let stage = Network::new("stage");
        (1..).zip(blocks).fold(stage, |stage, (n, block)| {
            stage.add(format!("inception{n}"), inception(block, options))
        })
    };
    Network::new("googlenet")
        .add("stage1", stem)
        .add("stage2", stage2)
        .add("stage3", blocks(&STAGE3).add("pool", halve(false)))
        .add("stage4", blocks(&STAGE4).add("pool", halve(true)))
        .add(
            "stage5",
            blocks(&STAGE5).add("pool", AdaptivePool2d::global_average()),
        )
        .add("flatten", Flatten)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

/// GoogLeNet with the paper's two auxiliary classifiers, behind the first and the fourth Inception block of the fourth
/// stage: average pooling to 4×4, a 1×1 convolution, a hidden layer of 1024 with dropout 0.7. In training each adds its
/// loss with weight 0.3 ([`d2l_nn::SupervisedModel::loss`]).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use d2l_models::{GoogLeNet, googlenet_with_auxiliaries};
/// use d2l_nn::{ParamStore, Rng, ops};
/// # fn main() -> d2l_nn::Result<()> {
/// let network = googlenet_with_auxiliaries(&GoogLeNet { width: 0.125, ..Default::default() }, 10);
/// let params = ParamStore::new(DType::F32, &Device::Cpu);
/// let model = network.build(&[1, 32, 32], &params, &Rng::new(0))?;
/// let images = Tensor::zeros((2, 1, 32, 32), DType::F32, &Device::Cpu)?;
/// let labels = Tensor::new(&[3u32, 1], &Device::Cpu)?;
/// let loss = model.loss(&images, &labels, |logits, labels| {
///     ops::cross_entropy(logits, labels, &Default::default())
/// })?;
/// let gradients = loss.backward()?;
/// assert!(gradients.get(params.get("aux2.output.weight").unwrap().as_tensor()).is_some());
/// # Ok(()) }
/// ```
pub fn googlenet_with_auxiliaries(options: &GoogLeNet, classes: usize) -> Supervised {
    let head = |name: &str, block: &str| {
        let pool = AdaptivePool2d {
            kind: PoolKind::Average,
            output: [4, 4],
        };
        let network = Network::new(name).add("pool", pool);
        let conv = Conv2d::new(scaled(128, options.width), 1);
        let network = convolution(network, "", conv, options)
            .add("flatten", Flatten)
            .add("linear", Linear::new(scaled(1024, options.width)))
            .add("relu1", Activation::Relu)
            .add("dropout", Dropout { p: 0.7 })
            .add("output", Linear::new(classes))
            .weight_init(Init::XavierUniform);
        Head {
            network,
            at: format!("stage4.{block}"),
            weight: 0.3,
        }
    };
    Supervised {
        network: googlenet(options, classes),
        heads: vec![head("aux1", "inception1"), head("aux2", "inception4")],
    }
}

/// Four paths side by side: 1×1; 1×1 then 3×3; 1×1 then 5×5; 3×3 max pooling then 1×1.
fn inception(&(path1, path2, path3, path4): &Inception, options: &GoogLeNet) -> Layer {
    let new = |channels, kernel| Conv2d::new(scaled(channels, options.width), kernel).padding(kernel / 2);
    let two = |path, [first, second]: [usize; 2], kernel| {
        let network = convolution(Network::new(path), "1", new(first, 1), options);
        convolution(network, "2", new(second, kernel), options)
    };
    let pool = Network::new("path4").add("pool", Pool2d::max(3, 1).padding(1));
    Layer::Branches(vec![
        convolution(Network::new("path1"), "", new(path1, 1), options),
        two("path2", path2, 3),
        two("path3", path3, if options.torchvision { 3 } else { 5 }),
        convolution(pool, "", new(path4, 1), options),
    ])
}

/// A convolution and its ReLU.
fn convolution(network: Network, number: &str, conv: Conv2d, options: &GoogLeNet) -> Network {
    let network = if options.torchvision {
        let eps = 1e-3;
        let norm = BatchNorm {
            options: BatchNormOptions {
                eps,
                ..BatchNormOptions::default()
            },
        };
        network
            .add(format!("conv{number}"), conv.without_bias())
            .add(format!("norm{number}"), norm)
    } else {
        network.add(format!("conv{number}"), conv)
    };
    network.add(format!("relu{number}"), Activation::Relu)
}

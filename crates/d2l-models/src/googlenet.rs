use d2l_nn::{
    Init, Network,
    layers::{Activation, AdaptivePool2d, Conv2d, Flatten, Layer, Linear, Pool2d, PoolKind},
};

/// GoogLeNet (Szegedy et al. 2014, the book's section 7.4): nine Inception blocks in three stages behind a stem of
/// convolutions, then global average pooling. The book leaves out the auxiliary classifiers.
///
/// Weights start Xavier-uniform. With 1×96×96 and 10 classes it has 5,977,530 parameters.
pub fn googlenet(classes: usize) -> Network {
    let halve = || Pool2d::max(3, 2).padding(1);
    let stem = Network::new("stem")
        .add("conv", Conv2d::new(64, 7).stride(2).padding(3))
        .add("relu", Activation::Relu)
        .add("pool", halve());
    let stage2 = Network::new("stage2")
        .add("conv1", Conv2d::new(64, 1))
        .add("relu1", Activation::Relu)
        .add("conv2", Conv2d::new(192, 3).padding(1))
        .add("relu2", Activation::Relu)
        .add("pool", halve());
    let stage3 = Network::new("stage3")
        .add("inception1", inception(64, [96, 128], [16, 32], 32))
        .add("inception2", inception(128, [128, 192], [32, 96], 64))
        .add("pool", halve());
    let stage4 = Network::new("stage4")
        .add("inception1", inception(192, [96, 208], [16, 48], 64))
        .add("inception2", inception(160, [112, 224], [24, 64], 64))
        .add("inception3", inception(128, [128, 256], [24, 64], 64))
        .add("inception4", inception(112, [144, 288], [32, 64], 64))
        .add("inception5", inception(256, [160, 320], [32, 128], 128))
        .add("pool", halve());
    let stage5 = Network::new("stage5")
        .add("inception1", inception(256, [160, 320], [32, 128], 128))
        .add("inception2", inception(384, [192, 384], [48, 128], 128))
        .add(
            "pool",
            AdaptivePool2d {
                kind: PoolKind::Average,
                output: [1, 1],
            },
        );
    Network::new("googlenet")
        .add("stage1", stem)
        .add("stage2", stage2)
        .add("stage3", stage3)
        .add("stage4", stage4)
        .add("stage5", stage5)
        .add("flatten", Flatten)
        .add("output", Linear::new(classes))
        .weight_init(Init::XavierUniform)
}

/// Four paths side by side: 1×1; 1×1 then 3×3; 1×1 then 5×5; 3×3 max pooling then 1×1. The arguments are their
/// channels.
fn inception(path1: usize, path2: [usize; 2], path3: [usize; 2], path4: usize) -> Layer {
    let one = |channels| Conv2d::new(channels, 1);
    Layer::Branches(vec![
        Network::new("path1")
            .add("conv", one(path1))
            .add("relu", Activation::Relu),
        Network::new("path2")
            .add("conv1", one(path2[0]))
            .add("relu1", Activation::Relu)
            .add("conv2", Conv2d::new(path2[1], 3).padding(1))
            .add("relu2", Activation::Relu),
        Network::new("path3")
            .add("conv1", one(path3[0]))
            .add("relu1", Activation::Relu)
            .add("conv2", Conv2d::new(path3[1], 5).padding(2))
            .add("relu2", Activation::Relu),
        Network::new("path4")
            .add("pool", Pool2d::max(3, 1).padding(1))
            .add("conv", one(path4))
            .add("relu", Activation::Relu),
    ])
}

//! Benchmarks of the kernels on the layers of the model zoo.
//!
//! [`cases`] lists what is measured; the binary `kernel-bench` measures one case per line of its standard input, and
//! `torch_kernels.py` does the same with PyTorch. `cargo xtask bench kernels` asks both in turn.

mod cases;
mod measure;

pub use cases::cases;
pub use measure::measure;

use serde::{Deserialize, Serialize};

/// One product of one layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Networks that have this layer, such as `alexnet resnet18`.
    pub networks: String,
    /// What the geometric means are taken over, such as `conv` or `dense 32`.
    pub group: String,
    /// Which product.
    pub pass: Pass,
    /// The layer.
    pub layer: Layer,
}

/// The product of a layer that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// The output from the input.
    Forward,
    /// The gradient of the input from that of the output.
    GradInput,
    /// The gradient of the weight from that of the output.
    GradWeight,
    /// All gradients of a layer that computes them together.
    Backward,
}

/// A layer and its sizes. Pictures are square.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Layer {
    /// A convolution.
    Conv {
        /// Images.
        batch: usize,
        /// Rows and columns of the input.
        size: usize,
        /// Channels of the input.
        in_channels: usize,
        /// Channels of the output.
        out_channels: usize,
        /// Rows and columns of the window.
        kernel: usize,
        /// Pixels from one window to the next.
        stride: usize,
        /// Zero pixels on each side.
        padding: usize,
    },
    /// A dense layer.
    Linear {
        /// Rows of input and output.
        batch: usize,
        /// Columns of the input.
        in_features: usize,
        /// Columns of the output.
        out_features: usize,
    },
    /// A maximum over windows.
    MaxPool(Pool),
    /// An average over windows.
    AvgPool(Pool),
    /// Batch normalisation in training.
    BatchNorm {
        /// Images.
        batch: usize,
        /// Rows and columns of the input.
        size: usize,
        /// Channels.
        channels: usize,
        /// Whether a ReLU follows, as in all networks but on the way into a residual sum. Ours is one pass with the
        /// normalisation, PyTorch's a call of its own, in place.
        relu: bool,
    },
}

/// The sizes of a pooling layer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// Images.
    pub batch: usize,
    /// Rows and columns of the input.
    pub size: usize,
    /// Channels.
    pub channels: usize,
    /// Rows and columns of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels on each side that never win.
    pub padding: usize,
}

/// A case, and all that a comparison needs to know about it: a line of `kernel-bench list`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// What to measure.
    pub case: Case,
    /// Floating-point operations of products, bytes moved at least by everything else.
    pub work: f64,
    /// What `work` is counted in: `FLOP` or `B`.
    pub unit: String,
    /// Our variants that make a difference.
    pub variants: Vec<String>,
    /// PyTorch's.
    pub torch_variants: Vec<String>,
    /// The group that each of `variants` belongs to.
    pub groups: Vec<String>,
    /// The layer in a few characters.
    pub label: String,
}

/// A line of standard input of `kernel-bench` and `torch_kernels.py`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// What to measure.
    pub case: Case,
    /// For how long to repeat it.
    pub seconds: f64,
    /// `auto`, `direct` or `winograd` for `kernel-bench`; `nchw` or `channels_last` for PyTorch.
    pub variant: String,
}

/// A line of standard output: the answer to one request.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The shortest of the repetitions, in seconds.
    pub seconds: f64,
}

impl Case {
    /// The case with all that a comparison needs to know about it.
    pub fn listing(&self) -> Listing {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let group = &self.group;
        let (unit, variants, torch_variants, groups) = match self.layer {
            Layer::Conv {
                kernel: 3 | 5,
                stride: 1,
                in_channels,
                ..
            } if in_channels > 1 => (
                "FLOP",
                owned(&["direct", "auto"]),
                owned(&["nchw", "channels_last"]),
                vec![
                    format!("{group}, direct"),
                    format!("{group}, with Winograd where it applies"),
                ],
            ),
            Layer::Conv { kernel, .. } => {
                let group = if kernel == 1 {
                    group.clone()
                } else {
                    format!("{group}, direct")
                };
                (
                    "FLOP",
                    owned(&["direct"]),
                    owned(&["nchw", "channels_last"]),
                    vec![group],
                )
            }
            Layer::Linear { .. } => ("FLOP", owned(&["auto"]), owned(&["nchw"]), vec![group.clone()]),
            Layer::MaxPool(_) | Layer::AvgPool(_) | Layer::BatchNorm { .. } => (
                "B",
                owned(&["auto"]),
                owned(&["nchw", "channels_last"]),
                vec![group.clone()],
            ),
        };
        Listing {
            case: self.clone(),
            work: self.layer.work(),
            unit: unit.into(),
            variants,
            torch_variants,
            groups,
            label: self.layer.label(),
        }
    }
}

impl Layer {
    /// Work of one pass: floating-point operations of products, bytes moved at least by everything else.
    pub fn work(&self) -> f64 {
        match *self {
            Layer::Conv {
                batch,
                size,
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
            } => {
                let out = (size + 2 * padding - kernel) / stride + 1;
                2.0 * (batch * out * out * out_channels * in_channels * kernel * kernel) as f64
            }
            Layer::Linear {
                batch,
                in_features,
                out_features,
            } => 2.0 * (batch * in_features * out_features) as f64,
            Layer::MaxPool(pool) | Layer::AvgPool(pool) => {
                let out = (pool.size + 2 * pool.padding - pool.kernel) / pool.stride + 1;
                4.0 * (pool.batch * pool.channels * (pool.size * pool.size + out * out)) as f64
            }
            Layer::BatchNorm {
                batch,
                size,
                channels,
                ..
            } => 8.0 * (batch * size * size * channels) as f64,
        }
    }

    /// The layer in a few characters, such as `3x3/1 64→128 @24 b32`.
    fn label(&self) -> String {
        match *self {
            Layer::Conv {
                batch,
                size,
                in_channels,
                out_channels,
                kernel,
                stride,
                ..
            } => {
                format!("{kernel}x{kernel}/{stride} {in_channels}→{out_channels} @{size} b{batch}")
            }
            Layer::Linear {
                batch,
                in_features,
                out_features,
            } => {
                format!("{in_features}→{out_features} b{batch}")
            }
            Layer::MaxPool(pool) => format!("max {}", pool.label()),
            Layer::AvgPool(pool) => format!("avg {}", pool.label()),
            Layer::BatchNorm {
                batch,
                size,
                channels,
                relu,
            } => {
                let relu = if relu { "+relu" } else { "" };
                format!("norm{relu} {channels} @{size} b{batch}")
            }
        }
    }
}

impl Pool {
    fn label(&self) -> String {
        let Pool {
            batch,
            size,
            channels,
            kernel,
            stride,
            ..
        } = *self;
        format!("{kernel}x{kernel}/{stride} {channels} @{size} b{batch}")
    }
}

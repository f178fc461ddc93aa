//! The typed error of every function in this crate.

use candle_core::DType;

/// What an operation of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was refused. Each variant names the operation and what came in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has the wrong number of dimensions.
    #[error("{op}: {name} must be {expected}, got shape {shape:?}")]
    Rank {
        /// The operation.
        op: &'static str,
        /// Which argument.
        name: &'static str,
        /// The dimensions it must have, such as `[batch, channels, height, width]`.
        expected: &'static str,
        /// The shape it has.
        shape: Vec<usize>,
    },

    /// Two shapes, or a shape and an option, do not fit together.
    #[error("{op}: expected {expected}, got {got}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// What would have fitted.
        expected: String,
        /// What came, with its shape.
        got: String,
    },

    /// An option has a value with which the operation means nothing, whatever the tensors.
    #[error("{op}: {message}")]
    Options {
        /// The operation.
        op: &'static str,
        /// Which option, its value, and what it may be.
        message: String,
    },

    /// The window does not fit into the input: an output dimension would be below 1.
    #[error("{op}: the output would be empty: input {input:?} (height, width), {window}")]
    EmptyOutput {
        /// The operation.
        op: &'static str,
        /// Height and width of the input.
        input: [usize; 2],
        /// Kernel, stride, padding and dilation.
        window: String,
    },

    /// The arguments do not have one data type, or lie on different devices.
    #[error("{op}: all arguments must have one data type and device, got {arguments}")]
    Mixed {
        /// The operation.
        op: &'static str,
        /// Each argument with its data type, shape and device.
        arguments: String,
    },

    /// The operation is not defined for this data type.
    #[error("{op}: {name} must be {expected}, got {dtype:?} with shape {shape:?}")]
    DType {
        /// The operation.
        op: &'static str,
        /// Which argument.
        name: &'static str,
        /// The types it may have.
        expected: &'static str,
        /// The type it has.
        dtype: DType,
        /// Its shape.
        shape: Vec<usize>,
    },

    /// A class label outside `0..classes`.
    #[error("{op}: target {target} at row {row} is not a class of the {classes} in logits {logits:?}")]
    Target {
        /// The operation.
        op: &'static str,
        /// Index of the first row with such a label.
        row: usize,
        /// The label.
        target: i64,
        /// Number of classes.
        classes: usize,
        /// Shape of the logits.
        logits: Vec<usize>,
    },

    /// [`Path::Kernel`](crate::ops::Path::Kernel) was forced where there is no kernel.
    #[error("{op}: kernels exist for f32 on the CPU only, got {dtype:?} on {device}")]
    NoKernel {
        /// The operation.
        op: &'static str,
        /// Data type of the input.
        dtype: DType,
        /// Device of the input.
        device: &'static str,
    },

    /// A mistake in a network's description or in the use of parameters, in words.
    #[error("{0}")]
    Message(String),

    /// An error inside a layer of a network.
    #[error("`{layer}`: {error}{}", .after.as_ref().map(|before| format!(" after {before}")).unwrap_or_default())]
    Layer {
        /// The layer's name in the network.
        layer: String,
        /// What is wrong with it.
        error: Box<Error>,
        /// What comes before it, where that explains the shape that reached it.
        after: Option<String>,
    },

    /// A kernel refused the slices it was given.
    #[error(transparent)]
    Kernel(#[from] d2l_kernels::ShapeError),

    /// An error of candle's own.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<Error> for candle_core::Error {
    /// Lets these functions be called with `?` inside candle's traits; candle's own errors pass unchanged.
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error,
            error => candle_core::Error::wrap(error),
        }
    }
}

impl Error {
    /// An error in words.
    pub fn msg(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    pub(crate) fn in_layer(self, layer: &str) -> Self {
        Self::Layer {
            layer: layer.to_owned(),
            error: Box::new(self),
            after: None,
        }
    }

    pub(crate) fn in_layer_after(self, layer: &str, before: &str) -> Self {
        Self::Layer {
            layer: layer.to_owned(),
            error: Box::new(self),
            after: Some(before.to_owned()),
        }
    }
}

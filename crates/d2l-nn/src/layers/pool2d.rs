//! Pooling layers.

use super::{Context, Forward, LayerSpec, MemoryFormat, both, by, channels_height_width};
use crate::{Error, Result, ops, ops::Pool2dOptions};
use candle_core::{Tensor, Var};

/// What pooling keeps of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest element.
    Max,
    /// The mean.
    Average,
}

/// Pooling over a sliding window (the book's section 6.5).
#[derive(Clone, Debug)]
pub struct Pool2d {
    /// What is kept of a window.
    pub kind: PoolKind,
    /// Window, step, padding and rounding.
    pub options: Pool2dOptions,
}

impl Pool2d {
    /// Max pooling with a square window.
    pub fn max(kernel: usize, stride: usize) -> Self {
        Self::square(PoolKind::Max, kernel, stride)
    }

    /// Average pooling with a square window.
    pub fn average(kernel: usize, stride: usize) -> Self {
        Self::square(PoolKind::Average, kernel, stride)
    }

    /// The same with padding on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.options.padding = [padding; 2];
        self
    }

    /// The same with a last window that may reach over the edge (`ceil_mode` of PyTorch).
    pub fn rounded_up(mut self) -> Self {
        self.options.ceil_mode = true;
        self
    }

    fn square(kind: PoolKind, kernel: usize, stride: usize) -> Self {
        let options = Pool2dOptions {
            kernel: [kernel; 2],
            stride: [stride; 2],
            ..Pool2dOptions::default()
        };
        Self { kind, options }
    }

    fn output_size(&self, axis: usize, size: usize) -> Result<usize> {
        let (kernel, stride, padding) = (
            self.options.kernel[axis],
            self.options.stride[axis],
            self.options.padding[axis],
        );
        if kernel == 0 || stride == 0 {
            return Err(Error::msg("window and stride have to be at least 1"));
        }
        if 2 * padding > kernel {
            return Err(Error::msg(format!(
                "padding {padding} is more than half the window of {kernel}"
            )));
        }
        let Some(room) = (size + 2 * padding).checked_sub(kernel) else {
            let axis = ["height", "width"][axis];
            return Err(Error::msg(format!(
                "expects {axis} of at least {}, got {size}",
                kernel - 2 * padding
            )));
        };
        if !self.options.ceil_mode {
            return Ok(room / stride + 1);
        }
        // The last window has to start inside the input or its left padding (as PyTorch's).
        let windows = room.div_ceil(stride) + 1;
        Ok(if (windows - 1) * stride >= size + padding {
            windows - 1
        } else {
            windows
        })
    }
}

impl LayerSpec for Pool2d {
    fn kind(&self) -> &str {
        match self.kind {
            PoolKind::Max => "MaxPool2d",
            PoolKind::Average => "AvgPool2d",
        }
    }

    fn details(&self) -> String {
        let options = &self.options;
        let mut details = format!("{}, stride {}", by(options.kernel), both(options.stride));
        if options.padding != [0; 2] {
            details += &format!(", padding {}", both(options.padding));
        }
        details + if options.ceil_mode { ", rounded up" } else { "" }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (channels, height, width) = channels_height_width(input)?;
        Ok(vec![
            channels,
            self.output_size(0, height)?,
            self.output_size(1, width)?,
        ])
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(self.clone()))
    }
}

impl Forward for Pool2d {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        match self.kind {
            PoolKind::Max => ops::nhwc::max_pool2d(xs, &self.options),
            PoolKind::Average => ops::nhwc::avg_pool2d(xs, &self.options),
        }
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::ChannelsLast
    }
}

/// Pooling whose windows are chosen so that the output has a given size; 1×1 is global pooling (Lin et al. 2013).
#[derive(Clone, Debug)]
pub struct AdaptivePool2d {
    /// What is kept of a window.
    pub kind: PoolKind,
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl AdaptivePool2d {
    /// The mean of each channel's whole picture.
    pub fn global_average() -> Self {
        Self {
            kind: PoolKind::Average,
            output: [1; 2],
        }
    }
}

impl LayerSpec for AdaptivePool2d {
    fn kind(&self) -> &str {
        match self.kind {
            PoolKind::Max => "AdaptiveMaxPool2d",
            PoolKind::Average => "AdaptiveAvgPool2d",
        }
    }

    fn details(&self) -> String {
        format!("to {}", by(self.output))
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (channels, height, width) = channels_height_width(input)?;
        if height == 0 || width == 0 || self.output.contains(&0) {
            return Err(Error::msg(format!(
                "cannot pool {height}×{width} to {:?}",
                self.output
            )));
        }
        Ok(vec![channels, self.output[0], self.output[1]])
    }

    fn build(&self, _: &[usize], _: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        Ok(Box::new(self.clone()))
    }
}

impl Forward for AdaptivePool2d {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        match self.kind {
            PoolKind::Max => ops::nhwc::adaptive_max_pool2d(xs, self.output),
            PoolKind::Average => ops::nhwc::adaptive_avg_pool2d(xs, self.output),
        }
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::ChannelsLast
    }
}

//! The convolutional layer.

use super::{
    Context, Forward, LayerSpec, MemoryFormat, ParamSpec, both, by, channels_height_width, take_vars,
};
use crate::{Error, Fan, Init, Result, ops, ops::Conv2dOptions};
use candle_core::{Tensor, Var};

/// Two-dimensional cross-correlation with learned kernels (the book's chapter 6).
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Number of output channels.
    pub out_channels: usize,
    /// Height and width of the kernels.
    pub kernel: [usize; 2],
    /// Step of the window.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between the kernel's elements.
    pub dilation: [usize; 2],
    /// Number of groups that the channels are split into.
    pub groups: usize,
    /// Whether there is a bias per output channel.
    pub bias: bool,
    /// How the weight `[out_channels, in_channels/groups, kernel height, kernel width]` starts.
    pub weight_init: Init,
    /// How the bias `[out_channels]` starts.
    pub bias_init: Init,
}

impl Conv2d {
    /// A square kernel at stride 1 without padding, with a bias and PyTorch's initialisers.
    pub fn new(out_channels: usize, kernel: usize) -> Self {
        Self {
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
            bias: true,
            weight_init: Init::TorchDefault,
            bias_init: Init::TorchDefault,
        }
    }

    /// The same with another stride on both axes.
    pub fn stride(self, stride: usize) -> Self {
        Self {
            stride: [stride; 2],
            ..self
        }
    }

    /// The same with another padding on all sides.
    pub fn padding(self, padding: usize) -> Self {
        Self {
            padding: [padding; 2],
            ..self
        }
    }

    /// The same without a bias, as where batch norm follows.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    fn weight_shape(&self, in_channels: usize) -> Result<Vec<usize>> {
        let groups = self.groups;
        if groups == 0 || !in_channels.is_multiple_of(groups) || !self.out_channels.is_multiple_of(groups) {
            return Err(Error::msg(format!(
                "{groups} groups do not divide {in_channels} input and {} output channels",
                self.out_channels
            )));
        }
        Ok(vec![
            self.out_channels,
            in_channels / groups,
            self.kernel[0],
            self.kernel[1],
        ])
    }

    fn output_size(&self, axis: usize, size: usize) -> Result<usize> {
        let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
        let (padding, dilation) = (self.padding[axis], self.dilation[axis]);
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(Error::msg("kernel, stride and dilation have to be at least 1"));
        }
        let window = dilation * (kernel - 1) + 1;
        (size + 2 * padding)
            .checked_sub(window)
            .map(|room| room / stride + 1)
            .ok_or_else(|| {
                let least = window.saturating_sub(2 * padding).max(1);
                let axis = ["height", "width"][axis];
                Error::msg(format!("expects {axis} of at least {least}, got {size}"))
            })
    }
}

impl LayerSpec for Conv2d {
    fn kind(&self) -> &str {
        "Conv2d"
    }

    fn details(&self) -> String {
        let mut details = format!("{}, {}", self.out_channels, by(self.kernel));
        for (name, value, usual) in [
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
            ("groups", [self.groups; 2], 1),
        ] {
            if value != [usual; 2] {
                details += &format!(", {name} {}", both(value));
            }
        }
        details + if self.bias { "" } else { ", no bias" }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (channels, height, width) = channels_height_width(input)?;
        self.weight_shape(channels)?;
        Ok(vec![
            self.out_channels,
            self.output_size(0, height)?,
            self.output_size(1, width)?,
        ])
    }

    fn params(&self, input: &[usize]) -> Result<Vec<ParamSpec>> {
        let (channels, ..) = channels_height_width(input)?;
        let shape = self.weight_shape(channels)?;
        let fan = Fan::of_weight(&shape);
        let mut params = vec![ParamSpec::parameter("weight", shape, fan, self.weight_init)];
        if self.bias {
            params.push(ParamSpec::parameter(
                "bias",
                vec![self.out_channels],
                fan,
                self.bias_init,
            ));
        }
        Ok(params)
    }

    fn multiply_adds(&self, input: &[usize]) -> Result<u64> {
        let (channels, ..) = channels_height_width(input)?;
        let output: u64 = self.output_shape(input)?.iter().map(|&d| d as u64).product();
        let per_element: usize = self.weight_shape(channels)?.iter().skip(1).product();
        Ok(output * per_element as u64)
    }

    fn build(&self, _: &[usize], vars: Vec<Var>, _: u64) -> Result<Box<dyn Forward>> {
        self.build_with(vars, false)
    }
}

impl Conv2d {
    /// As [`LayerSpec::build`], with the ReLU that follows taken into the kernel where `relu`.
    pub(crate) fn build_with(&self, vars: Vec<Var>, relu: bool) -> Result<Box<dyn Forward>> {
        let options = Conv2dOptions {
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            relu,
            ..Conv2dOptions::default()
        };
        Ok(if self.bias {
            let [weight, bias] = take_vars(vars)?;
            Box::new(BuiltConv2d {
                weight,
                bias: Some(bias),
                options,
            })
        } else {
            let [weight] = take_vars(vars)?;
            Box::new(BuiltConv2d {
                weight,
                bias: None,
                options,
            })
        })
    }
}

struct BuiltConv2d {
    /// `[out_channels, in_channels/groups, kernel height, kernel width]`
    weight: Var,
    /// `[out_channels]`
    bias: Option<Var>,
    options: Conv2dOptions,
}

impl Forward for BuiltConv2d {
    fn forward(&self, xs: &Tensor, _: &Context) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Var::as_tensor);
        ops::nhwc::conv2d(xs, self.weight.as_tensor(), bias, &self.options)
    }

    fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::ChannelsLast
    }
}

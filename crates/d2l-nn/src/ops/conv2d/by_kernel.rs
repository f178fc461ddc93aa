//! Convolution on the kernels of d2l-kernels: f32 on the CPU, channels last.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};
use d2l_kernels::conv2d::{self as kernel, Activation, Conv2dShape};
use d2l_kernels::layout as kernel_layout;

use super::{Algorithm, Conv2dOptions, OP};
use crate::ops::activation::relu_gradient;
use crate::ops::check::{ChannelOrder, ImageDims};
use crate::ops::storage::{elements, with_elements};
use crate::{Error, Result};

/// `xs` is `[batch, height, width, in_channels]`.
pub(super) fn by_kernel(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
    options: &Conv2dOptions,
) -> Result<Tensor> {
    let op = Conv2d {
        shape,
        relu: options.relu,
        algorithm: options.algorithm,
    };
    let (xs, weight) = (xs.contiguous()?, weight.contiguous()?);
    Ok(match bias {
        Some(bias) => xs.apply_op3(&weight, &bias.contiguous()?, op)?,
        None => xs.apply_op2(&weight, op)?,
    })
}

/// The operation on the kernels: xs NHWC, weight OIHW, bias; ys NHWC.
struct Conv2d {
    shape: Conv2dShape,
    relu: bool,
    algorithm: Algorithm,
}

/// Gradients of input, weight and bias; `None` for an argument that no variable leads to.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl Conv2d {
    fn forward(
        &self,
        xs: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = &self.shape;
        let weight = self.to_hwio(weight)?;
        let activation = if self.relu {
            Activation::Relu
        } else {
            Activation::None
        };
        let mut ys = vec![0.0; shape.y_len()];
        kernel::forward(shape, xs, &weight, bias, activation, self.algorithm, &mut ys)
            .map_err(Error::from)?;
        Ok((CpuStorage::F32(ys), (&self.out_shape()).into()))
    }

    fn out_shape(&self) -> [usize; 4] {
        let size = [self.shape.out_height(), self.shape.out_width()];
        ImageDims::shape(
            ChannelOrder::Last,
            self.shape.batch,
            self.shape.out_channels,
            size,
        )
    }

    /// Sizes of an OIHW weight as the layout kernels take them: out, in, kernel positions.
    fn weight_dims(&self) -> [usize; 3] {
        let Conv2dShape {
            in_channels,
            out_channels,
            kernel: [height, width],
            groups,
            ..
        } = self.shape;
        [out_channels, in_channels / groups, height * width]
    }

    fn to_hwio(&self, weight: &[f32]) -> candle_core::Result<Vec<f32>> {
        let [out_channels, group_channels, positions] = self.weight_dims();
        let mut hwio = vec![0.0; weight.len()];
        kernel_layout::oihw_to_hwio(out_channels, group_channels, positions, weight, &mut hwio)
            .map_err(Error::from)?;
        Ok(hwio)
    }

    fn backward(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<Gradients> {
        let masked;
        let dys = if self.relu {
            masked = relu_gradient(ys, dys)?;
            &masked
        } else {
            dys
        };
        let (shape, algorithm) = (&self.shape, self.algorithm);
        with_elements(OP, [xs, weight, dys], |[xs_elements, weight_elements, dys]| {
            let mut dxs = None;
            if xs.track_op() {
                let hwio = self.to_hwio(weight_elements)?;
                let mut gradient = vec![0.0; shape.x_len()];
                kernel::grad_input(shape, dys, &hwio, algorithm, &mut gradient).map_err(Error::from)?;
                dxs = Some(Tensor::from_vec(gradient, xs.shape(), xs.device())?);
            }
            let mut dweight = None;
            if weight.track_op() {
                let mut hwio = vec![0.0; shape.weight_len()];
                kernel::grad_weight(shape, xs_elements, dys, algorithm, &mut hwio).map_err(Error::from)?;
                let [out_channels, group_channels, positions] = self.weight_dims();
                let mut gradient = vec![0.0; hwio.len()];
                kernel_layout::hwio_to_oihw(out_channels, group_channels, positions, &hwio, &mut gradient)
                    .map_err(Error::from)?;
                dweight = Some(Tensor::from_vec(gradient, weight.shape(), weight.device())?);
            }
            let mut dbias = None;
            if let Some(bias) = bias.filter(|bias| bias.track_op()) {
                let mut gradient = vec![0.0; shape.out_channels];
                kernel::grad_bias(shape, dys, &mut gradient).map_err(Error::from)?;
                dbias = Some(Tensor::from_vec(gradient, bias.shape(), bias.device())?);
            }
            Ok((dxs, dweight, dbias))
        })
    }
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(
            elements(OP, xs, xs_layout)?,
            elements(OP, weight, weight_layout)?,
            None,
        )
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (dxs, dweight, _) = self.backward(xs, weight, None, ys, dys)?;
        Ok((dxs, dweight))
    }
}

impl CustomOp3 for Conv2d {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let bias = elements(OP, bias, bias_layout)?;
        self.forward(
            elements(OP, xs, xs_layout)?,
            elements(OP, weight, weight_layout)?,
            Some(bias),
        )
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<Gradients> {
        self.backward(xs, weight, Some(bias), ys, dys)
    }
}

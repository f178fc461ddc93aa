use super::{Io, Op, ParamId, Passes, Reads, ScratchNeed};
use crate::Result;
use d2l_kernels::conv2d::{self as kernel, Activation, Algorithm, Conv2dShape, Product};

/// Convolution, with its bias and the ReLU that follows. Weight HWIO, activations NHWC.
#[derive(Debug)]
pub(crate) struct Conv2d {
    /// For a batch of one.
    pub(crate) shape: Conv2dShape,
    pub(crate) weight: ParamId,
    pub(crate) bias: Option<ParamId>,
    pub(crate) relu: bool,
    /// Whether the gradient comes with ReLU's mask applied.
    pub(crate) masked: bool,
}

impl Conv2d {
    fn shape(&self, batch: usize) -> Conv2dShape {
        Conv2dShape { batch, ..self.shape }
    }
}

impl Op for Conv2d {
    fn kind(&self) -> &'static str {
        "Conv2d"
    }

    fn reads(&self) -> Reads {
        Reads {
            inputs: true,
            output: self.relu && !self.masked,
        }
    }

    fn params(&self) -> Vec<ParamId> {
        std::iter::once(self.weight).chain(self.bias).collect()
    }

    fn flops(&self) -> f64 {
        self.shape.flops()
    }

    fn scratch(&self, batch: usize, passes: Passes) -> ScratchNeed {
        let shape = self.shape(batch);
        let product = |product| kernel::scratch(&shape, product, Algorithm::Auto);
        let mut need = product(Product::Forward);
        if passes.weight_gradient {
            need = need.max(product(Product::GradWeight));
            if self.bias.is_some() {
                need = need.max(kernel::bias_scratch(&shape));
            }
        }
        if passes.input_gradient {
            need = need.max(product(Product::GradInput));
        }
        need
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let shape = self.shape(io.batch);
        let activation = if self.relu {
            Activation::Relu
        } else {
            Activation::None
        };
        io.write_output(|io, ys| {
            let (weight, bias) = (
                io.param(self.weight)?,
                self.bias.map(|id| io.param(id)).transpose()?,
            );
            let bias = bias.as_deref();
            Ok(kernel::forward(
                &shape,
                io.input(0),
                &weight,
                bias,
                activation,
                Algorithm::Auto,
                ys,
            )?)
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let shape = self.shape(io.batch);
        let masks = self.relu && !self.masked;
        match self.bias.filter(|&id| io.params.is_learned(id)) {
            Some(bias) => {
                let mut dbias = io.params.take_gradient(bias).unwrap_or_default();
                let result = io.change_output_gradient(|io, dys| {
                    match masks {
                        true => kernel::relu_grad_bias(shape.out_channels, io.output(), dys, &mut dbias)?,
                        false => kernel::grad_bias(&shape, dys, &mut dbias)?,
                    }
                    Ok(())
                });
                io.params.put_gradient(bias, dbias);
                result?;
            }
            None if masks => super::activation::mask_by_output(io)?,
            None => {}
        }
        io.write_param_gradient(self.weight, |io, dweight| {
            let (xs, dys) = (io.input(0), io.output_gradient());
            Ok(kernel::grad_weight(&shape, xs, dys, Algorithm::Auto, dweight)?)
        })?;
        io.write_input_gradient(0, |io, dxs| {
            let weight = io.param(self.weight)?;
            Ok(kernel::grad_input(
                &shape,
                io.output_gradient(),
                &weight,
                Algorithm::Auto,
                dxs,
            )?)
        })
    }

    fn leave_mask_to_consumer(&mut self) -> bool {
        self.masked = self.relu;
        self.relu
    }

    fn fuse_relu(&mut self) -> bool {
        self.relu = true;
        true
    }

    fn survives_relu(&self) -> bool {
        // ReLU of ReLU is itself.
        true
    }
}

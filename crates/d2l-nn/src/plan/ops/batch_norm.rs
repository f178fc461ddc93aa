use super::{Io, Op, ParamId, Reads};
use crate::{Error, Result, ops::BatchNormOptions};
use d2l_kernels::batch_norm::{self as kernel, Gradients, Moments, MomentsMut};

/// Batch normalisation of `[rows][channels]` activations, with the sum with a second input and the ReLU that follow.
#[derive(Debug)]
pub(crate) struct BatchNorm {
    /// Rows of an example.
    pub(crate) rows: usize,
    pub(crate) channels: usize,
    pub(crate) options: BatchNormOptions,
    /// Weight, bias, running mean, running variance.
    pub(crate) vars: [ParamId; 4],
    pub(crate) relu: bool,
    /// Whether a second input is added, before the ReLU.
    pub(crate) adds: bool,
    /// The batch's mean and variance.
    pub(crate) moments: [Vec<f32>; 2],
}

impl BatchNorm {
    fn norm<'a>(&self, batch: usize, gamma: &'a [f32], beta: &'a [f32]) -> kernel::BatchNorm<'a> {
        kernel::BatchNorm {
            rows: self.rows * batch,
            channels: self.channels,
            gamma,
            beta,
            eps: self.options.eps as f32,
            relu: self.relu,
        }
    }
}

impl Op for BatchNorm {
    fn kind(&self) -> &'static str {
        "BatchNorm"
    }

    fn reads(&self) -> Reads {
        Reads {
            inputs: true,
            output: self.adds && self.relu,
        }
    }

    fn params(&self) -> Vec<ParamId> {
        self.vars.to_vec()
    }

    fn prepare(&mut self, _: usize) {
        self.moments = [vec![0.0; self.channels], vec![0.0; self.channels]];
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let [gamma, beta, running_mean, running_var] = self.vars;
        let rows = self.rows * io.batch;
        if !io.context.train {
            return io.write_output(|io, ys| {
                let (gamma, beta) = (io.param(gamma)?, io.param(beta)?);
                let (mean, variance) = (io.param(running_mean)?, io.param(running_var)?);
                let moments = Moments {
                    mean: &mean,
                    variance: &variance,
                };
                let norm = self.norm(io.batch, &gamma, &beta);
                match self.adds {
                    true => kernel::infer_forward_add(&norm, io.input(0), io.input(1), moments, ys)?,
                    false => kernel::infer_forward(&norm, io.input(0), moments, ys)?,
                }
                Ok(())
            });
        }
        if rows == 1 {
            return Err(Error::Shape {
                op: "batch_norm",
                expected: "more than one value per channel to train on".to_owned(),
                got: "one".to_owned(),
            });
        }
        let [mut mean, mut variance] = std::mem::take(&mut self.moments);
        let result = io.write_output(|io, ys| {
            let (gamma, beta) = (io.param(gamma)?, io.param(beta)?);
            let moments = MomentsMut {
                mean: &mut mean,
                variance: &mut variance,
            };
            let norm = self.norm(io.batch, &gamma, &beta);
            match self.adds {
                true => kernel::train_forward_add(&norm, io.input(0), io.input(1), ys, moments)?,
                false => kernel::train_forward(&norm, io.input(0), ys, moments)?,
            }
            Ok(())
        });
        self.moments = [mean, variance];
        result?;
        let [mean, variance] = &self.moments;
        let moments = Moments { mean, variance };
        let momentum = self.options.momentum;
        io.params.change(running_mean, |running_mean| {
            io.params.change(running_var, |running_var| {
                Ok(kernel::update_running(
                    momentum,
                    rows,
                    moments,
                    running_mean,
                    running_var,
                )?)
            })
        })
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let [gamma, beta, ..] = self.vars;
        let [mean, variance] = &self.moments;
        let moments = Moments { mean, variance };
        // A frozen factor or addend has its gradient computed with the others, and forgotten.
        let mut take = |id| {
            let gradient = io.params.take_gradient(id);
            (
                gradient.is_some(),
                gradient.unwrap_or_else(|| vec![0.0; self.channels]),
            )
        };
        let ((learns_gamma, mut dgamma), (learns_beta, mut dbeta)) = (take(gamma), take(beta));
        // Taken out, because with a residual the kernel turns it into the residual's gradient.
        let mut dys = io.take_output_gradient();
        let len = self.rows * self.channels * io.batch;
        let mut write = |io: &Io<'_>, dx: Option<&mut [f32]>| {
            let (gamma, beta) = (io.param(gamma)?, io.param(beta)?);
            let norm = self.norm(io.batch, &gamma, &beta);
            let gradients = Gradients {
                dx,
                dgamma: &mut dgamma,
                dbeta: &mut dbeta,
            };
            let (xs, dys) = (io.input(0), dys.get_mut(..len).unwrap_or_default());
            match self.adds {
                true => kernel::train_backward_add(&norm, xs, io.output(), dys, moments, gradients)?,
                false => kernel::train_backward(&norm, xs, dys, moments, gradients)?,
            }
            Ok(())
        };
        let result = if io.wants_gradient(0) {
            io.write_input_gradient(0, |io, dx| write(io, Some(dx)))
        } else {
            write(io, None)
        };
        io.put_output_gradient(dys);
        for (learns, id, gradient) in [(learns_gamma, gamma, dgamma), (learns_beta, beta, dbeta)] {
            if learns {
                io.params.put_gradient(id, gradient);
            }
        }
        result?;
        if self.adds {
            super::join::pass_on(io, 1)?;
        }
        Ok(())
    }

    fn adds_directly(&self, index: usize) -> bool {
        index == 1
    }

    fn fuse_relu(&mut self) -> bool {
        self.relu = true;
        true
    }

    fn fuse_add(&mut self) -> bool {
        self.adds = !self.relu;
        self.adds
    }

    fn survives_relu(&self) -> bool {
        true
    }
}

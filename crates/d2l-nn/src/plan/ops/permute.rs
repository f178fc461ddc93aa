use super::{Io, Op, Reads};
use crate::Result;
use d2l_kernels::layout;

/// Between `[channels, area]` and `[area, channels]`.
#[derive(Debug)]
pub(crate) struct Permute {
    pub(crate) channels: usize,
    /// height · width
    pub(crate) area: usize,
    /// Whether the channels come last afterwards.
    pub(crate) to_channels_last: bool,
}

impl Permute {
    fn permute(&self, forward: bool, batch: usize, source: &[f32], target: &mut [f32]) -> Result<()> {
        let permute = if self.to_channels_last == forward {
            layout::nchw_to_nhwc
        } else {
            layout::nhwc_to_nchw
        };
        Ok(permute(batch, self.channels, self.area, source, target)?)
    }
}

impl Op for Permute {
    fn kind(&self) -> &'static str {
        "Permute"
    }

    fn reads(&self) -> Reads {
        Reads::default()
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.write_output(|io, ys| self.permute(true, io.batch, io.input(0), ys))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.write_input_gradient(0, |io, dxs| {
            self.permute(false, io.batch, io.output_gradient(), dxs)
        })
    }
}

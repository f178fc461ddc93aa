//! Max and average pooling over windows, fixed or adaptive, with gradients. Activations are NHWC.
//!
//! ```text
//! for each output pixel, for each block of channels:           (forward)
//!     reduce the taps of its window in registers, write once
//! for each input pixel, for each block of channels:            (backward)
//!     add the gradients of the windows that cover it, write once
//! ```
//! 1. Both kinds of window are two lists of ranges, one per axis (`pool/windows.rs`), so that one loop serves
//!    fixed and adaptive pooling, padding, ceil mode and windows that skip pixels.
//! 2. The backward pass gathers, where PyTorch scatters: each piece owns its input rows, nothing is zeroed first, and
//!    the sum has a fixed order (that of PyTorch's loop).
//! 3. The maximum's place is stored as the number of its tap in the window, two bytes an element ([`Argmax`]).

mod average;
mod max;
pub mod naive;
mod pixel;
mod windows;

pub use average::{adaptive_avg_backward, adaptive_avg_forward, avg_backward, avg_forward};
pub use max::{adaptive_max_backward, adaptive_max_forward, max_backward, max_forward};

use crate::ShapeError;
use crate::error::checked_product;
use pixel::Sources;
use windows::{Axis, Cover};

/// Which tap of its window an output came from: `row·width + column`, counted from the window's first element inside
/// the input, with `width` the widest window of the call.
pub type Argmax = u16;

/// A fixed window sliding over NHWC activations, with PyTorch's meaning of every field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2dShape {
    /// Images.
    pub batch: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Rows above and below, columns left and right; at most half the window. Padding never wins a maximum; it
    /// counts as zeros in an average.
    pub padding: [usize; 2],
    /// Keep a last window that reaches beyond the padded input, if it starts inside the input or its left padding.
    pub ceil_mode: bool,
    /// An average divides by the window's size including padding (but not by what ceil mode adds beyond it).
    pub count_include_pad: bool,
}

impl Pool2dShape {
    /// Whether PyTorch would accept this shape.
    ///
    /// # Errors
    /// A window, stride or image of size 0; padding above half the window; an output of size 0; sizes beyond the
    /// address space.
    pub fn check(&self) -> Result<(), ShapeError> {
        self.sizes("pool2d").map(|_| ())
    }

    /// Rows of the output; 0 if the shape is not valid.
    pub fn out_height(&self) -> usize {
        self.out_size(0, self.height).unwrap_or(0)
    }

    /// Columns of the output; 0 if the shape is not valid.
    pub fn out_width(&self) -> usize {
        self.out_size(1, self.width).unwrap_or(0)
    }

    /// Elements of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Elements of the output.
    pub fn y_len(&self) -> usize {
        self.batch * self.out_height() * self.out_width() * self.channels
    }

    /// PyTorch's `pooling_output_shape`; `None` where nothing comes out.
    fn out_size(&self, axis: usize, size: usize) -> Option<usize> {
        let (kernel, stride, padding) = (self.kernel[axis], self.stride[axis], self.padding[axis]);
        if kernel == 0 || stride == 0 || size == 0 {
            return None;
        }
        let padded = padding.checked_mul(2)?.checked_add(size)?;
        let rounding = if self.ceil_mode { stride - 1 } else { 0 };
        let out = padded.checked_add(rounding)?.checked_sub(kernel)? / stride + 1;
        let beyond = self.ceil_mode && (out - 1) * stride >= size + padding;
        Some(if beyond { out - 1 } else { out }).filter(|&out| out > 0)
    }

    /// Checks everything; the output's rows and columns.
    fn sizes(&self, operation: &'static str) -> Result<[usize; 2], ShapeError> {
        let size = [self.height, self.width];
        let mut out = [0; 2];
        for axis in 0..2 {
            let name = ["height", "width"][axis];
            let (kernel, stride, padding) = (self.kernel[axis], self.stride[axis], self.padding[axis]);
            let refuse = |expected: &str, found: String| Err(ShapeError::new(operation, expected, found));
            if kernel == 0 || stride == 0 || size[axis] == 0 || self.channels == 0 {
                return refuse("window, stride, image and channels above 0", format!("{self:?}"));
            }
            if padding > kernel / 2 {
                return refuse(
                    "padding of at most half the window",
                    format!("{name} {kernel}, padding {padding}"),
                );
            }
            let Some(size) = self.out_size(axis, size[axis]) else {
                return refuse("an output of at least 1×1", format!("{self:?}"));
            };
            out[axis] = size;
        }
        checked_product(operation, &[self.batch, self.height, self.width, self.channels])?;
        checked_product(operation, &[self.batch, out[0], out[1], self.channels])?;
        Ok(out)
    }

    fn plan(&self, operation: &'static str) -> Result<Plan, ShapeError> {
        let out = self.sizes(operation)?;
        let axis = |axis: usize, size| {
            Axis::sliding(
                size,
                out[axis],
                self.kernel[axis],
                self.stride[axis],
                self.padding[axis],
            )
        };
        Ok(Plan {
            batch: self.batch,
            channels: self.channels,
            rows: axis(0, self.height),
            columns: axis(1, self.width),
            count_padding: self.count_include_pad,
        })
    }
}

/// Adaptive pooling of NHWC activations: output pixel `o` of `out` covers the input from `⌊o·in/out⌋` to
/// `⌈(o + 1)·in/out⌉`, on both axes. An output of 1×1 is global pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdaptivePool2dShape {
    /// Images.
    pub batch: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Rows of the output; may exceed those of the input.
    pub out_height: usize,
    /// Columns of the output; may exceed those of the input.
    pub out_width: usize,
}

impl AdaptivePool2dShape {
    /// Whether every size is above 0 (the batch may be empty) and fits the address space.
    ///
    /// # Errors
    /// If not.
    pub fn check(&self) -> Result<(), ShapeError> {
        self.plan("adaptive_pool2d").map(|_| ())
    }

    /// Elements of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Elements of the output.
    pub fn y_len(&self) -> usize {
        self.batch * self.out_height * self.out_width * self.channels
    }

    fn plan(&self, operation: &'static str) -> Result<Plan, ShapeError> {
        let sizes = [
            self.height,
            self.width,
            self.channels,
            self.out_height,
            self.out_width,
        ];
        if sizes.contains(&0) {
            let found = format!("{self:?}");
            return Err(ShapeError::new(
                operation,
                "image, channels and output above 0",
                found,
            ));
        }
        checked_product(operation, &[self.batch, self.height, self.width, self.channels])?;
        checked_product(
            operation,
            &[self.batch, self.out_height, self.out_width, self.channels],
        )?;
        Ok(Plan {
            batch: self.batch,
            channels: self.channels,
            rows: Axis::adaptive(self.height, self.out_height),
            columns: Axis::adaptive(self.width, self.out_width),
            count_padding: false,
        })
    }
}

/// A pooling of either kind, ready to run.
struct Plan {
    batch: usize,
    channels: usize,
    rows: Axis,
    columns: Axis,
    count_padding: bool,
}

impl Plan {
    /// Elements of one input row and of one output row.
    fn row_lens(&self) -> [usize; 2] {
        [
            self.columns.inputs() * self.channels,
            self.columns.outputs() * self.channels,
        ]
    }

    fn check_lens(
        &self,
        operation: &'static str,
        names: [&str; 2],
        found: [usize; 2],
    ) -> Result<(), ShapeError> {
        let [x_row, y_row] = self.row_lens();
        let expected = [
            self.batch * self.rows.inputs() * x_row,
            self.batch * self.rows.outputs() * y_row,
        ];
        ShapeError::check_len(operation, names[0], expected[0], found[0])?;
        ShapeError::check_len(operation, names[1], expected[1], found[1])
    }

    /// The outputs that cover the input at `rows` and `columns`.
    #[inline(always)]
    fn sources<'a>(&self, rows: &'a [Cover], columns: &'a [Cover]) -> Sources<'a> {
        Sources {
            rows,
            columns,
            width: self.columns.outputs(),
            channels: self.channels,
            row_taps: self.columns.widest,
        }
    }

    /// Rows of the output per piece of work: some 32 Ki elements of the larger side, fixed by the shape.
    fn output_rows_per_piece(&self) -> usize {
        let [x_row, y_row] = self.row_lens();
        let read = x_row * self.rows.inputs() / self.rows.outputs();
        ((1 << 15) / read.max(y_row).max(1)).max(1)
    }

    /// Rows of the input per piece of work.
    fn input_rows_per_piece(&self) -> usize {
        let [x_row, y_row] = self.row_lens();
        let read = y_row * self.rows.outputs() / self.rows.inputs();
        ((1 << 15) / read.max(x_row).max(1)).max(1)
    }
}

#[cfg(test)]
mod tests;

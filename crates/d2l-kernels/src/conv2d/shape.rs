//! The sizes of a convolution.

use crate::ShapeError;
use crate::error::checked_product;

/// The sizes of a 2-D convolution. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// Images.
    pub batch: usize,
    /// Rows of an input image.
    pub in_height: usize,
    /// Columns of an input image.
    pub in_width: usize,
    /// Channels of an input image.
    pub in_channels: usize,
    /// Channels of an output image.
    pub out_channels: usize,
    /// Taps of the window.
    pub kernel: [usize; 2],
    /// Input pixels from one window to the next.
    pub stride: [usize; 2],
    /// Zero pixels added on each side of the input.
    pub padding: [usize; 2],
    /// Input pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other; divides both channel counts.
    pub groups: usize,
}

impl Conv2dShape {
    const OPERATION: &'static str = "conv2d";

    /// Checks that the sizes make sense: no zero-sized window, stride, dilation, channel count or group count,
    /// channel counts that the groups divide, an output of at least one pixel, and no size beyond the address
    /// space. A batch of zero is fine.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn check(&self) -> Result<(), ShapeError> {
        let refuse = |expected: &str, found: String| Err(ShapeError::new(Self::OPERATION, expected, found));
        for (what, pair) in [
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ] {
            if pair.contains(&0) {
                return refuse(
                    &format!("a {what} of at least 1 in both directions"),
                    format!("{pair:?}"),
                );
            }
        }
        let (input, output, groups) = (self.in_channels, self.out_channels, self.groups);
        if groups == 0 || input == 0 || output == 0 {
            return refuse(
                "at least one channel and one group",
                format!("{input} input channels, {output} output channels, {groups} groups"),
            );
        }
        if !input.is_multiple_of(groups) || !output.is_multiple_of(groups) {
            return refuse(
                "channel counts that the groups divide",
                format!("{input} input channels, {output} output channels, {groups} groups"),
            );
        }
        let padded = |size: usize, axis: usize| {
            checked_product(Self::OPERATION, &[2, self.padding[axis]])?
                .checked_add(size)
                .ok_or_else(|| ShapeError::new(Self::OPERATION, "a size within the address space", "more"))
        };
        for (axis, size) in [self.in_height, self.in_width].into_iter().enumerate() {
            let reach = checked_product(Self::OPERATION, &[self.kernel[axis] - 1, self.dilation[axis]])?;
            if padded(size, axis)? <= reach {
                return refuse(
                    &format!(
                        "an input of at least {} pixels with its padding on axis {axis}",
                        reach + 1
                    ),
                    format!("{} and padding {} on each side", size, self.padding[axis]),
                );
            }
        }
        checked_product(
            Self::OPERATION,
            &[
                self.batch,
                padded(self.in_height, 0)?,
                padded(self.in_width, 1)?,
                input,
            ],
        )?;
        checked_product(
            Self::OPERATION,
            &[self.batch, self.out_height(), self.out_width(), output],
        )?;
        checked_product(
            Self::OPERATION,
            &[self.kernel[0], self.kernel[1], input / groups, output],
        )?;
        Ok(())
    }

    /// Rows of an output image, if [`check`](Self::check) passes.
    pub fn out_height(&self) -> usize {
        self.out_size(0, self.in_height)
    }

    /// Columns of an output image, if [`check`](Self::check) passes.
    pub fn out_width(&self) -> usize {
        self.out_size(1, self.in_width)
    }

    fn out_size(&self, axis: usize, in_size: usize) -> usize {
        let reach = (self.kernel[axis] - 1) * self.dilation[axis];
        (in_size + 2 * self.padding[axis] - reach - 1) / self.stride[axis] + 1
    }

    /// Elements of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.in_height * self.in_width * self.in_channels
    }

    /// Elements of the output.
    pub fn y_len(&self) -> usize {
        self.batch * self.out_height() * self.out_width() * self.out_channels
    }

    /// Elements of the weight.
    pub fn weight_len(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.group_in() * self.out_channels
    }

    /// Floating-point operations of each of the three products, by the definition: two per multiply-add.
    pub fn flops(&self) -> f64 {
        2.0 * self.y_len() as f64 * (self.kernel[0] * self.kernel[1] * self.group_in()) as f64
    }

    /// Input channels of one group.
    pub(crate) fn group_in(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Output channels of one group.
    pub(crate) fn group_out(&self) -> usize {
        self.out_channels / self.groups
    }

    /// [`check`](Self::check), and the lengths of input, weight and output (or their gradients).
    pub(crate) fn check_operands(
        &self,
        operation: &'static str,
        x: &[f32],
        weight: &[f32],
        y: &[f32],
    ) -> Result<(), ShapeError> {
        self.check()?;
        ShapeError::check_len(operation, "input", self.x_len(), x.len())?;
        ShapeError::check_len(operation, "weight", self.weight_len(), weight.len())?;
        ShapeError::check_len(operation, "output", self.y_len(), y.len())
    }
}

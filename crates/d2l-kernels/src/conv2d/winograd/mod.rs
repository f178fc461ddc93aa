//! Winograd's minimal filtering: fewer multiplications for windows of 3 × 3 and 5 × 5 at stride 1.
//!
//! A tile of `M × M` outputs of an `R × R` window needs `T × T` inputs, `T = M + R − 1`. With the matrices of
//! [`transform`],
//! ```text
//! U = G w Gᵀ,   V = Bᵀ x B                       each T × T, per pair of channels and per tile and channel
//! y = Aᵀ (Σ over input channels U ⊙ V) A         forward; the input gradient is the same with w turned around
//! dw = Gᵀ (Σ over tiles V ⊙ A dy Aᵀ) G           weight gradient
//! ```
//! so every one of the T² positions is a matrix product over channels (or tiles), done on the micro-kernel: T² / M²
//! multiplications per output instead of R².
//!
//! # Error
//! Largest error against `f64`, relative to the largest output, for inputs and weights uniform in −1..1 and 64
//! channels. The test `errors_stay_within_their_bounds` prints the errors and holds them to these bounds.
//!
//! | variant | multiplications per output | forward and input gradient | weight gradient |
//! |---|---|---|---|
//! | F(2×2, 3×3) | 4 instead of 9 | below 1e-6 | below 1e-6 |
//! | F(4×4, 3×3) | 2.25 instead of 9 | below 1e-5 | below 1e-5 |
//! | F(2×2, 5×5) | 9 instead of 25 | below 1e-5 | below 1e-5 |
//!
//! [`Algorithm::Direct`] switches it off.

mod forward;
mod transform;
mod weight;

use super::{Activation, Algorithm, Conv2dShape, Product};
use crate::par::{SendPtr, for_each_piece};
use crate::scratch::{self, ScratchNeed};

/// Channels are padded to a multiple of this between the transforms.
const CHANNEL_PAD: usize = 16;

/// Tiles of a picture: the sizes that both directions share.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    /// Rows and columns of the pictures that are read.
    in_size: [usize; 2],
    in_channels: usize,
    /// Rows and columns of the pictures that are written (or, for the weight gradient, of `dy`).
    out_size: [usize; 2],
    out_channels: usize,
    /// The input pixel of the first tap of the first output; negative inside the padding.
    origin: [isize; 2],
    /// Rows and columns of tiles.
    grid: [usize; 2],
    /// Tiles of the batch.
    tiles: usize,
}

impl Tiling {
    fn new(
        batch: usize,
        [in_size, out_size]: [[usize; 2]; 2],
        [in_channels, out_channels]: [usize; 2],
        origin: [isize; 2],
        outputs: usize,
    ) -> Self {
        let grid = out_size.map(|size| size.div_ceil(outputs));
        Self {
            in_size,
            in_channels,
            out_size,
            out_channels,
            origin,
            grid,
            tiles: batch * grid[0] * grid[1],
        }
    }

    /// Image, row and column of tile `index`.
    #[inline(always)]
    fn position(&self, index: usize) -> [usize; 3] {
        let [rows, columns] = self.grid;
        [index / (rows * columns), index / columns % rows, index % columns]
    }
}

/// `F(M×M, R×R)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    F23,
    F43,
    F25,
}

impl Variant {
    const ALL: [Self; 3] = [Self::F23, Self::F43, Self::F25];

    /// Outputs of a tile and taps of the window, per axis.
    fn sizes(self) -> [usize; 2] {
        match self {
            Self::F23 => [2, 3],
            Self::F43 => [4, 3],
            Self::F25 => [2, 5],
        }
    }

    /// Values of a tile that is read.
    fn positions(self) -> usize {
        let [outputs, taps] = self.sizes();
        (outputs + taps - 1).pow(2)
    }

    /// Tiles that are written, or, for the weight gradient, read.
    fn tiles(self, shape: &Conv2dShape, product: Product) -> usize {
        let [outputs, _] = self.sizes();
        let size = match product {
            Product::GradInput => [shape.in_height, shape.in_width],
            Product::Forward | Product::GradWeight => [shape.out_height(), shape.out_width()],
        };
        shape.batch * size.iter().map(|size| size.div_ceil(outputs)).product::<usize>()
    }

    /// The scratch memory of `product`.
    pub(super) fn scratch(self, shape: &Conv2dShape, product: Product) -> ScratchNeed {
        let (tiles, channels) = (
            self.tiles(shape, product),
            [shape.in_channels, shape.out_channels],
        );
        match product {
            Product::Forward => forward::scratch(self, tiles, channels),
            Product::GradInput => forward::scratch(self, tiles, [shape.out_channels, shape.in_channels])
                .inside(shape.weight_len()),
            Product::GradWeight => weight::scratch(self, tiles, channels),
        }
    }

    /// The variant to use for `product`, if any.
    pub(super) fn choose(shape: &Conv2dShape, product: Product, algorithm: Algorithm) -> Option<Self> {
        let applies =
            shape.stride == [1, 1] && shape.dilation == [1, 1] && shape.groups == 1 && shape.batch > 0;
        if !applies || algorithm == Algorithm::Direct {
            return None;
        }
        let cost = |variant: &Self| variant.cost(shape, product);
        let best = Self::ALL
            .into_iter()
            .filter(|variant| shape.kernel == [variant.sizes()[1]; 2])
            .min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
        (algorithm == Algorithm::Winograd || cost(&best) < direct_cost(shape, product)).then_some(best)
    }

    /// Estimated cost, in floating-point operations of the micro-kernel that take the same time.
    fn cost(self, shape: &Conv2dShape, product: Product) -> f64 {
        /// Operations that the transforms of one value of a tile are worth.
        const TILE_VALUE: f64 = 24.0;
        /// Operations that the transform of one value of U is worth, and reading it from memory.
        const WEIGHT_VALUE: f64 = 60.0;
        let positions = self.positions() as f64;
        let tiles = self.tiles(shape, product) as f64;
        let [input, output] = [shape.in_channels, shape.out_channels]
            .map(|channels| channels.next_multiple_of(CHANNEL_PAD) as f64);
        positions
            * (2.0 * tiles * input * output
                + TILE_VALUE * tiles * (input + output)
                + WEIGHT_VALUE * input * output)
    }
}

/// The cost of the direct algorithm in the units of [`Variant::cost`].
fn direct_cost(shape: &Conv2dShape, product: Product) -> f64 {
    let padded = |channels: usize| channels.next_multiple_of(CHANNEL_PAD) as f64 / channels as f64;
    // Forward and input gradient leave out the taps in the padding.
    let inside = |axis: usize, in_size: usize, out_size: usize| {
        let taps: usize = (0..out_size)
            .map(|position| {
                let start = shape.padding[axis].saturating_sub(position);
                let end = (in_size + shape.padding[axis])
                    .saturating_sub(position)
                    .min(shape.kernel[axis]);
                end.saturating_sub(start)
            })
            .sum();
        taps as f64 / (out_size * shape.kernel[axis]) as f64
    };
    let rows = inside(0, shape.in_height, shape.out_height());
    let columns = inside(1, shape.in_width, shape.out_width());
    match product {
        Product::Forward => shape.flops() * padded(shape.out_channels) * rows * columns,
        Product::GradInput => shape.flops() * padded(shape.in_channels) * rows * columns,
        // Reads its operands with larger strides.
        Product::GradWeight => shape.flops() * padded(shape.out_channels) * 1.2,
    }
}

/// `y = activation(conv(x, weight) + bias)`.
pub(super) fn forward(
    variant: Variant,
    shape: &Conv2dShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    let correlation = forward::Correlation {
        batch: shape.batch,
        sizes: [
            [shape.in_height, shape.in_width],
            [shape.out_height(), shape.out_width()],
        ],
        channels: [shape.in_channels, shape.out_channels],
        origin: shape.padding.map(|padding| -(padding as isize)),
        weight,
        bias,
        relu: activation == Activation::Relu,
    };
    correlation.run(variant, x, y);
}

/// `dx`: the correlation of `dy` with the weights turned by half a turn and their channels swapped.
pub(super) fn grad_input(variant: Variant, shape: &Conv2dShape, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    scratch::with(weight.len(), |turned| {
        turn(shape, weight, turned);
        let correlation = forward::Correlation {
            batch: shape.batch,
            sizes: [
                [shape.out_height(), shape.out_width()],
                [shape.in_height, shape.in_width],
            ],
            channels: [shape.out_channels, shape.in_channels],
            origin: [0, 1].map(|axis| shape.padding[axis] as isize - (shape.kernel[axis] - 1) as isize),
            weight: turned,
            bias: None,
            relu: false,
        };
        correlation.run(variant, dy, dx);
    });
}

/// `turned[last − tap][o][i] = weight[tap][i][o]`
fn turn(shape: &Conv2dShape, weight: &[f32], turned: &mut [f32]) {
    /// Sides of the blocks that are transposed at a time.
    const BLOCK: usize = 16;
    let (taps, input, output) = (
        shape.kernel[0] * shape.kernel[1],
        shape.in_channels,
        shape.out_channels,
    );
    let strips = output.div_ceil(BLOCK);
    let target = SendPtr::new(turned);
    for_each_piece(taps * strips, |piece| {
        let (tap, first) = (piece / strips, piece % strips * BLOCK);
        let count = BLOCK.min(output - first);
        let source = &weight[tap * input * output..][..input * output];
        // SAFETY: pieces own disjoint rows of `turned`.
        let rows = unsafe { target.slice(((taps - 1 - tap) * output + first) * input, count * input) };
        for start in (0..input).step_by(BLOCK) {
            let end = (start + BLOCK).min(input);
            for (o, row) in rows.chunks_exact_mut(input).enumerate() {
                for (i, value) in row[start..end].iter_mut().enumerate() {
                    *value = source[(start + i) * output + first + o];
                }
            }
        }
    });
}

/// `dweight = Σ x · dy`.
pub(super) fn grad_weight(variant: Variant, shape: &Conv2dShape, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    match variant {
        Variant::F23 => weight::grad_weight::<2, 3>(shape, x, dy, dweight),
        Variant::F43 => weight::grad_weight::<4, 3>(shape, x, dy, dweight),
        Variant::F25 => weight::grad_weight::<2, 5>(shape, x, dy, dweight),
    }
}

//! Forward product and input gradient, directly on the micro-kernel.

use super::band::Windows;
use super::correlate::Correlation;
use super::{Activation, Conv2dShape};
use crate::par::{SendPtr, for_each_piece};
use crate::scratch::{self, ScratchNeed};
use crate::tile::{MicroKernel, micro_kernel, pack_transposed};

/// `y = activation(conv(x, weight) + bias)`; the slices have the lengths of the shape.
pub(super) fn forward(
    shape: &Conv2dShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    let kernel = micro_kernel();
    let out_size = [shape.out_height(), shape.out_width()];
    with_packed_forward(shape, kernel, weight, |packed| {
        Correlation {
            batch: shape.batch,
            windows: shape.windows(),
            groups: shape.groups,
            group_in: shape.group_in(),
            group_out: shape.group_out(),
            out_size,
            out_start: [0, 0],
            out_step: [1, 1],
            packed,
            bias,
            relu: activation == Activation::Relu,
        }
        .run(kernel, x, y);
    });
}

/// The scratch memory of [`forward`].
pub(super) fn forward_scratch(shape: &Conv2dShape) -> ScratchNeed {
    ScratchNeed::new(&[forward_len(shape, micro_kernel())], &[])
}

/// The scratch memory of [`grad_input`]: that of the phase with most taps.
pub(super) fn grad_input_scratch(shape: &Conv2dShape) -> ScratchNeed {
    let [rows, columns] =
        [0, 1].map(|axis| phases(shape, axis).map(|taps| taps.taps.len()).max().unwrap_or(0));
    ScratchNeed::new(&[phase_len(shape, micro_kernel(), rows * columns)], &[])
}

/// Floats of the packed weights.
fn forward_len(shape: &Conv2dShape, kernel: &MicroKernel) -> usize {
    let steps = shape.kernel[0] * shape.kernel[1] * shape.group_in();
    shape.groups * kernel.padded(shape.group_out()) * steps
}

/// Floats of the packed weights of a phase with so many taps.
fn phase_len(shape: &Conv2dShape, kernel: &MicroKernel, taps: usize) -> usize {
    shape.groups * kernel.padded(shape.group_in()) * taps * shape.group_out()
}

/// Lends `f` the weights packed as `[group][panel of outputs][tap][input][panel width]`.
fn with_packed_forward<R>(
    shape: &Conv2dShape,
    kernel: &MicroKernel,
    weight: &[f32],
    f: impl FnOnce(&[f32]) -> R,
) -> R {
    let (group_out, panels) = (shape.group_out(), kernel.panel_count(shape.group_out()));
    let steps = shape.kernel[0] * shape.kernel[1] * shape.group_in();
    // A piece packs a run of steps of one panel: with few panels there is still work for every thread.
    let pieces_per_panel = steps.div_ceil(PACK_STEPS);
    scratch::with(forward_len(shape, kernel), |packed| {
        let target = SendPtr::new(packed);
        for_each_piece(shape.groups * panels * pieces_per_panel, |piece| {
            let (panel_index, run) = (piece / pieces_per_panel, piece % pieces_per_panel);
            let (group, panel) = (
                panel_index / panels,
                kernel.panel(group_out, panel_index % panels),
            );
            let first_step = run * PACK_STEPS;
            let count = PACK_STEPS.min(steps - first_step);
            let start = (group * kernel.padded(group_out) + panel.first) * steps + first_step * panel.width;
            // SAFETY: pieces own disjoint runs of `packed`, inside it by its length.
            let target = unsafe { target.slice(start, count * panel.width) };
            let source = &weight[first_step * shape.out_channels + group * group_out..];
            crate::tile::pack_rows(&panel, count, source, shape.out_channels, target);
        });
        f(packed)
    })
}

/// Steps packed by one piece of work.
const PACK_STEPS: usize = 256;

/// `dx = Σ dy · weight` over the windows that read each pixel; the slices have the lengths of the shape.
///
/// Input row `iy` was read by output row `oy` through tap `ky` where `oy · stride + ky · dilation = iy + padding`.
/// For the rows of one phase, `iy = phase + u · stride`, the same taps take part whatever `u` is, and the output
/// rows they meet move by one with `u`: each phase is a correlation of `dy` with stride 1. The same holds for
/// columns, so there are stride₀ · stride₁ phases, each with its own subset of the taps.
pub(super) fn grad_input(shape: &Conv2dShape, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let kernel = micro_kernel();
    let in_size = [shape.in_height, shape.in_width];
    if phases(shape, 0)
        .chain(phases(shape, 1))
        .any(|taps| taps.taps.is_empty())
    {
        dx.fill(0.0);
    }
    for rows in phases(shape, 0) {
        for columns in phases(shape, 1) {
            if rows.taps.is_empty() || columns.taps.is_empty() {
                continue;
            }
            with_packed_phase(shape, kernel, weight, [&rows, &columns], |packed| {
                let grid = [rows.positions(shape), columns.positions(shape)];
                Correlation {
                    batch: shape.batch,
                    windows: Windows {
                        in_size: [shape.out_height(), shape.out_width()],
                        channels: shape.out_channels,
                        origin: [rows.origin, columns.origin],
                        step: [1, 1],
                        tap_step: [rows.tap_step, columns.tap_step],
                        taps: [rows.taps.len(), columns.taps.len()],
                        grid,
                    },
                    groups: shape.groups,
                    group_in: shape.group_out(),
                    group_out: shape.group_in(),
                    out_size: in_size,
                    out_start: [rows.phase, columns.phase],
                    out_step: shape.stride,
                    packed,
                    bias: None,
                    relu: false,
                }
                .run(kernel, dy, dx);
            });
        }
    }
}

/// The phases of an axis.
fn phases(shape: &Conv2dShape, axis: usize) -> impl Iterator<Item = PhaseTaps> + '_ {
    let size = [shape.in_height, shape.in_width][axis];
    (0..shape.stride[axis].min(size)).map(move |phase| PhaseTaps::new(shape, axis, phase))
}

/// The taps that read the input positions `phase + u · stride` of one axis.
struct PhaseTaps {
    axis: usize,
    phase: usize,
    /// Kernel positions, in the order of the output positions they meet.
    taps: Vec<usize>,
    /// The output position that the first of `taps` meets for `u = 0`.
    origin: isize,
    /// Output positions from one of `taps` to the next.
    tap_step: usize,
}

impl PhaseTaps {
    fn new(shape: &Conv2dShape, axis: usize, phase: usize) -> Self {
        let [stride, dilation] = [shape.stride[axis], shape.dilation[axis]].map(|size| size as isize);
        let first = (phase + shape.padding[axis]) as isize;
        // The last tap meets the first output. Taps of a phase are evenly spaced: stride / gcd(stride, dilation).
        let taps: Vec<usize> = (0..shape.kernel[axis])
            .rev()
            .filter(|&tap| (first - tap as isize * dilation).rem_euclid(stride) == 0)
            .collect();
        let met = |tap: usize| (first - tap as isize * dilation) / stride;
        let tap_step = match taps[..] {
            [one, two, ..] => (met(two) - met(one)) as usize,
            _ => 1,
        };
        let origin = taps.first().map_or(0, |&tap| met(tap));
        Self {
            axis,
            phase,
            taps,
            origin,
            tap_step,
        }
    }

    /// Input positions of this phase.
    fn positions(&self, shape: &Conv2dShape) -> usize {
        let size = [shape.in_height, shape.in_width][self.axis];
        (size - self.phase).div_ceil(shape.stride[self.axis])
    }
}

/// Lends `f` the weights of one phase, packed as `[group][panel of inputs][tap][output][panel width]`.
fn with_packed_phase<R>(
    shape: &Conv2dShape,
    kernel: &MicroKernel,
    weight: &[f32],
    [rows, columns]: [&PhaseTaps; 2],
    f: impl FnOnce(&[f32]) -> R,
) -> R {
    let (group_in, group_out) = (shape.group_in(), shape.group_out());
    let (panels, taps) = (kernel.panel_count(group_in), rows.taps.len() * columns.taps.len());
    let steps = taps * group_out;
    scratch::with(phase_len(shape, kernel, taps), |packed| {
        let target = SendPtr::new(packed);
        for_each_piece(shape.groups * panels * taps, |piece| {
            let (panel_index, tap) = (piece / taps, piece % taps);
            let (group, panel) = (panel_index / panels, kernel.panel(group_in, panel_index % panels));
            let start =
                (group * kernel.padded(group_in) + panel.first) * steps + tap * group_out * panel.width;
            // SAFETY: pieces own disjoint runs of `packed`, inside it by its length.
            let target = unsafe { target.slice(start, group_out * panel.width) };
            let tap = rows.taps[tap / columns.taps.len()] * shape.kernel[1]
                + columns.taps[tap % columns.taps.len()];
            let source = &weight[tap * group_in * shape.out_channels + group * group_out..];
            pack_transposed(&panel, group_out, source, shape.out_channels, target);
        });
        f(packed)
    })
}

impl Conv2dShape {
    /// The windows of the forward product.
    pub(super) fn windows(&self) -> Windows {
        Windows {
            in_size: [self.in_height, self.in_width],
            channels: self.in_channels,
            origin: [-(self.padding[0] as isize), -(self.padding[1] as isize)],
            step: self.stride,
            tap_step: self.dilation,
            taps: self.kernel,
            grid: [self.out_height(), self.out_width()],
        }
    }
}

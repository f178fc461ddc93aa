//! Between candle's tensors and the slices that kernels work on.

use candle_core::{CpuStorage, Layout, Storage, Tensor};

/// The elements of an f32 tensor inside `cpu_fwd`. Callers make tensors contiguous before they apply an operation.
pub(crate) fn elements<'a>(
    op: &'static str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [f32]> {
    let elements = storage.as_slice::<f32>()?;
    layout
        .contiguous_offsets()
        .and_then(|(start, end)| elements.get(start..end))
        .ok_or_else(|| candle_core::Error::RequiresContiguous { op }.bt())
}

/// Calls `f` with the elements of f32 tensors on the CPU, of whatever strides.
pub(crate) fn with_elements<const N: usize, T>(
    op: &'static str,
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> candle_core::Result<T>,
) -> candle_core::Result<T> {
    let mut contiguous = Vec::with_capacity(N);
    for tensor in tensors {
        contiguous.push(tensor.detach().contiguous()?);
    }
    let guards: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *slice = match &**storage {
            Storage::Cpu(storage) => elements(op, storage, layout)?,
            _ => candle_core::bail!("{op}: the gradient of a tensor on the CPU is on another device"),
        };
    }
    f(slices)
}

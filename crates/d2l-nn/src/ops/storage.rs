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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    /// Gradients arrive in any layout too: with whatever strides, elements come in row-major order.
    #[test]
    fn elements_of_views_come_in_row_major_order() {
        let plain = Tensor::arange(0f32, 12.0, &Device::Cpu)
            .and_then(|t| t.reshape((3, 4)))
            .unwrap();
        let transposed = plain.t().unwrap();
        let offset = plain.narrow(1, 1, 2).unwrap();
        let broadcast = plain
            .narrow(0, 2, 1)
            .and_then(|t| t.broadcast_as((2, 4)))
            .unwrap();
        with_elements(
            "test",
            [&plain, &transposed, &offset, &broadcast],
            |[plain, transposed, offset, broadcast]| {
                assert_eq!(plain[..5], [0.0, 1.0, 2.0, 3.0, 4.0]);
                assert_eq!(
                    transposed,
                    [0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0]
                );
                assert_eq!(offset, [1.0, 2.0, 5.0, 6.0, 9.0, 10.0]);
                assert_eq!(broadcast, [8.0, 9.0, 10.0, 11.0, 8.0, 9.0, 10.0, 11.0]);
                Ok(())
            },
        )
        .unwrap();
    }

    #[test]
    fn other_types_are_an_error() {
        let double = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
        assert!(with_elements("test", [&double], |_| Ok(())).is_err());
    }
}

//! Which of an operation's two implementations runs: d2l-kernels, or a composition of candle operations.

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};

use crate::{Error, Result};

/// Which implementation of an operation runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// The kernel where there is one (f32 on the CPU), the composition elsewhere.
    #[default]
    Auto,
    /// The kernel; an error where there is none.
    Kernel,
    /// A composition of candle's differentiable operations, which runs on every device.
    Composition,
}

thread_local! {
    static PATH: Cell<Path> = const { Cell::new(Path::Auto) };
}

/// Runs `f` with every operation that this thread calls meanwhile taking `path`.
///
/// Meant for tests and benchmarks, which compare the two. The choice is made when an operation runs forward; a
/// later `backward()` follows what was recorded then. Calls nest; the former choice returns when `f` ends, also by
/// panic.
pub fn with_path<T>(path: Path, f: impl FnOnce() -> T) -> T {
    struct Restore(Path);
    impl Drop for Restore {
        fn drop(&mut self) {
            PATH.set(self.0);
        }
    }
    let _restore = Restore(PATH.replace(path));
    f()
}

/// Whether `op` runs its kernel on `xs` under the current [`Path`].
pub(crate) fn takes_kernel(op: &'static str, xs: &Tensor) -> Result<bool> {
    let has_kernel = xs.device().is_cpu() && xs.dtype() == DType::F32;
    match PATH.get() {
        Path::Auto => Ok(has_kernel),
        Path::Kernel if has_kernel => Ok(true),
        Path::Kernel => Err(Error::NoKernel {
            op,
            dtype: xs.dtype(),
            device: device_name(xs.device()),
        }),
        Path::Composition => Ok(false),
    }
}

/// Whether an operation without a kernel may call a library of its device, such as cuDNN.
#[cfg(feature = "cudnn")]
pub(crate) fn takes_device_library() -> bool {
    PATH.get() == Path::Auto
}

/// The name of a device as error messages show it.
pub(crate) fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "the CPU",
        Device::Cuda(_) => "CUDA",
        Device::Metal(_) => "Metal",
    }
}

/// The type to compute in: f32 for half-precision tensors, else their own.
fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        dtype => dtype,
    }
}

/// Whether half-precision `xs` should be computed in f32 although each step could run in its own type: always on
/// the CPU, where f32 is both faster and exact enough.
pub(crate) fn is_half_on_cpu(xs: &Tensor) -> bool {
    xs.device().is_cpu() && wide(xs.dtype()) != xs.dtype()
}

/// `xs` in f32 if it is of a half-precision type: sums over many elements need the digits.
pub(crate) fn widened(xs: &Tensor) -> Result<Tensor> {
    Ok(xs.to_dtype(wide(xs.dtype()))?)
}

//! Convolution's three products on cuDNN: `[batch, channels, height, width]`, weights OIHW.
//!
//! The algorithm is the one that cuDNN's heuristics put first, unless that one adds in no fixed order: then the
//! best of the others that gives the same bits in every run.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    FilterDescriptor, TensorDescriptor, sys,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DeviceRepr, ValidAsZeroBits};
use candle_core::cuda_backend::{
    CudaDType, CudaDevice, CudaStorageSlice, DeviceId, gemm_reduced_precision_f32,
};
use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Layout, Shape, Tensor, WithDType};
use d2l_kernels::conv2d::Conv2dShape;

use super::{OP, finish};
use crate::Result;

/// Whether cuDNN computes this convolution.
pub(super) fn applies(xs: &Tensor, shape: &Conv2dShape) -> bool {
    let has_type = matches!(xs.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::BF16);
    // cuDNN describes no empty tensors.
    xs.device().is_cuda() && has_type && shape.batch > 0
}

/// `xs` is `[batch, in_channels, height, width]`.
pub(super) fn by_cudnn(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
    relu: bool,
) -> Result<Tensor> {
    let product = Product {
        shape,
        of: Of::Forward,
    };
    finish(
        xs.contiguous()?.apply_op2(&weight.contiguous()?, product)?,
        bias,
        relu,
    )
}

#[derive(Clone, Copy)]
enum Of {
    /// ys from xs and weight.
    Forward,
    /// dxs from dys and weight.
    GradInput,
    /// dweight from xs and dys.
    GradWeight,
}

/// One of the three products as a candle operation; only the forward one is differentiated.
#[derive(Clone, Copy)]
struct Product {
    shape: Conv2dShape,
    of: Of,
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        candle_core::bail!("{OP}: cuDNN needs tensors on CUDA")
    }

    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let layouts = [a_layout, b_layout];
        let device = a.device();
        let storage = match (&a.slice, &b.slice) {
            (CudaStorageSlice::F32(a), CudaStorageSlice::F32(b)) => {
                self.launch::<_, f32>(a, b, layouts, device)?
            }
            (CudaStorageSlice::F64(a), CudaStorageSlice::F64(b)) => {
                self.launch::<_, f64>(a, b, layouts, device)?
            }
            // Half-precision tensors, sums in f32.
            (CudaStorageSlice::F16(a), CudaStorageSlice::F16(b)) => {
                self.launch::<_, f32>(a, b, layouts, device)?
            }
            (CudaStorageSlice::BF16(a), CudaStorageSlice::BF16(b)) => {
                self.launch::<_, f32>(a, b, layouts, device)?
            }
            _ => candle_core::bail!(
                "{OP}: cuDNN has no products of {:?} and {:?}",
                a.dtype(),
                b.dtype()
            ),
        };
        Ok((storage, (&self.out_dims()).into()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _ys: &Tensor,
        dys: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (xs_data, weight_data) = (xs.contiguous()?, weight.contiguous()?);
        let dys = dys.contiguous()?;
        let of = |of| Self { of, ..*self };
        let dxs = match xs.track_op() {
            true => Some(dys.apply_op2_no_bwd(&weight_data, &of(Of::GradInput))?),
            false => None,
        };
        let dweight = match weight.track_op() {
            true => Some(xs_data.apply_op2_no_bwd(&dys, &of(Of::GradWeight))?),
            false => None,
        };
        Ok((dxs, dweight))
    }
}

thread_local! {
    /// cuDNN's handles must not leave their thread.
    static HANDLES: RefCell<HashMap<DeviceId, Arc<Cudnn>>> = RefCell::default();
}

fn handle(device: &CudaDevice) -> candle_core::Result<Arc<Cudnn>> {
    HANDLES.with_borrow_mut(|handles| {
        if let Some(handle) = handles.get(&device.id()) {
            return Ok(handle.clone());
        }
        let handle = Cudnn::new(device.cuda_stream())?;
        handles.insert(device.id(), handle.clone());
        Ok(handle)
    })
}

impl Product {
    fn xs_dims(&self) -> [usize; 4] {
        let Conv2dShape {
            batch,
            in_channels,
            in_height,
            in_width,
            ..
        } = self.shape;
        [batch, in_channels, in_height, in_width]
    }

    fn weight_dims(&self) -> [usize; 4] {
        let Conv2dShape {
            in_channels,
            out_channels,
            groups,
            kernel: [height, width],
            ..
        } = self.shape;
        [out_channels, in_channels / groups, height, width]
    }

    fn ys_dims(&self) -> [usize; 4] {
        let shape = &self.shape;
        [
            shape.batch,
            shape.out_channels,
            shape.out_height(),
            shape.out_width(),
        ]
    }

    fn out_dims(&self) -> [usize; 4] {
        match self.of {
            Of::Forward => self.ys_dims(),
            Of::GradInput => self.xs_dims(),
            Of::GradWeight => self.weight_dims(),
        }
    }

    /// Elements are `T`, sums are `C`.
    fn launch<T, C>(
        &self,
        a: &CudaSlice<T>,
        b: &CudaSlice<T>,
        layouts: [&Layout; 2],
        device: &CudaDevice,
    ) -> candle_core::Result<CudaStorage>
    where
        T: CudaDType + CudnnDataType + DeviceRepr + ValidAsZeroBits + WithDType,
        C: CudnnDataType,
    {
        let [Some((a_start, a_end)), Some((b_start, b_end))] = layouts.map(Layout::contiguous_offsets) else {
            return Err(candle_core::Error::RequiresContiguous { op: OP }.bt());
        };
        let (a, b) = (&a.slice(a_start..a_end), &b.slice(b_start..b_end));
        let mut out = device.alloc_zeros::<T>(self.out_dims().iter().product())?;
        let Descriptors { conv, x, w, y } = &Descriptors::<T, C>::new(self, &handle(device)?)?;
        let scales = (T::from_f64(1.0), T::from_f64(0.0));
        let workspace = |bytes: usize| device.alloc_zeros::<u8>(bytes);
        match self.of {
            Of::Forward => {
                let product = ConvForward { conv, x, w, y };
                let algorithm = product.pick_algorithm()?;
                let mut workspace = workspace(product.get_workspace_size(algorithm)?)?;
                // SAFETY: the descriptors are those of contiguous tensors of `T` with the dimensions of `a` (xs),
                // `b` (weight) and `out` (ys), whose slices have exactly so many elements.
                unsafe { product.launch(algorithm, Some(&mut workspace), scales, a, b, &mut out) }?;
            }
            Of::GradInput => {
                use sys::cudnnConvolutionBwdDataAlgo_t as Algorithm;
                const FIXED_ORDER: Algorithm = Algorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
                let product = ConvBackwardData {
                    conv,
                    dx: x,
                    w,
                    dy: y,
                };
                let algorithm = match product.pick_algorithm()? {
                    Algorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0
                        if product.get_workspace_size(FIXED_ORDER).is_ok() =>
                    {
                        FIXED_ORDER
                    }
                    picked => picked,
                };
                let mut workspace = workspace(product.get_workspace_size(algorithm)?)?;
                // SAFETY: as above, with `a` dys, `b` weight and `out` dxs.
                unsafe { product.launch(algorithm, Some(&mut workspace), scales, &mut out, b, a) }?;
            }
            Of::GradWeight => {
                use sys::cudnnConvolutionBwdFilterAlgo_t as Algorithm;
                const FIXED_ORDER: Algorithm = Algorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
                let product = ConvBackwardFilter {
                    conv,
                    x,
                    dw: w,
                    dy: y,
                };
                let algorithm = match product.pick_algorithm()? {
                    Algorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0
                    | Algorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3
                        if product.get_workspace_size(FIXED_ORDER).is_ok() =>
                    {
                        FIXED_ORDER
                    }
                    picked => picked,
                };
                let mut workspace = workspace(product.get_workspace_size(algorithm)?)?;
                // SAFETY: as above, with `a` xs, `b` dys and `out` dweight.
                unsafe { product.launch(algorithm, Some(&mut workspace), scales, a, &mut out, b) }?;
            }
        }
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }
}

/// What cuDNN has to know about the operands.
struct Descriptors<T, C> {
    conv: ConvDescriptor<C>,
    x: TensorDescriptor<T>,
    w: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
}

impl<T: CudnnDataType, C: CudnnDataType> Descriptors<T, C> {
    fn new(product: &Product, cudnn: &Arc<Cudnn>) -> candle_core::Result<Self> {
        let Conv2dShape {
            stride,
            padding,
            dilation,
            groups,
            ..
        } = product.shape;
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let mut conv = cudnn.create_conv2d::<C>(ints(padding)?, ints(stride)?, ints(dilation)?, mode)?;
        let [groups] = ints([groups])?;
        conv.set_group_count(groups)?;
        if C::DATA_TYPE == f32::DATA_TYPE && T::DATA_TYPE == f32::DATA_TYPE && !gemm_reduced_precision_f32() {
            // Otherwise f32 is rounded to TF32's 10 bits on the way into the tensor cores; candle's switch for its
            // matrix products decides here too.
            conv.set_math_type(sys::cudnnMathType_t::CUDNN_FMA_MATH)?;
        }
        let format = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        Ok(Self {
            conv,
            x: cudnn.create_4d_tensor(format, ints(product.xs_dims())?)?,
            w: cudnn.create_4d_filter(format, ints(product.weight_dims())?)?,
            y: cudnn.create_4d_tensor(format, ints(product.ys_dims())?)?,
        })
    }
}

/// Sizes as cuDNN takes them.
fn ints<const N: usize>(sizes: [usize; N]) -> candle_core::Result<[i32; N]> {
    let mut ints = [0; N];
    for (int, size) in ints.iter_mut().zip(sizes) {
        *int = i32::try_from(size).map_err(candle_core::Error::wrap)?;
    }
    Ok(ints)
}

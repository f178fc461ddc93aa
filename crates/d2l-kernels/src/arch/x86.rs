//! AVX2 and AVX-512: only names.

#[cfg(test)]
use super::Level;
use super::{Kernel, Simd, Vector};
use std::arch::x86_64::*;

/// AVX2 with fused multiply-add.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2;

/// AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512;

impl Simd for Avx2 {
    #[cfg(test)]
    const LEVEL: Level = Level::Avx2;
    const LANES: usize = 8;
    const FMA: bool = true;
    type Vector = __m256;
    type Short = Self;
}

impl Simd for Avx512 {
    #[cfg(test)]
    const LEVEL: Level = Level::Avx512;
    const LANES: usize = 16;
    const FMA: bool = true;
    type Vector = __m512;
    type Short = Avx2;
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// # Safety
/// The processor must have AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

/// Maps the operations of [`Vector`] to the intrinsics of one register type.
macro_rules! map_names {
    ($register:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $mul_add:ident, $max:ident, { $($own:item)* }) => {
        // SAFETY (every block below): a register type is only made inside `dispatch`, at a level that the
        // processor was found to have; loads and stores pass the caller's promise on.
        impl Vector for $register {
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: see the macro.
                unsafe { $splat(value) }
            }
            #[inline(always)]
            unsafe fn load(source: *const f32) -> Self {
                // SAFETY: see the macro.
                unsafe { $load(source) }
            }
            #[inline(always)]
            unsafe fn store(self, target: *mut f32) {
                // SAFETY: see the macro.
                unsafe { $store(target, self) }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: see the macro.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: see the macro.
                unsafe { $sub(self, other) }
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: see the macro.
                unsafe { $mul(self, other) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: see the macro.
                unsafe { $mul_add(self, factor, addend) }
            }
            #[inline(always)]
            fn relu(self) -> Self {
                // The instruction returns its second operand where one of them is NaN.
                // SAFETY: see the macro.
                unsafe { $max($splat(0.0), self) }
            }
            $($own)*
        }
    };
}

map_names!(
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    {
        #[inline(always)]
        fn where_positive(self, condition: Self) -> Self {
            // SAFETY: see the macro.
            unsafe {
                let positive = _mm256_cmp_ps::<_CMP_NLE_UQ>(condition, _mm256_setzero_ps());
                _mm256_and_ps(self, positive)
            }
        }
        #[inline(always)]
        fn larger(best: (Self, Self), value: Self, place: Self) -> (Self, Self) {
            // SAFETY: see the macro.
            unsafe {
                let above = _mm256_cmp_ps::<_CMP_GT_OQ>(value, best.0);
                let better = _mm256_or_ps(above, _mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
                (
                    _mm256_blendv_ps(best.0, value, better),
                    _mm256_blendv_ps(best.1, place, better),
                )
            }
        }
        #[inline(always)]
        unsafe fn store_u16(self, target: *mut u16) {
            // SAFETY: see the macro; the caller vouches for eight numbers.
            unsafe {
                let whole = _mm256_cvttps_epi32(self);
                let (low, high) = (
                    _mm256_castsi256_si128(whole),
                    _mm256_extracti128_si256::<1>(whole),
                );
                _mm_storeu_si128(target.cast(), _mm_packus_epi32(low, high));
            }
        }
        #[inline(always)]
        unsafe fn add_where(self, value: Self, places: *const u16, place: u16) -> Self {
            // SAFETY: see the macro; the caller vouches for eight numbers.
            unsafe {
                let places = _mm256_cvtepu16_epi32(_mm_loadu_si128(places.cast()));
                let equal = _mm256_cmpeq_epi32(places, _mm256_set1_epi32(i32::from(place)));
                _mm256_add_ps(self, _mm256_and_ps(value, _mm256_castsi256_ps(equal)))
            }
        }
    }
);
map_names!(
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    _mm512_max_ps,
    {
        #[inline(always)]
        fn where_positive(self, condition: Self) -> Self {
            // SAFETY: see the macro.
            unsafe {
                let positive = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(condition, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(positive, self)
            }
        }
        #[inline(always)]
        fn larger(best: (Self, Self), value: Self, place: Self) -> (Self, Self) {
            // SAFETY: see the macro.
            unsafe {
                let better = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, best.0)
                    | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
                (
                    _mm512_mask_mov_ps(best.0, better, value),
                    _mm512_mask_mov_ps(best.1, better, place),
                )
            }
        }
        #[inline(always)]
        unsafe fn store_u16(self, target: *mut u16) {
            // SAFETY: see the macro; the caller vouches for sixteen numbers.
            unsafe { _mm256_storeu_si256(target.cast(), _mm512_cvtepi32_epi16(_mm512_cvttps_epi32(self))) }
        }
        #[inline(always)]
        unsafe fn add_where(self, value: Self, places: *const u16, place: u16) -> Self {
            // SAFETY: see the macro; the caller vouches for sixteen numbers.
            unsafe {
                let places = _mm256_loadu_si256(places.cast());
                let equal = _mm256_cmpeq_epi16_mask(places, _mm256_set1_epi16(place as i16));
                _mm512_mask_add_ps(self, equal, self, value)
            }
        }
    }
);

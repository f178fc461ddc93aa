//! Exponentials as straight-line f32 code, which the compiler vectorises.

use crate::arch::Simd;

/// `x = n·ln 2 + r` with n a whole number and |r| ≤ ln 2 / 2: gives (n, r).
#[inline(always)]
fn reduce<S: Simd>(x: f32) -> (i32, f32) {
    // Adding 1.5·2²³ rounds to a whole number, which is then in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with trailing zeros, so that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = S::mul_add(x, std::f32::consts::LOG2_E, MAGIC);
    let whole = shifted - MAGIC;
    let rest = S::mul_add(whole, -LN2_LOW, S::mul_add(whole, -LN2_HIGH, x));
    (
        (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32),
        rest,
    )
}

/// `2ⁿ` for n from −126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `(exp(r) − 1 − r)/r²` for |r| ≤ ln 2 / 2.
#[inline(always)]
fn tail<S: Simd>(r: f32) -> f32 {
    let p = S::mul_add(r, 1.0 / 5040.0, 1.0 / 720.0);
    let p = S::mul_add(r, p, 1.0 / 120.0);
    let p = S::mul_add(r, p, 1.0 / 24.0);
    let p = S::mul_add(r, p, 1.0 / 6.0);
    S::mul_add(r, p, 0.5)
}

/// NaN stays NaN, which `f32::clamp` does too but `max` and `min` do not.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// eˣ.
#[inline(always)]
pub(crate) fn exp<S: Simd>(x: f32) -> f32 {
    // Beyond these the result is 0 and infinity.
    let (n, r) = reduce::<S>(clamp(x, -104.0, 89.0));
    let value = S::mul_add(r * r, tail::<S>(r), r) + 1.0;
    // In two steps: n reaches from −150 to 128, where one factor would leave the range.
    let half = n >> 1;
    value * power_of_two(half) * power_of_two(n - half)
}

/// eˣ − 1, accurate near 0; for x up to 88.
#[inline(always)]
pub(crate) fn exp_m1<S: Simd>(x: f32) -> f32 {
    // Below −17.4 the result rounds to −1; above 88 the scale would leave the range.
    let (n, r) = reduce::<S>(clamp(x, -20.0, 88.0));
    let scale = power_of_two(n);
    // 2ⁿ·(eʳ − 1) + (2ⁿ − 1)
    S::mul_add(S::mul_add(r * r, tail::<S>(r), r), scale, scale - 1.0)
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<S>(-x))
}

/// tanh x = m/(m + 2) with m = e²ˣ − 1, for |x|.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(x: f32) -> f32 {
    // From 9.02 on the result rounds to 1.
    let doubled = 2.0 * x.abs();
    let m = exp_m1::<S>(if doubled > 20.0 { 20.0 } else { doubled });
    (m / (m + 2.0)).copysign(x)
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + u), u = e^−|x|; `ln(1 + u) = 2·artanh(u/(2 + u))`.
#[inline(always)]
pub(crate) fn softplus<S: Simd>(x: f32) -> f32 {
    let u = exp::<S>(-x.abs());
    let s = u / (2.0 + u);
    let s2 = s * s;
    // s² ≤ 1/9: the ninth term would be below 2⁻²⁴ of the sum.
    let mut series = 1.0 / 17.0;
    for denominator in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = S::mul_add(series, s2, 1.0 / denominator);
    }
    let positive = if x < 0.0 { 0.0 } else { x };
    S::mul_add(2.0 * s, series, positive)
}

/// The normal distribution function Φ and its density φ at x.
///
/// Φ(−a) = erfc(a/√2)/2 = e^(−a²/2)·t·P(t) with t = 1/(1 + 0.3·a/√2): no difference of near numbers in the tail.
/// P was fitted to e^(z²)·erfc(z)/2 for z from 0 to 10; the largest relative error of the fit is 2e-8.
#[inline(always)]
pub(crate) fn normal_distribution<S: Simd>(x: f32) -> (f32, f32) {
    const INVERSE_ROOT_TAU: f32 = 0.398_942_3;
    const FIT: [f32; 9] = [
        -0.064_761_385,
        0.242_781_28,
        -0.256_138_38,
        0.273_859_3,
        -0.047_324_87,
        0.107_462_82,
        0.074_169_636,
        0.085_357_61,
        0.084_594_004,
    ];
    let a = x.abs();
    // From 14 on Φ(−a) and φ(a) are 0; the square must not overflow to −∞·0.
    let a = if a > 15.0 { 15.0 } else { a };
    let e = exp::<S>(-0.5 * a * a);
    let t = 1.0 / S::mul_add(0.3 * std::f32::consts::FRAC_1_SQRT_2, a, 1.0);
    let mut p = 0.0;
    for coefficient in FIT {
        p = S::mul_add(p, t, coefficient);
    }
    let tail = t * p * e;
    (if x < 0.0 { tail } else { 1.0 - tail }, INVERSE_ROOT_TAU * e)
}

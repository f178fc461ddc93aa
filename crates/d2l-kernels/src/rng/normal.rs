//! Box–Muller: two uniform words to two normal numbers, in plain f32 operations (the same bits everywhere).

use std::f32::consts::{LN_2, SQRT_2, TAU};

/// Two independent standard normal numbers from two random words: `√(−2 ln u)·(cos 2πv, sin 2πv)`.
#[inline(always)]
pub(super) fn box_muller(u: u32, v: u32) -> (f32, f32) {
    // 31 bits, so that the conversion is a signed one, which every level has; u in [2⁻³², 1].
    let u = ((u >> 1) as i32 as f32 + 0.5) * (1.0 / (1u32 << 31) as f32);
    let radius = (-2.0 * ln_unit(u)).sqrt();
    let (sin, cos) = sin_cos_turn(v);
    (radius * cos, radius * sin)
}

/// ln u for a normal u > 0, relative error below 3e-7: `u = 2ᵉ·m` with m in [√½, √2), `ln m = 2 artanh s`.
#[inline(always)]
fn ln_unit(u: f32) -> f32 {
    const SQRT_HALF: f32 = SQRT_2 / 2.0;
    let bits = u.to_bits() as i32;
    let exponent = (bits - SQRT_HALF.to_bits() as i32) >> 23;
    let m = f32::from_bits((bits - (exponent << 23)) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let series = 1.0 + s2 * (1.0 / 3.0 + s2 * (1.0 / 5.0 + s2 * (1.0 / 7.0 + s2 * (1.0 / 9.0))));
    exponent as f32 * LN_2 + 2.0 * s * series
}

/// (sin, cos) of `word`·2⁻³² turns, absolute error below 2e-7: the nearest quarter turn and a Taylor series
/// on what is left, at most an eighth of a turn.
#[inline(always)]
fn sin_cos_turn(word: u32) -> (f32, f32) {
    let quarter = word.wrapping_add(1 << 29) >> 30;
    let rest = word.wrapping_sub(quarter << 30) as i32 as f32 * (TAU / (1u64 << 32) as f32);
    let r2 = rest * rest;
    let sin = rest * (1.0 - r2 * (1.0 / 6.0 - r2 * (1.0 / 120.0 - r2 * (1.0 / 5040.0 - r2 / 362_880.0))));
    let cos = 1.0 - r2 * (0.5 - r2 * (1.0 / 24.0 - r2 * (1.0 / 720.0 - r2 * (1.0 / 40_320.0))));
    let (sin, cos) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    // Quarters 1 and 2 turn the cosine's sign, 2 and 3 the sine's: move that bit to the sign bit.
    let sin_sign = (quarter & 2) << 30;
    let cos_sign = (quarter.wrapping_add(1) & 2) << 30;
    (
        f32::from_bits(sin.to_bits() ^ sin_sign),
        f32::from_bits(cos.to_bits() ^ cos_sign),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_sine_are_close_to_f64() {
        let (mut worst_ln, mut worst_trig) = (0f64, 0f64);
        for i in 0..200_000u32 {
            let word = i.wrapping_mul(0x9E37_79B9);
            let u = ((word >> 1) as f32 + 0.5) * (1.0 / (1u32 << 31) as f32);
            let exact = f64::from(u).ln();
            if exact != 0.0 {
                worst_ln = worst_ln.max(((f64::from(ln_unit(u)) - exact) / exact).abs());
            }
            let angle = f64::from(word) / (1u64 << 32) as f64 * std::f64::consts::TAU;
            let (sin, cos) = sin_cos_turn(word);
            worst_trig = worst_trig.max((f64::from(sin) - angle.sin()).abs());
            worst_trig = worst_trig.max((f64::from(cos) - angle.cos()).abs());
        }
        assert!(worst_ln < 3e-7, "{worst_ln:e}");
        assert!(worst_trig < 2e-7, "{worst_trig:e}");
    }

    #[test]
    fn extremes_are_finite() {
        for word in [0, 1, u32::MAX, 1 << 31, 1 << 29, (1 << 29) - 1] {
            for other in [0, 1, u32::MAX, 1 << 30] {
                let (a, b) = box_muller(word, other);
                assert!(
                    a.is_finite() && b.is_finite() && a.hypot(b) < 6.7,
                    "{word} {other}: {a} {b}"
                );
            }
        }
        assert_eq!(box_muller(u32::MAX, 0).0, 0.0);
    }
}

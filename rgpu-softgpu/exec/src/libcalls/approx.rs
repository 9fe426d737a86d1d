//! The approximate functions. Each is at least as exact as the PTX manual asks, since the host's are.

use super::convert::{half_from_f32, half_to_f32};
use super::round::quiet_f32;
use super::soft::{BF16, F16, Format};

pub(super) extern "C" fn rsqrt_approx_f32(x: f32) -> f32 {
    quiet_f32((1.0 / f64::from(x).sqrt()) as f32)
}

pub(super) extern "C" fn sin_approx_f32(x: f32) -> f32 {
    quiet_f32(x.sin())
}

pub(super) extern "C" fn cos_approx_f32(x: f32) -> f32 {
    quiet_f32(x.cos())
}

pub(super) extern "C" fn lg2_approx_f32(x: f32) -> f32 {
    quiet_f32(x.log2())
}

pub(super) extern "C" fn ex2_approx_f32(x: f32) -> f32 {
    quiet_f32(x.exp2())
}

pub(super) extern "C" fn tanh_approx_f32(x: f32) -> f32 {
    quiet_f32(x.tanh())
}

/// The upper half of the operand in, the upper half of the result out; subnormals are zero.
pub(super) extern "C" fn rcp_approx_ftz_f64(x: f64) -> f64 {
    coarse(1.0 / flush(upper(x)))
}

pub(super) extern "C" fn rsqrt_approx_f64(x: f64) -> f64 {
    1.0 / x.sqrt()
}

/// As [`rcp_approx_ftz_f64`].
pub(super) extern "C" fn rsqrt_approx_ftz_f64(x: f64) -> f64 {
    coarse(1.0 / flush(upper(x)).sqrt())
}

/// The upper half of a result; a NaN is the canonical one.
fn coarse(x: f64) -> f64 {
    if x.is_nan() {
        f64::from_bits(0x7fff_ffff_0000_0000)
    } else {
        flush(upper(x))
    }
}

fn upper(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & !0xffff_ffff)
}

fn flush(x: f64) -> f64 {
    if x.is_subnormal() {
        0f64.copysign(x)
    } else {
        x
    }
}

fn on_half(format: &Format, x: u32, function: extern "C" fn(f32) -> f32) -> u32 {
    half_from_f32(format, function(half_to_f32(format, x)))
}

fn on_pair(format: &Format, x: u32, function: extern "C" fn(f32) -> f32) -> u32 {
    on_half(format, x, function) | on_half(format, x >> 16, function) << 16
}

pub(super) extern "C" fn ex2_approx_f16(x: u32) -> u32 {
    on_half(&F16, x, ex2_approx_f32)
}

pub(super) extern "C" fn ex2_approx_ftz_bf16(x: u32) -> u32 {
    on_half(&BF16, x, ex2_ftz)
}

pub(super) extern "C" fn ex2_approx_f16x2(x: u32) -> u32 {
    on_pair(&F16, x, ex2_approx_f32)
}

pub(super) extern "C" fn ex2_approx_ftz_bf16x2(x: u32) -> u32 {
    on_pair(&BF16, x, ex2_ftz)
}

/// Subnormal operands give 1 by themselves.
extern "C" fn ex2_ftz(x: f32) -> f32 {
    let result = ex2_approx_f32(x);
    if result.is_subnormal() { 0.0 } else { result }
}

pub(super) extern "C" fn tanh_approx_f16(x: u32) -> u32 {
    on_half(&F16, x, tanh_approx_f32)
}

pub(super) extern "C" fn tanh_approx_bf16(x: u32) -> u32 {
    on_half(&BF16, x, tanh_approx_f32)
}

pub(super) extern "C" fn tanh_approx_f16x2(x: u32) -> u32 {
    on_pair(&F16, x, tanh_approx_f32)
}

pub(super) extern "C" fn tanh_approx_bf16x2(x: u32) -> u32 {
    on_pair(&BF16, x, tanh_approx_f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_values_are_those_of_the_manual() {
        let nan = 0x7fff_ffff;
        assert_eq!(rsqrt_approx_f32(-0.0), f32::NEG_INFINITY);
        assert_eq!(rsqrt_approx_f32(f32::INFINITY).to_bits(), 0);
        assert_eq!(sin_approx_f32(-0.0).to_bits(), (-0f32).to_bits());
        assert_eq!(sin_approx_f32(f32::INFINITY).to_bits(), nan);
        assert_eq!(cos_approx_f32(0.0), 1.0);
        assert_eq!(lg2_approx_f32(0.0), f32::NEG_INFINITY);
        assert_eq!(lg2_approx_f32(-1.0).to_bits(), nan);
        assert_eq!(ex2_approx_f32(f32::NEG_INFINITY).to_bits(), 0);
        assert_eq!(ex2_approx_f32(-140.0).to_bits(), 1 << 9, "subnormal");
        assert_eq!(tanh_approx_f32(f32::NEG_INFINITY), -1.0);
    }

    #[test]
    fn doubles_use_the_upper_half() {
        assert_eq!(rcp_approx_ftz_f64(4.0), 0.25);
        assert_eq!(rcp_approx_ftz_f64(f64::from_bits(1)), f64::INFINITY);
        assert_eq!(rcp_approx_ftz_f64(3.0).to_bits() as u32, 0);
        assert!((rcp_approx_ftz_f64(3.0) * 3.0 - 1.0).abs() < 2f64.powi(-20));
        assert_eq!(rsqrt_approx_ftz_f64(16.0), 0.25);
        assert_eq!(rsqrt_approx_f64(0.25), 2.0);
    }

    #[test]
    fn halves_and_pairs() {
        assert_eq!(ex2_approx_f16(0x4200), 0x4800, "2^3 = 8");
        assert_eq!(ex2_approx_f16x2(0x4200_4000), 0x4800_4400);
        assert_eq!(ex2_approx_ftz_bf16(0x4040), 0x4100);
        assert_eq!(ex2_approx_ftz_bf16x2(0x4040_4000), 0x4100_4080);
        assert_eq!(tanh_approx_f16(0xfc00), 0xbc00);
        assert_eq!(tanh_approx_bf16x2(0xff80_7f80), 0xbf80_3f80);
        assert_eq!(tanh_approx_f16x2(0x7e00_0000), 0x7fff_0000);
        assert_eq!(tanh_approx_bf16(0), 0);
    }
}

//! Half-precision formats: f16 and bf16 to and from single and double, inline. Arithmetic on them runs in
//! single or double precision and rounds once, which is exact for the widths involved.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;

use super::float::Round;
use super::util::{bits, fconst, icmp_const, iconst, mask, reshape, resize, shl, shr};

/// Which 16-bit format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// IEEE binary16.
    F16,
    /// bfloat16: the upper half of a single.
    Bf16,
}

/// The single that a half stands for; exact.
pub(crate) fn to_f32(b: &mut FunctionBuilder<'_>, half: Value, format: Half) -> Value {
    let raw = resize(b, half, types::I32, false);
    match format {
        Half::Bf16 => {
            let raw = shl(b, raw, 16);
            reshape(b, raw, types::F32)
        }
        Half::F16 => {
            let magnitude = mask(b, raw, 0x7fff);
            let shifted = shl(b, magnitude, 13);
            // The exponent moves by 112; multiplying also normalises subnormal halves.
            let unscaled = reshape(b, shifted, types::F32);
            let scale = b.ins().f32const(f32::from_bits(0x7780_0000));
            let scaled = b.ins().fmul(unscaled, scale);
            let scaled = bits(b, scaled);
            let special = icmp_const(b, IntCC::UnsignedGreaterThanOrEqual, magnitude, 0x7c00);
            let exponent = iconst(b, types::I32, 0x7f80_0000);
            let infinite = b.ins().bor(shifted, exponent);
            let value = b.ins().select(special, infinite, scaled);
            let sign = mask(b, raw, 0x8000);
            let sign = shl(b, sign, 16);
            let value = b.ins().bor(value, sign);
            reshape(b, value, types::F32)
        }
    }
}

/// Rounds a single to a half.
pub(crate) fn from_f32(
    b: &mut FunctionBuilder<'_>,
    single: Value,
    format: Half,
    mode: Round,
) -> Value {
    let nearest = match format {
        Half::F16 => f16_nearest(b, single),
        Half::Bf16 => bf16_nearest(b, single),
    };
    adjust(b, nearest, single, format, mode)
}

/// Rounds a double to a half, once.
pub(crate) fn from_f64(
    b: &mut FunctionBuilder<'_>,
    double: Value,
    format: Half,
    mode: Round,
) -> Value {
    let odd = demote_to_odd(b, double);
    from_f32(b, odd, format, mode)
}

/// A double cut to a single with the lost bits folded into the last one, so that rounding the single
/// further gives what rounding the double would.
fn demote_to_odd(b: &mut FunctionBuilder<'_>, double: Value) -> Value {
    let nearest = b.ins().fdemote(types::F32, double);
    let back = b.ins().fpromote(types::F64, nearest);
    let raw = bits(b, nearest);
    let inexact = b.ins().fcmp(FloatCC::OrderedNotEqual, back, double);
    let last = mask(b, raw, 1);
    let even = icmp_const(b, IntCC::Equal, last, 0);
    let wrong = b.ins().band(inexact, even);
    let (got, exact) = (b.ins().fabs(back), b.ins().fabs(double));
    let short = b.ins().fcmp(FloatCC::LessThan, got, exact);
    let up = iconst(b, types::I32, 1);
    let down = iconst(b, types::I32, -1);
    let step = b.ins().select(short, up, down);
    let stepped = b.ins().iadd(raw, step);
    let chosen = b.ins().select(wrong, stepped, raw);
    reshape(b, chosen, types::F32)
}

fn bf16_nearest(b: &mut FunctionBuilder<'_>, single: Value) -> Value {
    let raw = bits(b, single);
    let upper = shr(b, raw, 16);
    let odd = mask(b, upper, 1);
    let bias = iconst(b, types::I32, 0x7fff);
    let bias = b.ins().iadd(bias, odd);
    let rounded = b.ins().iadd(raw, bias);
    let rounded = shr(b, rounded, 16);
    let nan = iconst(b, types::I32, 0x7fff);
    let is_nan = b.ins().fcmp(FloatCC::Unordered, single, single);
    let chosen = b.ins().select(is_nan, nan, rounded);
    b.ins().ireduce(types::I16, chosen)
}

fn f16_nearest(b: &mut FunctionBuilder<'_>, single: Value) -> Value {
    let raw = bits(b, single);
    let magnitude = mask(b, raw, 0x7fff_ffff);
    let sign = b.ins().bxor(raw, magnitude);
    let sign = shr(b, sign, 16);

    // Subnormal results: adding 0.5 lets the adder shift and round at the last place of a half.
    let half = fconst(b, types::F32, 0.5);
    let absolute = reshape(b, magnitude, types::F32);
    let shifted = b.ins().fadd(absolute, half);
    let shifted = bits(b, shifted);
    let half_bits = bits(b, half);
    let subnormal = b.ins().isub(shifted, half_bits);

    let last = shr(b, magnitude, 13);
    let odd = mask(b, last, 1);
    // Moves the exponent by -112 and adds just under half a unit; the odd bit breaks ties to even.
    let bias = iconst(b, types::I32, i64::from(0xc800_0fff_u32));
    let biased = b.ins().iadd(magnitude, bias);
    let biased = b.ins().iadd(biased, odd);
    let normal = shr(b, biased, 13);

    let small = icmp_const(b, IntCC::UnsignedLessThan, magnitude, 0x3880_0000);
    let finite = b.ins().select(small, subnormal, normal);
    let infinity = iconst(b, types::I32, 0x7c00);
    let huge = icmp_const(b, IntCC::UnsignedGreaterThanOrEqual, magnitude, 0x4780_0000);
    let value = b.ins().select(huge, infinity, finite);
    let value = b.ins().bor(value, sign);
    let nan = iconst(b, types::I32, 0x7fff);
    let is_nan = b.ins().fcmp(FloatCC::Unordered, single, single);
    let value = b.ins().select(is_nan, nan, value);
    b.ins().ireduce(types::I16, value)
}

/// Steps a half that was rounded to nearest to what `mode` asks for.
fn adjust(
    b: &mut FunctionBuilder<'_>,
    nearest: Value,
    exact: Value,
    format: Half,
    mode: Round,
) -> Value {
    if mode == Round::Nearest {
        return nearest;
    }
    let back = to_f32(b, nearest, format);
    let above = b.ins().fcmp(FloatCC::GreaterThan, back, exact);
    let below = b.ins().fcmp(FloatCC::LessThan, back, exact);
    let negative = icmp_const(b, IntCC::SignedLessThan, nearest, 0);
    let one = iconst(b, types::I16, 1);
    let outwards = b.ins().iadd(nearest, one);
    let inwards = b.ins().isub(nearest, one);
    let up = b.ins().select(negative, inwards, outwards);
    let down = b.ins().select(negative, outwards, inwards);
    match mode {
        Round::Nearest => nearest,
        Round::Up => b.ins().select(below, up, nearest),
        Round::Down => b.ins().select(above, down, nearest),
        Round::Zero => {
            let wrong = b.ins().select(negative, below, above);
            b.ins().select(wrong, inwards, nearest)
        }
    }
}

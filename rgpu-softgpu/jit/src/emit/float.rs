//! Float building blocks: flushing, saturating, minimum and maximum, and the directed roundings that
//! processors offer only through a global mode. Each result is first rounded to nearest; the sign of the
//! exact error then tells whether to step to the neighbour.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;

use super::util::{bits, choose, fconst, icmp_const, iconst, int_of, reshape};

/// How a result that does not fit is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// To nearest, ties to even (`.rn`).
    Nearest,
    /// Towards zero (`.rz`).
    Zero,
    /// Towards minus infinity (`.rm`).
    Down,
    /// Towards plus infinity (`.rp`).
    Up,
}

/// PTX's canonical NaN.
pub(crate) fn canonical_nan(b: &mut FunctionBuilder<'_>, ty: Type) -> Value {
    let pattern = match ty {
        types::F64 => 0x7fff_ffff_ffff_ffff,
        _ => 0x7fff_ffff,
    };
    let pattern = iconst(b, int_of(ty), pattern);
    reshape(b, pattern, ty)
}

/// `value`, or the canonical NaN in place of any NaN.
pub(crate) fn quiet(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let ty = b.func.dfg.value_type(value);
    let nan = canonical_nan(b, ty);
    let is_nan = b.ins().fcmp(FloatCC::Unordered, value, value);
    choose(b, is_nan, nan, value)
}

/// Subnormal numbers become zero of the same sign (`.ftz`; f32 only).
pub(crate) fn flush(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let ty = b.func.dfg.value_type(value);
    if ty.lane_type() != types::F32 {
        return value;
    }
    let sign = sign_bits(b, value);
    let zero = reshape(b, sign, ty);
    let magnitude = b.ins().fabs(value);
    let smallest = fconst(b, ty, f64::from(f32::MIN_POSITIVE));
    let small = b.ins().fcmp(FloatCC::LessThan, magnitude, smallest);
    choose(b, small, zero, value)
}

/// Clamps to `[0, 1]`; NaN becomes +0 (`.sat`).
pub(crate) fn saturate(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let ty = b.func.dfg.value_type(value);
    let zero = fconst(b, ty, 0.0);
    let one = fconst(b, ty, 1.0);
    let positive = b.ins().fcmp(FloatCC::GreaterThan, value, zero);
    let low = choose(b, positive, value, zero);
    let below = b.ins().fcmp(FloatCC::LessThan, low, one);
    choose(b, below, low, one)
}

/// Clamps negative numbers to +0; NaN stays, canonical (`.relu`).
pub(crate) fn relu(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let ty = b.func.dfg.value_type(value);
    let zero = fconst(b, ty, 0.0);
    let value = quiet(b, value);
    let keep = b.ins().fcmp(FloatCC::UnorderedOrGreaterThan, value, zero);
    choose(b, keep, value, zero)
}

/// `min` or `max`; a NaN loses against a number unless `nan` asks that it win. -0 is below +0.
pub(crate) fn extremum(
    b: &mut FunctionBuilder<'_>,
    x: Value,
    y: Value,
    max: bool,
    nan: bool,
) -> Value {
    let both = if max {
        b.ins().fmax(x, y)
    } else {
        b.ins().fmin(x, y)
    };
    if nan {
        return quiet(b, both);
    }
    let x_nan = b.ins().fcmp(FloatCC::Unordered, x, x);
    let y_nan = b.ins().fcmp(FloatCC::Unordered, y, y);
    let or_x = choose(b, y_nan, x, both);
    let picked = choose(b, x_nan, y, or_x);
    quiet(b, picked)
}

/// The sign bit alone.
fn sign_bits(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let ty = b.func.dfg.value_type(value);
    let raw = bits(b, value);
    let sign = iconst(b, int_of(ty), i64::MIN >> (64 - ty.lane_bits()));
    b.ins().band(raw, sign)
}

/// The neighbour of `value` towards plus (`up`) or minus infinity. Not for NaN or an infinity at its end.
pub(crate) fn neighbour(b: &mut FunctionBuilder<'_>, value: Value, up: bool) -> Value {
    let ty = b.func.dfg.value_type(value);
    let int = int_of(ty);
    let raw = bits(b, value);
    let negative = icmp_const(b, IntCC::SignedLessThan, raw, 0);
    let plus = iconst(b, int, if up { 1 } else { -1 });
    let minus = iconst(b, int, if up { -1 } else { 1 });
    let step = b.ins().select(negative, minus, plus);
    let stepped = b.ins().iadd(raw, step);
    // From a zero, either sign, the neighbour is the smallest subnormal of the direction's sign.
    let smallest = iconst(
        b,
        int,
        if up {
            1
        } else {
            (i64::MIN >> (64 - ty.bits())) | 1
        },
    );
    let zero = fconst(b, ty, 0.0);
    let is_zero = b.ins().fcmp(FloatCC::Equal, value, zero);
    let chosen = b.ins().select(is_zero, smallest, stepped);
    reshape(b, chosen, ty)
}

/// Moves `nearest`, which lies `error` (a value of the same sign as exact minus nearest) from the exact
/// result, to the result that `mode` asks for.
fn step_by_error(b: &mut FunctionBuilder<'_>, nearest: Value, error: Value, mode: Round) -> Value {
    let ty = b.func.dfg.value_type(nearest);
    let zero = fconst(b, ty, 0.0);
    let error_ty = b.func.dfg.value_type(error);
    let error_zero = fconst(b, error_ty, 0.0);
    let above = b.ins().fcmp(FloatCC::LessThan, error, error_zero);
    let below = b.ins().fcmp(FloatCC::GreaterThan, error, error_zero);
    match mode {
        Round::Nearest => nearest,
        Round::Down => {
            let down = neighbour(b, nearest, false);
            b.ins().select(above, down, nearest)
        }
        Round::Up => {
            let up = neighbour(b, nearest, true);
            b.ins().select(below, up, nearest)
        }
        Round::Zero => {
            let down = neighbour(b, nearest, false);
            let up = neighbour(b, nearest, true);
            let positive = b.ins().fcmp(FloatCC::GreaterThan, nearest, zero);
            let negative = b.ins().fcmp(FloatCC::LessThan, nearest, zero);
            let too_high = b.ins().band(positive, above);
            let too_low = b.ins().band(negative, below);
            let lowered = b.ins().select(too_high, down, nearest);
            b.ins().select(too_low, up, lowered)
        }
    }
}

/// Rounds a double to a single. `rest`, if given, has the sign of what the double itself is short of.
pub(crate) fn demote(
    b: &mut FunctionBuilder<'_>,
    value: Value,
    rest: Option<Value>,
    mode: Round,
) -> Value {
    let nearest = b.ins().fdemote(types::F32, value);
    if mode == Round::Nearest {
        return nearest;
    }
    let back = b.ins().fpromote(types::F64, nearest);
    let error = b.ins().fsub(value, back);
    let error = match rest {
        None => error,
        Some(rest) => {
            let zero = fconst(b, types::F64, 0.0);
            let exact = b.ins().fcmp(FloatCC::Equal, error, zero);
            b.ins().select(exact, rest, error)
        }
    };
    step_by_error(b, nearest, error, mode)
}

/// Exact error of the rounded sum `sum` of `x` and `y` (Knuth's TwoSum).
fn sum_error(b: &mut FunctionBuilder<'_>, x: Value, y: Value, sum: Value) -> Value {
    let y_part = b.ins().fsub(sum, x);
    let x_part = b.ins().fsub(sum, y_part);
    let x_rest = b.ins().fsub(x, x_part);
    let y_rest = b.ins().fsub(y, y_part);
    b.ins().fadd(x_rest, y_rest)
}

/// A sum that is exactly zero is -0 when rounded down, unless both terms are +0.
fn zero_sum_sign(
    b: &mut FunctionBuilder<'_>,
    result: Value,
    x: Value,
    y: Value,
    mode: Round,
) -> Value {
    if mode != Round::Down {
        return result;
    }
    let ty = b.func.dfg.value_type(result);
    let zero = fconst(b, ty, 0.0);
    let is_zero = b.ins().fcmp(FloatCC::Equal, result, zero);
    let x_sign = sign_bits(b, x);
    let y_sign = sign_bits(b, y);
    let either = b.ins().bor(x_sign, y_sign);
    // Only the sign matters, and x and y may be wider than the result.
    let negative = icmp_const(b, IntCC::NotEqual, either, 0);
    let minus = fconst(b, ty, -0.0);
    let signed = b.ins().select(negative, minus, zero);
    b.ins().select(is_zero, signed, result)
}

/// An overflow of finite operands stops at the largest number in the modes that round towards it.
fn limit_overflow(
    b: &mut FunctionBuilder<'_>,
    nearest: Value,
    result: Value,
    operands: &[Value],
    mode: Round,
) -> Value {
    let ty = b.func.dfg.value_type(result);
    let infinity = fconst(b, ty, f64::INFINITY);
    let largest = if ty == types::F64 {
        b.ins().f64const(f64::MAX)
    } else {
        b.ins().f32const(f32::MAX)
    };
    let magnitude = b.ins().fabs(nearest);
    let mut overflow = b.ins().fcmp(FloatCC::Equal, magnitude, infinity);
    for operand in operands {
        let magnitude = b.ins().fabs(*operand);
        let finite = b.ins().fcmp(FloatCC::LessThan, magnitude, infinity);
        overflow = b.ins().band(overflow, finite);
    }
    let limited = b.ins().fcopysign(largest, nearest);
    let zero = fconst(b, ty, 0.0);
    let limits = match mode {
        Round::Nearest => return result,
        Round::Zero => overflow,
        Round::Down => {
            let positive = b.ins().fcmp(FloatCC::GreaterThan, nearest, zero);
            b.ins().band(overflow, positive)
        }
        Round::Up => {
            let negative = b.ins().fcmp(FloatCC::LessThan, nearest, zero);
            b.ins().band(overflow, negative)
        }
    };
    let kept = b.ins().select(overflow, nearest, result);
    b.ins().select(limits, limited, kept)
}

/// `x + y`.
pub(crate) fn add(b: &mut FunctionBuilder<'_>, x: Value, y: Value, mode: Round) -> Value {
    if mode == Round::Nearest {
        return b.ins().fadd(x, y);
    }
    if b.func.dfg.value_type(x) == types::F32 {
        let (xw, yw) = (
            b.ins().fpromote(types::F64, x),
            b.ins().fpromote(types::F64, y),
        );
        let sum = b.ins().fadd(xw, yw);
        let rest = sum_error(b, xw, yw, sum);
        let result = demote(b, sum, Some(rest), mode);
        return zero_sum_sign(b, result, x, y, mode);
    }
    let sum = b.ins().fadd(x, y);
    let error = sum_error(b, x, y, sum);
    let result = step_by_error(b, sum, error, mode);
    let result = zero_sum_sign(b, result, x, y, mode);
    limit_overflow(b, sum, result, &[x, y], mode)
}

/// `x - y`.
pub(crate) fn sub(b: &mut FunctionBuilder<'_>, x: Value, y: Value, mode: Round) -> Value {
    if mode == Round::Nearest {
        return b.ins().fsub(x, y);
    }
    let negated = b.ins().fneg(y);
    add(b, x, negated, mode)
}

/// `x * y`; the directed roundings of doubles are the host's ([`super::arith`]).
pub(crate) fn mul(b: &mut FunctionBuilder<'_>, x: Value, y: Value, mode: Round) -> Value {
    if mode == Round::Nearest {
        return b.ins().fmul(x, y);
    }
    if b.func.dfg.value_type(x) == types::F32 {
        let (xw, yw) = (
            b.ins().fpromote(types::F64, x),
            b.ins().fpromote(types::F64, y),
        );
        let product = b.ins().fmul(xw, yw);
        return demote(b, product, None, mode);
    }
    b.ins().fmul(x, y)
}

/// `x * y + z`, rounded once.
pub(crate) fn fma(b: &mut FunctionBuilder<'_>, x: Value, y: Value, z: Value, mode: Round) -> Value {
    if mode == Round::Nearest {
        return b.ins().fma(x, y, z);
    }
    if b.func.dfg.value_type(x) == types::F32 {
        let (xw, yw) = (
            b.ins().fpromote(types::F64, x),
            b.ins().fpromote(types::F64, y),
        );
        let zw = b.ins().fpromote(types::F64, z);
        let product = b.ins().fmul(xw, yw);
        let sum = b.ins().fadd(product, zw);
        let rest = sum_error(b, product, zw, sum);
        // Before the single: a sum that is only too small for one is no zero.
        let sum = zero_sum_sign(b, sum, product, zw, mode);
        return demote(b, sum, Some(rest), mode);
    }
    b.ins().fma(x, y, z)
}

/// `x / y`.
pub(crate) fn div(b: &mut FunctionBuilder<'_>, x: Value, y: Value, mode: Round) -> Value {
    let quotient = b.ins().fdiv(x, y);
    if mode == Round::Nearest {
        return quiet(b, quotient);
    }
    let ty = b.func.dfg.value_type(x);
    if ty == types::F32 {
        let (xw, yw) = (
            b.ins().fpromote(types::F64, x),
            b.ins().fpromote(types::F64, y),
        );
        let wide = b.ins().fdiv(xw, yw);
        let rest = quotient_error(b, xw, yw, wide);
        let result = demote(b, wide, Some(rest), mode);
        return quiet(b, result);
    }
    quiet(b, quotient)
}

/// A value with the sign of `x / y - quotient`.
fn quotient_error(b: &mut FunctionBuilder<'_>, x: Value, y: Value, quotient: Value) -> Value {
    let minus = b.ins().fneg(quotient);
    let remainder = b.ins().fma(minus, y, x);
    let y_sign = sign_bits(b, y);
    let raw = bits(b, remainder);
    let signed = b.ins().bxor(raw, y_sign);
    let ty = b.func.dfg.value_type(x);
    reshape(b, signed, ty)
}

/// Square root; the directed roundings of doubles are the host's ([`super::arith`]).
pub(crate) fn sqrt(b: &mut FunctionBuilder<'_>, x: Value, mode: Round) -> Value {
    if mode == Round::Nearest {
        let root = b.ins().sqrt(x);
        return quiet(b, root);
    }
    let x = b.ins().fpromote(types::F64, x);
    let root = b.ins().sqrt(x);
    let minus = b.ins().fneg(root);
    let error = b.ins().fma(minus, root, x);
    let result = demote(b, root, Some(error), mode);
    quiet(b, result)
}

/// `x * y + z` of doubles whose product is exact, with the bits lost in the sum folded into the last one:
/// rounding the result further, to a half, then gives what one rounding would.
pub(crate) fn fma_to_odd(
    b: &mut FunctionBuilder<'_>,
    x: Value,
    y: Value,
    z: Value,
    mode: Round,
) -> Value {
    let product = b.ins().fmul(x, y);
    let sum = b.ins().fadd(product, z);
    let error = sum_error(b, product, z, sum);
    let raw = bits(b, sum);
    let one = iconst(b, types::I64, 1);
    let last = b.ins().band(raw, one);
    let even = icmp_const(b, IntCC::Equal, last, 0);
    let zero = fconst(b, types::F64, 0.0);
    let inexact = b.ins().fcmp(FloatCC::OrderedNotEqual, error, zero);
    let wrong = b.ins().band(inexact, even);
    let error_bits = bits(b, error);
    let signs = b.ins().bxor(raw, error_bits);
    let inwards = icmp_const(b, IntCC::SignedLessThan, signs, 0);
    let minus = iconst(b, types::I64, -1);
    let step = b.ins().select(inwards, minus, one);
    let stepped = b.ins().iadd(raw, step);
    let chosen = b.ins().select(wrong, stepped, raw);
    let odd = reshape(b, chosen, types::F64);
    zero_sum_sign(b, odd, product, z, mode)
}

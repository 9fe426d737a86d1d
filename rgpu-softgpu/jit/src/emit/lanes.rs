//! Packed types lane by lane, and float operations in every float format.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Modifiers, Operand};
use rgpu_ptx::types::{Rounding, ScalarType};

use super::float::{self, Round};
use super::half::{self, Half};
use super::util::{bits, icmp_const, iconst, mask, reshape, resize, shl, shr};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// An operation on f32 or f64 values of one lane.
pub(crate) type FloatFn<'a> = &'a dyn Fn(&mut FunctionBuilder<'_>, &[Value], Round) -> Value;

/// The rounding of an arithmetic instruction; nearest if it names none.
pub(crate) fn rounding(mods: &Modifiers) -> Emit<Round> {
    Ok(match mods.rounding {
        None | Some(Rounding::Rn | Rounding::Rni) => Round::Nearest,
        Some(Rounding::Rz | Rounding::Rzi) => Round::Zero,
        Some(Rounding::Rm | Rounding::Rmi) => Round::Down,
        Some(Rounding::Rp | Rounding::Rpi) => Round::Up,
        Some(other) => return refuse(format!("rounding .{other} is not supported here")),
    })
}

/// The two lanes of a packed value, low first, as values of the lane's machine type.
pub(crate) fn split(b: &mut FunctionBuilder<'_>, value: Value, lane: ScalarType) -> [Value; 2] {
    let raw = bits(b, value);
    let machine = machine_type(lane);
    let high = shr(b, raw, i64::from(lane.bits()));
    [reshape(b, raw, machine), reshape(b, high, machine)]
}

/// Packs two lanes, low first.
pub(crate) fn join(b: &mut FunctionBuilder<'_>, lanes: [Value; 2], packed: ScalarType) -> Value {
    let machine = machine_type(packed);
    let [low, high] = lanes.map(|lane| {
        let raw = bits(b, lane);
        resize(b, raw, machine, false)
    });
    let high = shl(b, high, i64::from(packed.bits() / 2));
    b.ins().bor(low, high)
}

/// Applies `f` to a scalar, or to each lane of a packed type.
pub(crate) fn map(
    b: &mut FunctionBuilder<'_>,
    ty: ScalarType,
    args: &[Value],
    f: &dyn Fn(&mut FunctionBuilder<'_>, ScalarType, &[Value]) -> Value,
) -> Value {
    let Some(lane) = ty.lane() else {
        return f(b, ty, args);
    };
    let parts: Vec<[Value; 2]> = args.iter().map(|arg| split(b, *arg, lane)).collect();
    let side = |n: usize| parts.iter().map(|part| part[n]).collect::<Vec<_>>();
    let low = f(b, lane, &side(0));
    let high = f(b, lane, &side(1));
    join(b, [low, high], ty)
}

/// The 16-bit format of a type, if it is one.
pub(crate) fn half_format(ty: ScalarType) -> Option<Half> {
    match ty {
        ScalarType::F16 | ScalarType::F16x2 => Some(Half::F16),
        ScalarType::Bf16 | ScalarType::Bf16x2 => Some(Half::Bf16),
        _ => None,
    }
}

/// A subnormal f16 becomes a zero of its sign.
pub(crate) fn flush_half(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let exponent = mask(b, value, 0x7c00);
    let small = icmp_const(b, IntCC::Equal, exponent, 0);
    let sign = mask(b, value, 0x8000);
    b.ins().select(small, sign, value)
}

/// One lane of a float operation: flush, widen, compute, clamp, narrow, flush.
fn lane(
    b: &mut FunctionBuilder<'_>,
    ty: ScalarType,
    args: &[Value],
    mods: &Modifiers,
    mode: Round,
    f: FloatFn<'_>,
) -> Value {
    let Some(format) = half_format(ty) else {
        let flush = mods.ftz && ty == ScalarType::F32;
        let args: Vec<Value> = args
            .iter()
            .map(|arg| if flush { float::flush(b, *arg) } else { *arg })
            .collect();
        let result = f(b, &args, mode);
        let result = if flush {
            float::flush(b, result)
        } else {
            result
        };
        return clamp(b, result, mods);
    };
    let flush = mods.ftz && format == Half::F16;
    let mut singles = Vec::with_capacity(args.len());
    for arg in args {
        let arg = if flush { flush_half(b, *arg) } else { *arg };
        singles.push(half::to_f32(b, arg, format));
    }
    // Only `fma` has directed roundings here; what it gives is not rounded yet.
    let result = f(b, &singles, mode);
    let result = clamp(b, result, mods);
    let result = if b.func.dfg.value_type(result) == types::F64 {
        half::from_f64(b, result, format, mode)
    } else {
        half::from_f32(b, result, format, mode)
    };
    if flush { flush_half(b, result) } else { result }
}

/// `.sat` and `.relu`.
fn clamp(b: &mut FunctionBuilder<'_>, value: Value, mods: &Modifiers) -> Value {
    if mods.sat {
        float::saturate(b, value)
    } else if mods.relu {
        float::relu(b, value)
    } else {
        value
    }
}

/// Emits a float operation of `count` sources in the instruction's first type. In mixed precision, all but the
/// last source have its second type.
pub(crate) fn float_op(
    e: &mut Emitter<'_, '_>,
    instr: &Instr,
    count: usize,
    f: FloatFn<'_>,
) -> Emit {
    let ty = type_of(instr, 0)?;
    let mode = rounding(&instr.mods)?;
    let mut args = Vec::with_capacity(count);
    let narrow = instr.mods.types.get(1).copied();
    for n in 1..=count {
        args.push(match narrow.filter(|_| n < count) {
            Some(narrow) => read_half(e, operand(instr, n)?, narrow)?,
            None => e.read(operand(instr, n)?, ty)?,
        });
    }
    let result = map(&mut e.b, ty, &args, &|b, ty, args| {
        lane(b, ty, args, &instr.mods, mode, f)
    });
    e.write(operand(instr, 0)?, result, ty)
}

/// A half as a single.
fn read_half(e: &mut Emitter<'_, '_>, operand: &Operand, ty: ScalarType) -> Emit<Value> {
    let Some(format) = half_format(ty) else {
        return refuse("mixed precision takes halves");
    };
    let value = e.read(operand, ty)?;
    Ok(half::to_f32(&mut e.b, value, format))
}

/// Changes the sign bit of every lane of a float: clears it, or flips it.
pub(crate) fn sign_op(e: &mut Emitter<'_, '_>, instr: &Instr, clear: bool) -> Emit {
    let ty = type_of(instr, 0)?;
    let value = e.read(operand(instr, 1)?, ty)?;
    let result = map(&mut e.b, ty, &[value], &|b, ty, args| {
        let machine = machine_type(ty);
        if machine.is_float() {
            let value = if instr.mods.ftz {
                float::flush(b, args[0])
            } else {
                args[0]
            };
            return if clear {
                b.ins().fabs(value)
            } else {
                b.ins().fneg(value)
            };
        }
        let flush = instr.mods.ftz && ty == ScalarType::F16;
        let value = if flush {
            flush_half(b, args[0])
        } else {
            args[0]
        };
        let sign = iconst(b, machine, 0x8000);
        if clear {
            b.ins().band_not(value, sign)
        } else {
            b.ins().bxor(value, sign)
        }
    });
    e.write(operand(instr, 0)?, result, ty)
}

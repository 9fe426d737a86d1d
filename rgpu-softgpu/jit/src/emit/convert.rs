//! `cvt` between all integer and float formats, `cvt.pack`.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Modifiers};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{Rounding, ScalarType};

use super::float::{self, Round};
use super::half::{self, Half};
use super::integer::clamp;
use super::lanes::{half_format, join, rounding, split};
use super::util::{bits, icmp_const, iconst, mask, reshape, resize, shl};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    if instr.op == Opcode::CvtPack {
        return pack(e, instr);
    }
    let (to, from) = (type_of(instr, 0)?, type_of(instr, 1)?);
    let result = match (to, from) {
        (ScalarType::Tf32, _) => to_tf32(e, instr)?,
        (ScalarType::F16x2 | ScalarType::Bf16x2, ScalarType::F32) => two_halves(e, instr, to)?,
        (ScalarType::E4m3x2 | ScalarType::E5m2x2, _) => to_bytes(e, instr, to, from)?,
        (ScalarType::F16x2, ScalarType::E4m3x2 | ScalarType::E5m2x2) => from_bytes(e, instr, from)?,
        _ if is_scalar(to) && is_scalar(from) => scalar(e, instr, to, from)?,
        _ => return refuse("this conversion is not supported"),
    };
    e.write(operand(instr, 0)?, result, to)
}

fn is_scalar(ty: ScalarType) -> bool {
    ty.is_integer()
        || matches!(
            ty,
            ScalarType::F16 | ScalarType::Bf16 | ScalarType::F32 | ScalarType::F64
        )
}

fn scalar(e: &mut Emitter<'_, '_>, instr: &Instr, to: ScalarType, from: ScalarType) -> Emit<Value> {
    let value = e.read(operand(instr, 1)?, from)?;
    match (to.is_integer(), from.is_integer()) {
        (true, true) => Ok(between_integers(&mut e.b, value, to, from, instr.mods.sat)),
        (true, false) => float_to_int(e, &instr.mods, value, to, from),
        (false, true) => {
            let result = int_to_float(e, &instr.mods, value, to, from)?;
            Ok(if instr.mods.sat {
                saturate(&mut e.b, result, to)
            } else {
                result
            })
        }
        (false, false) => between_floats(&mut e.b, &instr.mods, value, to, from),
    }
}

fn between_integers(
    b: &mut FunctionBuilder<'_>,
    value: Value,
    to: ScalarType,
    from: ScalarType,
    sat: bool,
) -> Value {
    let value = resize(b, value, types::I64, from.is_signed());
    if !sat {
        return resize(b, value, machine_type(to), false);
    }
    let target = machine_type(to);
    match (from.is_signed(), to) {
        (true, ScalarType::S64) | (false, ScalarType::U64) => value,
        (true, ScalarType::U64) => {
            let zero = iconst(b, types::I64, 0);
            b.ins().smax(value, zero)
        }
        (false, ScalarType::S64) => {
            let most = iconst(b, types::I64, i64::MAX);
            b.ins().umin(value, most)
        }
        (true, _) => clamp(b, value, to),
        (false, _) => {
            let bits = to.bits() - u32::from(to.is_signed());
            let most = iconst(b, types::I64, (1_i64 << bits) - 1);
            let value = b.ins().umin(value, most);
            b.ins().ireduce(target, value)
        }
    }
}

/// A float of any format as f32 or f64, flushed if the instruction says so.
fn widen(b: &mut FunctionBuilder<'_>, mods: &Modifiers, value: Value, from: ScalarType) -> Value {
    match half_format(from) {
        Some(format) => half::to_f32(b, value, format),
        None if mods.ftz && from == ScalarType::F32 => float::flush(b, value),
        None => value,
    }
}

/// Rounds to an integral value.
fn integral(b: &mut FunctionBuilder<'_>, value: Value, mode: Round) -> Value {
    match mode {
        Round::Nearest => b.ins().nearest(value),
        Round::Zero => b.ins().trunc(value),
        Round::Down => b.ins().floor(value),
        Round::Up => b.ins().ceil(value),
    }
}

/// Out-of-range values are clamped. NaN gives 0, or the top bit alone if 64 bits are involved.
fn float_to_int(
    e: &mut Emitter<'_, '_>,
    mods: &Modifiers,
    value: Value,
    to: ScalarType,
    from: ScalarType,
) -> Emit<Value> {
    let mode = if mods.rounding.is_none() {
        Round::Zero
    } else {
        rounding(mods)?
    };
    let b = &mut e.b;
    let value = widen(b, mods, value, from);
    let whole = if mode == Round::Zero {
        value
    } else {
        integral(b, value, mode)
    };
    let target = machine_type(to);
    let through = if target == types::I32 {
        types::I32
    } else {
        types::I64
    };
    let number = if to.is_signed() || target.bits() < 32 {
        b.ins().fcvt_to_sint_sat(through, whole)
    } else {
        b.ins().fcvt_to_uint_sat(through, whole)
    };
    let number = if target.bits() < 32 {
        clamp(b, number, to)
    } else {
        number
    };
    if from != ScalarType::F64 && target != types::I64 {
        return Ok(number);
    }
    let top = iconst(b, target, 1_i64.wrapping_shl(target.bits() - 1));
    let nan = b.ins().fcmp(FloatCC::Unordered, value, value);
    Ok(b.ins().select(nan, top, number))
}

fn int_to_float(
    e: &mut Emitter<'_, '_>,
    mods: &Modifiers,
    value: Value,
    to: ScalarType,
    from: ScalarType,
) -> Emit<Value> {
    let mode = rounding(mods)?;
    let signed = from.is_signed();
    let narrow = from.bits() <= 32;
    let b = &mut e.b;
    if narrow {
        // Every 32-bit integer is exact in double precision.
        let wide = resize(b, value, types::I64, signed);
        return Ok(match (to, mode) {
            (ScalarType::F32, Round::Nearest) => b.ins().fcvt_from_sint(types::F32, wide),
            (ScalarType::F64, _) => b.ins().fcvt_from_sint(types::F64, wide),
            _ => {
                let exact = b.ins().fcvt_from_sint(types::F64, wide);
                narrow_to(b, exact, to, mode)
            }
        });
    }
    if mode == Round::Nearest && half_format(to).is_none() {
        let machine = machine_type(to);
        return Ok(if signed {
            b.ins().fcvt_from_sint(machine, value)
        } else {
            b.ins().fcvt_from_uint(machine, value)
        });
    }
    let row = wide_row(to, signed, mode);
    let result = e.libcall_value(row, &[value])?;
    Ok(reshape(&mut e.b, result, machine_type(to)))
}

/// Host functions for 64-bit integers where one rounding is needed.
fn wide_row(to: ScalarType, signed: bool, mode: Round) -> &'static str {
    use Round::{Down, Nearest, Up, Zero};
    use ScalarType::{Bf16, F16, F32};
    match (to, signed, mode) {
        (F16, true, Nearest) => "cvt_rn_f16_s64",
        (F16, true, Zero) => "cvt_rz_f16_s64",
        (F16, true, Down) => "cvt_rm_f16_s64",
        (F16, true, Up) => "cvt_rp_f16_s64",
        (F16, false, Nearest) => "cvt_rn_f16_u64",
        (F16, false, Zero) => "cvt_rz_f16_u64",
        (F16, false, Down) => "cvt_rm_f16_u64",
        (F16, false, Up) => "cvt_rp_f16_u64",
        (Bf16, true, Nearest) => "cvt_rn_bf16_s64",
        (Bf16, true, Zero) => "cvt_rz_bf16_s64",
        (Bf16, true, Down) => "cvt_rm_bf16_s64",
        (Bf16, true, Up) => "cvt_rp_bf16_s64",
        (Bf16, false, Nearest) => "cvt_rn_bf16_u64",
        (Bf16, false, Zero) => "cvt_rz_bf16_u64",
        (Bf16, false, Down) => "cvt_rm_bf16_u64",
        (Bf16, false, Up) => "cvt_rp_bf16_u64",
        (F32, true, Zero) => "cvt_rz_f32_s64",
        (F32, true, Down) => "cvt_rm_f32_s64",
        (F32, true, Up) => "cvt_rp_f32_s64",
        (F32, true, Nearest) => "cvt_rn_f32_s64",
        (F32, false, Zero) => "cvt_rz_f32_u64",
        (F32, false, Down) => "cvt_rm_f32_u64",
        (F32, false, Up) => "cvt_rp_f32_u64",
        (F32, false, Nearest) => "cvt_rn_f32_u64",
        (_, true, Zero) => "cvt_rz_f64_s64",
        (_, true, Down) => "cvt_rm_f64_s64",
        (_, true, Up) => "cvt_rp_f64_s64",
        (_, true, Nearest) => "cvt_rn_f64_s64",
        (_, false, Zero) => "cvt_rz_f64_u64",
        (_, false, Down) => "cvt_rm_f64_u64",
        (_, false, Up) => "cvt_rp_f64_u64",
        (_, false, Nearest) => "cvt_rn_f64_u64",
    }
}

/// Rounds f32 or f64 to a format that is not wider.
fn narrow_to(b: &mut FunctionBuilder<'_>, value: Value, to: ScalarType, mode: Round) -> Value {
    let from = b.func.dfg.value_type(value);
    match (half_format(to), from) {
        (Some(format), types::F64) => half::from_f64(b, value, format, mode),
        (Some(format), _) => half::from_f32(b, value, format, mode),
        (None, types::F64) if to == ScalarType::F32 => float::demote(b, value, None, mode),
        (None, types::F32) if to == ScalarType::F64 => b.ins().fpromote(types::F64, value),
        (None, _) => value,
    }
}

fn is_integral(rounding: Option<Rounding>) -> bool {
    matches!(
        rounding,
        Some(Rounding::Rni | Rounding::Rzi | Rounding::Rmi | Rounding::Rpi)
    )
}

fn between_floats(
    b: &mut FunctionBuilder<'_>,
    mods: &Modifiers,
    value: Value,
    to: ScalarType,
    from: ScalarType,
) -> Emit<Value> {
    let mode = rounding(mods)?;
    let value = widen(b, mods, value, from);
    let value = if is_integral(mods.rounding) {
        integral(b, value, mode)
    } else {
        value
    };
    let value = bound(b, mods, value, to);
    let mode = if is_integral(mods.rounding) {
        Round::Nearest
    } else {
        mode
    };
    let result = narrow_to(b, value, to, mode);
    Ok(if mods.ftz && to == ScalarType::F32 {
        float::flush(b, result)
    } else {
        result
    })
}

/// `.sat`, `.relu` and `.satfinite`, before the narrowing.
fn bound(b: &mut FunctionBuilder<'_>, mods: &Modifiers, value: Value, to: ScalarType) -> Value {
    let value = if mods.sat {
        float::saturate(b, value)
    } else {
        value
    };
    let value = if mods.relu {
        float::relu(b, value)
    } else {
        value
    };
    if !mods.satfinite {
        return value;
    }
    let largest = match half_format(to) {
        Some(Half::F16) => 65504.0,
        Some(Half::Bf16) => f64::from(f32::from_bits(0x7f7f_0000)),
        None => return value,
    };
    let ty = b.func.dfg.value_type(value);
    let high = super::util::fconst(b, ty, largest);
    let low = b.ins().fneg(high);
    let above = b.ins().fcmp(FloatCC::GreaterThan, value, high);
    let below = b.ins().fcmp(FloatCC::LessThan, value, low);
    let value = b.ins().select(above, high, value);
    b.ins().select(below, low, value)
}

/// Clamps an already converted integer to `[0, 1]`.
fn saturate(b: &mut FunctionBuilder<'_>, value: Value, to: ScalarType) -> Value {
    match half_format(to) {
        None => float::saturate(b, value),
        Some(format) => {
            let single = half::to_f32(b, value, format);
            let single = float::saturate(b, single);
            half::from_f32(b, single, format, Round::Nearest)
        }
    }
}

/// `cvt.f16x2.f32 d, high, low`.
fn two_halves(e: &mut Emitter<'_, '_>, instr: &Instr, to: ScalarType) -> Emit<Value> {
    let high = e.read(operand(instr, 1)?, ScalarType::F32)?;
    let low = e.read(operand(instr, 2)?, ScalarType::F32)?;
    if instr.mods.rounding == Some(Rounding::Rs) {
        return two_at_random(e, instr, to, [low, high]);
    }
    let mode = rounding(&instr.mods)?;
    let b = &mut e.b;
    let lanes = [low, high].map(|value| {
        let value = bound(b, &instr.mods, value, to);
        narrow_to(b, value, to, mode)
    });
    Ok(join(b, lanes, to))
}

/// tf32 keeps 10 bits of the mantissa, in the upper bits of a single.
fn to_tf32(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit<Value> {
    let value = e.read(operand(instr, 1)?, ScalarType::F32)?;
    let b = &mut e.b;
    let value = if instr.mods.relu {
        float::relu(b, value)
    } else {
        value
    };
    let raw = bits(b, value);
    let rounded = match instr.mods.rounding {
        Some(Rounding::Rz) => raw,
        Some(Rounding::Rna) => b.ins().iadd_imm_u(raw, 0x1000),
        Some(Rounding::Rn) => {
            let last = b.ins().ushr_imm_u(raw, 13);
            let odd = mask(b, last, 1);
            let up = b.ins().iadd_imm_u(odd, 0x0fff);
            b.ins().iadd(raw, up)
        }
        _ => return refuse("this rounding is not supported"),
    };
    let cut = mask(b, rounded, !0x1fff);
    let magnitude = mask(b, raw, 0x7fff_ffff);
    // Infinities stay; NaN becomes the canonical one.
    let special = icmp_const(b, IntCC::UnsignedGreaterThanOrEqual, magnitude, 0x7f80_0000);
    let nan = icmp_const(b, IntCC::UnsignedGreaterThan, magnitude, 0x7f80_0000);
    let canonical = iconst(b, types::I32, 0x7fff_ffff);
    let kept = b.ins().select(special, raw, cut);
    let result = b.ins().select(nan, canonical, kept);
    if !instr.mods.satfinite {
        return Ok(result);
    }
    let cut_magnitude = mask(b, result, 0x7fff_ffff);
    let infinite = icmp_const(b, IntCC::Equal, cut_magnitude, 0x7f80_0000);
    let sign = b.ins().bxor(result, cut_magnitude);
    let largest = iconst(b, types::I32, 0x7f7f_e000);
    let largest = b.ins().bor(sign, largest);
    Ok(b.ins().select(infinite, largest, result))
}

/// `cvt.rs`: the fourth operand holds the random bits of both, each in its half.
fn two_at_random(
    e: &mut Emitter<'_, '_>,
    instr: &Instr,
    to: ScalarType,
    values: [Value; 2],
) -> Emit<Value> {
    let row = match to {
        ScalarType::F16x2 => "cvt_rs_f16_f32",
        _ => "cvt_rs_bf16_f32",
    };
    let random = e.read_u32(operand(instr, 3)?)?;
    let upper = e.b.ins().ushr_imm_u(random, 16);
    let mut lanes = values;
    for (lane, random) in lanes.iter_mut().zip([random, upper]) {
        let value = bound(&mut e.b, &instr.mods, *lane, to);
        *lane = e.libcall_value(row, &[value, random])?;
    }
    Ok(join(&mut e.b, lanes, to))
}

/// `cvt.rn.satfinite.e4m3x2.f32 d, high, low`, and the same from `f16x2`.
fn to_bytes(
    e: &mut Emitter<'_, '_>,
    instr: &Instr,
    to: ScalarType,
    from: ScalarType,
) -> Emit<Value> {
    let row = match to {
        ScalarType::E4m3x2 => "cvt_rn_satfinite_e4m3_f32",
        _ => "cvt_rn_satfinite_e5m2_f32",
    };
    let [low, high] = match from {
        ScalarType::F32 => {
            let high = e.read(operand(instr, 1)?, ScalarType::F32)?;
            [e.read(operand(instr, 2)?, ScalarType::F32)?, high]
        }
        ScalarType::F16x2 => {
            let both = e.read(operand(instr, 1)?, from)?;
            let lanes = split(&mut e.b, both, ScalarType::F16);
            lanes.map(|lane| half::to_f32(&mut e.b, lane, Half::F16))
        }
        _ => return refuse("this conversion is not supported"),
    };
    let mut bytes = [low, high];
    for byte in &mut bytes {
        let value = if instr.mods.relu {
            float::relu(&mut e.b, *byte)
        } else {
            *byte
        };
        *byte = e.libcall_value(row, &[value])?;
    }
    let high = shl(&mut e.b, bytes[1], 8);
    let both = e.b.ins().bor(bytes[0], high);
    Ok(e.b.ins().ireduce(types::I16, both))
}

/// `cvt.rn.f16x2.e4m3x2 d, a`.
fn from_bytes(e: &mut Emitter<'_, '_>, instr: &Instr, from: ScalarType) -> Emit<Value> {
    let row = match from {
        ScalarType::E4m3x2 => "cvt_rn_f16_e4m3",
        _ => "cvt_rn_f16_e5m2",
    };
    let both = e.read(operand(instr, 1)?, from)?;
    let both = resize(&mut e.b, both, types::I32, false);
    let low = mask(&mut e.b, both, 0xff);
    let high = e.b.ins().ushr_imm_u(both, 8);
    let mut halves = [low, high];
    for half in &mut halves {
        let value = e.libcall_value(row, &[*half])?;
        let value = e.b.ins().ireduce(types::I16, value);
        *half = if instr.mods.relu {
            let single = half::to_f32(&mut e.b, value, Half::F16);
            let single = float::relu(&mut e.b, single);
            half::from_f32(&mut e.b, single, Half::F16, Round::Nearest)
        } else {
            value
        };
    }
    Ok(join(&mut e.b, halves, ScalarType::F16x2))
}

/// `cvt.pack.sat`: two clamped numbers, the first above the second, and above them a third operand.
fn pack(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let (to, from) = (type_of(instr, 0)?, type_of(instr, 1)?);
    let mut parts = [None; 2];
    for (n, part) in parts.iter_mut().enumerate() {
        let value = e.read(operand(instr, n + 1)?, from)?;
        let clamped = between_integers(&mut e.b, value, to, from, true);
        let wide = resize(&mut e.b, clamped, types::I32, false);
        *part = Some(mask(&mut e.b, wide, (1 << to.bits()) - 1));
    }
    let [Some(upper), Some(lower)] = parts else {
        return refuse("operands are missing");
    };
    let width = i64::from(to.bits());
    let upper = shl(&mut e.b, upper, width);
    let mut result = e.b.ins().bor(upper, lower);
    if let Some(above) = instr.operands.get(3) {
        let above = e.read(above, ScalarType::B32)?;
        let above = if width < 16 {
            shl(&mut e.b, above, 2 * width)
        } else {
            iconst(&mut e.b, types::I32, 0)
        };
        result = e.b.ins().bor(result, above);
    }
    e.write(operand(instr, 0)?, result, ScalarType::B32)
}

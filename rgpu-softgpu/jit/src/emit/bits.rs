//! Bit counting, bit fields, byte permutation.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{PrmtMode, ScalarType, ShiftMode};

use super::operand::constant;
use super::util::{icmp_const, iconst, mask, resize, shl, shr, wide};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Popc => count(e, instr, &|b, value| b.ins().popcnt(value)),
        Opcode::Clz => count(e, instr, &|b, value| b.ins().clz(value)),
        Opcode::Bfind => bfind(e, instr),
        Opcode::Brev => {
            let ty = type_of(instr, 0)?;
            let value = e.read(operand(instr, 1)?, ty)?;
            let result = e.b.ins().bitrev(value);
            e.write(operand(instr, 0)?, result, ty)
        }
        Opcode::Fns => {
            let mut args = [None; 3];
            for (n, arg) in args.iter_mut().enumerate() {
                *arg = Some(e.read_u32(operand(instr, n + 1)?)?);
            }
            let args: Vec<Value> = args.into_iter().flatten().collect();
            let result = e.libcall_value("fns_b32", &args)?;
            e.write(operand(instr, 0)?, result, ScalarType::U32)
        }
        Opcode::Bfe => bfe(e, instr),
        Opcode::Bfi => bfi(e, instr),
        Opcode::Bmsk => bmsk(e, instr),
        Opcode::Szext => szext(e, instr),
        _ => prmt(e, instr),
    }
}

fn count(
    e: &mut Emitter<'_, '_>,
    instr: &Instr,
    f: &dyn Fn(&mut FunctionBuilder<'_>, Value) -> Value,
) -> Emit {
    let ty = type_of(instr, 0)?;
    let value = e.read(operand(instr, 1)?, ty)?;
    let result = f(&mut e.b, value);
    let result = resize(&mut e.b, result, types::I32, false);
    e.write(operand(instr, 0)?, result, ScalarType::U32)
}

/// Position of the highest bit that differs from the sign; all ones if there is none.
fn bfind(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let value = e.read(operand(instr, 1)?, ty)?;
    let b = &mut e.b;
    let value = if ty.is_signed() {
        let inverted = b.ins().bnot(value);
        let negative = icmp_const(b, IntCC::SignedLessThan, value, 0);
        b.ins().select(negative, inverted, value)
    } else {
        value
    };
    let leading = b.ins().clz(value);
    let leading = resize(b, leading, types::I32, false);
    let top = iconst(b, types::I32, i64::from(ty.bits()) - 1);
    let result = if instr.mods.shiftamt {
        let none = icmp_const(b, IntCC::Equal, value, 0);
        let minus_one = iconst(b, types::I32, -1);
        b.ins().select(none, minus_one, leading)
    } else {
        b.ins().isub(top, leading)
    };
    e.write(operand(instr, 0)?, result, ScalarType::U32)
}

/// The low byte of an operand, limited to `limit`.
fn byte(e: &mut Emitter<'_, '_>, operand: &Operand, limit: i64) -> Emit<Value> {
    if let Some(value) = constant(operand) {
        return Ok(iconst(&mut e.b, types::I64, (value & 0xff).min(limit)));
    }
    let value = e.read_u32(operand)?;
    let value = mask(&mut e.b, value, 0xff);
    let value = wide(&mut e.b, value);
    let limit = iconst(&mut e.b, types::I64, limit);
    Ok(e.b.ins().umin(value, limit))
}

fn bfe(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let (signed, bits) = (ty.is_signed(), i64::from(ty.bits()));
    let value = e.read(operand(instr, 1)?, ty)?;
    // In 64 bits, a 32-bit field can be shifted out whole; a 64-bit one keeps its last bit and is cut below.
    let position = byte(e, operand(instr, 2)?, if signed { 63 } else { bits })?;
    let length = byte(e, operand(instr, 3)?, bits)?;
    let b = &mut e.b;
    let value = resize(b, value, types::I64, signed);
    let moved = if signed {
        b.ins().sshr(value, position)
    } else if bits == 64 {
        let count = b.ins().ireduce(types::I32, position);
        super::logic::clamped_shift(b, value, count, false, false)
    } else {
        b.ins().ushr(value, position)
    };
    let unused = iconst(b, types::I64, 64);
    let unused = b.ins().isub(unused, length);
    let top = b.ins().ishl(moved, unused);
    let field = if signed {
        b.ins().sshr(top, unused)
    } else {
        b.ins().ushr(top, unused)
    };
    // A length of zero makes the shift count 64, which wraps.
    let empty = icmp_const(b, IntCC::Equal, length, 0);
    let zero = iconst(b, types::I64, 0);
    let field = b.ins().select(empty, zero, field);
    let field = resize(b, field, machine_type(ty), false);
    e.write(operand(instr, 0)?, field, ty)
}

/// `(1 << length) - 1` for a length of 0 to 64.
fn low_ones(b: &mut FunctionBuilder<'_>, length: Value) -> Value {
    let ones = iconst(b, types::I64, -1);
    let unused = iconst(b, types::I64, 64);
    let unused = b.ins().isub(unused, length);
    let filled = b.ins().ushr(ones, unused);
    let empty = icmp_const(b, IntCC::Equal, length, 0);
    let zero = iconst(b, types::I64, 0);
    b.ins().select(empty, zero, filled)
}

fn bfi(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let bits = i64::from(ty.bits());
    let field = e.read(operand(instr, 1)?, ty)?;
    let target = e.read(operand(instr, 2)?, ty)?;
    let position = byte(e, operand(instr, 3)?, bits)?;
    let length = byte(e, operand(instr, 4)?, bits)?;
    let b = &mut e.b;
    let (field, target) = (wide(b, field), wide(b, target));
    let ones = low_ones(b, length);
    let count = b.ins().ireduce(types::I32, position);
    let ones = super::logic::clamped_shift(b, ones, count, true, false);
    let field = b.ins().ishl(field, position);
    let result = b.ins().bitselect(ones, field, target);
    let result = resize(b, result, machine_type(ty), false);
    e.write(operand(instr, 0)?, result, ty)
}

/// A count as `.clamp` (to 32) or `.wrap` (modulo 32) takes it.
fn limited(e: &mut Emitter<'_, '_>, instr: &Instr, n: usize) -> Emit<Value> {
    let value = e.read_u32(operand(instr, n)?)?;
    let value = match instr.mods.shift_mode {
        Some(ShiftMode::Wrap) => mask(&mut e.b, value, 31),
        _ => {
            let most = iconst(&mut e.b, types::I32, 32);
            e.b.ins().umin(value, most)
        }
    };
    Ok(wide(&mut e.b, value))
}

/// `bmsk`: `b` ones from bit `a`.
fn bmsk(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let start = limited(e, instr, 1)?;
    let length = limited(e, instr, 2)?;
    let ones = low_ones(&mut e.b, length);
    let moved = e.b.ins().ishl(ones, start);
    let result = e.b.ins().ireduce(types::I32, moved);
    e.write(operand(instr, 0)?, result, ScalarType::B32)
}

/// `szext`: extends the low bits of a number to 32 bits.
fn szext(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let value = e.read(operand(instr, 1)?, ty)?;
    let length = limited(e, instr, 2)?;
    let b = &mut e.b;
    let value = wide(b, value);
    let ones = low_ones(b, length);
    let mut result = b.ins().band(value, ones);
    if ty.is_signed() {
        let unused = iconst(b, types::I64, 64);
        let unused = b.ins().isub(unused, length);
        let top = b.ins().ishl(value, unused);
        let extended = b.ins().sshr(top, unused);
        let empty = icmp_const(b, IntCC::Equal, length, 0);
        result = b.ins().select(empty, result, extended);
    }
    let result = b.ins().ireduce(types::I32, result);
    e.write(operand(instr, 0)?, result, ty)
}

/// `prmt`: each result byte is picked from the eight bytes of two registers.
fn prmt(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let low = e.read(operand(instr, 1)?, ScalarType::B32)?;
    let high = e.read(operand(instr, 2)?, ScalarType::B32)?;
    let selector = operand(instr, 3)?;
    let mut bytes = None;
    let (known, picked) = match constant(selector) {
        Some(value) => (Some(value), None),
        None => (None, Some(e.read_u32(selector)?)),
    };
    let b = &mut e.b;
    let (low, high) = (wide(b, low), wide(b, high));
    let high = shl(b, high, 32);
    let source = b.ins().bor(high, low);
    for at in 0..4 {
        let byte = match (instr.mods.prmt, known, picked) {
            (None, Some(selector), _) => known_byte(b, source, (selector >> (4 * at)) & 0xf),
            (None, None, Some(selector)) => {
                let nibble = shr(b, selector, 4 * at);
                selected_byte(b, source, nibble)
            }
            (Some(mode), Some(selector), _) => {
                known_byte(b, source, mode_index(mode, selector & 3, at))
            }
            (Some(mode), None, Some(selector)) => {
                let index = mode_index_value(b, mode, selector, at);
                indexed_byte(b, source, index)
            }
            (_, None, None) => return refuse("no selector"),
        };
        let byte = mask(b, byte, 0xff);
        let byte = if at == 0 { byte } else { shl(b, byte, 8 * at) };
        bytes = Some(match bytes {
            None => byte,
            Some(before) => b.ins().bor(before, byte),
        });
    }
    let Some(bytes) = bytes else {
        return refuse("no bytes");
    };
    let result = b.ins().ireduce(types::I32, bytes);
    e.write(operand(instr, 0)?, result, ScalarType::B32)
}

/// The byte that a constant selector nibble picks: bit 3 asks for its sign instead.
fn known_byte(b: &mut FunctionBuilder<'_>, source: Value, nibble: i64) -> Value {
    let index = nibble & 7;
    if nibble & 8 == 0 {
        return if index == 0 {
            source
        } else {
            shr(b, source, 8 * index)
        };
    }
    let top = if index == 7 {
        source
    } else {
        shl(b, source, 56 - 8 * index)
    };
    b.ins().sshr_imm_u(top, 63)
}

fn indexed_byte(b: &mut FunctionBuilder<'_>, source: Value, index: Value) -> Value {
    let index = mask(b, index, 7);
    let count = shl(b, index, 3);
    b.ins().ushr(source, count)
}

fn selected_byte(b: &mut FunctionBuilder<'_>, source: Value, nibble: Value) -> Value {
    let byte = indexed_byte(b, source, nibble);
    let top = shl(b, byte, 56);
    let sign = b.ins().sshr_imm_u(top, 63);
    let wants_sign = mask(b, nibble, 8);
    b.ins().select(wants_sign, sign, byte)
}

/// Source byte of result byte `at` in the special modes, from the two low selector bits.
fn mode_index(mode: PrmtMode, selector: i64, at: i64) -> i64 {
    match mode {
        PrmtMode::F4e => selector + at,
        PrmtMode::B4e => (selector - at) & 7,
        PrmtMode::Rc8 => selector,
        PrmtMode::Ecl => selector.max(at),
        PrmtMode::Ecr => selector.min(at),
        PrmtMode::Rc16 => ((selector & 1) << 1) | (at & 1),
    }
}

fn mode_index_value(
    b: &mut FunctionBuilder<'_>,
    mode: PrmtMode,
    selector: Value,
    at: i64,
) -> Value {
    let selector = mask(b, selector, 3);
    let at_value = iconst(b, types::I32, at);
    match mode {
        PrmtMode::F4e => b.ins().iadd(selector, at_value),
        PrmtMode::B4e => b.ins().isub(selector, at_value),
        PrmtMode::Rc8 => selector,
        PrmtMode::Ecl => b.ins().umax(selector, at_value),
        PrmtMode::Ecr => b.ins().umin(selector, at_value),
        PrmtMode::Rc16 => {
            let odd = mask(b, selector, 1);
            let pair = shl(b, odd, 1);
            let low = iconst(b, types::I32, at & 1);
            b.ins().bor(pair, low)
        }
    }
}

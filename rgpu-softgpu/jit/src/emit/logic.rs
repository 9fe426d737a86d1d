//! Bitwise logic and shifts. Shift counts past the width give zero, or copies of the sign.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{BoolOp, ScalarType, ShiftDir, ShiftMode};

use super::operand::constant;
use super::util::{icmp_const, iconst, mask, negate, resize, wide};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::And | Opcode::Or | Opcode::Xor => binary(e, instr),
        Opcode::Not | Opcode::Cnot => unary(e, instr),
        Opcode::Lop3 => lop3(e, instr),
        Opcode::Shl | Opcode::Shr => shift(e, instr),
        _ => funnel(e, instr),
    }
}

fn binary(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let x = e.read(operand(instr, 1)?, ty)?;
    let y = e.read(operand(instr, 2)?, ty)?;
    let result = match instr.op {
        Opcode::And => e.b.ins().band(x, y),
        Opcode::Or => e.b.ins().bor(x, y),
        _ => e.b.ins().bxor(x, y),
    };
    e.write(operand(instr, 0)?, result, ty)
}

fn unary(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let value = e.read(operand(instr, 1)?, ty)?;
    let result = if instr.op == Opcode::Cnot {
        let zero = icmp_const(&mut e.b, IntCC::Equal, value, 0);
        let machine = e.b.func.dfg.value_type(value);
        resize(&mut e.b, zero, machine, false)
    } else if ty == ScalarType::Pred {
        negate(&mut e.b, value)
    } else {
        e.b.ins().bnot(value)
    };
    e.write(operand(instr, 0)?, result, ty)
}

/// Any function of three bits: the table's upper half holds where the first operand is one.
fn lop3(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let mut v = Vec::with_capacity(3);
    for n in 1..=3 {
        v.push(e.read(operand(instr, n)?, ScalarType::B32)?);
    }
    let Some(table) = constant(operand(instr, 4)?) else {
        return refuse("the table is not a constant");
    };
    let result = table_of_three(&mut e.b, v[0], v[1], v[2], (table & 0xff) as u8);
    let Operand::Pair(pair) = operand(instr, 0)? else {
        return e.write(operand(instr, 0)?, result, ScalarType::B32);
    };
    e.write(&pair.0, result, ScalarType::B32)?;
    let nonzero = icmp_const(&mut e.b, IntCC::NotEqual, result, 0);
    let predicate = match (instr.mods.bool_op, instr.operands.get(5)) {
        (Some(op), Some(source)) => {
            let other = e.read(source, ScalarType::Pred)?;
            combine(&mut e.b, op, nonzero, other)
        }
        _ => nonzero,
    };
    e.write(&pair.1, predicate, ScalarType::Pred)
}

/// Two predicates combined.
pub(crate) fn combine(b: &mut FunctionBuilder<'_>, op: BoolOp, x: Value, y: Value) -> Value {
    match op {
        BoolOp::And => b.ins().band(x, y),
        BoolOp::Or => b.ins().bor(x, y),
        BoolOp::Xor => b.ins().bxor(x, y),
    }
}

fn table_of_three(b: &mut FunctionBuilder<'_>, x: Value, y: Value, z: Value, table: u8) -> Value {
    match table {
        0x80 => {
            let both = b.ins().band(x, y);
            return b.ins().band(both, z);
        }
        0xfe => {
            let either = b.ins().bor(x, y);
            return b.ins().bor(either, z);
        }
        0x96 => {
            let either = b.ins().bxor(x, y);
            return b.ins().bxor(either, z);
        }
        _ => {}
    }
    let (clear, set) = (table & 0xf, table >> 4);
    let clear_value = table_of_two(b, y, z, clear);
    // Where x is one, the result differs from `clear` by what both halves differ in.
    let change = table_of_two(b, y, z, clear ^ set);
    let change = b.ins().band(x, change);
    b.ins().bxor(clear_value, change)
}

/// Any function of two bits.
fn table_of_two(b: &mut FunctionBuilder<'_>, y: Value, z: Value, table: u8) -> Value {
    match table {
        0x0 => iconst(b, types::I32, 0),
        0x1 => {
            let either = b.ins().bor(y, z);
            b.ins().bnot(either)
        }
        0x2 => b.ins().band_not(z, y),
        0x3 => b.ins().bnot(y),
        0x4 => b.ins().band_not(y, z),
        0x5 => b.ins().bnot(z),
        0x6 => b.ins().bxor(y, z),
        0x7 => {
            let both = b.ins().band(y, z);
            b.ins().bnot(both)
        }
        0x8 => b.ins().band(y, z),
        0x9 => {
            let differ = b.ins().bxor(y, z);
            b.ins().bnot(differ)
        }
        0xa => z,
        0xb => b.ins().bor_not(z, y),
        0xc => y,
        0xd => b.ins().bor_not(y, z),
        0xe => b.ins().bor(y, z),
        _ => iconst(b, types::I32, -1),
    }
}

fn shift(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let left = instr.op == Opcode::Shl;
    let value = e.read(operand(instr, 1)?, ty)?;
    let bits = i64::from(ty.bits());
    let amount = operand(instr, 2)?;
    let result = match constant(amount) {
        // Counts are unsigned: negative constants are large ones.
        Some(count) => {
            let count = count & 0xffff_ffff;
            shift_by_constant(&mut e.b, value, count, bits, left, ty.is_signed())
        }
        None => {
            let count = e.read_u32(amount)?;
            clamped_shift(&mut e.b, value, count, left, ty.is_signed())
        }
    };
    e.write(operand(instr, 0)?, result, ty)
}

fn shift_by_constant(
    b: &mut FunctionBuilder<'_>,
    value: Value,
    count: i64,
    bits: i64,
    left: bool,
    signed: bool,
) -> Value {
    if count >= bits && (left || !signed) {
        let ty = b.func.dfg.value_type(value);
        return iconst(b, ty, 0);
    }
    let count = iconst(b, types::I32, count.min(bits - 1));
    if left {
        b.ins().ishl(value, count)
    } else if signed {
        b.ins().sshr(value, count)
    } else {
        b.ins().ushr(value, count)
    }
}

/// Shifts by a 32-bit count of any size.
pub(crate) fn clamped_shift(
    b: &mut FunctionBuilder<'_>,
    value: Value,
    count: Value,
    left: bool,
    signed: bool,
) -> Value {
    let ty = b.func.dfg.value_type(value);
    let bits = i64::from(ty.bits());
    let inside = icmp_const(b, IntCC::UnsignedLessThan, count, bits);
    if signed && !left {
        let last = iconst(b, types::I32, bits - 1);
        let count = b.ins().select(inside, count, last);
        return b.ins().sshr(value, count);
    }
    let shifted = if left {
        b.ins().ishl(value, count)
    } else {
        b.ins().ushr(value, count)
    };
    let zero = iconst(b, ty, 0);
    b.ins().select(inside, shifted, zero)
}

/// `shf`: shifts the 64-bit value `high:low` and keeps one half.
fn funnel(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let low = e.read(operand(instr, 1)?, ScalarType::B32)?;
    let high = e.read(operand(instr, 2)?, ScalarType::B32)?;
    let count = e.read_u32(operand(instr, 3)?)?;
    let b = &mut e.b;
    let count = match instr.mods.shift_mode {
        Some(ShiftMode::Wrap) => mask(b, count, 31),
        _ => {
            let most = iconst(b, types::I32, 32);
            b.ins().umin(count, most)
        }
    };
    let (low, high) = (wide(b, low), wide(b, high));
    let high = b.ins().ishl_imm_u(high, 32);
    let both = b.ins().bor(high, low);
    let result = if instr.mods.shift_dir == Some(ShiftDir::Left) {
        let shifted = b.ins().ishl(both, count);
        b.ins().ushr_imm_u(shifted, 32)
    } else {
        b.ins().ushr(both, count)
    };
    let result = b.ins().ireduce(types::I32, result);
    e.write(operand(instr, 0)?, result, ScalarType::B32)
}

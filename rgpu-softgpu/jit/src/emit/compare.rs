//! `set`, `setp`, `selp`, `slct`.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CmpOp, ScalarType};

use super::lanes::{flush_half, half_format, join, split};
use super::util::{choose, icmp_const, iconst, negate};
use super::{Emitter, float, half, logic, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Setp => setp(e, instr),
        Opcode::Set => set(e, instr),
        Opcode::Selp => selp(e, instr),
        _ => slct(e, instr),
    }
}

/// One lane compared: a predicate, 0 or 1.
pub(crate) fn compare(
    b: &mut FunctionBuilder<'_>,
    op: CmpOp,
    ty: ScalarType,
    x: Value,
    y: Value,
    ftz: bool,
) -> Emit<Value> {
    let (x, y) = match half_format(ty) {
        Some(format) => {
            let flush = ftz && ty == ScalarType::F16;
            let (x, y) = if flush {
                (flush_half(b, x), flush_half(b, y))
            } else {
                (x, y)
            };
            (half::to_f32(b, x, format), half::to_f32(b, y, format))
        }
        None if ftz && ty == ScalarType::F32 => (float::flush(b, x), float::flush(b, y)),
        None => (x, y),
    };
    if b.func.dfg.value_type(x).lane_type().is_float() {
        return float_condition(op).map_or_else(
            || refuse(format!("comparison .{op} needs integers")),
            |cond| Ok(b.ins().fcmp(cond, x, y)),
        );
    }
    int_condition(op, ty.is_signed()).map_or_else(
        || refuse(format!("comparison .{op} needs floats")),
        |cond| Ok(b.ins().icmp(cond, x, y)),
    )
}

fn float_condition(op: CmpOp) -> Option<FloatCC> {
    Some(match op {
        CmpOp::Eq => FloatCC::Equal,
        CmpOp::Ne => FloatCC::OrderedNotEqual,
        CmpOp::Lt => FloatCC::LessThan,
        CmpOp::Le => FloatCC::LessThanOrEqual,
        CmpOp::Gt => FloatCC::GreaterThan,
        CmpOp::Ge => FloatCC::GreaterThanOrEqual,
        CmpOp::Equ => FloatCC::UnorderedOrEqual,
        CmpOp::Neu => FloatCC::NotEqual,
        CmpOp::Ltu => FloatCC::UnorderedOrLessThan,
        CmpOp::Leu => FloatCC::UnorderedOrLessThanOrEqual,
        CmpOp::Gtu => FloatCC::UnorderedOrGreaterThan,
        CmpOp::Geu => FloatCC::UnorderedOrGreaterThanOrEqual,
        CmpOp::Num => FloatCC::Ordered,
        CmpOp::Nan => FloatCC::Unordered,
        CmpOp::Lo | CmpOp::Ls | CmpOp::Hi | CmpOp::Hs => return None,
    })
}

/// The condition of an integer comparison.
pub(crate) fn int_condition(op: CmpOp, signed: bool) -> Option<IntCC> {
    Some(match (op, signed) {
        (CmpOp::Eq, _) => IntCC::Equal,
        (CmpOp::Ne, _) => IntCC::NotEqual,
        (CmpOp::Lt, true) => IntCC::SignedLessThan,
        (CmpOp::Le, true) => IntCC::SignedLessThanOrEqual,
        (CmpOp::Gt, true) => IntCC::SignedGreaterThan,
        (CmpOp::Ge, true) => IntCC::SignedGreaterThanOrEqual,
        (CmpOp::Lt, false) | (CmpOp::Lo, _) => IntCC::UnsignedLessThan,
        (CmpOp::Le, false) | (CmpOp::Ls, _) => IntCC::UnsignedLessThanOrEqual,
        (CmpOp::Gt, false) | (CmpOp::Hi, _) => IntCC::UnsignedGreaterThan,
        (CmpOp::Ge, false) | (CmpOp::Hs, _) => IntCC::UnsignedGreaterThanOrEqual,
        _ => return None,
    })
}

/// Compares operands `1` and `2` in `ty`: one predicate per lane.
fn predicates(e: &mut Emitter<'_, '_>, instr: &Instr, ty: ScalarType) -> Emit<Vec<Value>> {
    let Some(op) = instr.mods.cmp else {
        return refuse("no comparison");
    };
    let x = e.read(operand(instr, 1)?, ty)?;
    let y = e.read(operand(instr, 2)?, ty)?;
    let ftz = instr.mods.ftz;
    match ty.lane() {
        None => Ok(vec![compare(&mut e.b, op, ty, x, y, ftz)?]),
        Some(lane) => {
            let (x, y) = (split(&mut e.b, x, lane), split(&mut e.b, y, lane));
            let low = compare(&mut e.b, op, lane, x[0], y[0], ftz)?;
            let high = compare(&mut e.b, op, lane, x[1], y[1], ftz)?;
            Ok(vec![low, high])
        }
    }
}

/// `value BoolOp source`, if the instruction combines.
fn combined(e: &mut Emitter<'_, '_>, instr: &Instr, value: Value, source: Option<Value>) -> Value {
    match (instr.mods.bool_op, source) {
        (Some(op), Some(source)) => logic::combine(&mut e.b, op, value, source),
        _ => value,
    }
}

fn source_predicate(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit<Option<Value>> {
    match instr.operands.get(3) {
        Some(source) => Ok(Some(e.read(source, ScalarType::Pred)?)),
        None => Ok(None),
    }
}

fn setp(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let found = predicates(e, instr, ty)?;
    let source = source_predicate(e, instr)?;
    let Operand::Pair(pair) = operand(instr, 0)? else {
        let result = combined(e, instr, found[0], source);
        return e.write(operand(instr, 0)?, result, ScalarType::Pred);
    };
    // A packed comparison fills both with its lanes, a scalar one the second with its negation.
    let second = match found.get(1) {
        Some(high) => *high,
        None => negate(&mut e.b, found[0]),
    };
    let first = combined(e, instr, found[0], source);
    let second = combined(e, instr, second, source);
    e.write(&pair.0, first, ScalarType::Pred)?;
    e.write(&pair.1, second, ScalarType::Pred)
}

fn set(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let (to, from) = (type_of(instr, 0)?, type_of(instr, 1)?);
    let found = predicates(e, instr, from)?;
    let source = source_predicate(e, instr)?;
    let one_type = to.lane().unwrap_or(to);
    let mut lanes = Vec::with_capacity(2);
    for predicate in found {
        let predicate = combined(e, instr, predicate, source);
        let machine = machine_type(one_type);
        let (yes, no) = match one_type {
            ScalarType::F32 => (e.b.ins().f32const(1.0), e.b.ins().f32const(0.0)),
            ScalarType::F16 => (
                iconst(&mut e.b, machine, 0x3c00),
                iconst(&mut e.b, machine, 0),
            ),
            ScalarType::Bf16 => (
                iconst(&mut e.b, machine, 0x3f80),
                iconst(&mut e.b, machine, 0),
            ),
            _ => (iconst(&mut e.b, machine, -1), iconst(&mut e.b, machine, 0)),
        };
        lanes.push(e.b.ins().select(predicate, yes, no));
    }
    let result = match (lanes.as_slice(), to.lane()) {
        ([low, high], Some(_)) => join(&mut e.b, [*low, *high], to),
        // `set.u32.f16x2`: each half of the result is a mask.
        ([low, high], None) if to.size() == 4 => {
            let [low, high] = [*low, *high].map(|mask| e.b.ins().ireduce(types::I16, mask));
            join(&mut e.b, [low, high], ScalarType::U16x2)
        }
        ([only], None) => *only,
        _ => return refuse("result and operands have different numbers of lanes"),
    };
    e.write(operand(instr, 0)?, result, to)
}

fn selp(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let x = e.read(operand(instr, 1)?, ty)?;
    let y = e.read(operand(instr, 2)?, ty)?;
    let predicate = e.read(operand(instr, 3)?, ScalarType::Pred)?;
    let result = choose(&mut e.b, predicate, x, y);
    e.write(operand(instr, 0)?, result, ty)
}

/// Picks by the sign of the last operand; NaN picks the second.
fn slct(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let (ty, key_type) = (type_of(instr, 0)?, type_of(instr, 1)?);
    let x = e.read(operand(instr, 1)?, ty)?;
    let y = e.read(operand(instr, 2)?, ty)?;
    let key = e.read(operand(instr, 3)?, key_type)?;
    let first = if key_type == ScalarType::F32 {
        let key = if instr.mods.ftz {
            float::flush(&mut e.b, key)
        } else {
            key
        };
        let zero = e.b.ins().f32const(0.0);
        e.b.ins().fcmp(FloatCC::GreaterThanOrEqual, key, zero)
    } else {
        icmp_const(&mut e.b, IntCC::SignedGreaterThanOrEqual, key, 0)
    };
    let result = e.b.ins().select(first, x, y);
    e.write(operand(instr, 0)?, result, ty)
}

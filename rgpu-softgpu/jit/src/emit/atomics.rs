//! `atom` and `red`. In shared memory a plain update does; elsewhere everything is at least as strong as sequentially consistent on the host; updates that
//! the machine lacks are retried with compare-and-swap.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, BlockArg, InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{AtomOp, ScalarType, StateSpace};

use super::float::{self, Round};
use super::half;
use super::lanes::{half_format, map};
use super::memory::lane_operands;
use super::place::Access;
use super::util::{bits, checked, iconst, int_of, reshape};
use super::{Emitter, arith, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let Some(op) = instr.mods.atom else {
        return refuse("no operation");
    };
    let returns = instr.op == Opcode::Atom;
    let at = usize::from(returns);
    let Operand::Addr(address) = operand(instr, at)? else {
        return refuse("no address");
    };
    let lanes = instr.mods.vec.map_or(1, |width| width.lanes());
    let width = ty.size() * u32::try_from(lanes).unwrap_or(1);
    if ty == ScalarType::B128 {
        return wide(e, instr, op, at);
    }
    let mut sources = Vec::with_capacity(lanes);
    for source in lane_operands(operand(instr, at + 1)?, lanes)? {
        sources.push(e.read(source, ty)?);
    }
    let swap = match op {
        AtomOp::Cas => Some(e.read_bits(operand(instr, at + 2)?, ty)?),
        _ => None,
    };
    let (base, offset) = e.place(instr.mods.space, address, Access::store(width))?;
    // Only one processor thread at a time runs threads of a block, and changes between them only in calls.
    let exclusive = instr.mods.space == Some(StateSpace::Shared);
    let targets = if returns {
        lane_operands(operand(instr, 0)?, lanes).unwrap_or(&[])
    } else {
        &[]
    };
    for (lane, source) in (0_i64..).zip(sources) {
        let offset = i64::from(offset) + lane * i64::from(ty.size());
        let pointer = if offset == 0 {
            base
        } else {
            e.b.ins().iadd_imm_s(base, offset)
        };
        let old = update(e, op, ty, pointer, source, swap, exclusive)?;
        let target = usize::try_from(lane)
            .ok()
            .and_then(|lane| targets.get(lane));
        if let Some(target) = target {
            let old = reshape(&mut e.b, old, machine_type(ty));
            e.write(target, old, ty)?;
        }
    }
    Ok(())
}

/// One atomic update; gives the old value's bits.
fn update(
    e: &mut Emitter<'_, '_>,
    op: AtomOp,
    ty: ScalarType,
    pointer: Value,
    source: Value,
    swap: Option<Value>,
    exclusive: bool,
) -> Emit<Value> {
    let int = int_of(machine_type(ty));
    let b = &mut e.b;
    let new = new_value(op, ty, source, swap)?;
    if exclusive {
        let old = b.ins().load(int, checked(), pointer, 0);
        let value = new(b, old);
        b.ins().store(checked(), value, pointer, 0);
        return Ok(old);
    }
    if let Some(swap) = swap {
        let expected = bits(b, source);
        return Ok(b.ins().atomic_cas(checked(), pointer, expected, swap));
    }
    match machine_operation(op, ty) {
        Some(operation) => {
            let raw = bits(b, source);
            Ok(b.ins().atomic_rmw(int, checked(), operation, pointer, raw))
        }
        None => Ok(retry(b, int, pointer, &*new)),
    }
}

/// The machine's own operation, where it has one.
fn machine_operation(op: AtomOp, ty: ScalarType) -> Option<AtomicRmwOp> {
    let signed = ty.is_signed();
    Some(match op {
        AtomOp::Exch => AtomicRmwOp::Xchg,
        _ if arith::is_float(ty) => return None,
        AtomOp::Add => AtomicRmwOp::Add,
        AtomOp::And => AtomicRmwOp::And,
        AtomOp::Or => AtomicRmwOp::Or,
        AtomOp::Xor => AtomicRmwOp::Xor,
        AtomOp::Min if signed => AtomicRmwOp::Smin,
        AtomOp::Min => AtomicRmwOp::Umin,
        AtomOp::Max if signed => AtomicRmwOp::Smax,
        AtomOp::Max => AtomicRmwOp::Umax,
        AtomOp::Inc | AtomOp::Dec | AtomOp::Cas => return None,
    })
}

/// Computes the new bits from the old ones.
type NewValue = Box<dyn Fn(&mut FunctionBuilder<'_>, Value) -> Value>;

fn new_value(op: AtomOp, ty: ScalarType, source: Value, swap: Option<Value>) -> Emit<NewValue> {
    let int = int_of(machine_type(ty));
    if arith::is_float(ty) && op != AtomOp::Exch {
        let max = match op {
            AtomOp::Add => None,
            AtomOp::Min => Some(false),
            AtomOp::Max => Some(true),
            _ => return refuse("no such atomic operation on floats"),
        };
        return Ok(Box::new(move |b, old| {
            float_update(b, ty, old, source, max)
        }));
    }
    let signed = ty.is_signed();
    Ok(match op {
        AtomOp::Exch => Box::new(move |b, _| bits(b, source)),
        AtomOp::Cas => {
            let Some(swap) = swap else {
                return refuse("compare-and-swap needs two values");
            };
            Box::new(move |b, old| {
                let expected = bits(b, source);
                let same = b.ins().icmp(IntCC::Equal, old, expected);
                b.ins().select(same, swap, old)
            })
        }
        AtomOp::Add => Box::new(move |b, old| b.ins().iadd(old, source)),
        AtomOp::And => Box::new(move |b, old| b.ins().band(old, source)),
        AtomOp::Or => Box::new(move |b, old| b.ins().bor(old, source)),
        AtomOp::Xor => Box::new(move |b, old| b.ins().bxor(old, source)),
        AtomOp::Min if signed => Box::new(move |b, old| b.ins().smin(old, source)),
        AtomOp::Min => Box::new(move |b, old| b.ins().umin(old, source)),
        AtomOp::Max if signed => Box::new(move |b, old| b.ins().smax(old, source)),
        AtomOp::Max => Box::new(move |b, old| b.ins().umax(old, source)),
        AtomOp::Inc => Box::new(move |b, old| {
            let full = b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, old, source);
            let next = b.ins().iadd_imm_u(old, 1);
            let zero = iconst(b, int, 0);
            b.ins().select(full, zero, next)
        }),
        AtomOp::Dec => Box::new(move |b, old| {
            let next = b.ins().iadd_imm_s(old, -1);
            // From zero, `next` is the largest number, so one comparison finds both wraps.
            let inside = b.ins().icmp(IntCC::UnsignedLessThan, next, source);
            b.ins().select(inside, next, source)
        }),
    })
}

fn float_update(
    b: &mut FunctionBuilder<'_>,
    ty: ScalarType,
    old: Value,
    source: Value,
    max: Option<bool>,
) -> Value {
    let old = reshape(b, old, machine_type(ty));
    let result = map(b, ty, &[old, source], &|b, lane, v| {
        let format = half_format(lane);
        let [x, y] = [v[0], v[1]].map(|value| match format {
            Some(format) => half::to_f32(b, value, format),
            None => value,
        });
        let result = match max {
            None => b.ins().fadd(x, y),
            Some(max) => float::extremum(b, x, y, max, false),
        };
        match format {
            Some(format) => half::from_f32(b, result, format, Round::Nearest),
            None => result,
        }
    });
    bits(b, result)
}

/// Computes a new value from the old one until no other thread came between.
pub(crate) fn retry(
    b: &mut FunctionBuilder<'_>,
    int: Type,
    pointer: Value,
    f: &dyn Fn(&mut FunctionBuilder<'_>, Value) -> Value,
) -> Value {
    let first = b.ins().atomic_load(int, checked(), pointer);
    let (again, done) = (b.create_block(), b.create_block());
    let old = b.append_block_param(again, int);
    b.ins().jump(again, &[BlockArg::Value(first)]);
    b.switch_to_block(again);
    let new = f(b, old);
    let seen = b.ins().atomic_cas(checked(), pointer, old, new);
    let same = b.ins().icmp(IntCC::Equal, seen, old);
    b.ins()
        .brif(same, done, &[], again, &[BlockArg::Value(seen)]);
    b.switch_to_block(done);
    old
}

/// 128 bits: exchange and compare-and-swap, by the host.
fn wide(e: &mut Emitter<'_, '_>, instr: &Instr, op: AtomOp, at: usize) -> Emit {
    let Operand::Addr(address) = operand(instr, at)? else {
        return refuse("no address");
    };
    let first = e.read(operand(instr, at + 1)?, ScalarType::B128)?;
    let swap = match op {
        AtomOp::Cas => Some(e.read(operand(instr, at + 2)?, ScalarType::B128)?),
        AtomOp::Exch => None,
        _ => return refuse("no such operation on 128 bits"),
    };
    let (base, offset) = e.place(instr.mods.space, address, Access::store(16))?;
    let pointer = e.b.ins().iadd_imm_s(base, i64::from(offset));
    let old = super::call::scratch(e, 16)?;
    let (low, high) = e.b.ins().isplit(first);
    match swap {
        Some(swap) => {
            let (swap_low, swap_high) = e.b.ins().isplit(swap);
            let args = [pointer, low, high, swap_low, swap_high, old];
            e.libcall("atom_cas_b128", &args)?;
        }
        None => {
            e.libcall("atom_exch_b128", &[pointer, low, high, old])?;
        }
    }
    let value =
        e.b.ins()
            .load(types::I128, super::memory::slot_flags(), old, 0);
    if at == 1 {
        e.write(operand(instr, 0)?, value, ScalarType::B128)
    } else {
        Ok(())
    }
}

//! `ld`, `ldu`, `st`, and the stack of local memory.

use std::mem::offset_of;

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use rgpu_ptx::ast::{AddrBase, Address, Instr, Operand, Symbol};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CacheOp, MemSem, ScalarType, StateSpace};
use rgpu_softgpu_exec::abi::ThreadContext;

use super::operand::constant as constant_of;
use super::place::{Access, Place};
use super::util::{checked, constant};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Ld | Opcode::Ldu => load(e, instr),
        Opcode::St => store(e, instr),
        Opcode::Alloca => alloca(e, instr),
        Opcode::Stacksave => {
            let top =
                e.b.ins()
                    .load(types::I64, checked(), e.thread.ctx, top_offset());
            e.write(operand(instr, 0)?, top, type_of(instr, 0)?)
        }
        _ => {
            let top = e.read(operand(instr, 0)?, ScalarType::U64)?;
            e.b.ins().store(checked(), top, e.thread.ctx, top_offset());
            Ok(())
        }
    }
}

/// Where the context keeps the top of local memory.
pub(crate) fn top_offset() -> i32 {
    i32::try_from(offset_of!(ThreadContext, local_top)).unwrap_or(i32::MAX)
}

/// Elements of a vector access; one for a scalar.
fn lanes(instr: &Instr) -> usize {
    instr.mods.vec.map_or(1, |width| width.lanes())
}

/// The operands of each lane.
pub(crate) fn lane_operands(operand: &Operand, lanes: usize) -> Emit<&[Operand]> {
    match operand {
        Operand::Vec(items) if items.len() == lanes => Ok(items),
        Operand::Vec(_) => refuse("vector of the wrong length"),
        single if lanes == 1 => Ok(std::slice::from_ref(single)),
        _ => refuse("a vector was expected"),
    }
}

fn ordered(instr: &Instr) -> bool {
    instr.mods.mmio
        || instr.mods.cache == Some(CacheOp::Cv)
        || !matches!(instr.mods.sem, None | Some(MemSem::Weak))
}

fn load(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let lanes = lanes(instr);
    let Operand::Addr(address) = operand(instr, 1)? else {
        return refuse("no address");
    };
    let width = ty.size() * u32::try_from(lanes).unwrap_or(1);
    let (base, offset) = e.place(instr.mods.space, address, Access::load(width))?;
    let read_only = instr.mods.nc || instr.mods.space == Some(StateSpace::Const);
    let flags = if is_kernel_parameter(e, address) {
        constant()
    } else if read_only {
        checked().with_readonly()
    } else {
        checked()
    };
    for (lane, target) in (0_i32..).zip(lane_operands(operand(instr, 0)?, lanes)?) {
        let at = offset + lane * i32::try_from(ty.size()).unwrap_or(0);
        let value = if ordered(instr) {
            ordered_load(e, machine_type(ty), (base, at))
        } else {
            e.b.ins().load(machine_type(ty), flags, base, at)
        };
        e.write(target, value, ty)?;
    }
    Ok(())
}

/// Parameters of a kernel are always there and never change, so their loads may move anywhere.
fn is_kernel_parameter(e: &Emitter<'_, '_>, address: &Address) -> bool {
    e.function().is_kernel && matches!(address.base, AddrBase::Symbol(Symbol::Param(_)))
}

/// A load that is neither merged with others nor moved across them.
pub(crate) fn ordered_load(e: &mut Emitter<'_, '_>, ty: Type, (base, offset): Place) -> Value {
    let address = if offset == 0 {
        base
    } else {
        e.b.ins().iadd_imm_s(base, i64::from(offset))
    };
    let raw =
        e.b.ins()
            .atomic_load(super::util::int_of(ty), checked(), address);
    super::util::reshape(&mut e.b, raw, ty)
}

fn store(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let lanes = lanes(instr);
    let Operand::Addr(address) = operand(instr, 0)? else {
        return refuse("no address");
    };
    let width = ty.size() * u32::try_from(lanes).unwrap_or(1);
    let mut values = Vec::with_capacity(lanes);
    for source in lane_operands(operand(instr, 1)?, lanes)? {
        values.push(e.read(source, ty)?);
    }
    let (base, offset) = e.place(instr.mods.space, address, Access::store(width))?;
    if matches!(instr.mods.sem, Some(MemSem::Release | MemSem::Sc)) {
        e.b.ins().fence();
    }
    for (lane, value) in (0_i32..).zip(values) {
        let at = offset + lane * i32::try_from(ty.size()).unwrap_or(0);
        e.b.ins().store(checked(), value, base, at);
    }
    Ok(())
}

/// Flags of host memory that the compiler itself lays out.
pub(crate) fn slot_flags() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

fn alloca(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let size = e.read(operand(instr, 1)?, ScalarType::U64)?;
    let align = match instr.operands.get(2).and_then(constant_of) {
        Some(align) if u64::try_from(align).is_ok_and(u64::is_power_of_two) => align,
        Some(_) => return refuse("alignment is not a power of two"),
        None => 8,
    };
    let align = e.b.ins().iconst(types::I64, align);
    let offset = e.libcall_value("local_alloc", &[e.thread.ctx, size, align])?;
    e.write(operand(instr, 0)?, offset, type_of(instr, 0)?)
}

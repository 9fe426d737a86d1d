//! `cp.async`: copies at issue, which the memory model allows; its groups are then complete at once.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, types};
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CacheHint, StateSpace};

use super::operand::{constant, is_predicate};
use super::place::Access;
use super::util::{checked, iconst};
use super::{Emitter, barriers, operand};
use crate::error::{Emit, refuse};

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::CpAsync => copy(e, instr),
        Opcode::CpAsyncMbarrierArrive => barriers::arrive_after_copies(e, instr),
        _ => Ok(()),
    }
}

fn copy(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let (Operand::Addr(to), Operand::Addr(from)) = (operand(instr, 0)?, operand(instr, 1)?) else {
        return refuse("no address");
    };
    let size = match constant(operand(instr, 2)?) {
        Some(4) => 4,
        Some(8) => 8,
        Some(16) => 16,
        _ => return refuse("the size must be 4, 8 or 16"),
    };
    let target = e.place(Some(StateSpace::Shared), to, Access::store(size))?;
    // With a cache policy, the policy is the last operand.
    let policies = usize::from(instr.mods.hints.contains(&CacheHint::L2CacheHint));
    let sources = &instr.operands[..instr.operands.len() - policies];
    let Some(valid) = sources.get(3) else {
        let source = e.place(Some(StateSpace::Global), from, Access::load(size))?;
        let ty = Type::int_with_byte_size(u16::try_from(size).unwrap_or(0));
        let Some(ty) = ty else {
            return refuse("no such width");
        };
        let value = e.b.ins().load(ty, checked(), source.0, source.1);
        e.b.ins().store(checked(), value, target.0, target.1);
        return Ok(());
    };
    // Only the first `valid` bytes are read; the rest of the target becomes zero.
    let valid = if is_predicate(e, valid) {
        // The operand is `ignore-src`.
        let ignored = e.read(valid, rgpu_ptx::types::ScalarType::Pred)?;
        let all = iconst(&mut e.b, types::I32, i64::from(size));
        let none = iconst(&mut e.b, types::I32, 0);
        e.b.ins().select(ignored, none, all)
    } else {
        e.read_u32(valid)?
    };
    for at in 0..size {
        let (read, next) = (e.b.create_block(), e.b.create_block());
        let byte = e.b.append_block_param(next, types::I8);
        let zero = iconst(&mut e.b, types::I8, 0);
        let limit = iconst(&mut e.b, types::I32, i64::from(at));
        let wanted = e.b.ins().icmp(IntCC::UnsignedGreaterThan, valid, limit);
        let zero_arg = [cranelift_codegen::ir::BlockArg::Value(zero)];
        e.b.ins().brif(wanted, read, &[], next, &zero_arg);
        e.b.switch_to_block(read);
        let mut address = *from;
        address.offset += i64::from(at);
        let (base, offset) = e.place(Some(StateSpace::Global), &address, Access::load(1))?;
        let value = e.b.ins().load(types::I8, checked(), base, offset);
        e.b.ins()
            .jump(next, &[cranelift_codegen::ir::BlockArg::Value(value)]);
        e.b.switch_to_block(next);
        e.b.ins().store(
            checked(),
            byte,
            target.0,
            target.1 + i32::try_from(at).unwrap_or(0),
        );
    }
    Ok(())
}

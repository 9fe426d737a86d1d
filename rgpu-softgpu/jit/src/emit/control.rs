//! Branches, `ret`, `exit`, traps.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockCall, InstBuilder, JumpTableData, types};
use rgpu_ptx::ast::{Guard, Instr, Label, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::ScalarType;
use rgpu_softgpu_exec::abi::Trap;

use super::memory::{slot_flags, top_offset};
use super::util::{checked, icmp_const};
use super::{Emitter, operand};
use crate::error::Emit;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Ret => leave(e, false),
        Opcode::Exit => leave(e, true),
        Opcode::Trap => e.emit_trap(Trap::Trap),
        Opcode::Brkpt => e.emit_trap(Trap::IllegalInstruction),
        _ => {
            let time = e.read(operand(instr, 0)?, ScalarType::U32)?;
            e.libcall("nanosleep", &[e.thread.ctx, time])?;
            Ok(())
        }
    }
}

/// Goes to `yes` if the guard holds, else to `no`.
pub(crate) fn fork(e: &mut Emitter<'_, '_>, guard: Guard, yes: Block, no: Block) {
    let predicate = e.reg(guard.reg);
    let (then, other) = if guard.negated { (no, yes) } else { (yes, no) };
    e.b.ins().brif(predicate, then, &[], other, &[]);
}

/// `bra`.
pub(crate) fn branch(e: &mut Emitter<'_, '_>, target: Label, guard: Option<Guard>) -> Emit {
    let block = e.labels[target.index()];
    match guard {
        None => {
            e.b.ins().jump(block, &[]);
        }
        Some(guard) => {
            let next = e.b.create_block();
            fork(e, guard, block, next);
            e.b.switch_to_block(next);
        }
    }
    Ok(())
}

/// `brx.idx`; an index past the list is an invalid program counter.
pub(crate) fn branch_indexed(e: &mut Emitter<'_, '_>, index: &Operand, targets: &[Label]) -> Emit {
    let index = e.read_u32(index)?;
    let bad = e.b.create_block();
    e.b.set_cold_block(bad);
    let targets: Vec<Block> = targets
        .iter()
        .map(|label| e.labels[label.index()])
        .collect();
    let pool = &mut e.b.func.dfg.value_lists;
    let calls: Vec<BlockCall> = targets
        .into_iter()
        .map(|block| BlockCall::new(block, [], pool))
        .collect();
    let default = BlockCall::new(bad, [], pool);
    let table = e.b.create_jump_table(JumpTableData::new(default, &calls));
    e.b.ins().br_table(index, table);
    e.b.switch_to_block(bad);
    e.emit_trap(Trap::InvalidPc)
}

/// Leaves the function: returns, or ends the thread. A function that may do the latter tells its caller.
pub(crate) fn leave(e: &mut Emitter<'_, '_>, exit: bool) -> Emit {
    let function = e.function();
    if function.is_kernel {
        if let Some(wide) = &e.wide {
            let end = wide.end;
            e.b.ins().jump(end, &[]);
        } else if e.turns.is_some() {
            e.end_thread();
        } else {
            e.b.ins().return_(&[]);
        }
        return Ok(());
    }
    for (index, reg) in function.body.return_regs.iter().enumerate() {
        let Some(reg) = reg else { continue };
        let ty = function.returns[index].ty;
        let value = e.read(&Operand::Reg(*reg), ty)?;
        let place = e.places[function.params.len() + index];
        e.b.ins().store(slot_flags(), value, place, 0);
    }
    let frame = e.frame();
    if frame.size != 0 || frame.dynamic {
        let base = e.thread.frame;
        e.b.ins().store(checked(), base, e.thread.ctx, top_offset());
    }
    let status = e.b.ins().iconst(types::I32, i64::from(exit));
    e.b.ins().return_(&[status]);
    Ok(())
}

/// After a call that may have ended the thread: leaves too if it has.
pub(crate) fn follow_exit(e: &mut Emitter<'_, '_>, status: cranelift_codegen::ir::Value) -> Emit {
    let exited = icmp_const(&mut e.b, IntCC::NotEqual, status, 0);
    let (out, next) = (e.b.create_block(), e.b.create_block());
    e.b.set_cold_block(out);
    e.b.ins().brif(exited, out, &[], next, &[]);
    e.b.switch_to_block(out);
    leave(e, true)?;
    e.b.switch_to_block(next);
    Ok(())
}

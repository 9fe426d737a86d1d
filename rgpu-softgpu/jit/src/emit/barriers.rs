//! Barriers of blocks and warps, fences, and `mbarrier` objects.
//!
//! An `mbarrier` is a 64-bit word of ours in shared memory: arrivals pending (bits 0..20), arrivals expected
//! per phase (20..40), bytes outstanding (40..63, two's complement), and the parity of the phase (63).

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{BarRedOp, ScalarType, Scope};
use rgpu_softgpu_exec::libcalls::bar_red;

use super::atomics::retry;
use super::memory::ordered_load;
use super::place::Access;
use super::util::{checked, icmp_const, iconst, mask, resize, shl, wide};
use super::{Emitter, operand};
use crate::error::{Emit, refuse};

/// Named barrier that stands for the barrier of a cluster, which here is the block.
const CLUSTER_BARRIER: i64 = 15;
/// Bits of an arrival count.
const COUNT_BITS: i64 = 20;
/// Mask of an arrival count.
const COUNT_MASK: i64 = (1 << COUNT_BITS) - 1;
/// First bit of the bytes outstanding.
const BYTES_AT: i64 = 2 * COUNT_BITS;
/// Pending arrivals and bytes outstanding: a phase is complete when all of these are zero.
const OPEN_MASK: i64 = (i64::MAX & !((1 << BYTES_AT) - 1)) | COUNT_MASK;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::BarSync | Opcode::BarArrive => block_barrier(e, instr),
        Opcode::BarRed => block_reduction(e, instr),
        Opcode::BarWarpSync => {
            let lanes = e.read_u32(operand(instr, 0)?)?;
            e.libcall("bar_warp_sync", &[e.thread.ctx, lanes])?;
            Ok(())
        }
        Opcode::BarrierClusterWait => {
            let barrier = iconst(&mut e.b, types::I32, CLUSTER_BARRIER);
            let all = iconst(&mut e.b, types::I32, 0);
            e.libcall("bar_sync", &[e.thread.ctx, barrier, all])?;
            Ok(())
        }
        Opcode::BarrierClusterArrive | Opcode::MbarrierInval => Ok(()),
        Opcode::Membar | Opcode::Fence | Opcode::FenceProxy | Opcode::FenceMbarrierInit => {
            // The threads of a block share a processor thread, which sees its own writes in order.
            if instr.mods.scope != Some(Scope::Cta) {
                e.b.ins().fence();
            }
            Ok(())
        }
        Opcode::MbarrierPendingCount => {
            let state = e.read(operand(instr, 1)?, ScalarType::B64)?;
            let count = mask(&mut e.b, state, COUNT_MASK);
            let count = e.b.ins().ireduce(types::I32, count);
            e.write(operand(instr, 0)?, count, ScalarType::U32)
        }
        Opcode::MbarrierTestWait | Opcode::MbarrierTryWait => wait(e, instr),
        _ => change(e, instr),
    }
}

fn block_barrier(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let barrier = e.read_u32(operand(instr, 0)?)?;
    let count = match instr.operands.get(1) {
        Some(count) => e.read_u32(count)?,
        None => iconst(&mut e.b, types::I32, 0),
    };
    let row = if instr.op == Opcode::BarSync {
        "bar_sync"
    } else {
        "bar_arrive"
    };
    e.libcall(row, &[e.thread.ctx, barrier, count])?;
    Ok(())
}

fn block_reduction(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let op = match instr.mods.bar_red {
        Some(BarRedOp::Popc) => bar_red::POPC,
        Some(BarRedOp::And) => bar_red::AND,
        Some(BarRedOp::Or) => bar_red::OR,
        None => return refuse("no reduction"),
    };
    let barrier = e.read_u32(operand(instr, 1)?)?;
    let last = instr.operands.len().saturating_sub(1);
    let count = match instr.operands.get(2) {
        Some(count) if last == 3 => e.read_u32(count)?,
        _ => iconst(&mut e.b, types::I32, 0),
    };
    let predicate = e.read(operand(instr, last)?, ScalarType::Pred)?;
    let predicate = e.b.ins().uextend(types::I32, predicate);
    let number = iconst(&mut e.b, types::I32, i64::from(op));
    let args = [e.thread.ctx, barrier, count, predicate, number];
    let result = e.libcall_value("bar_red", &args)?;
    if op == bar_red::POPC {
        return e.write(operand(instr, 0)?, result, ScalarType::U32);
    }
    let result = e.b.ins().ireduce(types::I8, result);
    e.write(operand(instr, 0)?, result, ScalarType::Pred)
}

/// Host address of the barrier object that operand `n` names.
fn object(e: &mut Emitter<'_, '_>, instr: &Instr, n: usize) -> Emit<Value> {
    let Operand::Addr(address) = operand(instr, n)? else {
        return refuse("no address");
    };
    let access = Access::store(8);
    let (base, offset) = e.place(instr.mods.space, address, access)?;
    Ok(if offset == 0 {
        base
    } else {
        e.b.ins().iadd_imm_s(base, i64::from(offset))
    })
}

/// Instructions that change a barrier object.
fn change(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let at = usize::from(!matches!(instr.operands.first(), Some(Operand::Addr(_))));
    let pointer = object(e, instr, at)?;
    let amount = match instr.operands.get(at + 1) {
        Some(amount) => {
            let amount = e.read_u32(amount)?;
            wide(&mut e.b, amount)
        }
        None => iconst(&mut e.b, types::I64, 1),
    };
    if instr.op == Opcode::MbarrierInit {
        let expected = shl(&mut e.b, amount, COUNT_BITS);
        let word = e.b.ins().bor(expected, amount);
        e.b.ins().atomic_store(checked(), word, pointer);
        return Ok(());
    }
    let op = instr.op;
    let old = retry(&mut e.b, types::I64, pointer, &|b, old| {
        let changed = match op {
            Opcode::MbarrierExpectTx => bytes(b, old, amount, true),
            Opcode::MbarrierCompleteTx => {
                let word = bytes(b, old, amount, false);
                return settle(b, word);
            }
            Opcode::MbarrierArriveExpectTx => {
                let word = bytes(b, old, amount, true);
                b.ins().iadd_imm_s(word, -1)
            }
            Opcode::MbarrierArriveDropExpectTx => {
                let word = bytes(b, old, amount, true);
                b.ins().iadd_imm_s(word, -(1 + (1 << COUNT_BITS)))
            }
            Opcode::MbarrierArriveDrop => {
                let expected = b.ins().ishl_imm_u(amount, COUNT_BITS);
                let both = b.ins().bor(expected, amount);
                b.ins().isub(old, both)
            }
            _ => b.ins().isub(old, amount),
        };
        settle(b, changed)
    });
    if at == 1 {
        return e.write(operand(instr, 0)?, old, ScalarType::B64);
    }
    Ok(())
}

/// Adds to (or takes from) the bytes outstanding, leaving the parity alone.
fn bytes(b: &mut FunctionBuilder<'_>, word: Value, amount: Value, add: bool) -> Value {
    let moved = b.ins().ishl_imm_u(amount, BYTES_AT);
    let sum = if add {
        b.ins().iadd(word, moved)
    } else {
        b.ins().isub(word, moved)
    };
    let parity = iconst(b, types::I64, i64::MIN);
    b.ins().bitselect(parity, word, sum)
}

/// Starts the next phase if nothing is pending.
fn settle(b: &mut FunctionBuilder<'_>, word: Value) -> Value {
    let open = mask(b, word, OPEN_MASK);
    let complete = icmp_const(b, IntCC::Equal, open, 0);
    let expected = b.ins().ushr_imm_u(word, COUNT_BITS);
    let expected = mask(b, expected, COUNT_MASK);
    let flipped = iconst(b, types::I64, i64::MIN);
    let next = b.ins().bxor(word, flipped);
    let next = b.ins().bor(next, expected);
    b.ins().select(complete, next, word)
}

/// True once the phase of a state, or of a parity, is over.
fn wait(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let pointer = object(e, instr, 1)?;
    let word = ordered_load(e, types::I64, (pointer, 0));
    let now = e.b.ins().ushr_imm_u(word, 63);
    let phase = if instr.mods.parity {
        let parity = e.read_u32(operand(instr, 2)?)?;
        let parity = resize(&mut e.b, parity, types::I64, false);
        mask(&mut e.b, parity, 1)
    } else {
        let state = e.read(operand(instr, 2)?, ScalarType::B64)?;
        e.b.ins().ushr_imm_u(state, 63)
    };
    let over = e.b.ins().icmp(IntCC::NotEqual, now, phase);
    e.write(operand(instr, 0)?, over, ScalarType::Pred)
}

/// `cp.async.mbarrier.arrive`: the copies are complete at issue. Without `.noinc` the arrival is first added
/// to the pending ones, so nothing changes.
pub(crate) fn arrive_after_copies(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    if !instr.mods.noinc {
        return Ok(());
    }
    let pointer = object(e, instr, 0)?;
    retry(&mut e.b, types::I64, pointer, &|b, old| {
        let word = b.ins().iadd_imm_s(old, -1);
        settle(b, word)
    });
    Ok(())
}

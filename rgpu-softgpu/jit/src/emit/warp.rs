//! Operations of a warp. The old forms without a mask are taken as of all lanes that run.

use cranelift_codegen::ir::{InstBuilder, Value, types};
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{AtomOp, MatchMode, ScalarType, ShflMode, VoteMode};
use rgpu_softgpu_exec::libcalls::{redux, shfl, vote};

use super::util::{iconst, mask, resize};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Shfl => shuffle(e, instr),
        Opcode::Vote => vote_of(e, instr),
        Opcode::Match => match_of(e, instr),
        Opcode::Activemask => {
            let mask = active(e)?;
            e.write(operand(instr, 0)?, mask, ScalarType::U32)
        }
        Opcode::Redux => reduce(e, instr),
        _ => {
            let mask = e.read_u32(operand(instr, 1)?)?;
            let both = e.libcall_value("elect_sync", &[e.thread.ctx, mask])?;
            write_pair(e, operand(instr, 0)?, both, ScalarType::U32)
        }
    }
}

/// The lanes that run together with this one.
fn active(e: &mut Emitter<'_, '_>) -> Emit<Value> {
    // The number tells this instruction from others of its kernel.
    let number = (e.at << 20) ^ e.statement;
    let number = iconst(
        &mut e.b,
        types::I32,
        i64::try_from(number & 0xffff_ffff).unwrap_or(0),
    );
    e.libcall_value("activemask", &[e.thread.ctx, number])
}

/// The mask operand of a `.sync` form, or the running lanes for the old form.
fn lane_mask(e: &mut Emitter<'_, '_>, instr: &Instr, n: usize) -> Emit<Value> {
    match instr.operands.get(n) {
        Some(mask) => e.read_u32(mask),
        None => active(e),
    }
}

/// Writes a (value, predicate) result, bits 0..32 and bit 32.
fn write_pair(e: &mut Emitter<'_, '_>, target: &Operand, both: Value, ty: ScalarType) -> Emit {
    let value = e.b.ins().ireduce(types::I32, both);
    let Operand::Pair(pair) = target else {
        return e.write(target, value, ty);
    };
    let predicate = e.b.ins().ushr_imm_u(both, 32);
    let predicate = e.b.ins().ireduce(types::I8, predicate);
    e.write(&pair.0, value, ty)?;
    e.write(&pair.1, predicate, ScalarType::Pred)
}

fn shuffle(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let mode = match instr.mods.shfl {
        Some(ShflMode::Up) => shfl::UP,
        Some(ShflMode::Down) => shfl::DOWN,
        Some(ShflMode::Bfly) => shfl::BFLY,
        Some(ShflMode::Idx) => shfl::IDX,
        None => return refuse("no mode"),
    };
    // First, since the thread may stop there.
    let mask = lane_mask(e, instr, 4)?;
    let mode = iconst(&mut e.b, types::I32, i64::from(mode));
    let value = e.read(operand(instr, 1)?, ScalarType::B32)?;
    let lane = e.read_u32(operand(instr, 2)?)?;
    let clamp = e.read_u32(operand(instr, 3)?)?;
    let args = [e.thread.ctx, mode, value, lane, clamp, mask];
    let both = e.libcall_value("shfl_sync", &args)?;
    write_pair(e, operand(instr, 0)?, both, ScalarType::B32)
}

fn vote_of(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let mode = match instr.mods.vote {
        Some(VoteMode::All) => vote::ALL,
        Some(VoteMode::Any) => vote::ANY,
        Some(VoteMode::Uni) => vote::UNI,
        Some(VoteMode::Ballot) => vote::BALLOT,
        None => return refuse("no mode"),
    };
    // First, since the thread may stop there.
    let mask = lane_mask(e, instr, 2)?;
    let number = iconst(&mut e.b, types::I32, i64::from(mode));
    let predicate = e.read(operand(instr, 1)?, ScalarType::Pred)?;
    let predicate = e.b.ins().uextend(types::I32, predicate);
    let answer = e.libcall_value("vote_sync", &[e.thread.ctx, number, predicate, mask])?;
    if mode == vote::BALLOT {
        return e.write(operand(instr, 0)?, answer, ScalarType::B32);
    }
    let answer = e.b.ins().ireduce(types::I8, answer);
    e.write(operand(instr, 0)?, answer, ScalarType::Pred)
}

fn match_of(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let value = e.read_bits(operand(instr, 1)?, ty)?;
    let value = resize(&mut e.b, value, types::I64, false);
    let mask = e.read_u32(operand(instr, 2)?)?;
    let args = [e.thread.ctx, value, mask];
    if instr.mods.match_mode == Some(MatchMode::All) {
        let both = e.libcall_value("match_all_sync", &args)?;
        return write_pair(e, operand(instr, 0)?, both, ScalarType::U32);
    }
    let lanes = e.libcall_value("match_any_sync", &args)?;
    e.write(operand(instr, 0)?, lanes, ScalarType::U32)
}

fn reduce(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let op = match (instr.mods.atom, ty) {
        (Some(AtomOp::Min), ScalarType::F32) if instr.mods.nan => redux::MIN_NAN_F32,
        (Some(AtomOp::Min), ScalarType::F32) => redux::MIN_F32,
        (Some(AtomOp::Max), ScalarType::F32) if instr.mods.nan => redux::MAX_NAN_F32,
        (Some(AtomOp::Max), ScalarType::F32) => redux::MAX_F32,
        (_, ScalarType::F32) => return refuse("no such reduction"),
        (Some(AtomOp::Add), _) => redux::ADD,
        (Some(AtomOp::Min), ScalarType::S32) => redux::MIN_S32,
        (Some(AtomOp::Min), _) => redux::MIN_U32,
        (Some(AtomOp::Max), ScalarType::S32) => redux::MAX_S32,
        (Some(AtomOp::Max), _) => redux::MAX_U32,
        (Some(AtomOp::And), _) => redux::AND,
        (Some(AtomOp::Or), _) => redux::OR,
        (Some(AtomOp::Xor), _) => redux::XOR,
        _ => return refuse("no such reduction"),
    };
    let op = iconst(&mut e.b, types::I32, i64::from(op));
    let mut value = e.read(operand(instr, 1)?, ScalarType::B32)?;
    if instr.mods.abs {
        value = mask(&mut e.b, value, i64::from(i32::MAX));
    }
    let lanes = e.read_u32(operand(instr, 2)?)?;
    let result = e.libcall_value("redux_sync", &[e.thread.ctx, op, value, lanes])?;
    e.write(operand(instr, 0)?, result, ScalarType::B32)
}

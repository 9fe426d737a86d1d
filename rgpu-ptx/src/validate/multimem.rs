//! `multimem`: which operations, types, vectors and orderings go together. `ptxas` for sm_90 is the oracle; it also
//! takes `multimem.red.min` and `.max` of vectors of halves, which the manual does not list.

use super::{Check, mods::only};
use crate::{
    ast::Instr,
    instr_table::Opcode,
    types::{AtomOp, MemSem, ScalarType, StateSpace, VecWidth},
};

pub(super) fn check(instr: &Instr) -> Check {
    let m = &instr.mods;
    let space = matches!(m.space, None | Some(StateSpace::Global));
    only(space, "`multimem` works on global memory only")?;
    only(
        ordering(instr),
        "this memory ordering or scope does not go with this instruction",
    )?;
    let ty = instr.ty().unwrap_or(ScalarType::B32);
    if !vector(ty, m.vec) {
        return Err(format!("`multimem` needs another vector of .{ty}"));
    }
    let Some(op) = m.atom else { return Ok(()) };
    if !operation(instr.op, op, ty, m.vec) {
        return Err(format!("`multimem` `.{op}` does not exist for .{ty} here"));
    }
    let half = ty.is_half();
    only(
        !m.acc_f32 || half && op == AtomOp::Add,
        "`.acc::f32` is for sums of halves",
    )
}

/// Without an ordering, they are relaxed.
fn ordering(instr: &Instr) -> bool {
    let (sem, scope) = (instr.mods.sem, instr.mods.scope);
    match sem {
        None => scope.is_none(),
        Some(MemSem::Weak) => scope.is_none() && instr.op != Opcode::MultimemRed,
        Some(MemSem::Relaxed) => scope.is_some(),
        Some(MemSem::Acquire) => scope.is_some() && instr.op == Opcode::MultimemLdReduce,
        Some(MemSem::Release) => scope.is_some() && instr.op != Opcode::MultimemLdReduce,
        Some(_) => false,
    }
}

/// Single halves come in vectors only; a vector has up to 128 bits.
fn vector(ty: ScalarType, vec: Option<VecWidth>) -> bool {
    use ScalarType::{Bf16, Bf16x2, F16, F16x2, F32};
    match ty {
        F16 | Bf16 => vec.is_some(),
        F16x2 | Bf16x2 | F32 => vec != Some(VecWidth::V8),
        _ => vec.is_none(),
    }
}

fn operation(opcode: Opcode, op: AtomOp, ty: ScalarType, vec: Option<VecWidth>) -> bool {
    use AtomOp::{Add, And, Max, Min, Or, Xor};
    use ScalarType::{B32, B64, Bf16x2, F16x2, F32, F64, S64};
    match (op, ty) {
        (And | Or | Xor, B32 | B64) => true,
        (_, B32 | B64) => false,
        (Add, S64) => false,
        (Add, _) => true,
        (Min | Max, F32 | F64) => false,
        (Min | Max, F16x2 | Bf16x2) => opcode == Opcode::MultimemLdReduce || vec.is_some(),
        (Min | Max, _) => true,
        _ => false,
    }
}

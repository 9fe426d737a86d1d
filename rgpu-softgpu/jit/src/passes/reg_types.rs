//! Chooses the machine type of each register. Untyped 32- and 64-bit registers that mostly hold floats
//! (compilers since CUDA 13 declare all as `.b32`) live in float registers, which saves moves.

use cranelift_codegen::ir::{Type, types};
use rgpu_ptx::ast::{Body, Operand, StatementKind};
use rgpu_ptx::types::ScalarType;

use super::visit;

/// The machine type of a PTX type.
pub(crate) fn machine_type(ty: ScalarType) -> Type {
    match ty {
        ScalarType::F32 => types::F32,
        ScalarType::F64 => types::F64,
        ScalarType::Pred => types::I8,
        other => match other.size() {
            1 => types::I8,
            2 => types::I16,
            4 => types::I32,
            8 => types::I64,
            _ => types::I128,
        },
    }
}

/// One machine type per register of `body`.
pub(crate) fn run(body: &Body) -> Vec<Type> {
    let mut votes = vec![0_i64; body.regs.len()];
    for statement in &body.statements {
        let StatementKind::Instr(instr) = &statement.kind else {
            continue;
        };
        for (place, operand) in instr.operands.iter().enumerate() {
            let Some(ty) = operand_type(&instr.mods.types, place) else {
                continue;
            };
            let vote = match ty {
                ScalarType::F32 | ScalarType::F64 => 1,
                ScalarType::B32 | ScalarType::B64 => 0,
                _ => -1,
            };
            if !matches!(operand, Operand::Addr(_)) {
                visit::operand_regs(operand, &mut |reg| votes[reg.index()] += vote);
            }
        }
        for operand in &instr.operands {
            if let Operand::Addr(_) = operand {
                visit::operand_regs(operand, &mut |reg| votes[reg.index()] -= 1);
            }
        }
    }
    let choose = |(declared, votes): (&ScalarType, &i64)| match declared {
        ScalarType::B32 if *votes > 0 => types::F32,
        ScalarType::B64 if *votes > 0 => types::F64,
        declared => machine_type(*declared),
    };
    body.regs.iter().zip(&votes).map(choose).collect()
}

/// The written type that governs an operand: with two types, the first is the destination's.
fn operand_type(types: &[ScalarType], place: usize) -> Option<ScalarType> {
    match (types, place) {
        ([], _) => None,
        ([only], _) => Some(*only),
        ([first, ..], 0) => Some(*first),
        ([_, second, ..], _) => Some(*second),
    }
}

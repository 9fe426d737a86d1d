//! Branches that the first and the last of the threads that run together decide for all.

use std::collections::{BTreeMap, HashMap, HashSet};

use rgpu_ptx::ast::{Body, Instr, Operand, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CmpOp, SpecialReg};

use super::super::shape::Shape;
use super::{Ends, defs, only_writer, uses, writers};

/// Branches that a comparison of a progression with a value decides, of which first and last thread tell all.
pub(super) fn ends(
    body: &Body,
    shapes: &[Shape],
    fixed: &HashSet<Reg>,
    remade: &BTreeMap<Reg, Vec<usize>>,
) -> HashMap<usize, Ends> {
    let lasting = |reg: &Reg| {
        let uniform = shapes[reg.index()] == Shape::Uniform;
        remade.contains_key(reg) || uniform && fixed.contains(reg)
    };
    let writers = writers(body);
    let mut found = HashMap::new();
    for (at, statement) in body.statements.iter().enumerate() {
        let Some(guard) = statement.guard else {
            continue;
        };
        if shapes[guard.reg.index()] != Shape::Varying {
            continue;
        }
        let Some(setp) = only_writer(body, &writers, guard.reg) else {
            continue;
        };
        let StatementKind::Instr(instr) = &body.statements[setp].kind else {
            continue;
        };
        let unchanged = uses(&body.statements[setp]).iter().all(|reg| {
            let straight = |between: &Statement| {
                !matches!(between.kind, StatementKind::Label(_)) && !defs(between).contains(reg)
            };
            lasting(reg) || setp < at && body.statements[setp..at].iter().all(straight)
        });
        if let Some(step) = compared_step(instr, shapes).filter(|_| unchanged) {
            found.insert(
                at,
                Ends {
                    statement: setp,
                    step,
                    may_wrap: !is_index(body, &writers, &instr.operands[1]),
                },
            );
        }
    }
    found
}

/// Whether an operand is `%tid.x` itself, which is small.
fn is_index(body: &Body, writers: &[Vec<usize>], operand: &Operand) -> bool {
    let Operand::Reg(reg) = operand else {
        return false;
    };
    only_writer(body, writers, *reg).is_some_and(|at| {
        matches!(&body.statements[at].kind, StatementKind::Instr(instr)
            if instr.op == Opcode::Mov
                && instr.operands.get(1) == Some(&Operand::Special(SpecialReg::TidX)))
    })
}

/// The step of the left operand of a comparison with a value that all threads of the row share.
fn compared_step(instr: &Instr, shapes: &[Shape]) -> Option<i64> {
    let ordering = matches!(
        instr.mods.cmp?,
        CmpOp::Lt
            | CmpOp::Le
            | CmpOp::Gt
            | CmpOp::Ge
            | CmpOp::Lo
            | CmpOp::Ls
            | CmpOp::Hi
            | CmpOp::Hs
            | CmpOp::Eq
            | CmpOp::Ne
    );
    let ty = instr.ty()?;
    let plain = instr.op == Opcode::Setp
        && ordering
        && instr.operands.len() == 3
        && matches!(instr.operands[0], Operand::Reg(_))
        && matches!(ty.bits(), 32 | 64)
        && !ty.is_float()
        && ty.lane().is_none();
    let Operand::Reg(left) = instr.operands.get(1)? else {
        return None;
    };
    let right = match instr.operands.get(2)? {
        Operand::Reg(reg) => shapes[reg.index()].step(),
        Operand::Imm(_) => Some(0),
        _ => None,
    };
    match (plain, shapes[left.index()], right) {
        (true, Shape::Steps(step), Some(0)) if step > 0 => Some(step),
        _ => None,
    }
}

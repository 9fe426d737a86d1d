//! Registers that never change once they are set, and those of them that are computed again instead of being kept.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rgpu_ptx::ast::{Body, Instr, Operand, Reg, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{SpecialReg, StateSpace};

use super::super::shape::Shape;
use super::{REMAKE_LIMIT, only_writer, uses, writers};

/// Registers that have one value for a thread, whenever they are computed.
pub(super) fn fixed(body: &Body) -> HashSet<Reg> {
    let writers = writers(body);
    let mut found: HashSet<Reg> = HashSet::new();
    loop {
        let before = found.len();
        for index in 0..body.regs.len() {
            let Some(reg) = u32::try_from(index).ok().map(Reg) else {
                continue;
            };
            let Some(at) = only_writer(body, &writers, reg) else {
                continue;
            };
            let StatementKind::Instr(instr) = &body.statements[at].kind else {
                continue;
            };
            let known = uses(&body.statements[at])
                .iter()
                .all(|reg| found.contains(reg));
            if known && is_lasting(instr) {
                found.insert(reg);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether an instruction gives the same again when its operands are the same.
fn is_lasting(instr: &Instr) -> bool {
    use SpecialReg::{Clock, Clock64, ClockHi, GlobalTimer, GlobalTimerHi, GlobalTimerLo};
    let reads_time = |operand: &Operand| {
        matches!(
            operand,
            Operand::Special(
                Clock | Clock64 | ClockHi | GlobalTimer | GlobalTimerHi | GlobalTimerLo
            )
        )
    };
    if instr.operands.iter().any(reads_time) {
        return false;
    }
    match instr.op {
        Opcode::Ld => matches!(
            instr.mods.space,
            Some(StateSpace::Param | StateSpace::Const)
        ),
        Opcode::Atom | Opcode::Ldu => false,
        _ => true,
    }
}

/// Registers in arithmetic progression, and comparisons of such, that are computed again where a region begins.
pub(super) fn remade(
    body: &Body,
    shapes: &[Shape],
    fixed: &HashSet<Reg>,
) -> BTreeMap<Reg, Vec<usize>> {
    let writers = writers(body);
    let mut found = BTreeMap::new();
    for &reg in fixed {
        let compares = only_writer(body, &writers, reg).is_some_and(|at| {
            matches!(&body.statements[at].kind, StatementKind::Instr(instr) if instr.op == Opcode::Setp)
        });
        if !compares && !matches!(shapes[reg.index()], Shape::Steps(_)) {
            continue;
        }
        let mut needed = BTreeSet::new();
        let mut open = vec![reg];
        while let Some(next) = open.pop() {
            if shapes[next.index()] == Shape::Uniform {
                continue;
            }
            if shapes[next.index()] == Shape::Varying && next != reg {
                needed.extend(0..=REMAKE_LIMIT);
                break;
            }
            let Some(at) = only_writer(body, &writers, next) else {
                continue;
            };
            if needed.insert(at) {
                open.extend(uses(&body.statements[at]));
            }
        }
        let cheap = |at: &usize| {
            matches!(&body.statements[*at].kind, StatementKind::Instr(instr) if matches!(
                instr.op,
                Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Mad | Opcode::Mov | Opcode::Cvta
                    | Opcode::Shl | Opcode::Shr | Opcode::And | Opcode::Or | Opcode::Cvt
                    | Opcode::Setp
            ))
        };
        if needed.len() <= REMAKE_LIMIT && needed.iter().all(cheap) {
            found.insert(reg, needed.into_iter().collect());
        }
    }
    found
}

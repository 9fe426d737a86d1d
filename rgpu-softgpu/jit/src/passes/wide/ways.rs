//! Where the values of each register are while threads run together, and how each instruction runs for them.

use std::collections::HashMap;

use cranelift_codegen::ir::{Type, types};
use rgpu_ptx::ast::{AddrBase, Body, Instr, Operand, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CacheOp, CmpOp, MemSem, MulMode, Rounding, ScalarType};

use super::super::shape::Shape;
use super::{Kind, Way, defs, uses};

/// Where the values of each register are.
pub(super) fn kinds(body: &Body, machine: &[Type], shapes: &[Shape]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = (0..body.regs.len())
        .map(|at| kind(body.regs[at], machine[at], shapes[at]))
        .collect();
    let ways = ways(body, shapes, &kinds);
    for reg in seldom_vectors(body, &ways, &kinds) {
        kinds[reg.index()] = Kind::Lanes;
    }
    kinds
}

/// The register that stands for the group of another.
fn root(group: &mut [usize], mut at: usize) -> usize {
    while group[at] != at {
        group[at] = group[group[at]];
        at = group[at];
    }
    at
}

/// Registers that instructions which run in vectors share, but which others need as single values so often that moving
/// them between the two costs more than the vectors save.
fn seldom_vectors(body: &Body, ways: &HashMap<usize, Way>, kinds: &[Kind]) -> Vec<Reg> {
    // Registers that share an instruction are in vectors together: `group` leads to a common one.
    let mut group: Vec<usize> = (0..kinds.len()).collect();
    let touched = |statement: &Statement| {
        let mut regs = defs(statement);
        regs.extend(uses(statement));
        regs.retain(|reg| kinds[reg.index()] == Kind::Vector);
        regs
    };
    for (at, statement) in body.statements.iter().enumerate() {
        if ways.get(&at) == Some(&Way::Parts) {
            let regs = touched(statement);
            for pair in regs.windows(2) {
                let [one, other] = [pair[0], pair[1]].map(|reg| root(&mut group, reg.index()));
                group[one] = other;
            }
        }
    }
    // Instructions in vectors, and moves from and to them.
    let mut counts = vec![(0_usize, 0_usize); kinds.len()];
    for (at, statement) in body.statements.iter().enumerate() {
        let in_vectors = ways.get(&at) == Some(&Way::Parts);
        let regs = touched(statement);
        for (number, reg) in regs.iter().enumerate() {
            let counts = &mut counts[root(&mut group, reg.index())];
            match in_vectors {
                true if number == 0 => counts.0 += 1,
                true => {}
                false => counts.1 += 1,
            }
        }
    }
    // Threads that run together vote with masks.
    for (index, ty) in body.regs.iter().enumerate() {
        if *ty == ScalarType::Pred {
            counts[root(&mut group, index)].0 = usize::MAX;
        }
    }
    let mut seldom = |index: &usize| {
        let (in_vectors, moves) = counts[root(&mut group, *index)];
        kinds[*index] == Kind::Vector && in_vectors < 2 * moves
    };
    (0..kinds.len())
        .filter(|index| seldom(index))
        .filter_map(|index| u32::try_from(index).ok().map(Reg))
        .collect()
}

fn kind(declared: ScalarType, machine: Type, shape: Shape) -> Kind {
    match (shape, machine) {
        (Shape::Uniform | Shape::Steps(_) | Shape::Unset, _) => Kind::Base,
        (Shape::Varying, types::F32 | types::I32) => Kind::Vector,
        (Shape::Varying, types::I8) if declared == ScalarType::Pred => Kind::Vector,
        (Shape::Varying, _) => Kind::Lanes,
    }
}

/// How each instruction runs.
pub(super) fn ways(body: &Body, shapes: &[Shape], kinds: &[Kind]) -> HashMap<usize, Way> {
    let mut ways = HashMap::new();
    for (at, statement) in body.statements.iter().enumerate() {
        if let StatementKind::Instr(instr) = &statement.kind {
            let defs = defs(statement);
            ways.insert(at, way(body, instr, &defs, shapes, kinds));
        }
    }
    ways
}

fn way(body: &Body, instr: &Instr, defs: &[Reg], shapes: &[Shape], kinds: &[Kind]) -> Way {
    use Opcode::*;
    let based = defs.iter().all(|reg| kinds[reg.index()] == Kind::Base);
    let step = |operand: &Operand| match operand {
        Operand::Reg(reg) => shapes[reg.index()].step(),
        Operand::Imm(_) | Operand::Symbol { .. } => Some(0),
        Operand::Addr(address) => match address.base {
            AddrBase::Reg(reg) => shapes[reg.index()].step(),
            _ => Some(0),
        },
        _ => None,
    };
    match instr.op {
        Ld if !based => match step(&instr.operands[1]) {
            Some(4) if is_word(instr) && is_vector_operand(body, &instr.operands[0], kinds) => {
                Way::Parts
            }
            _ => Way::Lanes,
        },
        St => match (step(&instr.operands[0]), step(&instr.operands[1])) {
            (Some(0), Some(0)) => Way::Once,
            (Some(4), _)
                if is_word(instr) && is_vector_operand(body, &instr.operands[1], kinds) =>
            {
                Way::Parts
            }
            _ => Way::Lanes,
        },
        Atom | Red => Way::Lanes,
        _ if based => Way::Once,
        _ if defs.len() == 1 && is_vector(body, instr, kinds) => Way::Parts,
        _ => Way::Lanes,
    }
}

/// An access of one 32-bit word in no particular order.
fn is_word(instr: &Instr) -> bool {
    let weak = matches!(instr.mods.sem, None | Some(MemSem::Weak));
    let plain = weak && !instr.mods.mmio && instr.mods.cache != Some(CacheOp::Cv);
    let word = instr
        .ty()
        .is_some_and(|ty| ty.bits() == 32 && ty.lane().is_none());
    plain && word && instr.mods.vec.is_none()
}

/// Whether an operand can be read as a vector of 32-bit values or of predicates.
fn is_vector_operand(body: &Body, operand: &Operand, kinds: &[Kind]) -> bool {
    match operand {
        Operand::Imm(_) => true,
        Operand::Reg(reg) | Operand::NotPred(reg) => {
            let ty = body.reg_type(*reg);
            let fits = ty.bits() == 32 || ty == ScalarType::Pred;
            fits && kinds[reg.index()] != Kind::Lanes
        }
        _ => false,
    }
}

/// Whether the instruction's family computes it with vectors as it does with single values.
fn is_vector(body: &Body, instr: &Instr, kinds: &[Kind]) -> bool {
    use Opcode::*;
    use ScalarType::{B32, F32, Pred, S32, U32};
    let mods = &instr.mods;
    let typed = mods
        .types
        .iter()
        .all(|ty| matches!(ty, F32 | S32 | U32 | B32 | Pred));
    let operands = instr
        .operands
        .iter()
        .all(|operand| is_vector_operand(body, operand, kinds));
    let nearest = matches!(mods.rounding, None | Some(Rounding::Rn));
    if !typed || !operands || !nearest {
        return false;
    }
    let float = instr.ty() == Some(F32);
    let constant = |n: usize| matches!(instr.operands.get(n), Some(Operand::Imm(_)));
    match instr.op {
        Add | Sub => float || !mods.sat,
        Mad if float => has_vector_fma(),
        Mul | Mad => float || mods.mul == Some(MulMode::Lo) && !mods.sat,
        Fma => has_vector_fma(),
        Neg | Mov | Selp => true,
        And | Or | Xor | Not => true,
        Min | Max => !float || !mods.xorsign && !mods.abs,
        Abs => float,
        Div | Rcp => float && !mods.approx && !mods.full,
        Sqrt => float && !mods.approx,
        Shl | Shr => constant(2),
        // The two that the machine has no vector comparison for.
        Setp => !float || !matches!(mods.cmp, Some(CmpOp::Ne | CmpOp::Equ)),
        _ => false,
    }
}

/// Whether the machine multiplies and adds vectors of floats in one step.
fn has_vector_fma() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

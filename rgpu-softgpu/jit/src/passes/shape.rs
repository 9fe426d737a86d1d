//! How a register's value varies between the threads of a row (those that differ in `%tid.x` only), for all that is ever
//! written to it: the same in the whole block, an arithmetic progression in `%tid.x`, or anything.

use std::collections::HashSet;

use rgpu_ptx::ast::{AddrBase, Body, Imm, Instr, Operand, Reg, Statement, StatementKind, Symbol};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CacheOp, MemSem, MulMode, ScalarType, SpecialReg, StateSpace};

use super::flow::{self, Block};
use super::visit;

/// Largest step that is followed, in either direction.
const STEP_LIMIT: i64 = 1 << 20;

/// How a value varies between threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not written yet.
    Unset,
    /// The same in all threads of the block.
    Uniform,
    /// In a row of threads, each has this much more than the one before; wraps in the register's width.
    Steps(i64),
    /// Anything.
    Varying,
}

impl Shape {
    /// The step between threads of a row, if there is one.
    pub(crate) fn step(self) -> Option<i64> {
        match self {
            Self::Uniform => Some(0),
            Self::Steps(step) => Some(step),
            Self::Unset | Self::Varying => None,
        }
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unset, shape) | (shape, Self::Unset) => shape,
            (Self::Uniform, Self::Uniform) => Self::Uniform,
            (a, b) if a.step().is_some() && a.step() == b.step() => {
                Self::Steps(a.step().unwrap_or(0))
            }
            _ => Self::Varying,
        }
    }

    fn steps(step: Option<i64>) -> Self {
        match step {
            Some(step) if step.abs() <= STEP_LIMIT => Self::Steps(step),
            _ => Self::Varying,
        }
    }

    /// Of what is computed from two values.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unset, _) | (_, Self::Unset) => Self::Unset,
            (Self::Uniform, Self::Uniform) => Self::Uniform,
            (a, b) if a.step() == Some(0) && b.step() == Some(0) => Self::Steps(0),
            _ => Self::Varying,
        }
    }

    fn plus(self, other: Self, sign: i64) -> Self {
        match (self.with(other), self.step(), other.step()) {
            (Self::Varying, Some(a), Some(b)) => Self::steps(Some(a + sign * b)),
            (shape, _, _) => shape,
        }
    }

    fn times(self, factor: Self, number: Option<i64>) -> Self {
        match (self.with(factor), self.step(), number) {
            (Self::Varying, Some(step), Some(number)) => Self::steps(step.checked_mul(number)),
            (shape, _, _) => shape,
        }
    }
}

/// What the pass found.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    /// By register.
    pub(crate) of: Vec<Shape>,
    /// Registers that follow their shape only as long as the threads of a row go the same way.
    pub(crate) fragile: HashSet<Reg>,
}

/// Analyses a kernel. Registers of `varying` are taken to vary.
pub(crate) fn run(body: &Body, varying: &HashSet<Reg>) -> Shapes {
    let blocks = flow::blocks(body);
    let joins = flow::post_dominators(&blocks);
    let mut of = vec![Shape::Unset; body.regs.len()];
    for reg in varying {
        of[reg.index()] = Shape::Varying;
    }
    let analysis = Analysis {
        body,
        blocks: &blocks,
        joins: &joins,
    };
    // Where not all threads of the block go.
    let mut parted = HashSet::new();
    loop {
        let before = of.clone();
        let branches = |of: &[Shape]| analysis.under(&|shape| shape != Shape::Uniform, of);
        parted.extend(branches(&of));
        for (at, statement) in body.statements.iter().enumerate() {
            analysis.step(statement, parted.contains(&at), &mut of);
        }
        if of == before {
            break;
        }
    }
    let mut diverged = analysis.under(&|shape| shape == Shape::Varying, &of);
    for (at, statement) in body.statements.iter().enumerate() {
        if statement
            .guard
            .is_some_and(|guard| of[guard.reg.index()] == Shape::Varying)
        {
            diverged.insert(at);
        }
    }
    let fragile = analysis.spread(&diverged);
    Shapes { of, fragile }
}

struct Analysis<'a> {
    body: &'a Body,
    blocks: &'a [Block],
    joins: &'a [Option<usize>],
}

impl Analysis<'_> {
    /// Statements whose execution depends on a branch on a predicate of such a shape.
    fn under(&self, parts: &dyn Fn(Shape) -> bool, of: &[Shape]) -> HashSet<usize> {
        let mut found = HashSet::new();
        for (number, block) in self.blocks.iter().enumerate() {
            let last = &self.body.statements[block.end - 1];
            let Some(guard) = last.guard else { continue };
            let decides = block.successors.len() > 1 || block.may_end;
            if !decides || !parts(of[guard.reg.index()]) || of[guard.reg.index()] == Shape::Unset {
                continue;
            }
            let mut open = block.successors.clone();
            let mut seen = HashSet::new();
            while let Some(at) = open.pop() {
                if Some(at) == self.joins[number] || !seen.insert(at) {
                    continue;
                }
                found.extend(self.blocks[at].start..self.blocks[at].end);
                open.extend(&self.blocks[at].successors);
            }
        }
        found
    }

    /// Registers that are written at some statements, or computed from such.
    fn spread(&self, statements: &HashSet<usize>) -> HashSet<Reg> {
        let mut found = HashSet::new();
        loop {
            let before = found.len();
            for (at, statement) in self.body.statements.iter().enumerate() {
                let mut taken = statements.contains(&at);
                visit::uses(statement, &mut |reg| taken |= found.contains(&reg));
                if taken {
                    visit::defs(statement, &mut |reg| {
                        found.insert(reg);
                    });
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    fn step(&self, statement: &Statement, parted: bool, of: &mut [Shape]) {
        let StatementKind::Instr(instr) = &statement.kind else {
            visit::defs(statement, &mut |reg| of[reg.index()] = Shape::Varying);
            return;
        };
        let guard = statement.guard.map(|guard| of[guard.reg.index()]);
        let apart = parted || guard.is_some_and(|shape| shape != Shape::Uniform);
        let mut shape = result(self.body, instr, of);
        if apart && shape == Shape::Uniform {
            shape = Shape::Steps(0);
        }
        visit::defs(statement, &mut |reg| {
            let old = of[reg.index()];
            of[reg.index()] = old.join(shape);
        });
    }
}

fn operand_shape(operand: &Operand, of: &[Shape]) -> Shape {
    match operand {
        Operand::Reg(reg) | Operand::NotPred(reg) | Operand::Part { reg, .. } => of[reg.index()],
        Operand::Imm(_) | Operand::Sink => Shape::Uniform,
        Operand::Symbol { .. } => Shape::Uniform,
        Operand::Special(special) => special_shape(*special),
        Operand::Addr(address) => match address.base {
            AddrBase::Reg(reg) => of[reg.index()],
            AddrBase::Symbol(_) | AddrBase::Absolute => Shape::Uniform,
        },
        Operand::Vec(items) => items
            .iter()
            .map(|item| operand_shape(item, of))
            .fold(Shape::Uniform, Shape::with),
        Operand::Pair(pair) => operand_shape(&pair.0, of).with(operand_shape(&pair.1, of)),
    }
}

fn special_shape(special: SpecialReg) -> Shape {
    use SpecialReg::*;
    match special {
        TidX => Shape::Steps(1),
        TidY | TidZ => Shape::Steps(0),
        LaneId | WarpId | LanemaskEq | LanemaskLe | LanemaskLt | LanemaskGe | LanemaskGt => {
            Shape::Varying
        }
        Clock | ClockHi | Clock64 | GlobalTimer | GlobalTimerLo | GlobalTimerHi => Shape::Varying,
        _ => Shape::Uniform,
    }
}

fn number(operand: Option<&Operand>) -> Option<i64> {
    match operand {
        Some(Operand::Imm(Imm::Int(value))) => Some(*value),
        _ => None,
    }
}

/// Bits of an integer type in which arithmetic progressions are followed.
fn follows(ty: Option<ScalarType>) -> bool {
    ty.is_some_and(|ty| matches!(ty.bits(), 32 | 64) && !ty.is_float() && ty.lane().is_none())
}

/// The shape of what an instruction writes.
fn result(body: &Body, instr: &Instr, of: &[Shape]) -> Shape {
    let shape = |n: usize| {
        instr
            .operands
            .get(n)
            .map_or(Shape::Uniform, |operand| operand_shape(operand, of))
    };
    let sources = instr.operands.iter().skip(1);
    let all = sources
        .map(|operand| operand_shape(operand, of))
        .fold(Shape::Uniform, Shape::with);
    match instr.op {
        Opcode::Ld | Opcode::Ldu => return load(instr, all),
        // What comes back is another for each thread.
        Opcode::Atom => return Shape::Varying,
        _ if instr.mods.cc => return Shape::Varying,
        _ => {}
    }
    if all != Shape::Varying || !follows(instr.ty()) || instr.mods.sat {
        return all;
    }
    match instr.op {
        Opcode::Add => shape(1).plus(shape(2), 1),
        Opcode::Sub => shape(1).plus(shape(2), -1),
        Opcode::Mov => match &instr.operands[1] {
            Operand::Vec(_) => all,
            _ => shape(1),
        },
        Opcode::Cvta => shape(1),
        Opcode::Shl => match number(instr.operands.get(2)) {
            Some(count @ 0..=20) => shape(1).times(shape(2), Some(1 << count)),
            _ => all,
        },
        Opcode::Mul if instr.mods.mul != Some(MulMode::Hi) => product(instr, &shape),
        Opcode::Mad if instr.mods.mul != Some(MulMode::Hi) => {
            product(instr, &shape).plus(shape(3), 1)
        }
        Opcode::Cvt => converted(body, instr, shape(1)),
        _ => all,
    }
}

fn product(instr: &Instr, shape: &dyn Fn(usize) -> Shape) -> Shape {
    let [left, right] = [1, 2].map(|n| number(instr.operands.get(n)));
    match (left, right) {
        (_, Some(factor)) => shape(1).times(shape(2), Some(factor)),
        (Some(factor), _) => shape(2).times(shape(1), Some(factor)),
        _ => shape(1).times(shape(2), None),
    }
}

/// Widening from 32 to 64 bits keeps steps, if nothing wraps; that is checked where it happens.
fn converted(body: &Body, instr: &Instr, source: Shape) -> Shape {
    let [Some(to), Some(from)] = [0, 1].map(|n| instr.mods.types.get(n).copied()) else {
        return Shape::Varying;
    };
    let Operand::Reg(reg) = &instr.operands[1] else {
        return Shape::Varying;
    };
    let whole = body.reg_type(*reg).bits() == from.bits();
    let plain = follows(Some(to)) && follows(Some(from)) && whole && to.bits() >= from.bits();
    if plain { source } else { Shape::Varying }
}

fn load(instr: &Instr, address: Shape) -> Shape {
    let ordered = instr.mods.mmio
        || instr.mods.cache == Some(CacheOp::Cv)
        || !matches!(instr.mods.sem, None | Some(MemSem::Weak));
    let parameter = matches!(
        instr.operands.get(1),
        Some(Operand::Addr(address)) if matches!(address.base, AddrBase::Symbol(Symbol::Param(_)))
    );
    match address.step() {
        None => address,
        _ if ordered => Shape::Varying,
        Some(0) if parameter => Shape::Uniform,
        Some(0) if instr.mods.space == Some(StateSpace::Const) => address,
        Some(0) => Shape::Steps(0),
        Some(_) => Shape::Varying,
    }
}

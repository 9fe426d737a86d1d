//! Whether a kernel can run a block per call, several threads of a row at a time in vector registers, and how.
//!
//! The threads of a block run one region after the other ([`super::regions`]). Within a region, [`LANES`] threads that
//! follow each other in a row run together as long as they go the same way; where they part, each runs the rest of the
//! region by itself. Registers that live from one region into another lie in the block's frames, but for those that are
//! the same in the whole block, and those that are cheaper computed again.

mod ends;
mod remade;
mod ways;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cranelift_codegen::ir::{Type, types};
use rgpu_ptx::ast::{Body, Imm, Instr, Operand, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{MulMode, SpecialReg};

use super::frames::Frames;
use super::gain;
use super::live::Live;
use super::meet::Meeting;
use super::reach::Reached;
use super::regions::{self, End, Regions};
use super::shape::{self, Shape};
use super::visit;

/// Lanes of a vector register.
pub(crate) const VECTOR: usize = 4;
/// Vector registers that hold one PTX register.
pub(crate) const PARTS: usize = 4;
/// Threads that run together.
pub(crate) const LANES: usize = VECTOR * PARTS;
/// Longer kernels are compiled in the usual way: here each statement is compiled twice.
const STATEMENT_LIMIT: usize = 2000;
/// Most statements that are worth computing again instead of keeping their result.
const REMAKE_LIMIT: usize = 6;

/// Where the values of a register are while threads run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first thread's value; the others follow by the shape's step.
    Base,
    /// In vector registers; predicates as masks.
    Vector,
    /// One value for each thread.
    Lanes,
}

/// How a statement runs for threads that run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// For the first of them.
    Once,
    /// In vectors.
    Parts,
    /// For one after the other.
    Lanes,
}

/// A comparison whose outcome for all threads follows from those of the first and the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    /// The `setp`.
    pub(crate) statement: usize,
    /// What the left operand differs by from thread to thread.
    pub(crate) step: i64,
    /// Whether it may wrap.
    pub(crate) may_wrap: bool,
}

/// How a kernel runs a block per call.
#[derive(Debug, Clone)]
pub(crate) struct Wide {
    pub(crate) regions: Regions,
    /// Threads run together; else one by one, but a block per call all the same.
    pub(crate) together: bool,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) ways: HashMap<usize, Way>,
    /// Registers that live where a region begins or ends, or threads may part.
    pub(crate) live: HashMap<usize, Vec<Reg>>,
    /// Statements that threads reach together, and maybe leave each by itself.
    pub(crate) parting: BTreeSet<usize>,
    /// Statements that widen an arithmetic progression, which must not wrap.
    pub(crate) widening: HashSet<usize>,
    /// For branches: the comparison that decides them.
    pub(crate) ends: HashMap<usize, Ends>,
    /// Registers that are computed again wherever they are needed, and the statements that do.
    pub(crate) remade: BTreeMap<Reg, Vec<usize>>,
    /// Where a thread's frame holds a register.
    pub(crate) slots: HashMap<Reg, u32>,
    /// Bytes of a thread's frame.
    pub(crate) frame_size: u32,
}

impl Wide {
    /// What a register needs in a frame.
    pub(crate) fn kept_type(kind: Kind, machine: Type) -> Type {
        match (kind, machine) {
            (Kind::Vector, types::I8) => types::I32,
            (_, machine) => machine,
        }
    }
}

/// Plans it; `None` if the kernel must run in another way.
pub(crate) fn run(
    reached: &Reached,
    meeting: &Meeting,
    frames: &Frames,
    live: &Live<'_>,
    machine: &[Type],
) -> Option<Wide> {
    let [kernel] = reached.functions.as_slice() else {
        return None;
    };
    let body = &kernel.body;
    let plain = frames.local_size == 0
        && body.statements.len() <= STATEMENT_LIMIT
        && meeting.yields.iter().all(BTreeSet::is_empty)
        && live.at_entry().iter().next().is_none()
        && body.statements.iter().all(is_plain);
    if !plain {
        return None;
    }
    let regions = regions::run(body)?;
    let mut cuts: BTreeSet<usize> = regions.barriers.union(&regions.branches).copied().collect();
    cuts.extend(regions.regions.iter().map(|region| region.start));
    let (shapes, fixed) = shapes(body, live, &cuts);
    let uniform = |at: &usize| {
        body.statements[*at]
            .guard
            .is_some_and(|guard| shapes[guard.reg.index()] == Shape::Uniform)
    };
    if !regions.branches.iter().all(uniform) {
        return None;
    }
    let kinds = ways::kinds(body, machine, &shapes);
    let remade = remade::remade(body, &shapes, &fixed);
    let mut wide = Wide {
        ways: ways::ways(body, &shapes, &kinds),
        ends: ends::ends(body, &shapes, &fixed, &remade),
        widening: widening(body, &shapes),
        remade,
        regions,
        shapes,
        kinds,
        together: true,
        live: HashMap::new(),
        parting: BTreeSet::new(),
        slots: HashMap::new(),
        frame_size: 0,
    };
    wide.parting = (0..body.statements.len())
        .filter(|at| wide.widening.contains(at) || wide.varying_guard(&body.statements[*at]))
        .collect();
    wide.together = gain::pays(body, &wide.ways, !wide.regions.barriers.is_empty());
    wide.keep(body, live, &cuts);
    wide.place(machine);
    Some(wide)
}

/// Shapes that hold from region to region, and the registers that never change once they are set.
fn shapes(body: &Body, live: &Live<'_>, cuts: &BTreeSet<usize>) -> (Vec<Shape>, HashSet<Reg>) {
    let mut crossing = HashSet::new();
    live.around(&|at| cuts.contains(&at), &mut |_, before, _| {
        crossing.extend(registers(before, live));
    });
    let mut varying = HashSet::new();
    loop {
        let shapes = shape::run(body, &varying);
        let before = varying.len();
        varying.extend(shapes.fragile.into_iter().filter(|reg| {
            let stepping = shapes.of[reg.index()] != Shape::Varying;
            stepping && crossing.contains(reg)
        }));
        if varying.len() == before {
            let fixed = remade::fixed(body);
            return (shapes.of, fixed);
        }
    }
}

fn registers<'a>(
    set: &'a super::live::BitSet,
    live: &'a Live<'_>,
) -> impl Iterator<Item = Reg> + 'a {
    set.iter()
        .filter(|index| *index != live.carry())
        .filter_map(|index| u32::try_from(index).ok().map(Reg))
}

/// Whether a statement may be part of a kernel that runs a block per call.
fn is_plain(statement: &Statement) -> bool {
    use Opcode::*;
    let instr = match &statement.kind {
        StatementKind::Label(_) | StatementKind::Branch { .. } | StatementKind::Pragma(_) => {
            return true;
        }
        StatementKind::Instr(instr) => instr,
        _ => return false,
    };
    if instr.mods.cc {
        return false;
    }
    match instr.op {
        BarSync => statement.guard.is_none() && instr.operands.len() == 1 && is_zero(instr),
        Add
        | Sub
        | Mul
        | Mad
        | Fma
        | Div
        | Abs
        | Neg
        | Min
        | Max
        | Mul24
        | Mad24
        | Sad
        | Rem
        | Dp4a
        | Dp2a
        | Popc
        | Clz
        | Bfind
        | Fns
        | Brev
        | Bfe
        | Bfi
        | Bmsk
        | Szext
        | Prmt
        | And
        | Or
        | Xor
        | Not
        | Cnot
        | Lop3
        | Shl
        | Shr
        | Shf
        | Rcp
        | Sqrt
        | Rsqrt
        | Sin
        | Cos
        | Lg2
        | Ex2
        | Tanh
        | Copysign
        | Testp
        | Set
        | Setp
        | Selp
        | Slct
        | Cvt
        | CvtPack
        | Mov
        | Cvta
        | Isspacep
        | Ld
        | Ldu
        | St
        | Prefetch
        | Prefetchu
        | Discard
        | Applypriority
        | CreatePolicyFractional
        | Atom
        | Red
        | Membar
        | Fence
        | Ret
        | Exit
        | Trap
        | Brkpt
        | Vadd
        | Vsub
        | Vabsdiff
        | Vmin
        | Vmax
        | Vshl
        | Vshr
        | Vmad
        | Vset
        | Vadd2
        | Vsub2
        | Vavrg2
        | Vabsdiff2
        | Vmin2
        | Vmax2
        | Vset2
        | Vadd4
        | Vsub4
        | Vavrg4
        | Vabsdiff4
        | Vmin4
        | Vmax4
        | Vset4 => true,
        _ => false,
    }
}

fn is_zero(instr: &Instr) -> bool {
    instr.operands.first() == Some(&Operand::Imm(Imm::Int(0)))
}

fn defs(statement: &Statement) -> Vec<Reg> {
    let mut found = Vec::new();
    visit::defs(statement, &mut |reg| found.push(reg));
    found
}

fn uses(statement: &Statement) -> Vec<Reg> {
    let mut found = Vec::new();
    visit::uses(statement, &mut |reg| found.push(reg));
    found
}

/// Statements that write a register, by register.
fn writers(body: &Body) -> Vec<Vec<usize>> {
    let mut writers = vec![Vec::new(); body.regs.len()];
    for (at, statement) in body.statements.iter().enumerate() {
        for reg in defs(statement) {
            writers[reg.index()].push(at);
        }
    }
    writers
}

/// The only statement that writes a register, if that is always run in full.
fn only_writer(body: &Body, writers: &[Vec<usize>], reg: Reg) -> Option<usize> {
    match writers[reg.index()].as_slice() {
        [at] if body.statements[*at].guard.is_none() => Some(*at),
        _ => None,
    }
}

/// Statements that extend a progression of 32 bits to 64.
fn widening(body: &Body, shapes: &[Shape]) -> HashSet<usize> {
    let steps = |operand: Option<&Operand>| match operand {
        Some(Operand::Reg(reg)) => {
            matches!(shapes[reg.index()], Shape::Steps(step) if step != 0)
        }
        Some(Operand::Special(SpecialReg::TidX)) => false,
        _ => false,
    };
    let widens = |statement: &Statement| {
        let StatementKind::Instr(instr) = &statement.kind else {
            return false;
        };
        let to_base = defs(statement)
            .iter()
            .all(|reg| matches!(shapes[reg.index()], Shape::Steps(_)));
        let wide = match instr.op {
            Opcode::Mul | Opcode::Mad => instr.mods.mul == Some(MulMode::Wide),
            Opcode::Cvt => match &instr.mods.types[..] {
                [to, from] => to.bits() > from.bits(),
                _ => false,
            },
            _ => false,
        };
        wide && to_base && (steps(instr.operands.get(1)) || steps(instr.operands.get(2)))
    };
    (0..body.statements.len())
        .filter(|at| widens(&body.statements[*at]))
        .collect()
}

impl Wide {
    /// Whether threads that run together may have different guards.
    pub(crate) fn varying_guard(&self, statement: &Statement) -> bool {
        statement
            .guard
            .is_some_and(|guard| self.shapes[guard.reg.index()] == Shape::Varying)
    }

    /// What is live at a statement.
    pub(crate) fn live_at(&self, at: usize) -> &[Reg] {
        self.live.get(&at).map_or(&[], Vec::as_slice)
    }

    /// Whether a register of a live set must be kept in the frame.
    pub(crate) fn is_kept(&self, reg: Reg) -> bool {
        self.shapes[reg.index()] != Shape::Uniform && !self.remade.contains_key(&reg)
    }

    fn keep(&mut self, body: &Body, live: &Live<'_>, cuts: &BTreeSet<usize>) {
        let mut wanted = cuts.clone();
        wanted.extend(&self.parting);
        wanted.extend(
            self.regions
                .regions
                .iter()
                .filter_map(|region| match region.end {
                    End::At(at) => Some(at),
                    End::Exit => None,
                }),
        );
        let mut found = HashMap::new();
        live.around(&|at| wanted.contains(&at), &mut |at, before, _| {
            let mut regs: BTreeSet<Reg> = registers(before, live).collect();
            regs.extend(self.compared_in(body, at));
            let again: Vec<usize> = regs
                .iter()
                .filter_map(|reg| self.remade.get(reg))
                .flatten()
                .copied()
                .collect();
            // What is the same in the whole block lives as long as what is computed again from it.
            for reg in again.iter().flat_map(|at| uses(&body.statements[*at])) {
                if self.shapes[reg.index()] == Shape::Uniform {
                    regs.insert(reg);
                }
            }
            found.insert(at, regs.into_iter().collect());
        });
        self.live = found;
    }

    /// What the comparisons take that decide branches of the region that begins at a statement, but were made before it.
    fn compared_in(&self, body: &Body, start: usize) -> BTreeSet<Reg> {
        let region = self
            .regions
            .regions
            .iter()
            .find(|region| region.start == start);
        let inside = region.map_or(&[][..], |region| &region.statements);
        let made = inside.iter().filter_map(|at| self.ends.get(at));
        made.filter(|ends| inside.binary_search(&ends.statement).is_err())
            .flat_map(|ends| uses(&body.statements[ends.statement]))
            .collect()
    }

    fn place(&mut self, machine: &[Type]) {
        let kept: BTreeSet<Reg> = self
            .live
            .values()
            .flatten()
            .copied()
            .filter(|reg| self.is_kept(*reg))
            .collect();
        let bytes =
            |reg: Reg| Self::kept_type(self.kinds[reg.index()], machine[reg.index()]).bytes();
        let mut ordered: Vec<Reg> = kept.into_iter().collect();
        ordered.sort_by_key(|reg| std::cmp::Reverse(bytes(*reg)));
        let mut top = 0;
        for reg in ordered {
            self.slots.insert(reg, top);
            top += bytes(reg);
        }
        self.frame_size = top.next_multiple_of(16);
    }
}

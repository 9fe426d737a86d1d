//! Whether a kernel can run a block per call, several threads of a row at a time in vector registers, and how.
//!
//! The threads of a block run one region after the other ([`super::regions`]). Within a region, [`LANES`] threads that
//! follow each other in a row run together as long as they go the same way; where they part, each runs the rest of the
//! region by itself. Registers that live from one region into another lie in the block's frames, but for those that are
//! the same in the whole block, and those that are cheaper computed again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cranelift_codegen::ir::{Type, types};
use rgpu_ptx::ast::{AddrBase, Body, Imm, Instr, Operand, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{
    CacheOp, CmpOp, MemSem, MulMode, Rounding, ScalarType, SpecialReg, StateSpace,
};

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
pub(crate) const PARTS: usize = 2;
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
    let kinds = kinds(body, machine, &shapes);
    let remade = remade(body, &shapes, &fixed);
    let mut wide = Wide {
        ways: ways(body, &shapes, &kinds),
        ends: ends(body, &shapes, &fixed, &remade),
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
            let fixed = fixed(body);
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

/// Where the values of each register are.
fn kinds(body: &Body, machine: &[Type], shapes: &[Shape]) -> Vec<Kind> {
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

/// Registers that have one value for a thread, whenever they are computed.
fn fixed(body: &Body) -> HashSet<Reg> {
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
fn remade(body: &Body, shapes: &[Shape], fixed: &HashSet<Reg>) -> BTreeMap<Reg, Vec<usize>> {
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

/// How each instruction runs.
fn ways(body: &Body, shapes: &[Shape], kinds: &[Kind]) -> HashMap<usize, Way> {
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

/// Branches that a comparison of a progression with a value decides, of which first and last thread tell all.
fn ends(
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

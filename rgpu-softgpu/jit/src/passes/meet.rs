//! Finds out whether threads of a kernel may have to wait for each other, and where.
//!
//! They do at barriers and warp operations, and in loops that poll memory: a thread that spins must let
//! the others run, so the back edges of such loops get a `yield_`. A loop polls if something it reads with
//! ordering semantics decides whether it goes on. A read-modify-write that retries with the value it
//! has just seen makes progress by itself and is no poll.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rgpu_ptx::ast::{Body, CallTarget, Instr, Label, Operand, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{AtomOp, CacheOp, MemSem};

use super::reach::{Reached, resolve_alias};
use super::{exits, visit};

/// What the pass found.
#[derive(Debug, Clone)]
pub(crate) struct Meeting {
    /// Threads of the kernel may wait for each other.
    pub(crate) threads_meet: bool,
    /// For each function, the statements (branches) before which a thread yields.
    pub(crate) yields: Vec<BTreeSet<usize>>,
}

/// Analyses all functions of a kernel.
pub(crate) fn run(module: &rgpu_ptx::Module, reached: &Reached) -> Meeting {
    let functions = &reached.functions;
    // Functions that read with ordering semantics, themselves or further down.
    let mut reads: Vec<bool> = functions
        .iter()
        .map(|f| f.body.statements.iter().any(is_ordered_read))
        .collect();
    exits::spread(reached, &mut reads);

    let yields: Vec<BTreeSet<usize>> = functions
        .iter()
        .map(|function| {
            let calls_reader = |statement: &Statement| match &statement.kind {
                StatementKind::Call(call) => match &call.target {
                    CallTarget::Direct(id) => reached
                        .index_of(resolve_alias(module, *id))
                        .is_some_and(|callee| reads[callee]),
                    _ => reached
                        .address_taken
                        .iter()
                        .filter_map(|id| reached.index_of(*id))
                        .any(|callee| reads[callee]),
                },
                _ => false,
            };
            polling_back_edges(&function.body, &calls_reader)
        })
        .collect();
    let meets = |body: &Body| body.statements.iter().any(is_meeting);
    let threads_meet =
        functions.iter().any(|f| meets(&f.body)) || yields.iter().any(|set| !set.is_empty());
    Meeting {
        threads_meet,
        yields,
    }
}

/// Whether threads wait for each other at a statement.
pub(super) fn is_meeting(statement: &Statement) -> bool {
    use Opcode::*;
    matches!(&statement.kind, StatementKind::Instr(instr) if matches!(
        instr.op,
        BarSync | BarArrive | BarRed | BarWarpSync | BarrierClusterArrive | BarrierClusterWait
            | Shfl | Vote | Match | Redux | Elect | Activemask
    ))
}

fn is_ordered_read(statement: &Statement) -> bool {
    let StatementKind::Instr(instr) = &statement.kind else {
        return false;
    };
    match instr.op {
        Opcode::Ld => is_ordered_load(instr),
        Opcode::MultimemLdReduce => instr.mods.sem != Some(MemSem::Weak),
        Opcode::Atom => true,
        Opcode::MbarrierTestWait | Opcode::MbarrierTryWait => true,
        _ => false,
    }
}

fn is_ordered_load(instr: &Instr) -> bool {
    let ordered = matches!(
        instr.mods.sem,
        Some(MemSem::Volatile | MemSem::Relaxed | MemSem::Acquire | MemSem::AcqRel | MemSem::Sc)
    );
    ordered || instr.mods.mmio || instr.mods.cache == Some(CacheOp::Cv)
}

/// The loops of a body, by their back edges: (first, last) statement, the last being the branch.
pub(crate) fn back_edges(body: &Body) -> Vec<RangeInclusive<usize>> {
    let start_of = |label: &Label| body.labels[label.index()].statement as usize;
    let mut loops = Vec::new();
    for (at, statement) in body.statements.iter().enumerate() {
        let earliest = match &statement.kind {
            StatementKind::Branch { target, .. } => Some(start_of(target)),
            StatementKind::BranchIndexed { targets, .. } => targets.iter().map(start_of).min(),
            _ => None,
        };
        if let Some(start) = earliest.filter(|start| *start <= at) {
            loops.push(start..=at);
        }
    }
    loops
}

fn polling_back_edges(body: &Body, calls_reader: &dyn Fn(&Statement) -> bool) -> BTreeSet<usize> {
    let places = |wanted: &dyn Fn(&Statement) -> bool| -> Vec<usize> {
        let all = body.statements.iter().enumerate();
        all.filter(|(_, statement)| wanted(statement))
            .map(|(at, _)| at)
            .collect()
    };
    let waits = places(&|statement| is_sleep(statement) || calls_reader(statement));
    let reads = places(&is_ordered_read);
    if waits.is_empty() && reads.is_empty() {
        return BTreeSet::new();
    }
    let mut flow = Flow::new(body);
    let yields = |range: &RangeInclusive<usize>| {
        !within(&waits, range).is_empty() || flow.read_decides(within(&reads, range), range)
    };
    let loops = back_edges(body).into_iter();
    loops.filter(yields).map(|range| *range.end()).collect()
}

/// The part of ascending numbers that lies in a range.
fn within<'a>(numbers: &'a [usize], range: &RangeInclusive<usize>) -> &'a [usize] {
    let first = numbers.partition_point(|at| at < range.start());
    let end = numbers.partition_point(|at| at <= range.end());
    &numbers[first..end]
}

/// Whether a statement is `nanosleep`.
pub(super) fn is_sleep(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Instr(instr) if instr.op == Opcode::Nanosleep)
}

/// Which statements set and which read each register.
struct Flow<'a> {
    body: &'a Body,
    sets: Places,
    uses: Places,
    /// The registers reached from the reads of a loop.
    reached: Vec<bool>,
}

impl<'a> Flow<'a> {
    fn new(body: &'a Body) -> Self {
        Self {
            body,
            sets: Places::new(body, &|statement, f| {
                visit::defs(statement, &mut |reg| f(reg))
            }),
            uses: Places::new(body, &|statement, f| {
                visit::uses(statement, &mut |reg| f(reg))
            }),
            reached: vec![false; body.regs.len()],
        }
    }

    /// True if what a polling read of a loop gives decides, through other registers or not, whether a branch of the
    /// loop is taken or a thread ends.
    fn read_decides(&mut self, reads: &[usize], range: &RangeInclusive<usize>) -> bool {
        let mut queue = Vec::new();
        let reach = |at: usize, reached: &mut [bool], queue: &mut Vec<Reg>| {
            visit::defs(&self.body.statements[at], &mut |reg| {
                if !std::mem::replace(&mut reached[reg.index()], true) {
                    queue.push(reg);
                }
            });
        };
        for &at in reads {
            if self.polls(at, range) {
                reach(at, &mut self.reached, &mut queue);
            }
        }
        let mut decides = false;
        let mut next = 0;
        while let Some(&reg) = queue.get(next)
            && !decides
        {
            next += 1;
            for &at in within(self.uses.of(reg), range) {
                decides |= is_way_out(&self.body.statements[at]);
                reach(at, &mut self.reached, &mut queue);
            }
        }
        for reg in queue {
            self.reached[reg.index()] = false;
        }
        decides
    }

    /// True if this ordered read waits for what another thread writes.
    fn polls(&self, at: usize, range: &RangeInclusive<usize>) -> bool {
        match &self.body.statements[at].kind {
            StatementKind::Instr(instr) if instr.op == Opcode::Atom => {
                self.atomic_polls(instr, range)
            }
            _ => true,
        }
    }

    fn atomic_polls(&self, instr: &Instr, range: &RangeInclusive<usize>) -> bool {
        let operand = instr.operands.get(2);
        match instr.mods.atom {
            // Retrying with the value just seen is an update; a fixed comparand waits for a state.
            Some(AtomOp::Cas) => match operand {
                Some(Operand::Reg(reg)) => within(self.sets.of(*reg), range).is_empty(),
                _ => true,
            },
            Some(AtomOp::Add | AtomOp::Inc | AtomOp::Dec) => match operand {
                Some(Operand::Reg(reg)) => self.is_set_to_zero(*reg),
                other => is_zero(other),
            },
            _ => true,
        }
    }

    /// True if the register may hold zero because a `mov` says so; code that is not optimised reads like that.
    fn is_set_to_zero(&self, reg: Reg) -> bool {
        let mut sets = self.sets.of(reg).iter();
        sets.any(|at| {
            matches!(&self.body.statements[*at].kind, StatementKind::Instr(instr)
                if instr.op == Opcode::Mov
                    && instr.operands.first() == Some(&Operand::Reg(reg))
                    && is_zero(instr.operands.get(1)))
        })
    }
}

/// Control may leave the straight line here.
fn is_way_out(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Branch { .. } | StatementKind::BranchIndexed { .. } => true,
        StatementKind::Instr(instr) => matches!(instr.op, Opcode::Ret | Opcode::Exit),
        _ => false,
    }
}

fn is_zero(operand: Option<&Operand>) -> bool {
    matches!(operand, Some(Operand::Imm(rgpu_ptx::ast::Imm::Int(0))))
}

/// For each register, statements in ascending order.
struct Places {
    starts: Vec<usize>,
    list: Vec<usize>,
}

/// Gives the registers of a statement that are of interest.
type Registers<'a> = &'a dyn Fn(&Statement, &mut dyn FnMut(Reg));

impl Places {
    fn new(body: &Body, registers: Registers<'_>) -> Self {
        let mut ends = vec![0; body.regs.len() + 1];
        for statement in &body.statements {
            registers(statement, &mut |reg| ends[reg.index() + 1] += 1);
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let starts = ends.clone();
        let mut list = vec![0; starts.last().copied().unwrap_or(0)];
        for (at, statement) in body.statements.iter().enumerate() {
            registers(statement, &mut |reg| {
                list[ends[reg.index()]] = at;
                ends[reg.index()] += 1;
            });
        }
        Self { starts, list }
    }

    fn of(&self, reg: Reg) -> &[usize] {
        &self.list[self.starts[reg.index()]..self.starts[reg.index() + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::reach;

    /// Whether a kernel with this body meets, and how many of its branches yield.
    fn analyse(body: &str) -> (bool, usize) {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n\
             .func (.param .b32 r) look(.param .b64 a) {{\n\
             .reg .b32 %r<2>; .reg .b64 %rd<2>;\n\
             ld.param.u64 %rd1, [a]; ld.acquire.gpu.u32 %r1, [%rd1]; st.param.b32 [r], %r1; ret;\n}}\n\
             .visible .entry k(.param .u64 a) {{\n\
             .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<4>;\n\
             ld.param.u64 %rd1, [a];\n{body}\nret;\n}}\n"
        );
        let module = rgpu_ptx::Module::parse(text.as_str()).unwrap();
        let reached = reach::run(&module, module.function_id("k").unwrap()).unwrap();
        let meeting = run(&module, &reached);
        (meeting.threads_meet, meeting.yields[0].len())
    }

    #[test]
    fn barriers_and_warp_operations_meet() {
        assert_eq!(analyse("bar.sync 0;"), (true, 0));
        assert_eq!(analyse("shfl.sync.idx.b32 %r1, %r2, 0, 31, -1;"), (true, 0));
        assert_eq!(analyse("ld.volatile.global.u32 %r1, [%rd1];"), (false, 0));
    }

    #[test]
    fn a_loop_that_waits_for_a_flag_yields() {
        let spin = "L: ld.volatile.global.u32 %r1, [%rd1]; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;";
        assert_eq!(analyse(spin), (true, 1));
        let through_a_mask = "L: ld.acquire.gpu.u32 %r1, [%rd1]; and.b32 %r2, %r1, 1;\n\
                              setp.eq.u32 %p1, %r2, 0; @%p1 bra L;";
        assert_eq!(analyse(through_a_mask), (true, 1));
        let sleeping = "L: nanosleep.u32 20; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;";
        assert_eq!(analyse(sleeping), (true, 1));
    }

    #[test]
    fn a_lock_is_waited_for_and_an_update_is_not() {
        let lock = "L: atom.global.cas.b32 %r1, [%rd1], 0, 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra L;";
        assert_eq!(analyse(lock), (true, 1));
        let exchange =
            "L: atom.global.exch.b32 %r1, [%rd1], 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra L;";
        assert_eq!(analyse(exchange), (true, 1));
        let update = "L: add.u32 %r3, %r2, 1; atom.global.cas.b32 %r1, [%rd1], %r2, %r3;\n\
                      setp.ne.u32 %p1, %r1, %r2; mov.u32 %r2, %r1; @%p1 bra L;";
        assert_eq!(analyse(update), (false, 0));
        let counter = "L: atom.global.add.u32 %r1, [%rd1], 1; setp.lt.u32 %p1, %r1, 9; @%p1 bra L;";
        assert_eq!(analyse(counter), (false, 0));
        let read = "mov.u32 %r2, 0;\nL: atom.global.add.u32 %r1, [%rd1], %r2; setp.lt.u32 %p1, %r1, 9; @%p1 bra L;";
        assert_eq!(analyse(read), (true, 1));
    }

    #[test]
    fn a_read_that_decides_nothing_does_not_yield() {
        let sum = "L: ld.volatile.global.u32 %r1, [%rd1]; add.u32 %r2, %r2, %r1;\n\
                   add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, 9; @%p1 bra L;";
        assert_eq!(analyse(sum), (false, 0));
        let behind = "L: ld.volatile.global.u32 %r1, [%rd1]; add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, 9;\n\
                      @%p1 bra L; setp.eq.u32 %p2, %r1, 0; @%p2 bra M; add.u32 %r3, %r3, 1; M:";
        assert_eq!(analyse(behind), (false, 0));
        let leaving =
            "L: ld.volatile.global.u32 %r1, [%rd1]; setp.eq.u32 %p2, %r1, 0; @%p2 exit; bra L;";
        assert_eq!(analyse(leaving), (true, 1));
    }

    #[test]
    fn a_call_that_reads_counts_as_reading() {
        let call = "L: { .param .b64 x; .param .b32 y; st.param.b64 [x], %rd1;\n\
                    call.uni (y), look, (x); ld.param.b32 %r1, [y]; }\n\
                    setp.eq.u32 %p1, %r1, 0; @%p1 bra L;";
        assert_eq!(analyse(call), (true, 1));
    }
}

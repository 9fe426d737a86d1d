//! Finds out whether threads of a kernel may have to wait for each other, and where.
//!
//! They do at barriers and warp operations, and in loops that poll memory: a thread that spins must let
//! the others run, so the back edges of such loops get a `yield_`. A loop polls if something it reads with
//! ordering semantics decides whether it goes on. A read-modify-write that retries with the value it
//! has just seen makes progress by itself and is no poll.

use std::collections::{BTreeSet, HashSet};
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
    let mut found = BTreeSet::new();
    for range in back_edges(body) {
        let statements = &body.statements[range.clone()];
        let reads = |s: &Statement| is_ordered_read(s) || is_sleep(s) || calls_reader(s);
        if !statements.iter().any(reads) {
            continue;
        }
        let sleeps = statements.iter().any(is_sleep);
        if sleeps || statements.iter().any(calls_reader) || decides_by_reading(body, statements) {
            found.insert(*range.end());
        }
    }
    found
}

/// Whether a statement is `nanosleep`.
pub(super) fn is_sleep(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Instr(instr) if instr.op == Opcode::Nanosleep)
}

/// True if a polling read decides a branch of the loop.
fn decides_by_reading(body: &Body, statements: &[Statement]) -> bool {
    let deciding = deciding_registers(statements);
    statements.iter().any(|statement| {
        let mut decides = false;
        visit::defs(statement, &mut |reg| decides |= deciding.contains(&reg));
        decides && polls(body, statement, statements)
    })
}

/// Registers that the guards of the loop's branches depend on, within the loop.
fn deciding_registers(statements: &[Statement]) -> HashSet<Reg> {
    let mut deciding = HashSet::new();
    for statement in statements {
        match &statement.kind {
            StatementKind::Branch { .. } => deciding.extend(statement.guard.map(|guard| guard.reg)),
            StatementKind::BranchIndexed { .. } => {
                visit::uses(statement, &mut |reg| {
                    deciding.insert(reg);
                });
            }
            StatementKind::Instr(instr) if matches!(instr.op, Opcode::Ret | Opcode::Exit) => {
                deciding.extend(statement.guard.map(|guard| guard.reg));
            }
            _ => {}
        }
    }
    loop {
        let before = deciding.len();
        for statement in statements {
            let mut relevant = false;
            visit::defs(statement, &mut |reg| relevant |= deciding.contains(&reg));
            if relevant {
                visit::uses(statement, &mut |reg| {
                    deciding.insert(reg);
                });
            }
        }
        if deciding.len() == before {
            return deciding;
        }
    }
}

/// True if this statement waits for what another thread writes.
fn polls(body: &Body, statement: &Statement, loop_body: &[Statement]) -> bool {
    let StatementKind::Instr(instr) = &statement.kind else {
        return false;
    };
    match instr.op {
        Opcode::Ld => is_ordered_load(instr),
        Opcode::MultimemLdReduce => instr.mods.sem != Some(MemSem::Weak),
        Opcode::MbarrierTestWait | Opcode::MbarrierTryWait => true,
        Opcode::Atom => atomic_polls(body, instr, loop_body),
        _ => false,
    }
}

fn atomic_polls(body: &Body, instr: &Instr, loop_body: &[Statement]) -> bool {
    let operand = instr.operands.get(2);
    match instr.mods.atom {
        // Retrying with the value just seen is an update; a fixed comparand waits for a state.
        Some(AtomOp::Cas) => match operand {
            Some(Operand::Reg(reg)) => !is_defined_in(*reg, loop_body),
            _ => true,
        },
        Some(AtomOp::Add | AtomOp::Inc | AtomOp::Dec) => match operand {
            Some(Operand::Reg(reg)) => is_set_to_zero(*reg, &body.statements),
            other => is_zero(other),
        },
        _ => true,
    }
}

fn is_zero(operand: Option<&Operand>) -> bool {
    matches!(operand, Some(Operand::Imm(rgpu_ptx::ast::Imm::Int(0))))
}

/// True if the register may hold zero because a `mov` says so; code that is not optimised reads like that.
fn is_set_to_zero(reg: Reg, statements: &[Statement]) -> bool {
    statements.iter().any(|statement| {
        matches!(&statement.kind, StatementKind::Instr(instr)
            if instr.op == Opcode::Mov
                && instr.operands.first() == Some(&Operand::Reg(reg))
                && is_zero(instr.operands.get(1)))
    })
}

fn is_defined_in(reg: Reg, statements: &[Statement]) -> bool {
    statements.iter().any(|statement| {
        let mut found = false;
        visit::defs(statement, &mut |def| found |= def == reg);
        found
    })
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
    }

    #[test]
    fn a_call_that_reads_counts_as_reading() {
        let call = "L: { .param .b64 x; .param .b32 y; st.param.b64 [x], %rd1;\n\
                    call.uni (y), look, (x); ld.param.b32 %r1, [y]; }\n\
                    setp.eq.u32 %p1, %r1, 0; @%p1 bra L;";
        assert_eq!(analyse(call), (true, 1));
    }
}

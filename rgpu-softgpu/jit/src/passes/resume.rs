//! Whether a kernel whose threads meet can be made resumable, and what a thread must keep while it is stopped.
//!
//! A resumable kernel leaves compiled code wherever threads meet, and enters it again there: no stack, and a turn costs
//! a few nanoseconds. That works where the kernel itself, not a function it calls, meets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cranelift_codegen::ir::Type;
use rgpu_ptx::ast::{Body, CallArg, Reg, Statement, StatementKind, Symbol};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::StateSpace;
use rgpu_softgpu_exec::abi::FRAME_REGISTERS;

use super::live::{BitSet, Live};
use super::meet::{Meeting, back_edges, is_meeting, is_sleep};
use super::reach::Reached;
use super::visit;

/// Largest frame; a kernel that needs more keeps its threads on stacks.
const FRAME_LIMIT: u32 = 64 << 10;

/// What a thread keeps while it is stopped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resume {
    /// For each statement at which threads stop: the registers that live on.
    pub(crate) saved: BTreeMap<usize, Vec<Reg>>,
    /// Statements across which the carry flag lives.
    pub(crate) carry: BTreeSet<usize>,
    /// Where the frame holds a register.
    pub(crate) slots: HashMap<Reg, i32>,
    /// Registers that are written to the frame where they are set, once; the others where threads stop.
    pub(crate) written_once: HashSet<Reg>,
    /// Registers that may be read before they are set.
    pub(crate) unset: Vec<Reg>,
    /// Bytes of a frame.
    pub(crate) frame_size: u32,
}

/// Plans the frame; `None` if threads never meet, or not in a way that can be resumed.
pub(crate) fn run(
    reached: &Reached,
    meeting: &Meeting,
    live: &Live<'_>,
    types: &[Type],
) -> Option<Resume> {
    let (kernel, callees) = reached.functions.split_first()?;
    let elsewhere = callees.iter().any(|f| f.body.statements.iter().any(stops));
    let yields_elsewhere = meeting.yields.iter().skip(1).any(|set| !set.is_empty());
    if !meeting.threads_meet || elsewhere || yields_elsewhere {
        return None;
    }
    let body = &kernel.body;
    let yields = &meeting.yields[0];
    let stopping: BTreeSet<usize> = (0..body.statements.len())
        .filter(|at| yields.contains(at) || stops(&body.statements[*at]))
        .collect();
    if calls_span_a_stop(body, &stopping) {
        return None;
    }
    let mut resume = Resume {
        unset: registers(&live.at_entry(), live),
        ..Resume::default()
    };
    live.around(&|at| stopping.contains(&at), &mut |at, before, after| {
        let kept = if yields.contains(&at) {
            registers(before, live)
        } else {
            kept_within(&body.statements[at], &registers(after, live))
        };
        resume.saved.insert(at, kept);
        if after.contains(live.carry()) {
            resume.carry.insert(at);
        }
    });
    resume.written_once = written_once(body);
    resume.place(types)?;
    Some(resume)
}

fn registers(set: &BitSet, live: &Live<'_>) -> Vec<Reg> {
    set.iter()
        .filter(|index| *index != live.carry())
        .filter_map(|index| u32::try_from(index).ok().map(Reg))
        .collect()
}

/// Whether a thread may stop at a statement.
fn stops(statement: &Statement) -> bool {
    is_meeting(statement) || is_sleep(statement)
}

/// What a stop in the middle of a statement must keep: all that lives behind it, but for what it sets itself. The forms
/// without a lane mask stop twice, and read their operands after the first.
fn kept_within(statement: &Statement, after: &[Reg]) -> Vec<Reg> {
    let mut kept: BTreeSet<Reg> = after.iter().copied().collect();
    visit::defs(statement, &mut |reg| {
        kept.remove(&reg);
    });
    let stops_twice = matches!(
        &statement.kind,
        StatementKind::Instr(instr) if matches!(instr.op, Opcode::Shfl | Opcode::Vote)
    );
    if stops_twice {
        visit::uses(statement, &mut |reg| {
            kept.insert(reg);
        });
    }
    kept.into_iter().collect()
}

/// Whether a thread may stop between writing the arguments of a call, which are on the host's stack, and the call, or
/// between the call and reading its results.
fn calls_span_a_stop(body: &Body, stopping: &BTreeSet<usize>) -> bool {
    let mut spans: HashMap<Symbol, (usize, usize)> = HashMap::new();
    for (at, statement) in body.statements.iter().enumerate() {
        let mut seen = |symbol: Symbol| {
            let is_argument = matches!(symbol, Symbol::Local(id) if body.vars[id.index()].space == StateSpace::Param);
            if is_argument {
                let span = spans.entry(symbol).or_insert((at, at));
                span.1 = at;
            }
        };
        visit::symbols(statement, &mut |symbol, _| seen(symbol));
        if let StatementKind::Call(call) = &statement.kind {
            for arg in call.args.iter().chain(&call.returns) {
                if let CallArg::Param(symbol) = arg {
                    seen(*symbol);
                }
            }
        }
    }
    spans
        .values()
        .any(|(first, last)| stopping.range(first..=last).next().is_some())
}

/// Registers that one statement sets, outside of loops.
fn written_once(body: &Body) -> HashSet<Reg> {
    let mut in_loop = vec![false; body.statements.len()];
    for range in back_edges(body) {
        in_loop[range].fill(true);
    }
    let mut writes: HashMap<Reg, u32> = HashMap::new();
    for (statement, in_loop) in body.statements.iter().zip(in_loop) {
        visit::defs(statement, &mut |reg| {
            *writes.entry(reg).or_default() += if in_loop { 2 } else { 1 };
        });
    }
    let once = writes.into_iter().filter(|(_, count)| *count == 1);
    once.map(|(reg, _)| reg).collect()
}

impl Resume {
    /// Lays out the frame, the widest registers first. `None` if it grows too large.
    fn place(&mut self, types: &[Type]) -> Option<()> {
        let saved: BTreeSet<Reg> = self.saved.values().flatten().copied().collect();
        let mut ordered: Vec<Reg> = saved.iter().copied().collect();
        ordered.sort_by_key(|reg| std::cmp::Reverse(types[reg.index()].bytes()));
        let mut top = u32::try_from(FRAME_REGISTERS).ok()?;
        for reg in ordered {
            self.slots.insert(reg, i32::try_from(top).ok()?);
            top += types[reg.index()].bytes();
            if top > FRAME_LIMIT {
                return None;
            }
        }
        self.written_once.retain(|reg| saved.contains(reg));
        // The carry flag has the last byte.
        self.frame_size = (top + 1).next_multiple_of(16);
        Some(())
    }

    /// Where the frame holds the carry flag.
    pub(crate) fn carry_slot(&self) -> i32 {
        i32::try_from(self.frame_size).unwrap_or(i32::MAX) - 1
    }
}

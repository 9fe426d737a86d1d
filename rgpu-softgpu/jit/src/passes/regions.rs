//! Splits a kernel at its barriers into regions, each of which all threads of a block can run one after the other.
//!
//! A *cut* is a statement at which the block as a whole goes on: a barrier, or a branch that decides which barrier comes
//! next. A region begins behind a cut, or where a cut's branch leads, and all ways through it lead to one end: a cut, the
//! beginning of another region, or the end of the kernel. No statement belongs to two regions.

use std::collections::{BTreeMap, BTreeSet};

use rgpu_ptx::ast::{Body, Operand, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;

use super::flow::{place_of, successors};

/// Where a way through a region ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// A cut, or the beginning of a region.
    At(usize),
    /// The kernel's.
    Exit,
}

/// Statements that all threads of a block run between two cuts.
#[derive(Debug, Clone)]
pub(crate) struct Region {
    pub(crate) start: usize,
    /// All of it, ascending.
    pub(crate) statements: Vec<usize>,
    pub(crate) end: End,
}

/// The regions of a kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Regions {
    pub(crate) regions: Vec<Region>,
    /// Barriers.
    pub(crate) barriers: BTreeSet<usize>,
    /// Branches that all threads of a block must take together.
    pub(crate) branches: BTreeSet<usize>,
}

/// Whether all threads of the block meet here.
fn is_barrier(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Instr(instr) if instr.op == Opcode::BarSync
        && instr.operands.len() == 1
        && instr.operands[0] == Operand::Imm(rgpu_ptx::ast::Imm::Int(0)))
        && statement.guard.is_none()
}

/// Whether a thread goes no further, without an end.
fn is_trap(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Instr(instr)
        if matches!(instr.op, Opcode::Trap | Opcode::Brkpt))
}

/// Where control may go from a statement.
fn next(body: &Body, at: usize) -> Vec<End> {
    let statement = &body.statements[at];
    let (falls, labels) = successors(statement);
    let mut ends: Vec<End> = labels
        .iter()
        .map(|label| End::At(place_of(body, *label)))
        .collect();
    let leaves = matches!(&statement.kind, StatementKind::Instr(instr)
        if matches!(instr.op, Opcode::Ret | Opcode::Exit));
    if leaves {
        ends.push(End::Exit);
    }
    if falls {
        let last = at + 1 == body.statements.len();
        ends.push(if last { End::Exit } else { End::At(at + 1) });
    }
    if is_trap(statement) && !falls {
        ends.clear();
    }
    ends
}

/// Splits a body; `None` if that cannot be done.
pub(crate) fn run(body: &Body) -> Option<Regions> {
    if body.statements.is_empty() {
        return None;
    }
    let barriers: BTreeSet<usize> = (0..body.statements.len())
        .filter(|at| is_barrier(&body.statements[*at]))
        .collect();
    let mut found = Regions {
        barriers,
        ..Regions::default()
    };
    let mut starts = BTreeSet::from([0]);
    starts.extend(found.barriers.iter().map(|at| at + 1));
    starts.retain(|at| *at < body.statements.len());
    // Each round adds a cut or a start; there are no more of them than statements.
    loop {
        match split(body, &found, &starts)? {
            Split::Done(regions) => {
                found.regions = regions;
                return Some(found);
            }
            Split::StartAt(at) => {
                if !starts.insert(at) {
                    return None;
                }
            }
            Split::CutAt(branches) => {
                for at in branches {
                    found.branches.insert(at);
                    starts.extend(next(body, at).into_iter().filter_map(|end| match end {
                        End::At(at) => Some(at),
                        End::Exit => None,
                    }));
                }
            }
        }
    }
}

enum Split {
    Done(Vec<Region>),
    /// Two regions lead here.
    StartAt(usize),
    /// Branches that decide where a region ends.
    CutAt(Vec<usize>),
}

fn split(body: &Body, cuts: &Regions, starts: &BTreeSet<usize>) -> Option<Split> {
    let is_cut = |at: usize| cuts.barriers.contains(&at) || cuts.branches.contains(&at);
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    let mut regions = Vec::new();
    for &start in starts.iter().filter(|at| !is_cut(**at)) {
        let mut inside = BTreeSet::from([start]);
        let mut ends = BTreeSet::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            if owner.insert(at, start).is_some_and(|other| other != start) {
                return Some(Split::StartAt(at));
            }
            for to in next(body, at) {
                match to {
                    End::At(to) if to != start && (is_cut(to) || starts.contains(&to)) => {
                        ends.insert(End::At(to));
                    }
                    End::At(to) => {
                        if inside.insert(to) {
                            open.push(to);
                        }
                    }
                    End::Exit => {
                        ends.insert(End::Exit);
                    }
                }
            }
        }
        if ends.len() > 1 {
            let deciding = deciding(body, start, &inside, &ends);
            return (!deciding.is_empty()).then_some(Split::CutAt(deciding));
        }
        regions.push(Region {
            start,
            statements: inside.into_iter().collect(),
            end: ends.into_iter().next().unwrap_or(End::Exit),
        });
    }
    Some(Split::Done(regions))
}

/// Branches of a region from which different ways lead to different ends.
fn deciding(
    body: &Body,
    start: usize,
    inside: &BTreeSet<usize>,
    ends: &BTreeSet<End>,
) -> Vec<usize> {
    let mut reached: BTreeMap<usize, BTreeSet<End>> = BTreeMap::new();
    let from = |to: End, reached: &BTreeMap<usize, BTreeSet<End>>| match to {
        End::At(at) if inside.contains(&at) && (at == start || !ends.contains(&to)) => {
            reached.get(&at).cloned().unwrap_or_default()
        }
        end => BTreeSet::from([end]),
    };
    let mut changed = true;
    while changed {
        changed = false;
        for &at in inside.iter().rev() {
            let set: BTreeSet<End> = next(body, at)
                .into_iter()
                .flat_map(|to| from(to, &reached))
                .collect();
            if reached.get(&at) != Some(&set) {
                reached.insert(at, set);
                changed = true;
            }
        }
    }
    inside
        .iter()
        .copied()
        .filter(|&at| {
            let sets: Vec<BTreeSet<End>> = next(body, at)
                .into_iter()
                .map(|to| from(to, &reached))
                .filter(|set| !set.is_empty())
                .collect();
            sets.windows(2).any(|pair| pair[0] != pair[1])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(body: &str) -> Option<Regions> {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() {{\n\
             .reg .pred %p<4>; .reg .b32 %r<8>;\n{body}\n}}\n"
        );
        let module = rgpu_ptx::Module::parse(text.as_str()).unwrap();
        let body = crate::module::body(&module, module.function_id("k").unwrap()).unwrap();
        run(&body)
    }

    #[test]
    fn nothing_has_no_regions() {
        assert!(regions("").is_none());
    }

    /// Start, number of statements and end of each region.
    fn shape(body: &str) -> Vec<(usize, usize, End)> {
        let found = regions(body).unwrap();
        let shape = |region: &Region| (region.start, region.statements.len(), region.end);
        found.regions.iter().map(shape).collect()
    }

    #[test]
    fn a_kernel_without_barriers_is_one_region() {
        let body = "mov.u32 %r1, 1; @%p1 bra L; mov.u32 %r1, 2; L: ret;";
        assert_eq!(shape(body), [(0, 5, End::Exit)]);
    }

    #[test]
    fn barriers_cut_and_branches_around_other_code_do_not() {
        let body = "mov.u32 %r1, 1; bar.sync 0; @%p1 bra L; mov.u32 %r1, 2; L: bar.sync 0; ret;";
        let expected = [(0, 1, End::At(1)), (2, 3, End::At(5)), (6, 1, End::Exit)];
        assert_eq!(shape(body), expected);
    }

    #[test]
    fn the_branch_of_a_loop_around_a_barrier_is_a_cut() {
        let body = "mov.u32 %r1, 1; L: add.u32 %r1, %r1, 1; bar.sync 0; setp.lt.u32 %p1, %r1, 9; @%p1 bra L; ret;";
        let found = regions(body).unwrap();
        assert_eq!(found.branches, BTreeSet::from([5]));
        let expected = [
            (0, 1, End::At(1)),
            (1, 2, End::At(3)),
            (4, 1, End::At(5)),
            (6, 1, End::Exit),
        ];
        assert_eq!(shape(body), expected);
    }

    #[test]
    fn an_early_end_before_a_barrier_decides_where_the_block_goes() {
        let body = "@%p1 ret; mov.u32 %r1, 1; bar.sync 0; ret;";
        assert_eq!(regions(body).unwrap().branches, BTreeSet::from([0]));
    }

    #[test]
    fn a_trap_decides_nothing() {
        let body = "@%p1 bra L; bar.sync 0; ret; L: trap;";
        assert_eq!(regions(body).unwrap().branches, BTreeSet::new());
    }
}

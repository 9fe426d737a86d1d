//! Basic blocks of a body, and how control goes between them.

use rgpu_ptx::ast::{Body, Instr, Label, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;

use super::live::BitSet;

/// Statements that run one after the other.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) start: usize,
    /// Behind the last.
    pub(crate) end: usize,
    /// Numbers of the blocks that may follow.
    pub(crate) successors: Vec<usize>,
    /// Threads may end here.
    pub(crate) may_end: bool,
}

/// Where control may go after a statement: whether to the next one, and to which labels.
pub(crate) fn successors(statement: &Statement) -> (bool, &[Label]) {
    let guarded = statement.guard.is_some();
    match &statement.kind {
        StatementKind::Branch { target, .. } => (guarded, std::slice::from_ref(target)),
        StatementKind::BranchIndexed { targets, .. } => (guarded, targets),
        StatementKind::Instr(instr) if ends_thread(instr) => (guarded, &[]),
        _ => (true, &[]),
    }
}

fn may_end(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Instr(instr) if ends_thread(instr))
}

fn ends_thread(instr: &Instr) -> bool {
    matches!(
        instr.op,
        Opcode::Ret | Opcode::Exit | Opcode::Trap | Opcode::Brkpt
    )
}

/// The statement that a label names.
pub(crate) fn place_of(body: &Body, label: Label) -> usize {
    body.labels[label.index()].statement as usize
}

/// The blocks of a body, in its order.
pub(crate) fn blocks(body: &Body) -> Vec<Block> {
    let count = body.statements.len();
    let mut starts = vec![0];
    for (index, statement) in body.statements.iter().enumerate() {
        let (falls, targets) = successors(statement);
        if matches!(statement.kind, StatementKind::Label(_)) {
            starts.push(index);
        }
        if !falls || !targets.is_empty() || may_end(statement) {
            starts.push(index + 1);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts.retain(|start| *start < count);
    let block_of = |statement: usize| starts.partition_point(|start| *start <= statement) - 1;
    let ends = starts.iter().skip(1).copied().chain([count]);
    let ranges: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
    ranges
        .into_iter()
        .filter(|(start, end)| start < end)
        .map(|(start, end)| {
            let (falls, targets) = successors(&body.statements[end - 1]);
            let next = (falls && end < count).then(|| block_of(end));
            let jumps = targets.iter().map(|label| block_of(place_of(body, *label)));
            Block {
                start,
                end,
                successors: jumps.chain(next).collect(),
                may_end: (falls && end == count) || may_end(&body.statements[end - 1]),
            }
        })
        .collect()
}

/// For each block, the nearest one through which all ways from it to the end lead; `None` if there is none.
pub(crate) fn post_dominators(blocks: &[Block]) -> Vec<Option<usize>> {
    let count = blocks.len();
    let mut sets = vec![BitSet::full(count); count];
    let mut changed = true;
    while changed {
        changed = false;
        for at in (0..count).rev() {
            let mut set = match blocks[at].successors.split_first() {
                None => BitSet::new(count),
                Some((first, rest)) => {
                    let mut set = sets[*first].clone();
                    rest.iter().for_each(|other| set.keep_all(&sets[*other]));
                    // A guarded `ret` has one successor, and the end.
                    if blocks[at].may_end {
                        set = BitSet::new(count);
                    }
                    set
                }
            };
            set.insert(at);
            if set != sets[at] {
                sets[at] = set;
                changed = true;
            }
        }
    }
    // The nearest is the one with the most behind it.
    (0..count)
        .map(|at| {
            let behind = sets[at].iter().filter(|other| *other != at);
            behind.max_by_key(|other| sets[*other].iter().count())
        })
        .collect()
}

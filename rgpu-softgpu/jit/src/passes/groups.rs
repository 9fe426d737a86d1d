//! Groups accesses that share one check: those of a straight run of statements through the same, unchanged
//! register. The first of them checks the whole range that all of them touch; a fault may so be reported a
//! few statements early, which nothing can observe, since the grid dies of it.

use std::collections::HashMap;

use rgpu_ptx::ast::{AddrBase, Body, Instr, Operand, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::StateSpace;

use super::meet::{is_meeting, is_sleep};
use super::visit;

/// Widest range that one check may cover.
const SPAN_LIMIT: i64 = 64 << 10;

/// Accesses of one kind of memory are checked alike: the device window holds `.global` and `.const`, and
/// generic addresses are tried there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Memory {
    Generic,
    Shared,
    Local,
}

/// Accesses checked together.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Offset from the register where the range starts, aligned as the widest access.
    pub(crate) start: i64,
    /// Bytes of the range.
    pub(crate) span: u32,
    /// Bytes of the widest access.
    pub(crate) width: u32,
    /// One of them writes.
    pub(crate) write: bool,
}

/// The groups of a body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    pub(crate) groups: Vec<Group>,
    /// Group of each statement that is in one.
    pub(crate) of_statement: HashMap<usize, usize>,
}

/// One access through a register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    statement: usize,
    /// What it adds to the register.
    pub(crate) offset: i64,
    /// Bytes, a power of two.
    pub(crate) width: u32,
    write: bool,
}

/// Finds the groups of a body, among the accesses that `checked` accepts.
pub(crate) fn run(body: &Body, checked: &dyn Fn(usize) -> bool) -> Groups {
    let mut groups = Groups::default();
    let mut open: HashMap<(Memory, Reg), Vec<Access>> = HashMap::new();
    for (index, statement) in body.statements.iter().enumerate() {
        if let Some((memory, reg, access)) = access(index, statement)
            && statement.guard.is_none()
            && checked(index)
        {
            open.entry((memory, reg)).or_default().push(access);
        }
        if ends_run(statement) {
            let mut ended: Vec<_> = open.drain().collect();
            // Hash order must not decide the numbering.
            ended.sort_by_key(|(_, accesses)| accesses[0].statement);
            ended
                .into_iter()
                .for_each(|(_, accesses)| groups.close(&accesses));
            continue;
        }
        visit::defs(statement, &mut |reg| {
            for memory in [Memory::Generic, Memory::Shared, Memory::Local] {
                if let Some(accesses) = open.remove(&(memory, reg)) {
                    groups.close(&accesses);
                }
            }
        });
    }
    let mut ended: Vec<_> = open.into_values().collect();
    ended.sort_by_key(|accesses| accesses[0].statement);
    ended.iter().for_each(|accesses| groups.close(accesses));
    groups
}

/// Control may come from elsewhere, or go elsewhere, here.
fn ends_run(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Instr(instr) => {
            let ends = matches!(
                instr.op,
                Opcode::Ret | Opcode::Exit | Opcode::Trap | Opcode::Brkpt
            );
            // A thread that stops comes back elsewhere.
            ends || is_meeting(statement) || is_sleep(statement)
        }
        StatementKind::Pragma(_) => false,
        _ => true,
    }
}

/// The access of a statement, if it is one through a register.
pub(crate) fn access(index: usize, statement: &Statement) -> Option<(Memory, Reg, Access)> {
    let StatementKind::Instr(instr) = &statement.kind else {
        return None;
    };
    let (place, write) = match instr.op {
        Opcode::Ld | Opcode::Ldu => (1, false),
        Opcode::St | Opcode::Red => (0, true),
        Opcode::Atom => (1, true),
        _ => return None,
    };
    let memory = match instr.mods.space {
        None | Some(StateSpace::Global | StateSpace::Const) => Memory::Generic,
        Some(StateSpace::Shared | StateSpace::SharedCluster) => Memory::Shared,
        Some(StateSpace::Local) => Memory::Local,
        Some(_) => return None,
    };
    let Some(Operand::Addr(address)) = instr.operands.get(place) else {
        return None;
    };
    let AddrBase::Reg(reg) = address.base else {
        return None;
    };
    let width = access_width(instr)?;
    Some((
        memory,
        reg,
        Access {
            statement: index,
            offset: address.offset,
            width,
            write,
        },
    ))
}

fn access_width(instr: &Instr) -> Option<u32> {
    let lanes = instr.mods.vec.map_or(1, |vec| vec.lanes());
    let width = instr.ty()?.size().checked_mul(u32::try_from(lanes).ok()?)?;
    width.is_power_of_two().then_some(width)
}

impl Groups {
    /// Makes a group of the accesses that fit together with the widest one.
    fn close(&mut self, accesses: &[Access]) {
        let Some(widest) = accesses.iter().max_by_key(|access| access.width) else {
            return;
        };
        let fits = |access: &&Access| {
            let distance = access.offset.wrapping_sub(widest.offset);
            distance.abs() < SPAN_LIMIT && distance % i64::from(access.width) == 0
        };
        let members: Vec<&Access> = accesses.iter().filter(fits).collect();
        if members.len() < 2 {
            return;
        }
        let lowest = members
            .iter()
            .map(|access| access.offset)
            .min()
            .unwrap_or(widest.offset);
        let width = i64::from(widest.width);
        let below = (widest.offset - lowest + width - 1) / width * width;
        let start = widest.offset - below;
        let end = members
            .iter()
            .map(|access| access.offset + i64::from(access.width))
            .max();
        let span = end.and_then(|end| u32::try_from(end - start).ok());
        let Some(span) = span else { return };
        let write = members.iter().any(|access| access.write);
        self.of_statement.extend(
            members
                .iter()
                .map(|access| (access.statement, self.groups.len())),
        );
        self.groups.push(Group {
            start,
            span,
            width: widest.width,
            write,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(accesses: &[(i64, u32)]) -> Groups {
        let mut groups = Groups::default();
        let accesses: Vec<Access> = (0..)
            .zip(accesses)
            .map(|(statement, (offset, width))| Access {
                statement,
                offset: *offset,
                width: *width,
                write: false,
            })
            .collect();
        groups.close(&accesses);
        groups
    }

    #[test]
    fn the_range_covers_all_and_starts_aligned() {
        let groups = group(&[(12, 4), (16, 8), (40, 4)]);
        let group = &groups.groups[0];
        // Aligned with the widest: 16 - 8; up to 44.
        assert_eq!((group.start, group.span, group.width), (8, 36, 8));
        assert_eq!(groups.of_statement.len(), 3);
    }

    #[test]
    fn a_misaligned_neighbour_stays_out() {
        let groups = group(&[(0, 8), (2, 4), (8, 8)]);
        assert_eq!(groups.of_statement.len(), 2);
        assert!(!groups.of_statement.contains_key(&1));
        assert!(group(&[(0, 4), (2, 4)]).groups.is_empty());
        assert!(group(&[(0, 4)]).groups.is_empty());
        assert!(group(&[(0, 4), (1 << 20, 4)]).groups.is_empty());
    }
}

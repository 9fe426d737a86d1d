//! Which registers of a body are live where: backward data flow over basic blocks.

use rgpu_ptx::ast::{Body, Instr, Reg, Statement, StatementKind};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::ScalarType;

use super::flow::{self, Block};
use super::visit;

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BitSet(Vec<u64>);

impl BitSet {
    /// Room for the numbers below `size`, none of them in it.
    pub(crate) fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// All numbers below `size`.
    pub(crate) fn full(size: usize) -> Self {
        let mut set = Self::new(size);
        (0..size).for_each(|index| set.insert(index));
        set
    }

    /// Puts `index` in.
    pub(crate) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Takes out what is not in `other`.
    pub(crate) fn keep_all(&mut self, other: &Self) {
        for (word, kept) in self.0.iter_mut().zip(&other.0) {
            *word &= kept;
        }
    }

    fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }

    /// Whether `index` is in it.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 != 0
    }

    fn add_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// What is in it, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 != 0)
                .map(move |bit| at * 64 + bit)
        })
    }
}

/// The live registers of a body. The carry flag is [`Live::carry`], a number behind the registers.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    body: &'a Body,
    blocks: Vec<Block>,
    /// What is live where each block begins.
    live_in: Vec<BitSet>,
}

impl<'a> Live<'a> {
    /// Analyses `body`.
    pub(crate) fn new(body: &'a Body) -> Self {
        let blocks = flow::blocks(body);
        let mut live = Self {
            body,
            live_in: vec![BitSet::new(body.regs.len() + 1); blocks.len()],
            blocks,
        };
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..live.blocks.len()).rev() {
                let mut set = live.live_out(at);
                let Block { start, end, .. } = live.blocks[at];
                for statement in body.statements[start..end].iter().rev() {
                    live.step(&mut set, statement);
                }
                if set != live.live_in[at] {
                    live.live_in[at] = set;
                    changed = true;
                }
            }
        }
        live
    }

    /// The number that stands for the carry flag.
    pub(crate) fn carry(&self) -> usize {
        self.body.regs.len()
    }

    /// What is live where the body begins.
    pub(crate) fn at_entry(&self) -> BitSet {
        match self.live_in.first() {
            Some(first) => first.clone(),
            None => self.empty(),
        }
    }

    /// What is live before and after the statements that `wanted` accepts.
    pub(crate) fn around(
        &self,
        wanted: &dyn Fn(usize) -> bool,
        f: &mut dyn FnMut(usize, &BitSet, &BitSet),
    ) {
        for at in 0..self.blocks.len() {
            let Block { start, end, .. } = self.blocks[at];
            if !(start..end).any(wanted) {
                continue;
            }
            let mut set = self.live_out(at);
            for index in (start..end).rev() {
                let after = set.clone();
                self.step(&mut set, &self.body.statements[index]);
                if wanted(index) {
                    f(index, &set, &after);
                }
            }
        }
    }

    /// The most 32-bit words that are live at once. Predicates take none.
    pub(crate) fn words(&self) -> u32 {
        let widths: Vec<u32> = self.body.regs.iter().map(|ty| words_of(*ty)).collect();
        let mut most = 0;
        let count = |set: &BitSet| set.iter().filter_map(|reg| widths.get(reg)).sum();
        self.around(&|_| true, &mut |_, before, after| {
            most = most.max(count(before)).max(count(after));
        });
        most
    }

    fn empty(&self) -> BitSet {
        BitSet::new(self.body.regs.len() + 1)
    }

    fn live_out(&self, block: usize) -> BitSet {
        let mut set = self.empty();
        for successor in &self.blocks[block].successors {
            set.add_all(&self.live_in[*successor]);
        }
        set
    }

    /// From after a statement to before it.
    fn step(&self, set: &mut BitSet, statement: &Statement) {
        if statement.guard.is_none() {
            visit::defs(statement, &mut |reg: Reg| set.remove(reg.index()));
        }
        visit::uses(statement, &mut |reg: Reg| set.insert(reg.index()));
        if let StatementKind::Instr(instr) = &statement.kind {
            if instr.mods.cc && statement.guard.is_none() {
                set.remove(self.carry());
            }
            if reads_carry(instr) {
                set.insert(self.carry());
            }
        }
    }
}

fn words_of(ty: ScalarType) -> u32 {
    if ty == ScalarType::Pred {
        0
    } else {
        ty.size().div_ceil(4)
    }
}

fn reads_carry(instr: &Instr) -> bool {
    matches!(instr.op, Opcode::Addc | Opcode::Subc | Opcode::Madc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Body {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() {{\n\
             .reg .pred %p<4>; .reg .b16 %h<4>; .reg .b32 %r<8>; .reg .b64 %rd<8>;\n{body}\nret;\n}}\n"
        );
        let module = rgpu_ptx::Module::parse(text.as_str()).unwrap();
        crate::module::body(&module, module.function_id("k").unwrap()).unwrap()
    }

    /// Registers, by name, that are live before the first statement with `opcode`.
    fn live_before(body: &str, opcode: Opcode) -> Vec<String> {
        let body = parsed(body);
        let live = Live::new(&body);
        let is_wanted = |at: usize| matches!(&body.statements[at].kind, StatementKind::Instr(instr) if instr.op == opcode);
        let mut names = Vec::new();
        live.around(&is_wanted, &mut |_, before, _| {
            names = before
                .iter()
                .filter(|reg| *reg != live.carry())
                .map(|reg| body.reg_name(Reg(u32::try_from(reg).unwrap())))
                .collect();
        });
        names
    }

    #[test]
    fn only_what_is_read_later_is_live() {
        let straight = "mov.u32 %r1, 1; mov.u32 %r2, 2; bar.sync 0; add.u32 %r3, %r1, 1; mov.u32 %r2, 5; \
                        add.u32 %r3, %r3, %r2; st.shared.u32 [%r3], %r3;";
        assert_eq!(live_before(straight, Opcode::BarSync), ["%r1"]);
    }

    #[test]
    fn a_loop_keeps_what_its_next_round_reads() {
        let turning = "mov.u32 %r1, 0; mov.u32 %r2, 7; L: add.u32 %r1, %r1, %r2; bar.sync 0; \
                       setp.lt.u32 %p1, %r1, 9; @%p1 bra L;";
        assert_eq!(live_before(turning, Opcode::BarSync), ["%r1", "%r2"]);
    }

    #[test]
    fn a_guarded_write_does_not_end_a_value() {
        let guarded = "mov.u32 %r1, 1; setp.eq.u32 %p1, %r2, 0; bar.sync 0; @%p1 mov.u32 %r1, 2; \
                       st.shared.u32 [%r1], %r1;";
        assert_eq!(live_before(guarded, Opcode::BarSync), ["%p1", "%r1"]);
        let plain = "mov.u32 %r1, 1; bar.sync 0; mov.u32 %r1, 2; st.shared.u32 [%r1], %r1;";
        assert!(live_before(plain, Opcode::BarSync).is_empty());
    }

    #[test]
    fn words_are_those_that_are_live_at_once() {
        let words = |text: &str| {
            let body = parsed(text);
            Live::new(&body).words()
        };
        // %r1 and %rd1 together; %h1 takes a word too, the predicate none.
        let both = "mov.u32 %r1, 1; mov.u64 %rd1, 2; mov.u16 %h1, 3; setp.eq.u32 %p1, %r1, 1; \
                    @%p1 st.global.u16 [%rd1], %h1; st.global.u32 [%rd1], %r1;";
        assert_eq!(words(both), 4);
        // One after the other.
        let apart = "mov.u64 %rd1, 2; ld.global.u64 %rd2, [%rd1]; ld.global.u64 %rd3, [%rd2]; st.global.u64 [%rd3], 1;";
        assert_eq!(words(apart), 2);
        assert_eq!(words(""), 0);
    }
}

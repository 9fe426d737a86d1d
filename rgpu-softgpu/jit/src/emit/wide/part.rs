//! Where the threads of a group part, and how each goes on alone.

use std::collections::BTreeSet;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockCall, InstBuilder, JumpTableData, Value, types};
use rgpu_ptx::ast::{Guard, Instr, StatementKind};
use rgpu_ptx::types::CmpOp;

use super::super::util::{icmp_const, iconst};
use super::super::{Emitter, compare, operand, type_of};
use super::values::Unit;
use super::{Facts, end_of};
use crate::error::{Emit, refuse};
use crate::passes::regions::Region;
use crate::passes::wide::{Ends, LANES, PARTS, VECTOR, Wide};

impl Emitter<'_, '_> {
    /// From here on, the first `count` threads of the group go on alone, at a statement.
    pub(super) fn part(&mut self, facts: &Facts, wide: &Wide, at: usize, count: Value) -> Emit {
        self.keep_uniform(facts, wide.live_at(at), false)?;
        let state = self.wide_loop_mut()?;
        let number = match state.sites.iter().position(|site| *site == at) {
            Some(number) => number,
            None => {
                state.sites.push(at);
                state.sites.len() - 1
            }
        };
        let (site, counted, parted) = (state.site, state.count, state.parted);
        let number = self.word(number);
        self.b.def_var(site, number);
        self.b.def_var(counted, count);
        self.b.ins().jump(parted, &[]);
        Ok(())
    }

    /// The same for a whole group whose registers must be written first.
    pub(super) fn part_group(&mut self, wide: &Wide, facts: &Facts, at: usize, save: bool) -> Emit {
        if save {
            self.save_together(wide, facts, Some(at))?;
        }
        let all = self.word(LANES);
        self.part(facts, wide, at, all)
    }

    /// Goes to `yes` or `no` if all threads of the group do; else they part.
    pub(super) fn fork_together(
        &mut self,
        wide: &Wide,
        facts: &Facts,
        guard: Guard,
        yes: Block,
        no: Block,
    ) -> Emit {
        let at = self.statement;
        let (yes, no) = if guard.negated { (no, yes) } else { (yes, no) };
        let apart = self.b.create_block();
        self.b.set_cold_block(apart);
        match wide.ends.get(&at) {
            Some(ends) => self.fork_by_ends(*ends, [yes, no, apart])?,
            None => {
                let [none, all] = self.votes(guard)?;
                let some = self.b.create_block();
                self.b.ins().brif(none, no, &[], some, &[]);
                self.b.switch_to_block(some);
                self.b.ins().brif(all, yes, &[], apart, &[]);
            }
        }
        self.b.switch_to_block(apart);
        self.part_group(wide, facts, at, true)
    }

    /// Whether a predicate holds for none, and for all of the group.
    fn votes(&mut self, guard: Guard) -> Emit<[Value; 2]> {
        let mut votes = iconst(&mut self.b, types::I32, 0);
        for part in 0..PARTS {
            self.set_unit(Unit::Part(part));
            let mask = self.reg(guard.reg);
            let bits = self.b.ins().vhigh_bits(types::I32, mask);
            let bits = self.b.ins().ishl_imm_u(bits, (part * VECTOR) as i64);
            votes = self.b.ins().bor(votes, bits);
        }
        self.set_unit(Unit::First);
        let all = (1 << LANES) - 1;
        Ok([0, all].map(|count| icmp_const(&mut self.b, IntCC::Equal, votes, count)))
    }

    /// Decides by the first and the last thread's outcome of a comparison.
    fn fork_by_ends(&mut self, ends: Ends, [yes, no, apart]: [Block; 3]) -> Emit {
        let StatementKind::Instr(instr) = &self.function().body.statements[ends.statement].kind
        else {
            return refuse("not a comparison");
        };
        let Some(op) = instr.mods.cmp else {
            return refuse("no comparison");
        };
        let ty = type_of(instr, 0)?;
        let unsigned = matches!(op, CmpOp::Lo | CmpOp::Ls | CmpOp::Hi | CmpOp::Hs);
        let signed = ty.is_signed() && !unsigned;
        let first = self.read(operand(instr, 1)?, ty)?;
        let with = self.read(operand(instr, 2)?, ty)?;
        let distance = ends.step * (LANES as i64 - 1);
        let last = self.b.ins().iadd_imm_s(first, distance);
        let (less, more) = if signed {
            (IntCC::SignedLessThan, IntCC::SignedGreaterThan)
        } else {
            (IntCC::UnsignedLessThan, IntCC::UnsignedGreaterThan)
        };
        if ends.may_wrap {
            let in_order = self.b.create_block();
            let wrapped = self.b.ins().icmp(less, last, first);
            self.b.ins().brif(wrapped, apart, &[], in_order, &[]);
            self.b.switch_to_block(in_order);
        }
        let second = self.b.create_block();
        if matches!(op, CmpOp::Eq | CmpOp::Ne) {
            // Outside of what the threads have, it equals none.
            let differ = if op == CmpOp::Ne { yes } else { no };
            let below = self.b.ins().icmp(less, with, first);
            self.b.ins().brif(below, differ, &[], second, &[]);
            self.b.switch_to_block(second);
            let above = self.b.ins().icmp(more, with, last);
            self.b.ins().brif(above, differ, &[], apart, &[]);
            return Ok(());
        }
        let Some(cond) = compare::int_condition(op, ty.is_signed()) else {
            return refuse("not an order");
        };
        // Values grow from the first to the last: one of the two holds for all if it holds, the other for none if not.
        let grows = matches!(op, CmpOp::Gt | CmpOp::Ge | CmpOp::Hi | CmpOp::Hs);
        let (all, any) = if grows { (first, last) } else { (last, first) };
        let for_all = self.b.ins().icmp(cond, all, with);
        self.b.ins().brif(for_all, yes, &[], second, &[]);
        self.b.switch_to_block(second);
        let for_any = self.b.ins().icmp(cond, any, with);
        self.b.ins().brif(for_any, apart, &[], no, &[]);
        Ok(())
    }

    /// Parts the group where a progression of 32 bits that is to be widened wraps.
    pub(super) fn check_widening(
        &mut self,
        wide: &Wide,
        facts: &Facts,
        instr: &Instr,
        site: (usize, bool),
    ) -> Emit {
        let from = match &instr.mods.types[..] {
            [_, from] => *from,
            _ => type_of(instr, 0)?,
        };
        for n in 1..=2 {
            let Some(rgpu_ptx::ast::Operand::Reg(reg)) = instr.operands.get(n) else {
                continue;
            };
            let Some(step) = wide.shapes[reg.index()].step().filter(|step| *step != 0) else {
                continue;
            };
            let first = self.read(operand(instr, n)?, from)?;
            let distance = step * (LANES as i64 - 1);
            let last = self.b.ins().iadd_imm_s(first, distance);
            let cond = match (from.is_signed(), step > 0) {
                (true, true) => IntCC::SignedLessThan,
                (true, false) => IntCC::SignedGreaterThan,
                (false, true) => IntCC::UnsignedLessThan,
                (false, false) => IntCC::UnsignedGreaterThan,
            };
            let wraps = self.b.ins().icmp(cond, last, first);
            let [apart, next] = [(); 2].map(|()| self.b.create_block());
            self.b.set_cold_block(apart);
            self.b.ins().brif(wraps, apart, &[], next, &[]);
            self.b.switch_to_block(apart);
            let yes = iconst(&mut self.b, types::I8, 1);
            let wrapped = self.wide_loop()?.wrapped;
            self.b.def_var(wrapped, yes);
            self.part_group(wide, facts, site.0, site.1)?;
            self.b.switch_to_block(next);
        }
        Ok(())
    }

    /// The region once more, for threads that go on alone.
    pub(super) fn emit_alone(
        &mut self,
        wide: &Wide,
        region: &Region,
        facts: &Facts,
        end: Block,
        next: Block,
    ) -> Emit {
        self.enter_region(region, end, false)?;
        let head = self.b.create_block();
        let state = self.wide_loop()?;
        let (parted, lane, site, count) = (state.parted, state.lane, state.site, state.count);
        let sites = state.sites.clone();
        let entries: Vec<Block> = sites.iter().map(|_| self.b.create_block()).collect();

        self.b.switch_to_block(parted);
        let zero = self.word(0);
        self.b.def_var(lane, zero);
        self.b.ins().jump(head, &[]);

        self.b.switch_to_block(head);
        self.take_own_index()?;
        self.take_uniform(facts, false)?;
        let pool = &mut self.b.func.dfg.value_lists;
        let calls: Vec<BlockCall> = entries
            .iter()
            .map(|block| BlockCall::new(*block, [], pool))
            .collect();
        let site = self.b.use_var(site);
        match calls.as_slice() {
            [_] => {
                self.b.ins().jump(entries[0], &[]);
            }
            _ => {
                let table = JumpTableData::new(calls[0], &calls);
                let table = self.b.create_jump_table(table);
                self.b.ins().br_table(site, table);
            }
        }

        let mut resumed = Vec::with_capacity(sites.len());
        for (at, entry) in sites.iter().zip(entries) {
            self.b.switch_to_block(entry);
            self.restore_alone(wide, *at)?;
            for again in remade(wide, wide.live_at(*at).iter().copied()) {
                self.statement_alone(again)?;
            }
            let block = self.b.create_block();
            self.b.ins().jump(block, &[]);
            resumed.push((*at, block));
        }
        for &at in &region.statements {
            if let Some((_, block)) = resumed.iter().find(|(site, _)| *site == at) {
                if !self.is_closed() {
                    self.b.ins().jump(*block, &[]);
                }
                self.b.switch_to_block(*block);
            }
            self.statement_alone(at)?;
            self.leave_region(region, at)?;
        }

        self.b.switch_to_block(end);
        self.save_alone(wide, facts, end_of(region))?;
        let number = self.b.use_var(lane);
        let number = self.b.ins().iadd_imm_u(number, 1);
        self.b.def_var(lane, number);
        let count = self.b.use_var(count);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, number, count);
        self.b.ins().brif(more, head, &[], next, &[]);
        Ok(())
    }

    fn take_own_index(&mut self) -> Emit {
        let state = self.wide_loop()?;
        let (x, lane, own) = (state.index[0], state.lane, state.own_x);
        let x = self.b.use_var(x);
        let lane = self.b.use_var(lane);
        let x = self.b.ins().iadd(x, lane);
        self.b.def_var(own, x);
        self.tell_index(0);
        Ok(())
    }

    fn statement_alone(&mut self, at: usize) -> Emit {
        self.statement = at;
        let body = &self.function().body;
        self.emit_statement(&body.statements[at])
    }
}

/// Statements that compute registers again, in order.
pub(super) fn remade(
    wide: &Wide,
    regs: impl Iterator<Item = rgpu_ptx::ast::Reg>,
) -> BTreeSet<usize> {
    regs.filter_map(|reg| wide.remade.get(&reg))
        .flatten()
        .copied()
        .collect()
}

//! Statements of a region, for threads that run together.

use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, SourceLoc};
use rgpu_ptx::ast::{AddrBase, Instr, Operand, Statement, StatementKind, Symbol};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::StateSpace;

use super::super::place::Access;
use super::super::{Emitter, control, operand, type_of};
use super::Facts;
use super::part::remade;
use super::values::Unit;
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;
use crate::passes::regions::Region;
use crate::passes::wide::{LANES, PARTS, VECTOR, Way, Wide};

impl Emitter<'_, '_> {
    /// The region for a group; leaves by `end`.
    pub(super) fn emit_together(
        &mut self,
        wide: &Wide,
        region: &Region,
        facts: &Facts,
        end: Block,
    ) -> Emit {
        self.enter_region(region, end, true)?;
        self.restore_together(wide, facts, region.start)?;
        let body = &self.function().body;
        let live = wide.live_at(region.start).iter().copied();
        let needed = live.filter(|reg| facts.used.contains(reg));
        for at in remade(wide, needed) {
            self.statement = at;
            if let StatementKind::Instr(instr) = &body.statements[at].kind {
                self.instr_together(wide, facts, instr, (region.start, false))?;
            }
        }
        self.set_told(false)?;
        for &at in &region.statements {
            self.statement = at;
            self.statement_together(wide, facts, &body.statements[at])?;
            self.leave_region(region, at)?;
        }
        Ok(())
    }

    fn statement_together(&mut self, wide: &Wide, facts: &Facts, statement: &Statement) -> Emit {
        let at = self.statement;
        let varies = wide.varying_guard(statement);
        match (&statement.kind, statement.guard) {
            (StatementKind::Label(_), _) => {
                self.set_told(false)?;
                self.emit_statement(statement)
            }
            _ if self.is_closed() => Ok(()),
            (StatementKind::Branch { target, .. }, Some(guard)) if varies => {
                let (target, next) = (self.labels[target.index()], self.b.create_block());
                self.fork_together(wide, facts, guard, target, next)?;
                self.b.switch_to_block(next);
                Ok(())
            }
            (StatementKind::Instr(instr), None) => {
                self.instr_together(wide, facts, instr, (at, true))
            }
            (StatementKind::Instr(instr), Some(guard)) => {
                let (body, next) = (self.b.create_block(), self.b.create_block());
                if varies {
                    self.fork_together(wide, facts, guard, body, next)?;
                } else {
                    control::fork(self, guard, body, next);
                }
                self.b.switch_to_block(body);
                let told = self.wide_loop()?.told;
                self.instr_together(wide, facts, instr, (at, true))?;
                if !self.is_closed() {
                    self.b.ins().jump(next, &[]);
                }
                self.set_told(told)?;
                self.b.switch_to_block(next);
                Ok(())
            }
            _ => self.emit_statement(statement),
        }
    }

    /// `site`: where threads go on alone if they must, and whether registers have been written since.
    fn instr_together(
        &mut self,
        wide: &Wide,
        facts: &Facts,
        instr: &Instr,
        site: (usize, bool),
    ) -> Emit {
        let at = self.statement;
        if wide.widening.contains(&at) {
            self.check_widening(wide, facts, instr, site)?;
        }
        if may_fault(instr) && !self.wide_loop()?.told {
            self.tell_index(0);
            self.set_told(true)?;
        }
        match wide.ways.get(&at).copied().unwrap_or(Way::Once) {
            Way::Once => self.instr(instr)?,
            Way::Parts if instr.op == Opcode::Ld => self.load_together(instr)?,
            Way::Parts if instr.op == Opcode::St => self.store_together(instr)?,
            Way::Parts => {
                for part in 0..PARTS {
                    self.set_unit(Unit::Part(part));
                    self.instr(instr)?;
                }
            }
            Way::Lanes => self.one_by_one(instr)?,
        }
        self.set_unit(Unit::First);
        self.commit()
    }

    fn set_told(&mut self, told: bool) -> Emit {
        self.wide_loop_mut()?.told = told;
        Ok(())
    }

    fn one_by_one(&mut self, instr: &Instr) -> Emit {
        for lane in 0..LANES {
            self.set_unit(Unit::Lane(lane));
            // Where the machine faults, this tells for which thread.
            self.b.set_srcloc(SourceLoc::new(lane as u32));
            self.instr(instr)?;
        }
        self.b.set_srcloc(SourceLoc::default());
        Ok(())
    }

    /// Words that follow each other.
    fn load_together(&mut self, instr: &Instr) -> Emit {
        let ty = type_of(instr, 0)?;
        let Operand::Addr(address) = operand(instr, 1)? else {
            return refuse("no address");
        };
        let access = Access::load(ty.size()).times(LANES as u32);
        let (base, offset) = self.place(instr.mods.space, address, access)?;
        let read_only = instr.mods.nc || instr.mods.space == Some(StateSpace::Const);
        let flags = if read_only {
            unaligned().with_readonly()
        } else {
            unaligned()
        };
        for part in 0..PARTS {
            self.set_unit(Unit::Part(part));
            let vector = self.in_unit(machine_type(ty));
            let at = offset + distance(part);
            let value = self.b.ins().load(vector, flags, base, at);
            self.write(operand(instr, 0)?, value, ty)?;
        }
        Ok(())
    }

    fn store_together(&mut self, instr: &Instr) -> Emit {
        let ty = type_of(instr, 0)?;
        let Operand::Addr(address) = operand(instr, 0)? else {
            return refuse("no address");
        };
        let access = Access::store(ty.size()).times(LANES as u32);
        let (base, offset) = self.place(instr.mods.space, address, access)?;
        for part in 0..PARTS {
            self.set_unit(Unit::Part(part));
            let value = self.read(operand(instr, 1)?, ty)?;
            let at = offset + distance(part);
            self.b.ins().store(unaligned(), value, base, at);
        }
        Ok(())
    }
}

/// Whether a thread may stop at an instruction, which must then be known. Parameters are always there.
fn may_fault(instr: &Instr) -> bool {
    let parameter = instr.operands.iter().any(|operand| {
        matches!(operand, Operand::Addr(address)
            if matches!(address.base, AddrBase::Symbol(Symbol::Param(_))))
    });
    !parameter
        && matches!(
            instr.op,
            Opcode::Ld
                | Opcode::Ldu
                | Opcode::St
                | Opcode::Atom
                | Opcode::Red
                | Opcode::Trap
                | Opcode::Brkpt
        )
}

/// Flags of accesses to several words, which need not be aligned to all of them.
fn unaligned() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// From the first word to the first of a part.
fn distance(part: usize) -> i32 {
    i32::try_from(4 * VECTOR * part).unwrap_or(i32::MAX)
}

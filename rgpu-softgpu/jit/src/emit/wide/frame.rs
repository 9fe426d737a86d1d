//! Registers on their way into the frames of a block and back. A group's frames lie together: of each register the values
//! of its threads follow each other.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use rgpu_ptx::ast::Reg;

use super::super::Emitter;
use super::super::util::checked;
use super::Facts;
use crate::error::Emit;
use crate::passes::wide::{Kind, LANES, PARTS, Wide};

/// Where in a group's frames a register lies.
fn offset(wide: &Wide, reg: Reg) -> Option<i32> {
    let slot = wide.slots.get(&reg)?;
    i32::try_from(slot * LANES as u32).ok()
}

fn bytes(ty: Type) -> i32 {
    i32::try_from(ty.bytes()).unwrap_or(i32::MAX)
}

impl Emitter<'_, '_> {
    /// Reads what a region needs, and computes the rest of it again.
    pub(super) fn restore_together(&mut self, wide: &Wide, facts: &Facts, at: usize) -> Emit {
        let frame = self.frame_pointer()?;
        for reg in wide.live_at(at) {
            let needed = facts.used.contains(reg) || facts.written.contains(reg);
            let Some(offset) = offset(wide, *reg).filter(|_| needed && wide.is_kept(*reg)) else {
                continue;
            };
            let ty = self.unit.plan.reg_types[self.at][reg.index()];
            match wide.kinds[reg.index()] {
                Kind::Base => {
                    let value = self.b.ins().load(ty, checked(), frame, offset);
                    self.b.def_var(self.regs[reg.index()], value);
                }
                Kind::Vector => {
                    let vector = self.vector_type(*reg);
                    for part in 0..PARTS {
                        let at = offset + bytes(vector) * part as i32;
                        let value = self.b.ins().load(vector, checked(), frame, at);
                        self.set_part(*reg, part, value)?;
                    }
                }
                Kind::Lanes => {
                    for lane in 0..LANES {
                        let at = offset + bytes(ty) * lane as i32;
                        let value = self.b.ins().load(ty, checked(), frame, at);
                        self.set_lane(*reg, lane, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes what lives on at a statement and the region has written.
    pub(super) fn save_together(&mut self, wide: &Wide, facts: &Facts, at: Option<usize>) -> Emit {
        let Some(at) = at else { return Ok(()) };
        let frame = self.frame_pointer()?;
        for reg in wide.live_at(at) {
            let kept = wide.is_kept(*reg) && facts.written.contains(reg);
            let Some(offset) = offset(wide, *reg).filter(|_| kept) else {
                continue;
            };
            let mut at = offset;
            for value in self.all_values(*reg) {
                self.b.ins().store(checked(), value, frame, at);
                at += bytes(self.b.func.dfg.value_type(value));
            }
        }
        Ok(())
    }

    /// Where the frame of the thread that runs alone holds a register.
    fn own_slot(&mut self, wide: &Wide, reg: Reg) -> Emit<Option<(Value, i32, Type)>> {
        let Some(offset) = offset(wide, reg) else {
            return Ok(None);
        };
        let machine = self.unit.plan.reg_types[self.at][reg.index()];
        let ty = Wide::kept_type(wide.kinds[reg.index()], machine);
        let lane = self.wide_loop()?.lane;
        let lane = self.b.use_var(lane);
        let lane = self.b.ins().uextend(types::I64, lane);
        let distance = self.b.ins().imul_imm_s(lane, i64::from(ty.bytes()));
        let frame = self.frame_pointer()?;
        let base = self.b.ins().iadd(frame, distance);
        Ok(Some((base, offset, ty)))
    }

    /// Reads what a thread that goes on alone from a statement has.
    pub(super) fn restore_alone(&mut self, wide: &Wide, at: usize) -> Emit {
        for reg in wide.live_at(at) {
            if !wide.is_kept(*reg) {
                continue;
            }
            let Some((base, offset, ty)) = self.own_slot(wide, *reg)? else {
                continue;
            };
            let value = self.b.ins().load(ty, checked(), base, offset);
            let machine = self.unit.plan.reg_types[self.at][reg.index()];
            let value = if ty == machine {
                value
            } else {
                self.predicate_of(value)
            };
            self.b.def_var(self.regs[reg.index()], value);
        }
        Ok(())
    }

    /// Writes what lives on at the region's end.
    pub(super) fn save_alone(&mut self, wide: &Wide, facts: &Facts, at: Option<usize>) -> Emit {
        let Some(at) = at else { return Ok(()) };
        for reg in wide.live_at(at) {
            if !wide.is_kept(*reg) || !facts.written.contains(reg) {
                continue;
            }
            let Some((base, offset, ty)) = self.own_slot(wide, *reg)? else {
                continue;
            };
            let value = self.b.use_var(self.regs[reg.index()]);
            let value = if self.b.func.dfg.value_type(value) == ty {
                value
            } else {
                self.mask_of(value)
            };
            self.b.ins().store(checked(), value, base, offset);
        }
        Ok(())
    }
}

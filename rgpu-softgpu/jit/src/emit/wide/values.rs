//! The values of registers while threads run together.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use rgpu_ptx::ast::Reg;

use super::super::Emitter;
use super::super::util::{icmp_const, iconst, recast};
use crate::error::Emit;
use crate::passes::wide::{Kind, LANES, PARTS, VECTOR, Wide};

/// For which threads of a group code is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The first.
    First,
    /// Those of one vector register.
    Part(usize),
    /// One.
    Lane(usize),
}

/// The vector of a machine type of 32 bits, or of masks for predicates.
fn vector_of(ty: Type) -> Type {
    match ty {
        types::F32 => types::F32X4,
        types::I32 | types::I8 => types::I32X4,
        other => other,
    }
}

impl Emitter<'_, '_> {
    /// Whether code is emitted for threads that run together.
    pub(crate) fn runs_together(&self) -> bool {
        self.wide.as_ref().is_some_and(|wide| wide.together)
    }

    /// The type that values of `ty` have for the threads for which code is emitted.
    pub(crate) fn in_unit(&self, ty: Type) -> Type {
        match &self.wide {
            Some(wide) if wide.together && matches!(wide.unit, Unit::Part(_)) => vector_of(ty),
            _ => ty,
        }
    }

    pub(super) fn set_unit(&mut self, unit: Unit) {
        if let Some(wide) = &mut self.wide {
            wide.unit = unit;
        }
    }

    fn kind(&self, reg: Reg) -> Kind {
        let wide = self.unit.plan.wide.as_ref();
        wide.map_or(Kind::Base, |wide| wide.kinds[reg.index()])
    }

    fn step(&self, reg: Reg) -> i64 {
        let wide = self.unit.plan.wide.as_ref();
        let step = wide.and_then(|wide| wide.shapes[reg.index()].step());
        step.unwrap_or(0)
    }

    /// Variables of the registers that are not in arithmetic progression.
    pub(super) fn declare_together(&mut self, wide: &Wide) {
        for (index, kind) in (0_u32..).zip(&wide.kinds) {
            let ty = self.unit.plan.reg_types[self.at][index as usize];
            match kind {
                Kind::Base => {}
                Kind::Vector => {
                    let parts = [(); PARTS].map(|()| self.b.declare_var(vector_of(ty)));
                    if let Some(state) = &mut self.wide {
                        state.vectors.insert(Reg(index), parts);
                    }
                }
                Kind::Lanes => {
                    let lanes = [(); LANES].map(|()| self.b.declare_var(ty));
                    if let Some(state) = &mut self.wide {
                        state.lanes.insert(Reg(index), lanes);
                    }
                }
            }
        }
    }

    /// The present value of a register, for the threads for which code is emitted.
    pub(crate) fn reg_together(&mut self, reg: Reg) -> Value {
        let Some(state) = &self.wide else {
            return self.b.use_var(self.regs[reg.index()]);
        };
        let unit = state.unit;
        if let Some(parts) = state.vectors.get(&reg).copied() {
            return match unit {
                Unit::Part(part) => self.b.use_var(parts[part]),
                Unit::First => self.lane_of(reg, parts[0], 0),
                Unit::Lane(lane) => self.lane_of(reg, parts[lane / VECTOR], lane % VECTOR),
            };
        }
        if let Some(lanes) = state.lanes.get(&reg).copied() {
            let lane = match unit {
                Unit::Lane(lane) => lane,
                Unit::First | Unit::Part(_) => 0,
            };
            return self.b.use_var(lanes[lane]);
        }
        let first = self.b.use_var(self.regs[reg.index()]);
        match unit {
            Unit::First => first,
            Unit::Lane(lane) => self.ahead(first, self.step(reg) * lane as i64),
            Unit::Part(part) => self.progression(first, self.step(reg), part),
        }
    }

    /// What a thread has whose value is `distance` ahead.
    fn ahead(&mut self, first: Value, distance: i64) -> Value {
        if distance == 0 {
            first
        } else {
            self.b.ins().iadd_imm_s(first, distance)
        }
    }

    /// The values of one vector register's threads, given the first of all.
    fn progression(&mut self, first: Value, step: i64, part: usize) -> Value {
        let ty = self.b.func.dfg.value_type(first);
        if ty == types::I8 {
            let mask = self.mask_of(first);
            return self.b.ins().splat(types::I32X4, mask);
        }
        let all = self.b.ins().splat(vector_of(ty), first);
        if step == 0 {
            return all;
        }
        let distance = |lane: usize| (step * (part * VECTOR + lane) as i64) as i32;
        let bytes: Vec<u8> = (0..VECTOR)
            .flat_map(|lane| distance(lane).to_le_bytes())
            .collect();
        let distances = self.b.func.dfg.constants.insert(bytes.into());
        let distances = self.b.ins().vconst(types::I32X4, distances);
        self.b.ins().iadd(all, distances)
    }

    /// A predicate as a mask of 32 bits.
    pub(super) fn mask_of(&mut self, predicate: Value) -> Value {
        let wide = self.b.ins().uextend(types::I32, predicate);
        self.b.ins().ineg(wide)
    }

    /// A mask as a predicate.
    pub(super) fn predicate_of(&mut self, mask: Value) -> Value {
        icmp_const(
            &mut self.b,
            cranelift_codegen::ir::condcodes::IntCC::NotEqual,
            mask,
            0,
        )
    }

    fn lane_of(&mut self, reg: Reg, part: cranelift_frontend::Variable, lane: usize) -> Value {
        let vector = self.b.use_var(part);
        let value = self.b.ins().extractlane(vector, lane as u8);
        if self.unit.plan.reg_types[self.at][reg.index()] == types::I8 {
            self.predicate_of(value)
        } else {
            value
        }
    }

    /// Notes a result of the statement that is emitted.
    pub(crate) fn write_together(&mut self, reg: Reg, value: Value) {
        let kind = self.kind(reg);
        let Some(state) = &mut self.wide else { return };
        match (kind, state.unit) {
            (Kind::Base, Unit::First | Unit::Lane(0)) => {
                state.pending.push((reg, Unit::First, value));
            }
            (Kind::Base, _) => {}
            (_, unit) => state.pending.push((reg, unit, value)),
        }
    }

    /// Writes the results of a statement, once it has been emitted for all.
    pub(super) fn commit(&mut self) -> Emit {
        let pending = std::mem::take(&mut self.wide_loop_mut()?.pending);
        let mut scattered: Vec<(Reg, [Option<Value>; LANES])> = Vec::new();
        for (reg, unit, value) in pending {
            match unit {
                Unit::First => self.b.def_var(self.regs[reg.index()], value),
                Unit::Part(part) => self.set_part(reg, part, value)?,
                Unit::Lane(lane) if self.kind(reg) == Kind::Lanes => {
                    self.set_lane(reg, lane, value)?;
                }
                Unit::Lane(lane) => match scattered.iter_mut().find(|(other, _)| *other == reg) {
                    Some((_, values)) => values[lane] = Some(value),
                    None => {
                        let mut values = [None; LANES];
                        values[lane] = Some(value);
                        scattered.push((reg, values));
                    }
                },
            }
        }
        for (reg, values) in scattered {
            self.gather(reg, &values)?;
        }
        Ok(())
    }

    /// Puts single values into a register's vectors.
    fn gather(&mut self, reg: Reg, values: &[Option<Value>; LANES]) -> Emit {
        let Some(parts) = self.wide_loop()?.vectors.get(&reg).copied() else {
            return Ok(());
        };
        let ty = self.unit.plan.reg_types[self.at][reg.index()];
        for (part, values) in parts.into_iter().zip(values.chunks(VECTOR)) {
            let mut vector = None;
            for (lane, value) in (0_u8..).zip(values) {
                let Some(value) = *value else { continue };
                let value = if ty == types::I8 {
                    self.mask_of(value)
                } else {
                    value
                };
                vector = Some(match vector {
                    None => self.b.ins().splat(vector_of(ty), value),
                    Some(vector) => self.b.ins().insertlane(vector, value, lane),
                });
            }
            if let Some(vector) = vector {
                let vector = recast(&mut self.b, vector, vector_of(ty));
                self.b.def_var(part, vector);
            }
        }
        Ok(())
    }

    /// All values of a register for the group, as parts or as single values, in the order of its threads.
    pub(super) fn all_values(&mut self, reg: Reg) -> Vec<Value> {
        let kind = self.kind(reg);
        let ty = self.unit.plan.reg_types[self.at][reg.index()];
        let in_vectors =
            kind == Kind::Vector || kind == Kind::Base && matches!(ty, types::I32 | types::F32);
        let units: Vec<Unit> = if in_vectors {
            (0..PARTS).map(Unit::Part).collect()
        } else {
            (0..LANES).map(Unit::Lane).collect()
        };
        let mut values = Vec::with_capacity(units.len());
        for unit in units {
            self.set_unit(unit);
            values.push(self.reg_together(reg));
        }
        self.set_unit(Unit::First);
        values
    }

    /// Sets one of a register's vectors.
    pub(super) fn set_part(&mut self, reg: Reg, part: usize, value: Value) -> Emit {
        if let Some(parts) = self.wide_loop()?.vectors.get(&reg).copied() {
            self.b.def_var(parts[part], value);
        }
        Ok(())
    }

    /// Sets one thread's value of a register.
    pub(super) fn set_lane(&mut self, reg: Reg, lane: usize, value: Value) -> Emit {
        if let Some(lanes) = self.wide_loop()?.lanes.get(&reg).copied() {
            self.b.def_var(lanes[lane], value);
        }
        Ok(())
    }

    /// The vector type of a register that lives in vectors.
    pub(super) fn vector_type(&self, reg: Reg) -> Type {
        vector_of(self.unit.plan.reg_types[self.at][reg.index()])
    }

    /// A number of threads as a constant.
    pub(super) fn word(&mut self, value: usize) -> Value {
        iconst(&mut self.b, types::I32, value as i64)
    }
}

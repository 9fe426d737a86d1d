//! Reads operands as values of a type, and writes results back to registers.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_module::{Linkage, Module as _};
use rgpu_ptx::ast::{Imm, Operand, Reg, Symbol, VarId};
use rgpu_ptx::types::{ScalarType, StateSpace};

use super::Emitter;
use super::special;
use super::util::{iconst, int_of, negate, reshape, resize, wide};
use crate::error::{Emit, refuse};
use crate::object;
use crate::passes::reach::resolve_alias;
use crate::passes::reg_types::machine_type;
use crate::{FUNCTION_STRIDE, FUNCTION_WINDOW_BASE};

/// `.shared` in either spelling.
fn is_shared(space: StateSpace) -> bool {
    matches!(space, StateSpace::Shared | StateSpace::SharedCluster)
}

/// The integer an immediate operand stands for.
pub(crate) fn constant(operand: &Operand) -> Option<i64> {
    match operand {
        Operand::Imm(Imm::Int(value)) => Some(*value),
        _ => None,
    }
}

impl Emitter<'_, '_> {
    /// The present value of a register, in its machine type.
    pub(crate) fn reg(&mut self, reg: Reg) -> Value {
        if self.runs_together() {
            return self.reg_together(reg);
        }
        self.b.use_var(self.regs[reg.index()])
    }

    /// A register as an unsigned 64-bit number.
    pub(crate) fn reg_wide(&mut self, reg: Reg) -> Value {
        let value = self.reg(reg);
        let value = super::util::bits(&mut self.b, value);
        wide(&mut self.b, value)
    }

    /// A register and an offset as an address: an addition wraps in the width of the register.
    pub(crate) fn reg_plus(&mut self, reg: Reg, offset: i64) -> Value {
        if offset == 0 {
            return self.reg_wide(reg);
        }
        let value = self.reg(reg);
        let value = super::util::bits(&mut self.b, value);
        let offset = match self.b.func.dfg.value_type(value) {
            types::I64 => offset,
            _ => i64::from(offset as i32),
        };
        let sum = self.b.ins().iadd_imm_s(value, offset);
        wide(&mut self.b, sum)
    }

    /// Constant of a PTX type from its bits.
    pub(crate) fn constant(&mut self, bits: u64, ty: ScalarType) -> Value {
        let machine = self.machine(ty);
        let bits = match ty {
            // In a mask, all bits are set.
            ScalarType::Pred if machine.is_vector() && bits != 0 => u64::MAX,
            _ => bits,
        };
        let value = iconst(&mut self.b, int_of(machine), bits.cast_signed());
        reshape(&mut self.b, value, machine)
    }

    /// The machine type of a PTX type, or of several threads' values where they are computed as vectors.
    fn machine(&self, ty: ScalarType) -> Type {
        self.in_unit(machine_type(ty))
    }

    /// `operand` as a value of the machine type of `ty`. Wider registers are cut.
    pub(crate) fn read(&mut self, operand: &Operand, ty: ScalarType) -> Emit<Value> {
        let machine = self.machine(ty);
        let value = match operand {
            Operand::Reg(reg) => self.reg(*reg),
            Operand::NotPred(reg) => {
                let value = self.reg(*reg);
                negate(&mut self.b, value)
            }
            Operand::Imm(imm) => return Ok(self.constant(imm.bits_as(ty), ty)),
            Operand::Special(special) => special::read(self, *special)?,
            Operand::Symbol { symbol, offset } => {
                let address = self.symbol_address(*symbol)?;
                self.b.ins().iadd_imm_s(address, *offset)
            }
            Operand::Part { .. } => {
                return refuse("part of a register outside a video instruction");
            }
            Operand::Addr(_) | Operand::Vec(_) | Operand::Pair(_) | Operand::Sink => {
                return refuse("operand is not a value");
            }
        };
        Ok(reshape(&mut self.b, value, machine))
    }

    /// `operand` as bits of an integer type.
    pub(crate) fn read_bits(&mut self, operand: &Operand, ty: ScalarType) -> Emit<Value> {
        let value = self.read(operand, ty)?;
        Ok(super::util::bits(&mut self.b, value))
    }

    /// `operand` as an unsigned 32-bit number.
    pub(crate) fn read_u32(&mut self, operand: &Operand) -> Emit<Value> {
        self.read(operand, ScalarType::U32)
    }

    /// Writes a result of type `ty`; a wider register is filled by sign or zero as the type says.
    pub(crate) fn write(&mut self, operand: &Operand, value: Value, ty: ScalarType) -> Emit {
        match operand {
            Operand::Reg(reg) => {
                self.write_reg(*reg, value, ty.is_signed());
                Ok(())
            }
            Operand::Sink => Ok(()),
            _ => refuse("result place is not a register"),
        }
    }

    /// Writes a register.
    pub(crate) fn write_reg(&mut self, reg: Reg, value: Value, signed: bool) {
        let variable = self.regs[reg.index()];
        let target = self.in_unit(self.unit.plan.reg_types[self.at][reg.index()]);
        let from = self.b.func.dfg.value_type(value);
        let value = if from.is_int() && from.bits() < target.bits() {
            resize(&mut self.b, value, int_of(target), signed)
        } else {
            value
        };
        let value = reshape(&mut self.b, value, target);
        if self.runs_together() {
            return self.write_together(reg, value);
        }
        self.b.def_var(variable, value);
        self.keep(reg, value);
    }

    /// Offset of a shared or local variable, or of a parameter's copy, in shared memory or in the frame.
    pub(crate) fn fixed_offset(&self, symbol: Symbol) -> Emit<u64> {
        let function = self.function();
        let found = match symbol {
            Symbol::Variable(id) => self.unit.plan.shared.variable(id),
            Symbol::Local(id) => match self.frame().locals.get(&id) {
                Some(offset) => Some(*offset),
                None => self.unit.plan.shared.local(function.id, id),
            },
            Symbol::Param(n) => self.frame().params.get(&n).copied(),
            Symbol::Return(_) | Symbol::Function(_) => None,
        };
        found.map_or_else(|| refuse("this symbol has no address"), Ok)
    }

    /// The value of a symbol: its address in its own state space.
    pub(crate) fn symbol_address(&mut self, symbol: Symbol) -> Emit<Value> {
        let address = match symbol {
            Symbol::Function(id) => {
                let id = resolve_alias(self.unit.module, id);
                FUNCTION_WINDOW_BASE + u64::from(id.0) * FUNCTION_STRIDE
            }
            Symbol::Param(n) if self.function().is_kernel => {
                self.function().params[n as usize].offset
            }
            Symbol::Variable(id) if !is_shared(self.symbol_space(symbol)) => {
                return self.variable_address(id);
            }
            _ => self.fixed_offset(symbol)?,
        };
        let in_frame = self.symbol_space(symbol) == StateSpace::Local;
        let value = self.b.ins().iconst(types::I64, address.cast_signed());
        Ok(if in_frame {
            self.b.ins().iadd(self.thread.frame, value)
        } else {
            value
        })
    }

    /// Device address of a module variable, filled in when the code is linked.
    pub(crate) fn variable_address(&mut self, id: VarId) -> Emit<Value> {
        if self.unit.addresses[id.index()].is_none() {
            let name = &self.unit.module.variables[id.index()].name;
            return refuse(format!("variable {name} has no address"));
        }
        let name = object::variable_name(id.0);
        let declared = self.jit.declare_data(&name, Linkage::Import, true, false);
        let data = match declared {
            Ok(data) => data,
            Err(error) => return refuse(error.to_string()),
        };
        let value = self.jit.declare_data_in_func(data, self.b.func);
        Ok(self.b.ins().symbol_value(types::I64, value))
    }

    /// The state space that a symbol's address belongs to.
    pub(crate) fn symbol_space(&self, symbol: Symbol) -> StateSpace {
        match symbol {
            Symbol::Variable(id) => self.unit.module.variables[id.index()].space,
            Symbol::Local(id) => match self.function().body.vars[id.index()].space {
                StateSpace::Param => StateSpace::Local,
                other => other,
            },
            Symbol::Param(_) if self.function().is_kernel => StateSpace::Param,
            Symbol::Param(_) | Symbol::Return(_) => StateSpace::Local,
            Symbol::Function(_) => StateSpace::Global,
        }
    }
}

/// True if an operand is a predicate register.
pub(crate) fn is_predicate(e: &Emitter<'_, '_>, operand: &Operand) -> bool {
    match operand {
        Operand::NotPred(_) => true,
        Operand::Reg(reg) => e.function().body.reg_type(*reg) == ScalarType::Pred,
        _ => false,
    }
}

//! One operand against one rule.

use super::{Check, Checker};
use crate::{
    ast::{AddrBase, Address, Imm, Instr, Operand, Param, ParamSpace, Reg, Symbol},
    instr_table::Opcode,
    rules::Rule,
    types::{MulMode, ScalarType, StateSpace, TypeKind},
};

impl Checker<'_> {
    pub(super) fn operand(&self, instr: &Instr, rule: Rule, operand: &Operand) -> Check {
        let ty = |index: usize| {
            let found = instr.mods.types.get(index).copied();
            found.ok_or_else(|| format!("type {} is missing", index + 1))
        };
        match rule {
            Rule::D0 => self.destination(operand, ty(0)?),
            Rule::DWide => self.destination(operand, widened(instr, ty(0)?)?),
            Rule::DWide0 => self.wide_destination(operand, ty(0)?),
            Rule::DU32 => self.destination(operand, ScalarType::B32),
            Rule::DPred => self.destination(operand, ScalarType::Pred),
            Rule::DPredPair => self.pair(operand, ScalarType::Pred),
            Rule::D0Pair => self.pair(operand, ty(0)?),
            Rule::DU32Pair => self.pair(operand, ScalarType::B32),
            Rule::DMov => self.mov_destination(instr, operand, ty(0)?),
            Rule::DVec0 => self.vector_destination(instr, operand, ty(0)?),
            Rule::DVec0Sink if *operand == Operand::Sink => Ok(()),
            Rule::DVec0Sink => self.vector_destination(instr, operand, ty(0)?),
            Rule::OptD0Sink if *operand == Operand::Sink => Ok(()),
            Rule::OptD0Sink => self.destination(operand, ty(0)?),
            Rule::DPart | Rule::SPart | Rule::SPartNeg => self.video(rule, operand),
            Rule::S0 | Rule::OptS0 => self.source(operand, ty(0)?),
            Rule::SLast => self.source(operand, ty(instr.mods.types.len().saturating_sub(1))?),
            Rule::S1 | Rule::OptS1 => self.source(operand, ty(1)?),
            Rule::SWide => self.source(operand, widened(instr, ty(0)?)?),
            Rule::SWide1 => self.cvt_source(operand, ty(1)?),
            Rule::SU32 | Rule::OptSU32 => self.source(operand, ScalarType::U32),
            Rule::OptRandom => self.source(operand, ScalarType::B32),
            Rule::OptSF32 => self.source(operand, ScalarType::F32),
            Rule::SPred | Rule::OptPred => self.source(operand, ScalarType::Pred),
            Rule::OptSrcSize => self.copy_size(operand),
            Rule::SAddr0 => self.address_value(operand, ty(0)?),
            Rule::SPtr => self.pointer(operand),
            Rule::SAny => self.integer(operand),
            Rule::SMov => self.mov_source(instr, operand, ty(0)?),
            Rule::SVec0 => self.vector_source(instr, operand, ty(0)?),
            Rule::ImmInt | Rule::OptImmInt => match operand {
                Operand::Imm(Imm::Int(_)) => Ok(()),
                _ => Err("an integer constant is wanted here".to_owned()),
            },
            Rule::Addr => self.address(instr, operand),
            Rule::OptPolicy => self.source(operand, ScalarType::B64),
        }
    }

    /// A register that holds exactly this type.
    pub(super) fn typed(&self, reg: Reg, ty: ScalarType) -> Check {
        let found = self.reg_type(reg)?;
        if found.bits() == ty.bits() && compatible(found, ty) {
            return Ok(());
        }
        let name = self.body.reg_name(reg);
        Err(format!("register {name} is .{found} where .{ty} is wanted"))
    }

    /// A register that may be wider than the type, as `ld`, `st` and `cvt` allow.
    fn typed_wide(&self, reg: Reg, ty: ScalarType) -> Check {
        let found = self.reg_type(reg)?;
        let wider = found.bits() > ty.bits() && found.kind() != TypeKind::Float;
        if wider && compatible(found, ty) {
            return Ok(());
        }
        self.typed(reg, ty)
    }

    fn destination(&self, operand: &Operand, ty: ScalarType) -> Check {
        match operand {
            Operand::Reg(reg) => self.typed(*reg, ty),
            _ => Err("a register is wanted as destination".to_owned()),
        }
    }

    fn wide_destination(&self, operand: &Operand, ty: ScalarType) -> Check {
        match operand {
            Operand::Reg(reg) => self.typed_wide(*reg, ty),
            _ => Err("a register is wanted as destination".to_owned()),
        }
    }

    /// `d`, `d|p`, or `_` in either place.
    fn pair(&self, operand: &Operand, ty: ScalarType) -> Check {
        let one = |operand: &Operand, ty| match operand {
            Operand::Sink => Ok(()),
            other => self.destination(other, ty),
        };
        match operand {
            Operand::Pair(pair) => {
                one(&pair.0, ty)?;
                one(&pair.1, ScalarType::Pred)
            }
            other => one(other, ty),
        }
    }

    /// A register or constant of a type.
    pub(super) fn source(&self, operand: &Operand, ty: ScalarType) -> Check {
        match operand {
            Operand::Reg(reg) => self.typed(*reg, ty),
            Operand::NotPred(reg) if ty == ScalarType::Pred => self.typed(*reg, ty),
            Operand::NotPred(_) => Err("only a predicate can be negated by `!`".to_owned()),
            Operand::Imm(imm) => constant(*imm, ty),
            _ => Err(format!("a register or constant of type .{ty} is wanted")),
        }
    }

    /// `cvt` also reads special registers and wider ones.
    fn cvt_source(&self, operand: &Operand, ty: ScalarType) -> Check {
        match operand {
            Operand::Special(_) if ty.is_integer() => Ok(()),
            Operand::Reg(reg) => self.typed_wide(*reg, ty),
            other => self.source(other, ty),
        }
    }

    fn copy_size(&self, operand: &Operand) -> Check {
        let predicate = match operand {
            Operand::NotPred(_) => true,
            Operand::Reg(reg) => self.reg_type(*reg)? == ScalarType::Pred,
            _ => false,
        };
        self.source(
            operand,
            if predicate {
                ScalarType::Pred
            } else {
                ScalarType::U32
            },
        )
    }

    fn address_value(&self, operand: &Operand, ty: ScalarType) -> Check {
        match operand {
            Operand::Symbol { symbol, .. } => self.symbol(*symbol),
            other => self.source(other, ty),
        }
    }

    fn pointer(&self, operand: &Operand) -> Check {
        match operand {
            Operand::Reg(reg) => self.address_register(*reg),
            Operand::Symbol { symbol, .. } => self.symbol(*symbol),
            _ => Err("an address in a register is wanted".to_owned()),
        }
    }

    fn address_register(&self, reg: Reg) -> Check {
        let ty = self.reg_type(reg)?;
        let whole = matches!(
            ty.kind(),
            TypeKind::Bits | TypeKind::Unsigned | TypeKind::Signed
        );
        if whole && matches!(ty.bits(), 32 | 64) {
            return Ok(());
        }
        let name = self.body.reg_name(reg);
        Err(format!(
            "register {name} is .{ty} and cannot hold an address"
        ))
    }

    fn integer(&self, operand: &Operand) -> Check {
        match operand {
            Operand::Reg(reg) => self.address_register(*reg),
            Operand::Imm(Imm::Int(_)) => Ok(()),
            _ => Err("an integer register or constant is wanted".to_owned()),
        }
    }

    fn video(&self, rule: Rule, operand: &Operand) -> Check {
        match operand {
            Operand::Part { reg, part } => {
                let lanes = part.lanes.iter().take(usize::from(part.len));
                let negated = part.negated && rule == Rule::SPartNeg;
                if part.negated && !negated {
                    return Err("this operand cannot be negated".to_owned());
                }
                let whole = part.len == 0 && negated;
                if part.len == 0 && !whole || part.len > 4 || lanes.clone().any(|&lane| lane > 7) {
                    return Err("a byte or half selector is out of range".to_owned());
                }
                self.typed(*reg, ScalarType::B32)
            }
            other if rule != Rule::DPart => self.source(other, ScalarType::B32),
            other => self.destination(other, ScalarType::B32),
        }
    }

    // `mov`.

    fn mov_destination(&self, instr: &Instr, operand: &Operand, ty: ScalarType) -> Check {
        match operand {
            Operand::Vec(list) => {
                let element = mov_element(instr, ty, list.len())?;
                list.iter().try_for_each(|e| match e {
                    Operand::Sink => Ok(()),
                    other => self.destination(other, element),
                })
            }
            _ if instr.mods.vec.is_some() => Err("a vector is wanted as destination".to_owned()),
            other => self.destination(other, ty),
        }
    }

    fn mov_source(&self, instr: &Instr, operand: &Operand, ty: ScalarType) -> Check {
        let both = matches!(instr.operands.first(), Some(Operand::Vec(_)));
        match operand {
            Operand::Vec(_) if both && instr.mods.vec.is_none() => {
                Err("only one side of `mov` can be a vector".to_owned())
            }
            Operand::Vec(list) => {
                let element = mov_element(instr, ty, list.len())?;
                list.iter().try_for_each(|e| match e {
                    Operand::Special(_) => special(element),
                    other => self.source(other, element),
                })
            }
            _ if instr.mods.vec.is_some() => Err("a vector is wanted as source".to_owned()),
            Operand::Special(reg) if reg.ty() == ScalarType::Pred => {
                if ty == ScalarType::Pred {
                    return Ok(());
                }
                Err(format!("{reg} is a predicate"))
            }
            Operand::Special(_) => special(ty),
            Operand::Symbol { symbol, .. } => {
                self.symbol(*symbol)?;
                let whole = !ty.is_float() && matches!(ty.bits(), 32 | 64);
                if whole {
                    Ok(())
                } else {
                    Err(format!("an address does not fit .{ty}"))
                }
            }
            other => self.source(other, ty),
        }
    }

    // Memory.

    fn vector_destination(&self, instr: &Instr, operand: &Operand, ty: ScalarType) -> Check {
        let Some(list) = elements(instr, operand)? else {
            return self.wide_destination(operand, ty);
        };
        list.iter().try_for_each(|e| match e {
            Operand::Sink => Ok(()),
            other => self.wide_destination(other, ty),
        })
    }

    fn vector_source(&self, instr: &Instr, operand: &Operand, ty: ScalarType) -> Check {
        let one = |operand: &Operand| match operand {
            Operand::Reg(reg) => self.typed_wide(*reg, ty),
            other => self.source(other, ty),
        };
        match elements(instr, operand)? {
            Some(list) => list.iter().try_for_each(one),
            None => one(operand),
        }
    }

    fn address(&self, instr: &Instr, operand: &Operand) -> Check {
        let Operand::Addr(Address { base, .. }) = operand else {
            return Err("an address in brackets is wanted".to_owned());
        };
        match base {
            AddrBase::Absolute => Ok(()),
            AddrBase::Reg(reg) => self.address_register(*reg),
            AddrBase::Symbol(symbol) => {
                self.symbol(*symbol)?;
                // The two addresses of `cp.async` lie in different spaces.
                if instr.op == Opcode::CpAsync {
                    return Ok(());
                }
                let space = self.space_of(*symbol)?;
                self.readable(instr, *symbol)?;
                match instr.mods.space {
                    Some(wanted) if !same_space(wanted, space) => Err(format!(
                        "the symbol lies in .{space}, the access is to .{wanted}"
                    )),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Parameters are read-only, return values write-only places.
    fn readable(&self, instr: &Instr, symbol: Symbol) -> Check {
        let stores = matches!(
            instr.op,
            Opcode::St | Opcode::Atom | Opcode::Red | Opcode::MultimemSt | Opcode::MultimemRed
        );
        match symbol {
            Symbol::Param(_) if stores => Err("a parameter cannot be written".to_owned()),
            _ => Ok(()),
        }
    }

    /// Is the id in range?
    pub(super) fn symbol(&self, symbol: Symbol) -> Check {
        let exists = match symbol {
            Symbol::Variable(id) => id.index() < self.module.variables.len(),
            Symbol::Local(id) => id.index() < self.body.vars.len(),
            Symbol::Param(i) => (i as usize) < self.function.params.len(),
            Symbol::Return(i) => (i as usize) < self.function.returns.len(),
            Symbol::Function(id) => id.index() < self.module.functions.len(),
        };
        if exists {
            Ok(())
        } else {
            Err("a symbol does not exist".to_owned())
        }
    }

    fn space_of(&self, symbol: Symbol) -> Result<StateSpace, String> {
        let params = |list: &[Param], i: u32| {
            list.get(i as usize)
                .filter(|p| p.space == ParamSpace::Param)
                .map(|_| StateSpace::Param)
        };
        let space = match symbol {
            Symbol::Variable(id) => self.module.variables.get(id.index()).map(|v| v.space),
            Symbol::Local(id) => self.body.vars.get(id.index()).map(|v| v.space),
            Symbol::Param(i) => params(&self.function.params, i),
            Symbol::Return(i) => params(&self.function.returns, i),
            Symbol::Function(_) => None,
        };
        space.ok_or_else(|| "a function is no memory".to_owned())
    }
}

fn same_space(wanted: StateSpace, found: StateSpace) -> bool {
    wanted == found || (wanted == StateSpace::SharedCluster && found == StateSpace::Shared)
}

/// May a register of type `reg` be used as `ty`, sizes apart?
fn compatible(reg: ScalarType, ty: ScalarType) -> bool {
    let integer = |k| matches!(k, TypeKind::Unsigned | TypeKind::Signed);
    match (reg.kind(), ty.kind()) {
        (TypeKind::Pred, _) | (_, TypeKind::Pred) => reg == ty,
        (TypeKind::Bits, _) | (_, TypeKind::Bits) => true,
        (a, b) if integer(a) && integer(b) => true,
        // `.tf32` has no registers of its own.
        (TypeKind::Float, TypeKind::Float) if ty == ScalarType::Tf32 => reg == ScalarType::F32,
        _ => reg == ty,
    }
}

fn constant(imm: Imm, ty: ScalarType) -> Check {
    let fits = match (imm, ty.kind()) {
        (Imm::Int(_), TypeKind::Pred | TypeKind::Bits | TypeKind::Unsigned | TypeKind::Signed) => {
            true
        }
        (Imm::F32(_) | Imm::F64(_), TypeKind::Float) => matches!(ty.bits(), 32 | 64),
        (Imm::F32(_), TypeKind::Bits) => ty.bits() == 32,
        (Imm::F64(_), TypeKind::Bits) => ty.bits() == 64,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let kind = if matches!(imm, Imm::Int(_)) {
        "an integer"
    } else {
        "a float"
    };
    Err(format!("{kind} constant cannot stand for .{ty}"))
}

/// The type after `.wide`.
fn widened(instr: &Instr, ty: ScalarType) -> Result<ScalarType, String> {
    if instr.mods.mul != Some(MulMode::Wide) {
        return Ok(ty);
    }
    ty.widened()
        .ok_or_else(|| format!("`.wide` does not exist for .{ty}"))
}

/// Element type of a vector in `mov`: as stated with `.vN`, else the type cut into equal parts.
fn mov_element(instr: &Instr, ty: ScalarType, count: usize) -> Result<ScalarType, String> {
    if let Some(width) = instr.mods.vec {
        return if width.lanes() == count {
            Ok(ty)
        } else {
            Err(format!(
                "a vector of {} elements is wanted, found {count}",
                width.lanes()
            ))
        };
    }
    let bits = ty.bits();
    let part = match count {
        2 | 4 if ty != ScalarType::Pred => bits / count as u32,
        _ => 0,
    };
    match part {
        8 => Ok(ScalarType::B8),
        16 => Ok(ScalarType::B16),
        32 => Ok(ScalarType::B32),
        64 => Ok(ScalarType::B64),
        _ => Err(format!(
            "a vector of {count} elements does not make a .{ty}"
        )),
    }
}

/// The elements of a memory operand, `None` without `.vN`.
fn elements<'a>(instr: &Instr, operand: &'a Operand) -> Result<Option<&'a [Operand]>, String> {
    match (instr.mods.vec, operand) {
        // `{a}` stands for `a`; NCCL is written so.
        (None, Operand::Vec(list)) if list.len() == 1 => Ok(Some(list)),
        (None, Operand::Vec(_)) => Err("a vector needs `.vN`".to_owned()),
        (None, _) => Ok(None),
        (Some(width), Operand::Vec(list)) if list.len() == width.lanes() => Ok(Some(list)),
        (Some(width), _) => Err(format!("a vector of {} elements is wanted", width.lanes())),
    }
}

/// A special register read as `ty`.
fn special(ty: ScalarType) -> Check {
    let whole = matches!(
        ty.kind(),
        TypeKind::Bits | TypeKind::Unsigned | TypeKind::Signed
    );
    if whole && matches!(ty.bits(), 16 | 32 | 64) {
        return Ok(());
    }
    Err(format!("a special register cannot be read as .{ty}"))
}

//! Calls against the signature of what they call.

use super::{Check, Checker};
use crate::{
    ast::{Call, CallArg, CallTarget, FuncId, FunctionKind, Imm, Param, ParamSpace, Reg, Symbol},
    types::{ScalarType, StateSpace},
};

impl Checker<'_> {
    pub(super) fn call(&self, call: &Call) -> Check {
        let functions = &self.module.functions;
        let function = |id: FuncId| {
            let found = functions
                .get(id.index())
                .ok_or("a called function does not exist")?;
            if found.kind == FunctionKind::Entry {
                return Err(format!("kernel `{}` cannot be called", found.name));
            }
            Ok(found)
        };
        match &call.target {
            CallTarget::Direct(id) => {
                let callee = function(*id)?;
                self.signature(call, &callee.returns, &callee.params)
            }
            CallTarget::Indirect { callee, prototype } => {
                self.callee(*callee)?;
                let prototypes = &self.body.prototypes;
                let found = prototypes.get(prototype.index());
                let found = found.ok_or("a call prototype does not exist")?;
                self.signature(call, &found.returns, &found.params)
            }
            CallTarget::OneOf { callee, targets } => {
                self.callee(*callee)?;
                targets.iter().try_for_each(|&id| {
                    let callee = function(id)?;
                    self.signature(call, &callee.returns, &callee.params)
                })
            }
        }
    }

    fn callee(&self, reg: Reg) -> Check {
        let ty = self.reg_type(reg)?;
        if !ty.is_float() && matches!(ty.bits(), 32 | 64) && ty != ScalarType::Pred {
            return Ok(());
        }
        Err(format!(
            "register {} cannot hold a function",
            self.body.reg_name(reg)
        ))
    }

    fn signature(&self, call: &Call, returns: &[Param], params: &[Param]) -> Check {
        self.places("return values", &call.returns, returns)?;
        self.places("arguments", &call.args, params)?;
        match call.returns.iter().any(|r| matches!(r, CallArg::Imm(_))) {
            true => Err("a constant cannot take a return value".to_owned()),
            false => Ok(()),
        }
    }

    fn places(&self, what: &str, given: &[CallArg], wanted: &[Param]) -> Check {
        if given.len() != wanted.len() {
            return Err(format!(
                "{} {what} are wanted, found {}",
                wanted.len(),
                given.len()
            ));
        }
        given
            .iter()
            .zip(wanted)
            .try_for_each(|(arg, param)| self.place(arg, param))
    }

    fn place(&self, arg: &CallArg, param: &Param) -> Check {
        let scalar = param.array.is_none() && param.vec.is_none();
        match arg {
            CallArg::Sink => Ok(()),
            CallArg::Param(symbol) => {
                self.symbol(*symbol)?;
                let size = self.param_size(*symbol)?;
                // `va[]`: the callee takes what comes.
                if size == param.size || param.array == Some(0) {
                    return Ok(());
                }
                Err(format!(
                    "a .param of {size} bytes is given where {} are wanted",
                    param.size
                ))
            }
            _ if !scalar => Err("an aggregate must be passed as a .param variable".to_owned()),
            CallArg::Reg(reg) if param.space == ParamSpace::Reg => self.typed(*reg, param.ty),
            // A register for a `.param` is widened or cut to it.
            CallArg::Reg(reg) => {
                let ty = self.reg_type(*reg)?;
                let fits = ty != ScalarType::Pred && u64::from(ty.size()) >= param.size;
                if fits {
                    Ok(())
                } else {
                    Err(format!("a .{ty} cannot be passed as .{}", param.ty))
                }
            }
            CallArg::Imm(imm) => {
                let integer = matches!(imm, Imm::Int(_));
                if integer == param.ty.is_float() {
                    return Err(format!("the constant is no .{}", param.ty));
                }
                Ok(())
            }
        }
    }

    /// The bytes of a `.param` variable that can be passed.
    fn param_size(&self, symbol: Symbol) -> Result<u64, String> {
        let found = match symbol {
            Symbol::Local(id) => {
                let local = self.body.vars.get(id.index());
                local
                    .filter(|v| v.space == StateSpace::Param)
                    .map(|v| v.size)
            }
            Symbol::Param(i) => self.function.params.get(i as usize).map(|p| p.size),
            Symbol::Return(i) => self.function.returns.get(i as usize).map(|p| p.size),
            Symbol::Variable(_) | Symbol::Function(_) => None,
        };
        found.ok_or_else(|| "only .param variables can be passed".to_owned())
    }
}

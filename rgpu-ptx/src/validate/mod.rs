//! Checks a parsed body against the instruction table, so that a code generator can rely on its
//! shape: after `Ok`, every operand is of a kind and type that its row allows, every id is in range,
//! and modifiers that change the number of operands agree with it. Lowering may still refuse an
//! instruction, but has no reason to panic.
//!
//! Promises beyond the rows:
//! * a predicate source is `Reg`, `NotPred` or an integer constant;
//! * special registers are read by `mov` and `cvt` only;
//! * an integer constant stands where an integer or bit type is wanted, a float constant where a
//!   float is (of any width, to be converted) or a bit type of exactly its width;
//! * a vector has exactly as many elements as `.vN` says, and its elements are no vectors.

mod call;
mod convert;
mod limits;
mod mods;
mod multimem;
mod operand;

use crate::{
    ast::{Body, Function, Guard, Instr, Label, Reg, Statement, StatementKind},
    error::{Error, ErrorKind},
    module::Module,
    rules::Presence,
    types::ScalarType,
};

/// What is wrong with a statement; the place is added outside.
type Check = Result<(), String>;

/// Checks the body of `function`.
pub fn validate(module: &Module, function: &Function, body: &Body) -> Result<(), Error> {
    let checker = Checker {
        module,
        function,
        body,
    };
    for statement in &body.statements {
        checker.statement(statement).map_err(|message| {
            Error::new(ErrorKind::Invalid, &module.text, statement.span, message)
                .in_function(&function.name)
        })?;
    }
    Ok(())
}

/// Checks the types and modifiers of an instruction, which may have no operands yet.
pub(crate) fn modifiers(instr: &Instr) -> Check {
    let row = instr.op.row();
    let required = row.types.len() - row.optional_types;
    let found = instr.mods.types.len();
    if !(required..=row.types.len()).contains(&found) {
        let wanted = row.types.len();
        return Err(format!(
            "`{}` takes {wanted} types, found {found}",
            row.text
        ));
    }
    for (&ty, set) in instr.mods.types.iter().zip(row.types) {
        if !set.contains(ty) {
            return Err(format!("`{}` does not exist for type .{ty}", row.text));
        }
    }
    mods::check(instr)?;
    limits::check(instr)
}

#[derive(Clone, Copy, Debug)]
struct Checker<'a> {
    module: &'a Module,
    function: &'a Function,
    body: &'a Body,
}

impl Checker<'_> {
    fn statement(&self, statement: &Statement) -> Check {
        if let Some(Guard { reg, .. }) = statement.guard {
            self.typed(reg, ScalarType::Pred)?;
        }
        match &statement.kind {
            StatementKind::Label(label) => self.label(*label),
            StatementKind::Branch { target, .. } => self.label(*target),
            StatementKind::BranchIndexed { index, targets, .. } => {
                targets.iter().try_for_each(|&t| self.label(t))?;
                self.source(index, ScalarType::U32)
            }
            StatementKind::Call(call) => self.call(call),
            StatementKind::Instr(instr) => self.instr(instr),
            StatementKind::Pragma(_) | StatementKind::Unsupported(_) => Ok(()),
        }
    }

    fn label(&self, label: Label) -> Check {
        if label.index() < self.body.labels.len() {
            return Ok(());
        }
        Err(format!("label {} does not exist", label.0))
    }

    /// The type of a register.
    fn reg_type(&self, reg: Reg) -> Result<ScalarType, String> {
        let ty = self.body.regs.get(reg.index()).copied();
        ty.ok_or_else(|| format!("register {} does not exist", reg.0))
    }

    fn instr(&self, instr: &Instr) -> Check {
        modifiers(instr)?;
        self.operands(instr)
    }

    /// Matches operands with rules.
    fn operands(&self, instr: &Instr) -> Check {
        let row = instr.op.row();
        let presence = || row.operands.iter().map(|rule| rule.presence(instr));
        let needed = presence().filter(|&p| p == Presence::Needed).count();
        let free = presence().filter(|&p| p == Presence::Free).count();
        let found = instr.operands.len();
        if !(needed..=needed + free).contains(&found) {
            let wanted = match free {
                0 => format!("{needed}"),
                _ => format!("{needed} to {}", needed + free),
            };
            return Err(format!(
                "`{}` takes {wanted} operands here, found {found}",
                row.text
            ));
        }
        let mut spare = found - needed;
        let mut operands = instr.operands.iter();
        for (rule, presence) in row.operands.iter().zip(presence()) {
            let here = match presence {
                Presence::Needed => true,
                Presence::Absent => false,
                Presence::Free => {
                    let take = spare > 0;
                    spare -= usize::from(take);
                    take
                }
            };
            if !here {
                continue;
            }
            if let Some(operand) = operands.next() {
                self.operand(instr, *rule, operand)?;
            }
        }
        Ok(())
    }
}

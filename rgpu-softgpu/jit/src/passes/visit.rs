//! Walks over statements: which symbols, registers and functions they mention, what they write.

use rgpu_ptx::ast::{
    AddrBase, Body, Call, CallArg, CallTarget, Instr, Operand, Reg, Statement, StatementKind,
    Symbol,
};
use rgpu_ptx::instr_table::Opcode;

/// Calls `f` with every register that `operand` mentions, outside and inside addresses.
pub(crate) fn operand_regs(operand: &Operand, f: &mut impl FnMut(Reg)) {
    match operand {
        Operand::Reg(reg) | Operand::NotPred(reg) | Operand::Part { reg, .. } => f(*reg),
        Operand::Addr(address) => {
            if let AddrBase::Reg(reg) = address.base {
                f(reg);
            }
        }
        Operand::Vec(items) => items.iter().for_each(|item| operand_regs(item, f)),
        Operand::Pair(pair) => {
            operand_regs(&pair.0, f);
            operand_regs(&pair.1, f);
        }
        Operand::Imm(_) | Operand::Special(_) | Operand::Symbol { .. } | Operand::Sink => {}
    }
}

/// Calls `f` with every symbol of a statement; `true` if its address is taken as a value.
pub(crate) fn symbols(statement: &Statement, f: &mut impl FnMut(Symbol, bool)) {
    match &statement.kind {
        StatementKind::Instr(instr) => {
            instr
                .operands
                .iter()
                .for_each(|operand| operand_symbols(operand, f));
        }
        StatementKind::BranchIndexed { index, .. } => operand_symbols(index, f),
        StatementKind::Call(call) => {
            for arg in call.args.iter().chain(&call.returns) {
                if let CallArg::Param(symbol) = arg {
                    f(*symbol, false);
                }
            }
        }
        _ => {}
    }
}

fn operand_symbols(operand: &Operand, f: &mut impl FnMut(Symbol, bool)) {
    match operand {
        Operand::Symbol { symbol, .. } => f(*symbol, true),
        Operand::Addr(address) => {
            if let AddrBase::Symbol(symbol) = address.base {
                f(symbol, false);
            }
        }
        Operand::Vec(items) => items.iter().for_each(|item| operand_symbols(item, f)),
        Operand::Pair(pair) => {
            operand_symbols(&pair.0, f);
            operand_symbols(&pair.1, f);
        }
        _ => {}
    }
}

/// True if the first operand is written.
pub(crate) fn has_destination(instr: &Instr) -> bool {
    use Opcode::*;
    let first_is_target = !matches!(
        instr.op,
        St | Red
            | Prefetch
            | Prefetchu
            | Discard
            | Applypriority
            | CpAsync
            | CpAsyncWaitGroup
            | CpAsyncMbarrierArrive
            | Stackrestore
            | BarSync
            | BarArrive
            | BarWarpSync
            | MbarrierInit
            | MbarrierInval
            | MbarrierExpectTx
            | MbarrierCompleteTx
            | Nanosleep
            | Pmevent
            | SetmaxnregInc
            | SetmaxnregDec
    );
    first_is_target && !matches!(instr.operands.first(), None | Some(Operand::Addr(_)))
}

/// Registers that a statement writes.
pub(crate) fn defs(statement: &Statement, f: &mut impl FnMut(Reg)) {
    match &statement.kind {
        StatementKind::Instr(instr) if has_destination(instr) => {
            if let Some(first) = instr.operands.first() {
                operand_regs(first, f);
            }
        }
        StatementKind::Call(call) => {
            for place in &call.returns {
                if let CallArg::Reg(reg) = place {
                    f(*reg);
                }
            }
        }
        _ => {}
    }
}

/// Registers that a statement reads, its guard among them.
pub(crate) fn uses(statement: &Statement, f: &mut impl FnMut(Reg)) {
    if let Some(guard) = statement.guard {
        f(guard.reg);
    }
    match &statement.kind {
        StatementKind::Instr(instr) => {
            let skip = usize::from(has_destination(instr));
            instr
                .operands
                .iter()
                .skip(skip)
                .for_each(|operand| operand_regs(operand, f));
        }
        StatementKind::BranchIndexed { index, .. } => operand_regs(index, f),
        StatementKind::Call(call) => call_uses(call, f),
        _ => {}
    }
}

fn call_uses(call: &Call, f: &mut impl FnMut(Reg)) {
    for arg in &call.args {
        if let CallArg::Reg(reg) = arg {
            f(*reg);
        }
    }
    match &call.target {
        CallTarget::Indirect { callee, .. } | CallTarget::OneOf { callee, .. } => f(*callee),
        CallTarget::Direct(_) => {}
    }
}

/// True if the body uses `alloca`.
pub(crate) fn has_alloca(body: &Body) -> bool {
    body.statements.iter().any(|statement| {
        matches!(&statement.kind, StatementKind::Instr(instr) if instr.op == Opcode::Alloca)
    })
}

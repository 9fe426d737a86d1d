//! Bodies: declarations with invented names, then the statements.

use std::fmt::Write;

use super::{params, variable};
use crate::{
    ast::{
        AddrBase, Address, Body, Call, CallArg, CallTarget, FuncId, Function, Imm, Instr, Label,
        Modifiers, Operand, Reg, Statement, StatementKind, Symbol,
    },
    instr_table::Opcode,
    module::Module,
    parse::flag_place,
    rules::ModClass,
    types::Scope,
};

pub(super) fn body(out: &mut String, module: &Module, function: &Function, body: &Body) {
    let mut printer = Printer {
        out,
        module,
        function,
        body,
        regs: prefix(module, function, "%r"),
        vars: prefix(module, function, "$v"),
        lists: 0,
    };
    printer.declarations();
    for statement in &body.statements {
        printer.statement(statement);
    }
}

/// A prefix that no name in sight starts with.
fn prefix(module: &Module, function: &Function, start: &str) -> String {
    let mut prefix = format!("{start}$");
    let params = function
        .params
        .iter()
        .chain(&function.returns)
        .map(|p| p.name.as_str());
    let variables = module.variables.iter().map(|v| v.name.as_str());
    let functions = module.functions.iter().map(|f| f.name.as_str());
    let names: Vec<&str> = params.chain(variables).chain(functions).collect();
    while names.iter().any(|name| name.starts_with(&prefix)) {
        prefix.push('$');
    }
    prefix
}

struct Printer<'a, 'o> {
    out: &'o mut String,
    module: &'a Module,
    function: &'a Function,
    body: &'a Body,
    regs: String,
    vars: String,
    /// Target lists printed so far.
    lists: u32,
}

impl Printer<'_, '_> {
    fn declarations(&mut self) {
        let bound: Vec<Reg> = self
            .body
            .param_regs
            .iter()
            .chain(&self.body.return_regs)
            .flatten()
            .copied()
            .collect();
        for (i, group) in self.body.reg_groups.iter().enumerate() {
            if bound.contains(&group.first) {
                continue;
            }
            let ty = self.body.reg_type(group.first);
            let _ = writeln!(self.out, "\t.reg .{ty} {}{i}_<{}>;", self.regs, group.count);
        }
        for (i, local) in self.body.vars.iter().enumerate() {
            let name = format!("{}{i}", self.vars);
            self.out.push('\t');
            variable(self.out, None, local, &name);
        }
        for (i, prototype) in self.body.prototypes.iter().enumerate() {
            let _ = write!(self.out, "\t{}p{i}: .callprototype ", self.vars);
            params(self.out, &prototype.returns);
            self.out.push_str(" _ ");
            params(self.out, &prototype.params);
            self.out.push_str(if prototype.noreturn {
                " .noreturn;\n"
            } else {
                ";\n"
            });
        }
    }

    fn reg(&self, reg: Reg) -> String {
        let named = |regs: &[Option<Reg>]| regs.iter().position(|&r| r == Some(reg));
        if let Some(i) = named(&self.body.param_regs) {
            return self.function.params[i].name.clone();
        }
        if let Some(i) = named(&self.body.return_regs) {
            return self.function.returns[i].name.clone();
        }
        let group = self
            .body
            .reg_groups
            .partition_point(|g| g.first <= reg)
            .saturating_sub(1);
        let first = self.body.reg_groups.get(group).map_or(0, |g| g.first.0);
        format!("{}{group}_{}", self.regs, reg.0 - first)
    }

    fn label(&self, label: Label) -> String {
        format!("$L{}", label.0)
    }

    fn symbol(&self, symbol: Symbol) -> String {
        match symbol {
            Symbol::Variable(id) => self.module.variables[id.index()].name.clone(),
            Symbol::Local(id) => format!("{}{}", self.vars, id.0),
            Symbol::Param(i) => self.function.params[i as usize].name.clone(),
            Symbol::Return(i) => self.function.returns[i as usize].name.clone(),
            Symbol::Function(id) => self.module.functions[id.index()].name.clone(),
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let guard = match statement.guard {
            Some(g) if g.negated => format!("@!{} ", self.reg(g.reg)),
            Some(g) => format!("@{} ", self.reg(g.reg)),
            None => String::new(),
        };
        let uni = |uniform: bool| if uniform { ".uni" } else { "" };
        let text = match &statement.kind {
            StatementKind::Label(label) => {
                let _ = writeln!(self.out, "{}:", self.label(*label));
                return;
            }
            StatementKind::Pragma(list) => {
                let list: Vec<String> = list.iter().map(|s| format!("\"{s}\"")).collect();
                let _ = writeln!(self.out, "\t.pragma {};", list.join(", "));
                return;
            }
            StatementKind::Instr(instr) => self.instr(instr),
            StatementKind::Branch { target, uniform } => {
                format!("bra{} {}", uni(*uniform), self.label(*target))
            }
            StatementKind::BranchIndexed {
                index,
                targets,
                uniform,
            } => {
                let labels: Vec<String> = targets.iter().map(|&t| self.label(t)).collect();
                let list = self.list("branchtargets", &labels);
                format!("brx.idx{} {}, {list}", uni(*uniform), self.operand(index))
            }
            StatementKind::Call(call) => {
                let text = self.call(call);
                format!("call{} {text}", uni(call.uniform))
            }
            StatementKind::Unsupported(text) => text.clone(),
        };
        let _ = writeln!(self.out, "\t{guard}{text};");
    }

    /// Prints a target list and gives its name.
    fn list(&mut self, directive: &str, names: &[String]) -> String {
        let name = format!("{}t{}", self.vars, self.lists);
        self.lists += 1;
        let _ = writeln!(self.out, "\t{name}: .{directive} {};", names.join(", "));
        name
    }

    fn call(&mut self, call: &Call) -> String {
        let mut text = String::new();
        if !call.returns.is_empty() {
            let _ = write!(text, "({}), ", self.args(&call.returns));
        }
        let function = |id: FuncId| self.module.functions[id.index()].name.clone();
        let (callee, list) = match &call.target {
            CallTarget::Direct(id) => (function(*id), None),
            CallTarget::Indirect { callee, prototype } => (
                self.reg(*callee),
                Some(format!("{}p{}", self.vars, prototype.0)),
            ),
            CallTarget::OneOf { callee, targets } => {
                let names: Vec<String> = targets.iter().map(|&id| function(id)).collect();
                let callee = self.reg(*callee);
                (callee, Some(self.list("calltargets", &names)))
            }
        };
        let _ = write!(text, "{callee}, ({})", self.args(&call.args));
        if let Some(list) = list {
            let _ = write!(text, ", {list}");
        }
        text
    }

    fn args(&self, list: &[CallArg]) -> String {
        let one = |arg: &CallArg| match arg {
            CallArg::Param(symbol) => self.symbol(*symbol),
            CallArg::Reg(reg) => self.reg(*reg),
            CallArg::Imm(imm) => immediate(*imm),
            CallArg::Sink => "_".to_owned(),
        };
        list.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn instr(&self, instr: &Instr) -> String {
        let mut text = word(instr);
        for (i, operand) in instr.operands.iter().enumerate() {
            text.push_str(if i == 0 { " " } else { ", " });
            text.push_str(&self.operand(operand));
        }
        text
    }

    fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::Reg(reg) => self.reg(*reg),
            Operand::NotPred(reg) => format!("!{}", self.reg(*reg)),
            Operand::Imm(imm) => immediate(*imm),
            Operand::Special(special) => special.to_string(),
            Operand::Addr(Address { base, offset }) => match base {
                AddrBase::Reg(reg) => format!("[{}{}]", self.reg(*reg), plus(*offset)),
                AddrBase::Symbol(symbol) => format!("[{}{}]", self.symbol(*symbol), plus(*offset)),
                AddrBase::Absolute => format!("[{offset}]"),
            },
            Operand::Symbol { symbol, offset } => {
                format!("{}{}", self.symbol(*symbol), plus(*offset))
            }
            Operand::Vec(list) => {
                let list: Vec<String> = list.iter().map(|e| self.operand(e)).collect();
                format!("{{{}}}", list.join(", "))
            }
            Operand::Pair(pair) => format!("{}|{}", self.operand(&pair.0), self.operand(&pair.1)),
            Operand::Part { reg, part } => {
                let mut text = if part.negated { "-" } else { "" }.to_owned();
                text.push_str(&self.reg(*reg));
                if part.len > 0 {
                    text.push_str(if part.half { ".h" } else { ".b" });
                }
                for lane in part.lanes.iter().take(usize::from(part.len)) {
                    let _ = write!(text, "{lane}");
                }
                text
            }
            Operand::Sink => "_".to_owned(),
        }
    }
}

fn plus(offset: i64) -> String {
    if offset == 0 {
        String::new()
    } else {
        format!("+{offset}")
    }
}

fn immediate(imm: Imm) -> String {
    match imm {
        Imm::Int(value) => value.to_string(),
        Imm::F32(bits) => format!("0f{bits:08X}"),
        Imm::F64(bits) => format!("0d{bits:016X}"),
    }
}

/// Opcode, modifiers, types.
pub(crate) fn word(instr: &Instr) -> String {
    let row = instr.op.row();
    let mut text = row.text.to_owned();
    for &class in row.mods {
        tokens(&mut text, instr, class);
    }
    for ty in instr.mods.types.iter() {
        let _ = write!(text, ".{ty}");
    }
    text
}

/// Appends the tokens of one class.
pub(crate) fn tokens(text: &mut String, instr: &Instr, class: ModClass) {
    let m = &instr.mods;
    let mut put = |token: Option<&str>| {
        if let Some(token) = token {
            let _ = write!(text, ".{token}");
        }
    };
    match class {
        ModClass::Rounding => put(m.rounding.map(|x| x.token())),
        ModClass::Cmp => put(m.cmp.map(|x| x.token())),
        ModClass::BoolOp => put(m.bool_op.map(|x| x.token())),
        ModClass::Space => put(m.space.map(|x| x.token())),
        ModClass::Space2 => put(m.space2.map(|x| x.token())),
        ModClass::Sem => put(m.sem.map(|x| x.token())),
        ModClass::Scope if instr.op == Opcode::Membar && m.scope == Some(Scope::Gpu) => {
            put(Some("gl"))
        }
        ModClass::Scope => put(m.scope.map(|x| x.token())),
        ModClass::Cache => put(m.cache.map(|x| x.token())),
        ModClass::Level => put(m.level.map(|x| x.token())),
        ModClass::Vec => put(m.vec.map(|x| x.token())),
        ModClass::Mul => put(m.mul.map(|x| x.token())),
        ModClass::ShiftDir => put(m.shift_dir.map(|x| x.token())),
        ModClass::ShiftMode => put(m.shift_mode.map(|x| x.token())),
        ModClass::Prmt => put(m.prmt.map(|x| x.token())),
        ModClass::Atom => put(m.atom.map(|x| x.token())),
        ModClass::Shfl => put(m.shfl.map(|x| x.token())),
        ModClass::Vote => put(m.vote.map(|x| x.token())),
        ModClass::MatchMode => put(m.match_mode.map(|x| x.token())),
        ModClass::BarRed => put(m.bar_red.map(|x| x.token())),
        ModClass::Testp => put(m.testp.map(|x| x.token())),
        ModClass::Video => put(m.video.map(|x| x.token())),
        ModClass::VideoScale => put(m.scale.map(|x| x.token())),
        ModClass::Proxy => put(m.proxy.map(|x| x.token())),
        ModClass::Hints => m.hints.iter().for_each(|hint| put(Some(hint.token()))),
        flag => {
            let mut m: Modifiers = m.clone();
            if let Some((set, token)) = flag_place(&mut m, flag) {
                put(set.then_some(token));
            }
        }
    }
}

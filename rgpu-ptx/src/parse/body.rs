//! One function body: scopes, declarations, statements, and the resolution of labels.

use std::collections::HashMap;

use super::{
    Cursor, MAX_DEPTH, Result,
    instr::{BadForm, Form, parse_form},
};
use crate::{
    ast::{
        Body, FuncId, Function, Guard, Instr, Label, LabelDef, Linkage, LocalId, ParamSpace,
        ProtoId, Reg, RegGroup, Statement, StatementKind, Symbol,
    },
    error::{Error, ErrorKind, Span},
    lexer::{Lexer, Tok},
    module::Module,
    types::{ScalarType, StateSpace},
};

/// Most registers of a body; each costs a byte here and more in a code generator.
const MAX_REGS: usize = 1 << 22;

/// Digits of the largest register number.
const MAX_REG_DIGITS: usize = MAX_REGS.ilog10() as usize + 1;
/// Most entries of all target lists as the statements repeat them.
const MAX_TARGETS: usize = 1 << 20;

/// What a name of a body means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Binding {
    Reg(Reg),
    /// A vector register: its first component and their number.
    Vector(Reg, u8),
    Symbol(Symbol),
    Prototype(ProtoId),
    /// Index into the lists of `.calltargets`.
    CallTargets(usize),
    /// Index into the lists of `.branchtargets`.
    BranchTargets(usize),
}

/// `name<count>`
#[derive(Clone, Copy, Debug)]
struct Run {
    first: Reg,
    count: u32,
    /// Components of each register.
    lanes: u8,
}

#[derive(Debug, Default)]
struct Scope<'a> {
    names: HashMap<&'a str, Binding>,
    runs: HashMap<&'a str, Run>,
    /// Index into [`BodyParser::labels`].
    labels: HashMap<&'a str, usize>,
}

/// A label on its way to being resolved.
#[derive(Debug)]
struct LabelState<'a> {
    name: &'a str,
    /// First mention, for the message.
    span: Span,
    /// The statement that defines it.
    defined: Option<u32>,
    /// The label of an outer scope that it turned out to be.
    same_as: Option<usize>,
}

/// Parses the body of `function`.
pub(crate) fn parse_body(module: &Module, function: &Function) -> Result<Body> {
    let Some(span) = function.body else {
        let message = format!("function `{}` has no body in this module", function.name);
        return Err(Error::new(
            ErrorKind::Name,
            &module.text,
            function.span,
            message,
        ));
    };
    let src = module.text.get(..span.end as usize).unwrap_or("");
    let mut parser = BodyParser {
        cursor: Cursor::new(src, span.start as usize),
        module,
        body: Body::default(),
        scopes: vec![Scope::default()],
        labels: Vec::new(),
        forms: HashMap::new(),
        call_targets: Vec::new(),
        branch_targets: Vec::new(),
        targets: 0,
    };
    parser.parameters(function)?;
    parser.run().map_err(|e| e.in_function(&function.name))?;
    Ok(parser.body)
}

/// The state of parsing one body.
pub(super) struct BodyParser<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) module: &'a Module,
    pub(super) body: Body,
    scopes: Vec<Scope<'a>>,
    labels: Vec<LabelState<'a>>,
    /// Dotted words met so far: bodies repeat few forms many times.
    forms: HashMap<&'a str, Form>,
    pub(super) call_targets: Vec<Vec<FuncId>>,
    pub(super) branch_targets: Vec<Vec<Label>>,
    /// Entries copied from these lists so far.
    targets: usize,
}

impl<'a> BodyParser<'a> {
    /// Binds the parameters in the outermost scope.
    fn parameters(&mut self, function: &'a Function) -> Result<()> {
        for (i, param) in function.params.iter().enumerate() {
            let symbol = Symbol::Param(i as u32);
            let reg = self.parameter(&param.name, param.space, param.ty, symbol, function.span)?;
            self.body.param_regs.push(reg);
        }
        for (i, param) in function.returns.iter().enumerate() {
            let symbol = Symbol::Return(i as u32);
            let reg = self.parameter(&param.name, param.space, param.ty, symbol, function.span)?;
            self.body.return_regs.push(reg);
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        name: &'a str,
        space: ParamSpace,
        ty: ScalarType,
        symbol: Symbol,
        span: Span,
    ) -> Result<Option<Reg>> {
        let reg = match space {
            ParamSpace::Param => None,
            ParamSpace::Reg => Some(self.new_regs(name, ty, 1, false, span)?),
        };
        let binding = reg.map_or(Binding::Symbol(symbol), Binding::Reg);
        self.bind(name, binding, span)?;
        Ok(reg)
    }

    fn run(&mut self) -> Result<()> {
        loop {
            let start = self.cursor.start();
            match self.cursor.peek() {
                Tok::End if self.scopes.len() == 1 => break,
                Tok::Punct(b'{') => self.open_scope()?,
                Tok::Punct(b'}') if self.scopes.len() > 1 => {
                    self.cursor.bump();
                    self.close_scope();
                }
                Tok::Punct(b';') => {
                    self.cursor.bump();
                }
                Tok::Dot(_) => self
                    .directive()
                    .map_err(|e| self.show_statement(e, start))?,
                _ => self
                    .statement(start)
                    .map_err(|e| self.show_statement(e, start))?,
            }
        }
        self.finish_labels()
    }

    fn open_scope(&mut self) -> Result<()> {
        let token = self.cursor.bump();
        if self.scopes.len() > MAX_DEPTH as usize {
            return Err(self
                .cursor
                .error(ErrorKind::TooLarge, token.span, "nested too deeply"));
        }
        self.scopes.push(Scope::default());
        Ok(())
    }

    /// Labels that the scope mentions but does not define belong to an outer one.
    fn close_scope(&mut self) {
        let Some(scope) = self.scopes.pop() else {
            return;
        };
        let Some(outer) = self.scopes.last_mut() else {
            return;
        };
        for (name, index) in scope.labels {
            if self.labels[index].defined.is_none() {
                let target = *outer.labels.entry(name).or_insert(index);
                if target != index {
                    self.labels[index].same_as = Some(target);
                }
            }
        }
    }

    /// Shows the whole statement in an error that points into it.
    fn show_statement(&self, error: Error, start: u32) -> Error {
        let rest = self.cursor.src.get(start as usize..).unwrap_or("");
        let end = rest.find([';', '}']).unwrap_or(rest.len());
        error.with_text(&rest[..end])
    }

    /// Where the statement around a place begins, for messages.
    fn statement_start(&self, span: Span) -> u32 {
        let before = self.cursor.src.get(..span.start as usize).unwrap_or("");
        before
            .rfind([';', '{', '}', ':'])
            .map_or(span.start, |i| i as u32 + 1)
    }

    // Declarations.

    fn directive(&mut self) -> Result<()> {
        let token = self.cursor.bump();
        let Tok::Dot(word) = token.tok else {
            return Ok(());
        };
        match word {
            "reg" => self.registers(),
            "loc" => self.cursor.loc(),
            "file" => self.cursor.file(),
            "pragma" => {
                let strings = self.cursor.pragma()?;
                let kind = StatementKind::Pragma(strings.into_iter().map(str::to_owned).collect());
                self.push(None, kind, token.span.start);
                Ok(())
            }
            _ => {
                let linkage = match word {
                    "extern" => Linkage::Extern,
                    "visible" => Linkage::Visible,
                    "weak" => Linkage::Weak,
                    _ => Linkage::Internal,
                };
                let space = match (linkage, self.cursor.peek()) {
                    (Linkage::Internal, _) => StateSpace::from_token(word),
                    (_, Tok::Dot(next)) => {
                        self.cursor.bump();
                        StateSpace::from_token(next)
                    }
                    _ => None,
                };
                match space {
                    Some(space) => self.variables(space, linkage, token.span.start),
                    None => {
                        let message = format!("unknown directive `.{word}`");
                        Err(self
                            .cursor
                            .error(ErrorKind::Unsupported, token.span, message))
                    }
                }
            }
        }
    }

    /// `.reg .v2 .f32 a, b<3>;`
    fn registers(&mut self) -> Result<()> {
        let part = self.cursor.type_part()?;
        let lanes = part.vec.map_or(1, |v| v.lanes() as u32);
        loop {
            let name_span = self.cursor.next.span;
            let name = self.cursor.ident("a register name")?;
            if self.cursor.eat(b'<') {
                // `<n>` is no comparison here: only a plain number may stand inside.
                let count = match self.cursor.bump().tok {
                    Tok::Int(n) if n <= MAX_REGS as u64 => n as u32,
                    _ => {
                        let message = format!("a register count must be 0 to {MAX_REGS}");
                        return Err(self.cursor.error(ErrorKind::TooLarge, name_span, message));
                    }
                };
                self.cursor.expect(b'>')?;
                let total = count.saturating_mul(lanes);
                let first = self.new_regs(name, part.ty, total, true, name_span)?;
                let run = Run {
                    first,
                    count,
                    lanes: lanes as u8,
                };
                let scope = self.scope();
                if scope.runs.insert(name, run).is_some() {
                    return Err(self.twice(name, name_span));
                }
            } else {
                let first = self.new_regs(name, part.ty, lanes, lanes > 1, name_span)?;
                let binding = match part.vec {
                    Some(_) => Binding::Vector(first, lanes as u8),
                    None => Binding::Reg(first),
                };
                self.bind(name, binding, name_span)?;
            }
            if !self.cursor.eat(b',') {
                return self.cursor.expect(b';');
            }
        }
    }

    fn new_regs(
        &mut self,
        name: &str,
        ty: ScalarType,
        count: u32,
        numbered: bool,
        span: Span,
    ) -> Result<Reg> {
        let first = self.body.regs.len();
        let total = first.saturating_add(count as usize);
        if total > MAX_REGS {
            let message = format!("more than {MAX_REGS} registers");
            return Err(self.cursor.error(ErrorKind::TooLarge, span, message));
        }
        self.body.regs.resize(total, ty);
        let first = Reg(first as u32);
        if count > 0 {
            let name = name.to_owned();
            self.body.reg_groups.push(RegGroup {
                name,
                first,
                count,
                numbered,
            });
        }
        Ok(first)
    }

    fn variables(&mut self, space: StateSpace, linkage: Linkage, start: u32) -> Result<()> {
        use StateSpace::{Const, Global, Local, Param, Shared};
        if !matches!(space, Const | Global | Local | Param | Shared) {
            let message = format!("`.{space}` variables cannot stand in a body");
            return Err(self
                .cursor
                .error(ErrorKind::Invalid, self.cursor.since(start), message));
        }
        for declared in self.cursor.variables(space, linkage, start)? {
            if let Some(reloc) = declared.relocs.first() {
                let message = "addresses in initial values are not supported inside a body";
                return Err(self
                    .cursor
                    .error(ErrorKind::Unsupported, reloc.span, message));
            }
            let id = LocalId(self.body.vars.len() as u32);
            let span = declared.variable.span;
            let name = self.name_in(declared.variable.name.as_str(), span);
            self.body.vars.push(declared.variable);
            self.bind(name, Binding::Symbol(Symbol::Local(id)), span)?;
        }
        Ok(())
    }

    /// The same name as a slice of the text, which outlives the parser.
    fn name_in(&self, name: &str, span: Span) -> &'a str {
        let text = span.text(self.cursor.src);
        text.find(name)
            .and_then(|i| text.get(i..i + name.len()))
            .unwrap_or("")
    }

    // Names.

    fn scope(&mut self) -> &mut Scope<'a> {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn twice(&self, name: &str, span: Span) -> Error {
        let message = format!("`{name}` is declared twice in one scope");
        self.cursor.error(ErrorKind::Name, span, message)
    }

    fn bind(&mut self, name: &'a str, binding: Binding, span: Span) -> Result<()> {
        if self.scope().names.insert(name, binding).is_none() {
            return Ok(());
        }
        Err(self.twice(name, span))
    }

    /// What a name means here: innermost scope first, then the module.
    pub(super) fn find(&self, name: &str) -> Option<Binding> {
        let local = self.scopes.iter().rev().find_map(|scope| {
            scope
                .names
                .get(name)
                .copied()
                .or_else(|| find_in_runs(&scope.runs, name))
        });
        local.or_else(|| {
            let variable = self.module.variable_names.get(name);
            let symbol = match variable {
                Some(&id) => Symbol::Variable(id),
                None => Symbol::Function(*self.module.function_names.get(name)?),
            };
            Some(Binding::Symbol(symbol))
        })
    }

    /// The register of this name.
    pub(super) fn register(&mut self) -> Result<Reg> {
        let span = self.cursor.next.span;
        let name = self.cursor.ident("a register")?;
        match self.find(name) {
            Some(Binding::Reg(reg)) => Ok(reg),
            Some(_) => {
                let message = format!("`{name}` is not a scalar register");
                Err(self.cursor.error(ErrorKind::Name, span, message))
            }
            None => Err(self.unknown(name, span)),
        }
    }

    pub(super) fn unknown(&self, name: &str, span: Span) -> Error {
        self.cursor
            .error(ErrorKind::Name, span, format!("`{name}` is not declared"))
    }

    /// A mention of a label, perhaps before its definition.
    pub(super) fn label(&mut self) -> Result<Label> {
        let span = self.cursor.next.span;
        let name = self.cursor.ident("a label")?;
        Ok(Label(self.label_state(name, span) as u32))
    }

    fn label_state(&mut self, name: &'a str, span: Span) -> usize {
        let fresh = self.labels.len();
        let index = *self.scope().labels.entry(name).or_insert(fresh);
        if index == fresh {
            self.labels.push(LabelState {
                name,
                span,
                defined: None,
                same_as: None,
            });
        }
        index
    }

    /// Gives labels their final, dense ids.
    fn finish_labels(&mut self) -> Result<()> {
        let mut ids = vec![Label(0); self.labels.len()];
        for (id, label) in ids.iter_mut().zip(&self.labels) {
            if label.same_as.is_some() {
                continue;
            }
            let Some(statement) = label.defined else {
                let message = format!("label `{}` is not defined", label.name);
                let start = self.statement_start(label.span);
                let error = self.cursor.error(ErrorKind::Name, label.span, message);
                return Err(self.show_statement(error, start));
            };
            *id = Label(self.body.labels.len() as u32);
            self.body.labels.push(LabelDef {
                name: label.name.to_owned(),
                statement,
            });
        }
        for index in 0..ids.len() {
            let mut root = index;
            while let Some(outer) = self.labels[root].same_as {
                root = outer;
            }
            ids[index] = ids[root];
        }
        let resolve = |label: &mut Label| *label = ids[label.index()];
        for statement in &mut self.body.statements {
            match &mut statement.kind {
                StatementKind::Label(label) => resolve(label),
                StatementKind::Branch { target, .. } => resolve(target),
                StatementKind::BranchIndexed { targets, .. } => {
                    targets.iter_mut().for_each(resolve)
                }
                _ => {}
            }
        }
        Ok(())
    }

    // Statements.

    fn push(&mut self, guard: Option<Guard>, kind: StatementKind, start: u32) {
        let span = self.cursor.since(start);
        self.body.statements.push(Statement { guard, kind, span });
    }

    fn statement(&mut self, start: u32) -> Result<()> {
        let mut look = self.cursor.clone();
        if let Tok::Ident(name) = look.bump().tok
            && look.eat(b':')
        {
            self.cursor = look;
            return self.labelled(name, start);
        }
        let guard = if self.cursor.eat(b'@') {
            Some(self.guard()?)
        } else {
            None
        };
        self.instruction(guard, start)
    }

    fn guard(&mut self) -> Result<Guard> {
        let negated = self.cursor.eat(b'!');
        Ok(Guard {
            reg: self.register()?,
            negated,
        })
    }

    /// A label, or the name of a target list or prototype; the colon is taken.
    fn labelled(&mut self, name: &'a str, start: u32) -> Result<()> {
        let span = self.cursor.since(start);
        if self.cursor.eat_dot("callprototype") {
            let prototype = self.cursor.prototype(name)?;
            let id = ProtoId(self.body.prototypes.len() as u32);
            self.body.prototypes.push(prototype);
            return self.bind(name, Binding::Prototype(id), span);
        }
        if self.cursor.eat_dot("branchtargets") {
            let mut list = vec![self.label()?];
            while self.cursor.eat(b',') {
                list.push(self.label()?);
            }
            self.cursor.expect(b';')?;
            self.branch_targets.push(list);
            return self.bind(
                name,
                Binding::BranchTargets(self.branch_targets.len() - 1),
                span,
            );
        }
        if self.cursor.eat_dot("calltargets") {
            let mut list = vec![self.function_name()?];
            while self.cursor.eat(b',') {
                list.push(self.function_name()?);
            }
            self.cursor.expect(b';')?;
            self.call_targets.push(list);
            return self.bind(
                name,
                Binding::CallTargets(self.call_targets.len() - 1),
                span,
            );
        }
        let index = self.label_state(name, span);
        if self.labels[index].defined.is_some() {
            return Err(self.twice(name, span));
        }
        self.labels[index].defined = Some(self.body.statements.len() as u32);
        self.push(None, StatementKind::Label(Label(index as u32)), start);
        Ok(())
    }

    fn instruction(&mut self, guard: Option<Guard>, start: u32) -> Result<()> {
        let word_start = self.cursor.start();
        if !matches!(self.cursor.peek(), Tok::Ident(_)) {
            return Err(self.cursor.unexpected("an instruction"));
        }
        let word = Lexer::new(self.cursor.src, 0).dotted(word_start as usize);
        self.cursor.jump(word_start as usize + word.len());
        let span = Span {
            start: word_start,
            end: word_start + word.len() as u32,
        };
        let kind = match self.form(word, span)? {
            Form::Instr(op, mods) => {
                let operands = self.operands()?;
                StatementKind::Instr(Instr { op, mods, operands })
            }
            Form::Branch { uniform } => StatementKind::Branch {
                target: self.label()?,
                uniform,
            },
            Form::BranchIndexed { uniform } => self.branch_indexed(uniform)?,
            Form::Call { uniform } => StatementKind::Call(Box::new(self.call(uniform)?)),
            Form::Unsupported => StatementKind::Unsupported(self.raw_text(word_start)?),
        };
        self.cursor.expect(b';')?;
        self.push(guard, kind, start);
        Ok(())
    }

    /// Reads the dotted word, which blanks may interrupt.
    fn form(&mut self, word: &'a str, span: Span) -> Result<Form> {
        if !matches!(self.cursor.peek(), Tok::Dot(_)) {
            if let Some(form) = self.forms.get(word) {
                return Ok(form.clone());
            }
            let form = parse_form(word).map_err(|e| self.bad_form(word, &e, span))?;
            self.forms.insert(word, form.clone());
            return Ok(form);
        }
        let mut joined = word.to_owned();
        while let Tok::Dot(more) = self.cursor.peek() {
            joined.push('.');
            joined.push_str(more);
            self.cursor.bump();
        }
        parse_form(&joined).map_err(|e| self.bad_form(&joined, &e, span))
    }

    fn bad_form(&self, word: &str, why: &BadForm, span: Span) -> Error {
        let (kind, message) = match why {
            BadForm::UnknownOpcode => (
                ErrorKind::Unsupported,
                format!("unknown instruction `{word}`"),
            ),
            BadForm::Modifier(m) => (
                ErrorKind::Unsupported,
                format!("`.{m}` is no modifier known for `{word}`"),
            ),
            BadForm::Repeated(m) => (
                ErrorKind::Invalid,
                format!("`.{m}` says again what another modifier said"),
            ),
            BadForm::TooManyTypes => (ErrorKind::Invalid, format!("too many types in `{word}`")),
        };
        self.cursor.error(kind, span, message)
    }

    /// The text up to the semicolon, which is not taken.
    fn raw_text(&mut self, start: u32) -> Result<String> {
        loop {
            match self.cursor.peek() {
                Tok::Punct(b';') => break,
                Tok::End | Tok::Bad(_) => return Err(self.cursor.unexpected("`;`")),
                _ => self.cursor.bump(),
            };
        }
        Ok(self
            .cursor
            .since(start)
            .text(self.cursor.src)
            .trim_end()
            .to_owned())
    }

    /// Each use copies its list: small texts must not make large trees.
    pub(super) fn count_targets(&mut self, count: usize, span: Span) -> Result<()> {
        self.targets += count;
        if self.targets <= MAX_TARGETS {
            return Ok(());
        }
        let message = format!("more than {MAX_TARGETS} targets of indirect branches and calls");
        Err(self.cursor.error(ErrorKind::TooLarge, span, message))
    }

    fn branch_indexed(&mut self, uniform: bool) -> Result<StatementKind> {
        let index = self.operand()?;
        self.cursor.expect(b',')?;
        let span = self.cursor.next.span;
        let name = self.cursor.ident("a list of branch targets")?;
        match self.find(name) {
            Some(Binding::BranchTargets(list)) => {
                self.count_targets(self.branch_targets[list].len(), span)?;
                let targets = self.branch_targets[list].clone();
                Ok(StatementKind::BranchIndexed {
                    index,
                    targets,
                    uniform,
                })
            }
            _ => {
                let message = format!("`{name}` is no `.branchtargets` list declared before");
                Err(self.cursor.error(ErrorKind::Name, span, message))
            }
        }
    }
}

/// `%r12` in `%r<20>`.
fn find_in_runs(runs: &HashMap<&str, Run>, name: &str) -> Option<Binding> {
    if runs.is_empty() {
        return None;
    }
    let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    // The prefix itself may end in digits: `%r1<9>` declares `%r10`.
    let first = digits.max(name.len().saturating_sub(MAX_REG_DIGITS));
    (first..name.len()).find_map(|split| {
        let (prefix, number) = name.split_at(split);
        let run = runs.get(prefix)?;
        if number.len() > 1 && number.starts_with('0') {
            return None;
        }
        let index: u32 = number.parse().ok().filter(|&i| i < run.count)?;
        let first = Reg(run.first.0 + index * u32::from(run.lanes));
        Some(if run.lanes == 1 {
            Binding::Reg(first)
        } else {
            Binding::Vector(first, run.lanes)
        })
    })
}

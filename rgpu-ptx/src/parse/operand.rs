//! Operands and calls.

use super::{
    Result,
    body::{Binding, BodyParser},
};
use crate::{
    ast::{AddrBase, Address, Call, CallArg, CallTarget, FuncId, Imm, Operand, Part, Reg, Symbol},
    error::{ErrorKind, Span},
    lexer::Tok,
    types::SpecialReg,
};

/// Most operands of an instruction or vector.
const MAX_OPERANDS: usize = 64;

impl<'a> BodyParser<'a> {
    /// Operands up to the semicolon, which is not taken.
    pub(super) fn operands(&mut self) -> Result<Vec<Operand>> {
        let mut list = Vec::new();
        if self.cursor.is(b';') {
            return Ok(list);
        }
        loop {
            if list.len() == MAX_OPERANDS {
                return Err(self.cursor.unexpected("fewer operands"));
            }
            let operand = self.operand()?;
            let operand = if self.cursor.eat(b'|') {
                let second = self.operand()?;
                Operand::Pair(Box::new((operand, second)))
            } else {
                operand
            };
            list.push(operand);
            if !self.cursor.eat(b',') {
                return Ok(list);
            }
        }
    }

    /// One operand, without a `|` part.
    pub(super) fn operand(&mut self) -> Result<Operand> {
        match self.cursor.peek() {
            Tok::Punct(b'{') => self.vector(),
            Tok::Punct(b'[') => self.bracketed().map(Operand::Addr),
            Tok::Punct(b'!') => {
                let mut look = self.cursor.clone();
                look.bump();
                if matches!(look.peek(), Tok::Ident(name) if name != "WARP_SZ") {
                    self.cursor = look;
                    return self.register().map(Operand::NotPred);
                }
                self.cursor.immediate().map(Operand::Imm)
            }
            Tok::Punct(b'-') => {
                let mut look = self.cursor.clone();
                look.bump();
                if matches!(look.peek(), Tok::Ident(name) if name != "WARP_SZ") {
                    self.cursor = look;
                    return self.negated();
                }
                self.cursor.immediate().map(Operand::Imm)
            }
            Tok::Ident("_") => {
                self.cursor.bump();
                Ok(Operand::Sink)
            }
            Tok::Ident(name) => self.named(name),
            _ if self.cursor.at_constant() => self.cursor.immediate().map(Operand::Imm),
            _ => Err(self.cursor.unexpected("an operand")),
        }
    }

    /// What follows the minus sign of a register.
    fn negated(&mut self) -> Result<Operand> {
        let span = self.cursor.next.span;
        let name = self.cursor.ident("a register")?;
        let Some(Binding::Reg(reg)) = self.find(name) else {
            let message = "only a register or a constant can be negated";
            return Err(self.cursor.error(ErrorKind::Invalid, span, message));
        };
        let part = match self.part(reg)? {
            Operand::Part { part, .. } => Part {
                negated: true,
                ..part
            },
            _ => Part::NEGATED,
        };
        Ok(Operand::Part { reg, part })
    }

    /// `{a, b}`; elements are not nested.
    fn vector(&mut self) -> Result<Operand> {
        self.cursor.expect(b'{')?;
        let mut list = Vec::new();
        while !self.cursor.is(b'}') {
            if list.len() == MAX_OPERANDS {
                return Err(self.cursor.unexpected("fewer elements"));
            }
            if matches!(self.cursor.peek(), Tok::Punct(b'{' | b'[')) {
                return Err(self.cursor.unexpected("a register or constant"));
            }
            let span = self.cursor.next.span;
            match self.operand()? {
                // A vector register among the elements.
                Operand::Vec(_) => {
                    let message = "a vector cannot be an element of a vector";
                    return Err(self.cursor.error(ErrorKind::Invalid, span, message));
                }
                element => list.push(element),
            }
            if !self.cursor.eat(b',') {
                break;
            }
        }
        self.cursor.expect(b'}')?;
        Ok(Operand::Vec(list))
    }

    fn bracketed(&mut self) -> Result<Address> {
        self.cursor.expect(b'[')?;
        let span = self.cursor.next.span;
        let base = match self.cursor.peek() {
            Tok::Ident(name) if name != "WARP_SZ" => {
                self.cursor.bump();
                match self.find(name) {
                    Some(Binding::Reg(reg)) => AddrBase::Reg(reg),
                    Some(Binding::Symbol(symbol)) => AddrBase::Symbol(symbol),
                    Some(_) => {
                        let message = format!("`{name}` is no address");
                        return Err(self.cursor.error(ErrorKind::Invalid, span, message));
                    }
                    None => return Err(self.unknown(name, span)),
                }
            }
            _ => {
                let offset = self.cursor.integer()?;
                self.cursor.expect(b']')?;
                return Ok(Address {
                    base: AddrBase::Absolute,
                    offset,
                });
            }
        };
        let offset = self.cursor.offset()?;
        self.cursor.expect(b']')?;
        Ok(Address { base, offset })
    }

    /// An operand that starts with a name.
    fn named(&mut self, name: &'a str) -> Result<Operand> {
        let span = self.cursor.next.span;
        match self.find(name) {
            Some(Binding::Reg(reg)) => {
                self.cursor.bump();
                self.part(reg)
            }
            Some(Binding::Vector(first, lanes)) => {
                self.cursor.bump();
                self.component(first, lanes)
            }
            Some(Binding::Symbol(symbol)) => {
                self.cursor.bump();
                if self.cursor.is(b'[') {
                    return self.indexed(symbol);
                }
                let offset = self.cursor.offset()?;
                Ok(Operand::Symbol { symbol, offset })
            }
            Some(_) => {
                let message = format!("`{name}` cannot be an operand");
                Err(self.cursor.error(ErrorKind::Name, span, message))
            }
            None => self.special(name, span),
        }
    }

    /// `array[3]`: the place of an element.
    fn indexed(&mut self, symbol: Symbol) -> Result<Operand> {
        let start = self.cursor.start();
        self.cursor.expect(b'[')?;
        let index = self.cursor.integer()?;
        self.cursor.expect(b']')?;
        let element = match symbol {
            Symbol::Variable(id) => Some(&self.module.variables[id.index()]),
            Symbol::Local(id) => Some(&self.body.vars[id.index()]),
            Symbol::Param(_) | Symbol::Return(_) | Symbol::Function(_) => None,
        };
        let Some(variable) = element.filter(|v| v.dims.len() == 1) else {
            let message = "only arrays of one dimension can be indexed";
            return Err(self
                .cursor
                .error(ErrorKind::Invalid, self.cursor.since(start), message));
        };
        let size = i64::from(variable.ty.size()) * variable.vec.map_or(1, |v| v.lanes() as i64);
        let base = AddrBase::Symbol(symbol);
        Ok(Operand::Addr(Address {
            base,
            offset: index.wrapping_mul(size),
        }))
    }

    /// A special register with its component, or `WARP_SZ`.
    fn special(&mut self, name: &'a str, span: Span) -> Result<Operand> {
        self.cursor.bump();
        let full = match self.cursor.peek() {
            Tok::Dot(component) if name.starts_with('%') => {
                let span = self.cursor.bump().span;
                // The old texture coordinate names mean the same components.
                let component = match component {
                    "r" => "x",
                    "g" => "y",
                    "b" => "z",
                    other => other,
                };
                (format!("{name}.{component}"), span)
            }
            _ => (name.to_owned(), span),
        };
        if let Some(whole) = whole_special(name, &full.0) {
            return Ok(whole);
        }
        match SpecialReg::from_token(&full.0) {
            Some(special) => Ok(Operand::Special(special)),
            None => Err(self.unknown(
                &full.0,
                Span {
                    start: span.start,
                    end: full.1.end,
                },
            )),
        }
    }

    /// `v.x`, or the whole vector register.
    fn component(&mut self, first: Reg, lanes: u8) -> Result<Operand> {
        let Tok::Dot(name) = self.cursor.peek() else {
            let regs = (0..u32::from(lanes)).map(|i| Operand::Reg(Reg(first.0 + i)));
            return Ok(Operand::Vec(regs.collect()));
        };
        let index = match name {
            "x" | "r" => 0,
            "y" | "g" => 1,
            "z" | "b" => 2,
            "w" | "a" => 3,
            _ => u32::MAX,
        };
        let span = self.cursor.bump().span;
        if index < u32::from(lanes) {
            return Ok(Operand::Reg(Reg(first.0 + index)));
        }
        let message = format!("`.{name}` is no component of a vector of {lanes}");
        Err(self.cursor.error(ErrorKind::Name, span, message))
    }

    /// A register, perhaps with the `.b0` or `.h1` of a video instruction.
    fn part(&mut self, reg: Reg) -> Result<Operand> {
        let Tok::Dot(word) = self.cursor.peek() else {
            return Ok(Operand::Reg(reg));
        };
        match selector(word) {
            Some(part) => {
                self.cursor.bump();
                Ok(Operand::Part { reg, part })
            }
            None => Err(self.cursor.unexpected("`.bN` or `.hN`")),
        }
    }

    // Calls.

    /// What follows `call`, up to the semicolon, which is not taken.
    pub(super) fn call(&mut self, uniform: bool) -> Result<Call> {
        let mut returns = Vec::new();
        if self.cursor.is(b'(') {
            returns = self.call_args()?;
            self.cursor.expect(b',')?;
        }
        let span = self.cursor.next.span;
        let name = self.cursor.ident("a function or register")?;
        let mut args = Vec::new();
        let mut list = None;
        while self.cursor.eat(b',') {
            if self.cursor.is(b'(') && args.is_empty() {
                args = self.call_args()?;
            } else {
                let span = self.cursor.next.span;
                let name = self.cursor.ident("a prototype or list of targets")?;
                list = Some((name, span));
            }
        }
        let target = self.call_target(name, span, list)?;
        Ok(Call {
            uniform,
            target,
            returns,
            args,
        })
    }

    fn call_target(
        &mut self,
        name: &str,
        span: Span,
        list: Option<(&str, Span)>,
    ) -> Result<CallTarget> {
        match self.find(name) {
            Some(Binding::Symbol(Symbol::Function(id))) => Ok(CallTarget::Direct(id)),
            Some(Binding::Reg(callee)) => {
                let Some((list, span)) = list else {
                    let message = "a call through a register needs a prototype or target list";
                    return Err(self.cursor.error(ErrorKind::Syntax, span, message));
                };
                match self.find(list) {
                    Some(Binding::Prototype(prototype)) => {
                        Ok(CallTarget::Indirect { callee, prototype })
                    }
                    Some(Binding::CallTargets(i)) => {
                        self.count_targets(self.call_targets[i].len(), span)?;
                        let targets = self.call_targets[i].clone();
                        Ok(CallTarget::OneOf { callee, targets })
                    }
                    _ => Err(self.unknown(list, span)),
                }
            }
            Some(_) => {
                let message = format!("`{name}` cannot be called");
                Err(self.cursor.error(ErrorKind::Name, span, message))
            }
            None => Err(self.unknown(name, span)),
        }
    }

    fn call_args(&mut self) -> Result<Vec<CallArg>> {
        self.cursor.expect(b'(')?;
        let mut list = Vec::new();
        while !self.cursor.is(b')') {
            let span = self.cursor.next.span;
            list.push(match self.operand()? {
                Operand::Reg(reg) => CallArg::Reg(reg),
                Operand::Imm(imm) => CallArg::Imm(imm),
                Operand::Sink => CallArg::Sink,
                Operand::Symbol { symbol, offset: 0 }
                    if matches!(
                        symbol,
                        Symbol::Local(_) | Symbol::Param(_) | Symbol::Return(_)
                    ) =>
                {
                    CallArg::Param(symbol)
                }
                _ => {
                    let message =
                        "an argument must be a register, a constant or a `.param` variable";
                    return Err(self.cursor.error(ErrorKind::Invalid, span, message));
                }
            });
            if !self.cursor.eat(b',') {
                break;
            }
        }
        self.cursor.expect(b')')?;
        Ok(list)
    }

    /// A function's name in a list of call targets.
    pub(super) fn function_name(&mut self) -> Result<FuncId> {
        let span = self.cursor.next.span;
        let name = self.cursor.ident("a function name")?;
        match self.find(name) {
            Some(Binding::Symbol(Symbol::Function(id))) => Ok(id),
            _ => Err(self.unknown(name, span)),
        }
    }
}

/// `%tid` as a vector of four, the last of them zero.
fn whole_special(name: &str, full: &str) -> Option<Operand> {
    let part = |c| SpecialReg::from_token(&format!("{name}.{c}")).map(Operand::Special);
    if name != full {
        return None;
    }
    Some(Operand::Vec(vec![
        part("x")?,
        part("y")?,
        part("z")?,
        Operand::Imm(Imm::Int(0)),
    ]))
}

/// `b0`, `b3210`, `h10`
fn selector(word: &str) -> Option<Part> {
    let (kind, digits) = word.split_at_checked(1)?;
    let half = match kind {
        "b" => false,
        "h" => true,
        _ => return None,
    };
    let mut part = Part {
        half,
        len: digits.len() as u8,
        lanes: [0; 4],
        negated: false,
    };
    if digits.is_empty() || digits.len() > part.lanes.len() {
        return None;
    }
    for (lane, digit) in part.lanes.iter_mut().zip(digits.bytes()) {
        *lane = digit.checked_sub(b'0').filter(|&d| d < 8)?;
    }
    Some(part)
}

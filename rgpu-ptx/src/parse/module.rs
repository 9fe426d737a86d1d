//! Module scope: declarations are read, bodies are only measured.

use super::{
    Cursor, Result,
    data::{Declared, PendingReloc},
};
use crate::{
    ast::{FuncId, Function, FunctionKind, Linkage, Reloc, RelocTarget, VarId},
    error::{Error, ErrorKind, Span},
    lexer::{Tok, matching_brace},
    module::Module,
    types::StateSpace,
};

/// Largest text: spans are 32 bits wide.
const MAX_TEXT: usize = u32::MAX as usize - 1;

/// Reads a module; its `text` must be what `module.text` holds.
pub(crate) fn parse_module(mut module: Module) -> Result<Module> {
    let text = module.text.clone();
    if text.len() > MAX_TEXT {
        let message = "the module is larger than 4 GiB";
        return Err(Error::new(
            ErrorKind::TooLarge,
            "",
            Span::default(),
            message,
        ));
    }
    let mut parser = ModuleParser {
        cursor: Cursor::new(&text, 0),
        module: &mut module,
        relocs: Vec::new(),
        aliases: Vec::new(),
        versioned: false,
    };
    parser.run()?;
    Ok(module)
}

struct ModuleParser<'a, 'm> {
    cursor: Cursor<'a>,
    module: &'m mut Module,
    /// Addresses in initialisers; their targets may be declared later.
    relocs: Vec<(VarId, PendingReloc<'a>)>,
    aliases: Vec<(&'a str, &'a str, Span)>,
    versioned: bool,
}

impl<'a> ModuleParser<'a, '_> {
    fn run(&mut self) -> Result<()> {
        while self.cursor.peek() != Tok::End {
            self.item()?;
        }
        if !self.versioned {
            return Err(self.cursor.unexpected("`.version`"));
        }
        self.resolve_relocs()?;
        self.resolve_aliases()
    }

    fn item(&mut self) -> Result<()> {
        let start = self.cursor.start();
        let mut linkage = Linkage::Internal;
        loop {
            let Tok::Dot(word) = self.cursor.peek() else {
                // A stray semicolon after a body is harmless and does occur.
                return if self.cursor.eat(b';') {
                    Ok(())
                } else {
                    Err(self.cursor.unexpected("a directive"))
                };
            };
            self.cursor.bump();
            match word {
                "visible" => linkage = Linkage::Visible,
                "weak" => linkage = Linkage::Weak,
                "common" => linkage = Linkage::Common,
                "extern" => linkage = Linkage::Extern,
                "entry" => return self.function(FunctionKind::Entry, linkage, start),
                "func" => return self.function(FunctionKind::Func, linkage, start),
                _ => match StateSpace::from_token(word) {
                    Some(space) => return self.data(space, linkage, start),
                    None => return self.directive(word, start),
                },
            }
            if !self.versioned {
                return Err(self
                    .cursor
                    .unexpected("`.version`, before everything else,"));
            }
        }
    }

    fn directive(&mut self, word: &str, start: u32) -> Result<()> {
        let cursor = &mut self.cursor;
        match word {
            "version" => self.version(),
            "target" => {
                let mut list = vec![cursor.ident("a target")?];
                while cursor.eat(b',') {
                    list.push(cursor.ident("a target")?);
                }
                self.module.target = list.join(", ");
                Ok(())
            }
            "address_size" => {
                let size = cursor.count("the address size", 64)?;
                if size != 32 && size != 64 {
                    let message = format!("address size {size} is neither 32 nor 64");
                    return Err(cursor.error(ErrorKind::Invalid, cursor.since(start), message));
                }
                self.module.address_size = size as u8;
                Ok(())
            }
            "file" => cursor.file(),
            "loc" => cursor.loc(),
            "pragma" => cursor.pragma().map(|_| ()),
            "section" => self.section(),
            "alias" => self.alias(start),
            _ => {
                let message = format!("unknown directive `.{word}`");
                Err(cursor.error(ErrorKind::Unsupported, cursor.since(start), message))
            }
        }
    }

    /// Major and minor are read from the text: `8.10` is not `8.1`.
    fn version(&mut self) -> Result<()> {
        let token = self.cursor.bump();
        let text = token.span.text(self.cursor.src);
        let parts = text
            .split_once('.')
            .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match parts {
            Some(version) => {
                self.module.version = version;
                self.versioned = true;
                Ok(())
            }
            None => Err(self
                .cursor
                .error(ErrorKind::Syntax, token.span, "not a version")),
        }
    }

    /// Debug data, skipped whole.
    fn section(&mut self) -> Result<()> {
        while matches!(
            self.cursor.peek(),
            Tok::Dot(_) | Tok::Str(_) | Tok::Ident(_)
        ) {
            self.cursor.bump();
        }
        self.braces().map(|_| ())
    }

    /// `{ … }`, unread: the bytes between.
    fn braces(&mut self) -> Result<Span> {
        if !self.cursor.is(b'{') {
            return Err(self.cursor.unexpected("`{`"));
        }
        let open = self.cursor.next.span;
        let inside = open.end as usize;
        let Some(close) = matching_brace(self.cursor.src.as_bytes(), inside) else {
            let message = "this brace is never closed";
            return Err(self.cursor.error(ErrorKind::Syntax, open, message));
        };
        self.cursor.jump(close + 1);
        Ok(Span {
            start: open.end,
            end: close as u32,
        })
    }

    fn alias(&mut self, start: u32) -> Result<()> {
        let name = self.cursor.ident("a function name")?;
        self.cursor.expect(b',')?;
        let target = self.cursor.ident("a function name")?;
        self.cursor.expect(b';')?;
        self.aliases.push((name, target, self.cursor.since(start)));
        Ok(())
    }

    fn data(&mut self, space: StateSpace, linkage: Linkage, start: u32) -> Result<()> {
        use StateSpace::{Const, Global, Local, Shared, Tex};
        if !matches!(space, Const | Global | Local | Shared | Tex) {
            let message = format!("`.{space}` variables cannot stand at module scope");
            let span = self.cursor.since(start);
            return Err(self.cursor.error(ErrorKind::Invalid, span, message));
        }
        // `.const[3]` names a bank in PTX 1.x.
        if space == Const && self.cursor.is(b'[') {
            self.cursor.dims()?;
        }
        for declared in self.cursor.variables(space, linkage, start)? {
            self.declare(declared)?;
        }
        Ok(())
    }

    fn declare(&mut self, declared: Declared<'a>) -> Result<()> {
        let Declared { variable, relocs } = declared;
        let module = &mut *self.module;
        let id = match module.variable_names.get(&variable.name) {
            None => {
                let id = VarId(module.variables.len() as u32);
                module.variable_names.insert(variable.name.clone(), id);
                module.variables.push(variable);
                id
            }
            Some(&id) => {
                let old = &mut module.variables[id.index()];
                if old.linkage == Linkage::Extern {
                    *old = variable;
                } else if variable.linkage == Linkage::Extern {
                    return Ok(());
                } else {
                    let message = format!("variable `{}` is defined twice", variable.name);
                    return Err(self.cursor.error(ErrorKind::Name, variable.span, message));
                }
                id
            }
        };
        self.relocs
            .extend(relocs.into_iter().map(|reloc| (id, reloc)));
        Ok(())
    }

    fn function(&mut self, kind: FunctionKind, linkage: Linkage, start: u32) -> Result<()> {
        let mut function = self.cursor.header(kind, linkage, start)?;
        if self.cursor.is(b'{') {
            function.body = Some(self.braces()?);
        } else {
            self.cursor.expect(b';')?;
        }
        let module = &mut *self.module;
        match module.function_names.get(&function.name) {
            None => {
                let id = FuncId(module.functions.len() as u32);
                module.function_names.insert(function.name.clone(), id);
                module.functions.push(function);
            }
            Some(&id) => {
                let old = &mut module.functions[id.index()];
                if old.body.is_some() && function.body.is_some() {
                    let message = format!("function `{}` is defined twice", function.name);
                    return Err(self.cursor.error(ErrorKind::Name, function.span, message));
                }
                merge(old, function);
            }
        }
        Ok(())
    }

    fn resolve_aliases(&mut self) -> Result<()> {
        for (name, target, span) in std::mem::take(&mut self.aliases) {
            let find = |n: &str| self.module.function_names.get(n).copied();
            let (Some(this), Some(other)) = (find(name), find(target)) else {
                let message = format!("alias `{name}` of `{target}`: not declared as functions");
                return Err(self.cursor.error(ErrorKind::Name, span, message));
            };
            // One step only, so that aliases cannot form a ring.
            let other = self.module.functions[other.index()]
                .alias_of
                .unwrap_or(other);
            if other == this {
                let message = format!("alias `{name}` leads back to itself");
                return Err(self.cursor.error(ErrorKind::Invalid, span, message));
            }
            self.module.functions[this.index()].alias_of = Some(other);
        }
        Ok(())
    }

    fn resolve_relocs(&mut self) -> Result<()> {
        for (id, pending) in std::mem::take(&mut self.relocs) {
            let target = resolve(self.module, pending.name).ok_or_else(|| {
                let message = format!("`{}` is not declared", pending.name);
                self.cursor.error(ErrorKind::Name, pending.span, message)
            })?;
            let reloc = Reloc {
                offset: pending.offset,
                width: pending.width,
                target,
                addend: pending.addend,
                shift: pending.shift,
                generic: pending.generic,
            };
            if let Some(init) = &mut self.module.variables[id.index()].init {
                init.relocs.push(reloc);
            }
        }
        Ok(())
    }
}

fn resolve(module: &Module, name: &str) -> Option<RelocTarget> {
    let variable = || {
        module
            .variable_names
            .get(name)
            .map(|&v| RelocTarget::Variable(v))
    };
    let function = || {
        module
            .function_names
            .get(name)
            .map(|&f| RelocTarget::Function(f))
    };
    variable().or_else(function)
}

/// Merges a further declaration: the one with the body wins, directives add up.
fn merge(old: &mut Function, new: Function) {
    let noreturn = old.directives.noreturn || new.directives.noreturn;
    if new.body.is_some() || old.linkage == Linkage::Extern {
        *old = new;
    }
    old.directives.noreturn = noreturn;
}

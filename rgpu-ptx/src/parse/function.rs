//! Function headers: names, parameters, directives, call prototypes.

use super::{
    Cursor, Result,
    data::{TypePart, array_size},
};
use crate::{
    ast::{Directives, Function, FunctionKind, Linkage, Param, ParamSpace, PointerAttr, Prototype},
    error::ErrorKind,
    lexer::Tok,
    types::StateSpace,
};

/// More than any compiler writes.
const MAX_PARAMS: usize = 1 << 14;

impl<'a> Cursor<'a> {
    /// Everything from after `.entry` or `.func` to the body's brace or the semicolon, not taken.
    pub(super) fn header(
        &mut self,
        kind: FunctionKind,
        linkage: Linkage,
        start: u32,
    ) -> Result<Function> {
        let mut directives = Directives::default();
        self.directives(&mut directives)?;
        let returns = match kind {
            FunctionKind::Func if self.is(b'(') => self.params()?,
            _ => Vec::new(),
        };
        self.directives(&mut directives)?;
        let name = self.ident("a function name")?.to_owned();
        let params = if self.is(b'(') {
            self.params()?
        } else {
            Vec::new()
        };
        self.directives(&mut directives)?;
        let span = self.since(start);
        Ok(Function {
            name,
            kind,
            linkage,
            returns,
            params,
            directives,
            body: None,
            alias_of: None,
            span,
        })
    }

    /// Directives between a header and its body.
    fn directives(&mut self, into: &mut Directives) -> Result<()> {
        while let Tok::Dot(word) = self.peek() {
            self.bump();
            match word {
                "maxntid" => into.maxntid = Some(self.triple()?),
                "reqntid" => into.reqntid = Some(self.triple()?),
                "minnctapersm" => into.minnctapersm = Some(self.small()?),
                "maxnctapersm" => into.maxnctapersm = Some(self.small()?),
                "maxnreg" => into.maxnreg = Some(self.small()?),
                "maxclusterrank" => into.maxclusterrank = Some(self.small()?),
                "reqnctapercluster" => into.reqnctapercluster = Some(self.triple()?),
                "explicitcluster" => into.explicitcluster = true,
                "blocksareclusters" => into.blocksareclusters = true,
                "noreturn" => into.noreturn = true,
                "pragma" => {
                    let strings = self.pragma()?;
                    into.pragmas.extend(strings.into_iter().map(str::to_owned));
                }
                "loc" => self.loc()?,
                "abi_preserve" | "abi_preserve_control" => {
                    self.small()?;
                }
                "attribute" => self.skip_parens()?,
                _ => {
                    let span = self.since(self.end.saturating_sub(word.len() as u32 + 1));
                    let message = format!("unknown directive `.{word}`");
                    return Err(self.error(ErrorKind::Unsupported, span, message));
                }
            }
        }
        Ok(())
    }

    fn small(&mut self) -> Result<u32> {
        self.count("the directive's value", u64::from(u32::MAX))
            .map(|v| v as u32)
    }

    /// `x`, `x, y` or `x, y, z`; what is missing is 1.
    fn triple(&mut self) -> Result<[u32; 3]> {
        let mut out = [self.small()?, 1, 1];
        for place in &mut out[1..] {
            if !self.eat(b',') {
                break;
            }
            *place = self.small()?;
        }
        Ok(out)
    }

    /// The strings and semicolon of `.pragma`.
    pub(super) fn pragma(&mut self) -> Result<Vec<&'a str>> {
        let mut list = vec![self.string()?];
        while self.eat(b',') {
            list.push(self.string()?);
        }
        self.expect(b';')?;
        Ok(list)
    }

    /// The rest of `.file`, which has no semicolon.
    pub(super) fn file(&mut self) -> Result<()> {
        self.integer()?;
        self.string()?;
        while self.eat(b',') {
            self.integer()?;
        }
        Ok(())
    }

    /// The rest of `.loc`, which has no semicolon.
    pub(super) fn loc(&mut self) -> Result<()> {
        for _ in 0..3 {
            self.integer()?;
        }
        while self.is(b',') {
            self.bump();
            match self.peek() {
                Tok::Ident("function_name") => {
                    self.bump();
                    self.ident("a label")?;
                    self.offset()?;
                }
                Tok::Ident("inlined_at") => {
                    self.bump();
                    for _ in 0..3 {
                        self.integer()?;
                    }
                }
                _ => return Err(self.unexpected("`function_name` or `inlined_at`")),
            }
        }
        Ok(())
    }

    /// `( .param …, … )`
    fn params(&mut self) -> Result<Vec<Param>> {
        self.expect(b'(')?;
        let mut list: Vec<Param> = Vec::new();
        while !self.is(b')') {
            let start = self.start();
            let mut param = self.param()?;
            let end = list.last().map_or(0, |p| p.offset + p.size);
            param.offset = end.next_multiple_of(u64::from(param.align));
            // Sizes are below 2^40 and there are few parameters: the sum cannot overflow.
            list.push(param);
            if list.len() > MAX_PARAMS {
                return Err(self.error(
                    ErrorKind::TooLarge,
                    self.since(start),
                    "too many parameters",
                ));
            }
            if !self.eat(b',') {
                break;
            }
        }
        self.expect(b')')?;
        Ok(list)
    }

    fn param(&mut self) -> Result<Param> {
        let start = self.start();
        let space = match self.peek() {
            Tok::Dot("param") => ParamSpace::Param,
            Tok::Dot("reg") => ParamSpace::Reg,
            _ => return Err(self.unexpected("`.param` or `.reg`")),
        };
        self.bump();
        let part = self.type_part()?;
        let pointer = if self.eat_dot("ptr") {
            Some(self.pointer()?)
        } else {
            None
        };
        let name = self.ident("a parameter name")?;
        let dims = self.dims()?;
        self.finish_param(name, space, &part, &dims, pointer, start)
    }

    fn finish_param(
        &self,
        name: &str,
        space: ParamSpace,
        part: &TypePart,
        dims: &[u64],
        pointer: Option<PointerAttr>,
        start: u32,
    ) -> Result<Param> {
        let size = array_size(dims, part.element()).ok_or_else(|| {
            self.error(
                ErrorKind::TooLarge,
                self.since(start),
                "the parameter is too large",
            )
        })?;
        let array = (!dims.is_empty()).then(|| size / part.element());
        Ok(Param {
            name: name.to_owned(),
            space,
            ty: part.ty,
            vec: part.vec,
            array,
            size,
            align: part.alignment(),
            offset: 0,
            pointer,
        })
    }

    /// What follows `.ptr`.
    fn pointer(&mut self) -> Result<PointerAttr> {
        let mut attr = PointerAttr {
            space: None,
            align: 4,
        };
        while let Tok::Dot(word) = self.peek() {
            self.bump();
            match StateSpace::from_token(word) {
                Some(space) => attr.space = Some(space),
                None if word == "align" => attr.align = self.align_value()?,
                None => return Err(self.unexpected("a state space or `.align`")),
            }
        }
        Ok(attr)
    }

    /// What follows `name : .callprototype`, with its semicolon.
    pub(super) fn prototype(&mut self, name: &str) -> Result<Prototype> {
        let returns = if self.is(b'(') {
            self.params()?
        } else {
            Vec::new()
        };
        self.ident("`_`")?;
        let params = if self.is(b'(') {
            self.params()?
        } else {
            Vec::new()
        };
        let mut directives = Directives::default();
        self.directives(&mut directives)?;
        self.expect(b';')?;
        let noreturn = directives.noreturn;
        Ok(Prototype {
            name: name.to_owned(),
            returns,
            params,
            noreturn,
        })
    }
}

//! Variables, their types and their initial values.

use super::{Cursor, MAX_DEPTH, Result};
use crate::{
    ast::{Init, Linkage, Variable},
    error::{ErrorKind, Span},
    lexer::Tok,
    types::{ScalarType, StateSpace, TypeKind, VecWidth},
};

/// Largest variable, by the 64-bit address arithmetic that follows.
const MAX_SIZE: u64 = 1 << 40;
/// Longest initialiser kept in memory; rows that are mostly left out could amplify small texts.
const MAX_INIT: u64 = 256 << 20;
/// Most dimensions of an array.
const MAX_DIMS: usize = 16;
/// Largest alignment.
pub(super) const MAX_ALIGN: u64 = 1 << 20;

/// An address in an initialiser, its name not yet resolved.
#[derive(Clone, Debug)]
pub(super) struct PendingReloc<'a> {
    pub(super) name: &'a str,
    pub(super) span: Span,
    pub(super) offset: u64,
    pub(super) width: u8,
    pub(super) addend: i64,
    pub(super) shift: u8,
    pub(super) generic: bool,
}

/// A variable and the addresses of its initialiser.
#[derive(Clone, Debug)]
pub(super) struct Declared<'a> {
    pub(super) variable: Variable,
    pub(super) relocs: Vec<PendingReloc<'a>>,
}

/// What stands before the name: `.align 8 .v2 .f32`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TypePart {
    pub(super) ty: ScalarType,
    pub(super) vec: Option<VecWidth>,
    pub(super) align: Option<u32>,
    pub(super) managed: bool,
}

impl TypePart {
    /// Bytes of one element.
    pub(super) fn element(&self) -> u64 {
        u64::from(self.ty.size()) * self.vec.map_or(1, |v| v.lanes() as u64)
    }

    /// The stated alignment, else that of the whole element.
    pub(super) fn alignment(&self) -> u32 {
        self.align.unwrap_or_else(|| self.element() as u32)
    }
}

impl<'a> Cursor<'a> {
    /// `.align n`, a power of two.
    pub(super) fn align_value(&mut self) -> Result<u32> {
        let start = self.start();
        let value = self.count("the alignment", MAX_ALIGN)?;
        if value.is_power_of_two() {
            return Ok(value as u32);
        }
        Err(self.error(
            ErrorKind::Invalid,
            self.since(start),
            format!("alignment {value} is not a power of two"),
        ))
    }

    /// Skips `( … )` with everything inside.
    pub(super) fn skip_parens(&mut self) -> Result<()> {
        self.expect(b'(')?;
        let mut depth = 1u32;
        while depth > 0 {
            match self.peek() {
                Tok::Punct(b'(') => depth += 1,
                Tok::Punct(b')') => depth -= 1,
                Tok::End | Tok::Bad(_) => return Err(self.unexpected("`)`")),
                _ => {}
            }
            self.bump();
        }
        Ok(())
    }

    /// Alignment, attributes, vector width and type, in any order that ends at the name.
    pub(super) fn type_part(&mut self) -> Result<TypePart> {
        let (mut ty, mut vec, mut align, mut managed) = (None, None, None, false);
        while let Tok::Dot(word) = self.peek() {
            if let Some(found) = ScalarType::from_token(word) {
                ty = Some(found);
            } else if let Some(found) = VecWidth::from_token(word) {
                vec = Some(found);
            } else if word == "align" {
                self.bump();
                align = Some(self.align_value()?);
                continue;
            } else if word == "attribute" {
                self.bump();
                managed |= self.src[self.start() as usize..].starts_with("(.managed");
                self.skip_parens()?;
                continue;
            } else {
                break;
            }
            self.bump();
        }
        match ty.filter(|ty| *ty == ScalarType::Pred || ty.bits() >= 8) {
            Some(ty) => Ok(TypePart {
                ty,
                vec,
                align,
                managed,
            }),
            None => Err(self.unexpected("a type")),
        }
    }

    /// `[n][m]…`; a leading `[]` is 0.
    pub(super) fn dims(&mut self) -> Result<Vec<u64>> {
        let mut dims = Vec::new();
        while self.is(b'[') {
            if dims.len() == MAX_DIMS {
                return Err(self.unexpected("fewer array dimensions"));
            }
            self.bump();
            if dims.is_empty() && self.eat(b']') {
                dims.push(0);
                continue;
            }
            dims.push(self.count("the array size", MAX_SIZE)?);
            self.expect(b']')?;
        }
        Ok(dims)
    }

    /// The names, sizes and values after the state space, up to the semicolon, which is taken.
    pub(super) fn variables(
        &mut self,
        space: StateSpace,
        linkage: Linkage,
        start: u32,
    ) -> Result<Vec<Declared<'a>>> {
        let part = self.type_part()?;
        let mut list = Vec::new();
        loop {
            list.push(self.variable(space, linkage, &part, start)?);
            if !self.eat(b',') {
                break;
            }
        }
        self.expect(b';')?;
        Ok(list)
    }

    fn variable(
        &mut self,
        space: StateSpace,
        linkage: Linkage,
        part: &TypePart,
        start: u32,
    ) -> Result<Declared<'a>> {
        let name = self.ident("a variable name")?;
        let dims = self.dims()?;
        let mut values = Values::new(part);
        let mut init = false;
        let mut leading = 0;
        if self.eat(b'=') {
            init = true;
            leading = if part.ty.kind() == TypeKind::Opaque {
                self.skip_braces()?;
                0
            } else {
                let mut shape = dims.clone();
                shape.extend(part.vec.map(|v| v.lanes() as u64));
                self.initialiser(&shape, 0, &mut values)?
            };
        }
        let mut variable = Variable {
            name: name.to_owned(),
            linkage,
            space,
            ty: part.ty,
            vec: part.vec,
            dims,
            size: 0,
            align: part.alignment(),
            init: None,
            managed: part.managed,
            span: self.since(start),
        };
        if init && variable.is_unsized() {
            variable.dims[0] = leading;
        }
        variable.size = array_size(&variable.dims, part.element())
            .ok_or_else(|| self.error(ErrorKind::TooLarge, self.since(start), "too large"))?;
        if part.ty.kind() == TypeKind::Pred {
            let message = "a predicate cannot lie in memory";
            return Err(self.error(ErrorKind::Invalid, self.since(start), message));
        }
        if values.bytes.len() as u64 > variable.size {
            let message = "the initial value is larger than the variable";
            return Err(self.error(ErrorKind::Invalid, self.since(start), message));
        }
        if init && part.ty.kind() != TypeKind::Opaque {
            variable.init = Some(Init {
                bytes: values.bytes,
                relocs: Vec::new(),
            });
        }
        Ok(Declared {
            variable,
            relocs: values.relocs,
        })
    }

    /// `{ … }` of a sampler or texture reference, which this crate does not interpret.
    fn skip_braces(&mut self) -> Result<()> {
        self.expect(b'{')?;
        while !self.eat(b'}') {
            match self.peek() {
                Tok::End | Tok::Bad(_) => return Err(self.unexpected("`}`")),
                _ => self.bump(),
            };
        }
        Ok(())
    }

    /// One value or a braced list that fills `shape` from element `at`; returns how many of the
    /// outermost elements there were.
    fn initialiser(&mut self, shape: &[u64], at: u64, values: &mut Values<'a>) -> Result<u64> {
        let start = self.start();
        if !self.is(b'{') {
            self.element(at, values)?;
            return Ok(1);
        }
        let Some((&len, inner)) = shape.split_first() else {
            return Err(self.unexpected("a single value"));
        };
        if shape.len() > MAX_DEPTH as usize {
            return Err(self.unexpected("fewer levels of braces"));
        }
        self.bump();
        let stride = inner.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        let limit = if len == 0 { MAX_INIT } else { len };
        let mut n = 0;
        let mut flat = 0;
        while !self.is(b'}') {
            let place = |n: u64| stride.and_then(|s| n.checked_mul(s)?.checked_add(at));
            if n >= limit {
                return Err(self.error(ErrorKind::Invalid, self.since(start), "too many values"));
            }
            // A flat list may fill an array of several dimensions, as in C.
            let nested = self.is(b'{');
            let index = if nested {
                place(n)
            } else {
                place(n).and_then(|p| p.checked_add(flat))
            };
            let index = index.filter(|&i| i < MAX_INIT).ok_or_else(|| {
                self.error(
                    ErrorKind::TooLarge,
                    self.since(start),
                    "the initial value is too large",
                )
            })?;
            self.initialiser(inner, index, values)?;
            flat += u64::from(!nested);
            if nested || flat >= stride.unwrap_or(1) {
                n += 1;
                flat = 0;
            }
            if !self.eat(b',') {
                break;
            }
        }
        self.expect(b'}')?;
        Ok(n + u64::from(flat > 0))
    }

    fn element(&mut self, index: u64, values: &mut Values<'a>) -> Result<()> {
        let start = self.start();
        let place = index * u64::from(values.ty.size());
        if place > MAX_INIT {
            return Err(self.error(
                ErrorKind::TooLarge,
                self.since(start),
                "the initial value is too large",
            ));
        }
        let mut look = self.clone();
        let masked = matches!(look.bump().tok, Tok::Int(_)) && look.is(b'(');
        if masked {
            let shift = self.mask()?;
            self.expect(b'(')?;
            let mut reloc = self.address(place)?;
            self.expect(b')')?;
            reloc.shift = shift;
            reloc.width = 1;
            values.put(place, 0);
            values.relocs.push(reloc);
        } else if matches!(self.peek(), Tok::Ident(name) if name != "WARP_SZ") {
            let mut reloc = self.address(place)?;
            reloc.width = values.ty.size().min(8) as u8;
            values.put(place, 0);
            values.relocs.push(reloc);
        } else {
            let imm = self.immediate()?;
            values.put(place, imm.bits_as(values.ty));
        }
        Ok(())
    }

    /// `0xFF00`: which byte of an address; its shift.
    fn mask(&mut self) -> Result<u8> {
        let token = self.bump();
        if let Tok::Int(mask) = token.tok {
            let shift = mask.trailing_zeros();
            if shift.is_multiple_of(8) && shift < 64 && mask >> shift == 0xff {
                return Ok(shift as u8);
            }
        }
        Err(self.error(
            ErrorKind::Invalid,
            token.span,
            "a mask must select one byte, as 0xFF00 does",
        ))
    }

    /// `sym+4`, `generic(sym)+4`
    fn address(&mut self, offset: u64) -> Result<PendingReloc<'a>> {
        let mut token = self.next;
        let mut name = self.ident("a symbol")?;
        let generic = name == "generic" && self.eat(b'(');
        let mut addend = 0i64;
        if generic {
            token = self.next;
            name = self.ident("a symbol")?;
            addend = self.offset()?;
            self.expect(b')')?;
        }
        addend = addend.wrapping_add(self.offset()?);
        Ok(PendingReloc {
            name,
            span: token.span,
            offset,
            width: 0,
            addend,
            shift: 0,
            generic,
        })
    }
}

/// Initial bytes in the making.
#[derive(Debug)]
struct Values<'a> {
    ty: ScalarType,
    bytes: Vec<u8>,
    relocs: Vec<PendingReloc<'a>>,
}

impl Values<'_> {
    const fn new(part: &TypePart) -> Self {
        Self {
            ty: part.ty,
            bytes: Vec::new(),
            relocs: Vec::new(),
        }
    }

    fn put(&mut self, place: u64, bits: u64) {
        let place = place as usize;
        let size = self.ty.size() as usize;
        if self.bytes.len() < place + size {
            self.bytes.resize(place + size, 0);
        }
        let fill = [0; 8];
        let low = bits.to_le_bytes();
        let (head, tail) = self.bytes[place..place + size].split_at_mut(size.min(8));
        head.copy_from_slice(&low[..head.len()]);
        tail.copy_from_slice(&fill[..tail.len()]);
    }
}

/// Bytes of an array.
pub(super) fn array_size(dims: &[u64], element: u64) -> Option<u64> {
    let size = dims.iter().try_fold(element, |n, &d| n.checked_mul(d))?;
    (size <= MAX_SIZE).then_some(size)
}

//! Constant expressions: 64-bit integer arithmetic, and float literals.

use super::{Cursor, MAX_DEPTH, Result};
use crate::{ast::Imm, error::ErrorKind, lexer::Tok};

/// An integer value and whether it is unsigned, which division, comparison and right shift obey.
#[derive(Clone, Copy, Debug)]
struct Value {
    bits: i64,
    unsigned: bool,
}

impl Value {
    const fn signed(bits: i64) -> Self {
        Self {
            bits,
            unsigned: false,
        }
    }

    const fn truth(value: bool) -> Self {
        Self::signed(value as i64)
    }
}

/// Binary operators by binding strength, loosest first.
const fn strength(tok: Tok<'_>) -> Option<u8> {
    Some(match tok {
        Tok::Punct2([b'|', b'|']) => 1,
        Tok::Punct2([b'&', b'&']) => 2,
        Tok::Punct(b'|') => 3,
        Tok::Punct(b'^') => 4,
        Tok::Punct(b'&') => 5,
        Tok::Punct2([b'=' | b'!', b'=']) => 6,
        Tok::Punct(b'<' | b'>') | Tok::Punct2([b'<' | b'>', b'=']) => 7,
        Tok::Punct2([b'<', b'<'] | [b'>', b'>']) => 8,
        Tok::Punct(b'+' | b'-') => 9,
        Tok::Punct(b'*' | b'/' | b'%') => 10,
        _ => return None,
    })
}

impl Cursor<'_> {
    /// Does an immediate start here?
    pub(super) fn at_constant(&self) -> bool {
        matches!(
            self.peek(),
            Tok::Int(_) | Tok::F32(_) | Tok::F64(_) | Tok::Punct(b'-' | b'+' | b'~' | b'(' | b'!')
        )
    }

    /// A float literal, perhaps with a sign, or an integer expression.
    pub(super) fn immediate(&mut self) -> Result<Imm> {
        let mut look = self.clone();
        let negative = look.is(b'-');
        if negative || look.is(b'+') {
            look.bump();
        }
        let imm = match look.peek() {
            Tok::F32(bits) => Imm::F32(bits ^ (u32::from(negative) << 31)),
            Tok::F64(bits) => Imm::F64(bits ^ (u64::from(negative) << 63)),
            _ => return self.integer().map(Imm::Int),
        };
        look.bump();
        *self = look;
        Ok(imm)
    }

    /// An integer constant expression.
    pub(super) fn integer(&mut self) -> Result<i64> {
        self.ternary(0).map(|v| v.bits)
    }

    /// One that must lie in `0..=max`.
    pub(super) fn count(&mut self, what: &str, max: u64) -> Result<u64> {
        let start = self.start();
        let value = self.integer()?;
        match u64::try_from(value) {
            Ok(v) if v <= max => Ok(v),
            _ => Err(self.error(
                ErrorKind::Invalid,
                self.since(start),
                format!("{what} is {value}, outside 0 to {max}"),
            )),
        }
    }

    /// The `+n` or `-n` after a symbol or base register; 0 if there is none.
    pub(super) fn offset(&mut self) -> Result<i64> {
        match self.peek() {
            Tok::Punct(b'+') => {
                self.bump();
                self.integer()
            }
            Tok::Punct(b'-') => self.integer(),
            _ => Ok(0),
        }
    }

    fn ternary(&mut self, depth: u32) -> Result<Value> {
        let cond = self.binary(1, depth)?;
        if !self.eat(b'?') {
            return Ok(cond);
        }
        self.check_depth(depth)?;
        let yes = self.ternary(depth + 1)?;
        self.expect(b':')?;
        let no = self.ternary(depth + 1)?;
        Ok(if cond.bits != 0 { yes } else { no })
    }

    fn binary(&mut self, min: u8, depth: u32) -> Result<Value> {
        let start = self.start();
        let mut left = self.unary(depth)?;
        while let Some(level) = strength(self.peek()).filter(|&level| level >= min) {
            let op = self.bump().tok;
            let right = self.binary(level + 1, depth)?;
            left = apply(op, left, right).ok_or_else(|| {
                self.error(ErrorKind::Invalid, self.since(start), "division by zero")
            })?;
        }
        Ok(left)
    }

    fn unary(&mut self, depth: u32) -> Result<Value> {
        self.check_depth(depth)?;
        let tok = self.peek();
        match tok {
            Tok::Int(value) => {
                self.bump();
                let bits = value as i64;
                Ok(Value {
                    bits,
                    unsigned: bits < 0,
                })
            }
            Tok::Punct(op @ (b'-' | b'+' | b'~' | b'!')) => {
                self.bump();
                let v = self.unary(depth + 1)?;
                Ok(match op {
                    b'-' => Value {
                        bits: v.bits.wrapping_neg(),
                        ..v
                    },
                    b'~' => Value { bits: !v.bits, ..v },
                    b'!' => Value::truth(v.bits == 0),
                    _ => v,
                })
            }
            Tok::Punct(b'(') => {
                self.bump();
                for (word, unsigned) in [("s64", false), ("u64", true)] {
                    if self.eat_dot(word) {
                        self.expect(b')')?;
                        let v = self.unary(depth + 1)?;
                        return Ok(Value { unsigned, ..v });
                    }
                }
                let value = self.ternary(depth + 1)?;
                self.expect(b')')?;
                Ok(value)
            }
            Tok::Ident("WARP_SZ") => {
                self.bump();
                Ok(Value::signed(32))
            }
            _ => Err(self.unexpected("a constant")),
        }
    }

    fn check_depth(&self, depth: u32) -> Result<()> {
        if depth < MAX_DEPTH {
            return Ok(());
        }
        Err(self.error(
            ErrorKind::TooLarge,
            self.since(self.start()),
            "nested too deeply",
        ))
    }
}

/// `None` on division by zero.
fn apply(op: Tok<'_>, a: Value, b: Value) -> Option<Value> {
    let unsigned = a.unsigned || b.unsigned;
    let (x, y) = (a.bits, b.bits);
    let (ux, uy) = (x as u64, y as u64);
    let less = if unsigned { ux < uy } else { x < y };
    let arith = |bits| Value { bits, unsigned };
    Some(match op {
        Tok::Punct(b'+') => arith(x.wrapping_add(y)),
        Tok::Punct(b'-') => arith(x.wrapping_sub(y)),
        Tok::Punct(b'*') => arith(x.wrapping_mul(y)),
        Tok::Punct(b'/' | b'%') if y == 0 => return None,
        Tok::Punct(b'/') if unsigned => arith((ux / uy) as i64),
        Tok::Punct(b'/') => arith(x.wrapping_div(y)),
        Tok::Punct(b'%') if unsigned => arith((ux % uy) as i64),
        Tok::Punct(b'%') => arith(x.wrapping_rem(y)),
        Tok::Punct(b'&') => arith(x & y),
        Tok::Punct(b'|') => arith(x | y),
        Tok::Punct(b'^') => arith(x ^ y),
        Tok::Punct(b'<') => Value::truth(less),
        Tok::Punct(b'>') => Value::truth(!less && x != y),
        Tok::Punct2([b'<', b'=']) => Value::truth(less || x == y),
        Tok::Punct2([b'>', b'=']) => Value::truth(!less),
        Tok::Punct2([b'=', _]) => Value::truth(x == y),
        Tok::Punct2([b'!', _]) => Value::truth(x != y),
        Tok::Punct2([b'&', _]) => Value::truth(x != 0 && y != 0),
        Tok::Punct2([b'|', _]) => Value::truth(x != 0 || y != 0),
        Tok::Punct2([b'<', _]) => Value {
            bits: shift(uy, |n| ux << n) as i64,
            ..a
        },
        Tok::Punct2([b'>', _]) if a.unsigned => Value {
            bits: shift(uy, |n| ux >> n) as i64,
            ..a
        },
        Tok::Punct2([b'>', _]) => Value {
            bits: x >> uy.min(63),
            ..a
        },
        _ => return None,
    })
}

/// Zero for amounts beyond the width.
fn shift(amount: u64, f: impl Fn(u32) -> u64) -> u64 {
    if amount < 64 { f(amount as u32) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str) -> i64 {
        Cursor::new(text, 0).integer().unwrap()
    }

    #[test]
    fn operators_follow_c() {
        assert_eq!(eval("1+2*3"), 7);
        assert_eq!(eval("(1+2)*3 - -4"), 13);
        assert_eq!(eval("7 / -2"), -3);
        assert_eq!(eval("-1 >> 1"), -1);
        assert_eq!(eval("(.u64)-1 >> 63"), 1);
        assert_eq!(eval("1 << 70"), 0);
        assert_eq!(eval("~0 & 0xF0 | 3 ^ 1"), 0xF2);
        assert_eq!(eval("3 > 2 ? 10 : 20"), 10);
        assert_eq!(eval("!0 && 2 || 0"), 1);
        assert_eq!(eval("0xFFFFFFFFFFFFFFFF / 2"), i64::MAX);
        assert_eq!(eval("10 % 4 == 2"), 1);
        assert_eq!(eval("WARP_SZ - 1"), 31);
        assert_eq!(eval("(.s64)-9223372036854775808 / -1"), i64::MIN);
    }

    #[test]
    fn division_by_zero_and_depth_are_errors() {
        assert!(Cursor::new("1/0", 0).integer().is_err());
        assert!(Cursor::new("1 % 0", 0).integer().is_err());
        let deep = "(".repeat(100_000);
        assert_eq!(
            Cursor::new(&deep, 0).integer().unwrap_err().kind,
            ErrorKind::TooLarge
        );
        let signs = "-".repeat(100_000);
        assert_eq!(
            Cursor::new(&signs, 0).integer().unwrap_err().kind,
            ErrorKind::TooLarge
        );
    }

    #[test]
    fn floats_keep_their_bits() {
        let imm = |t| Cursor::new(t, 0).immediate().unwrap();
        assert_eq!(imm("-0f3F800000"), Imm::F32((-1f32).to_bits()));
        assert_eq!(imm("1.5"), Imm::F64(1.5f64.to_bits()));
        assert_eq!(imm("-8"), Imm::Int(-8));
    }
}

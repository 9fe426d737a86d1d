//! Tokens of PTX text. Never fails: what is no token becomes [`Tok::Bad`], which no rule accepts.

use crate::error::Span;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tok<'a> {
    /// An identifier; may start with `%`, `$` or `_`.
    Ident(&'a str),
    /// `.word`, without the dot; `::` belongs to the word.
    Dot(&'a str),
    Int(u64),
    F32(u32),
    F64(u64),
    /// What stands between the quotes.
    Str(&'a str),
    Punct(u8),
    /// An operator of two characters.
    Punct2([u8; 2]),
    /// Why it is no token.
    Bad(&'static str),
    End,
}

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) tok: Tok<'a>,
    pub(crate) span: Span,
}

/// Reads tokens; a copy is a bookmark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexer<'a> {
    src: &'a str,
    pos: usize,
}

const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$'
}

impl<'a> Lexer<'a> {
    /// Starts at a byte of `src`, which must be shorter than 4 GiB.
    pub(crate) const fn new(src: &'a str, pos: usize) -> Self {
        Self { src, pos }
    }

    fn bytes(&self) -> &'a [u8] {
        self.src.as_bytes()
    }

    fn at(&self, i: usize) -> u8 {
        self.bytes().get(i).copied().unwrap_or(0)
    }

    /// Skips white space and comments; false if a comment does not end.
    fn skip_blank(&mut self) -> bool {
        loop {
            match self.at(self.pos) {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.pos += 1,
                b'/' if self.at(self.pos + 1) == b'/' => {
                    self.pos = line_end(self.bytes(), self.pos)
                }
                b'/' if self.at(self.pos + 1) == b'*' => {
                    match comment_end(self.bytes(), self.pos) {
                        Some(end) => self.pos = end,
                        None => return false,
                    }
                }
                // `@@DWARF` lines of PTX 1.x carry debug data only.
                b'@' if self.at(self.pos + 1) == b'@' => {
                    self.pos = line_end(self.bytes(), self.pos)
                }
                _ => return true,
            }
        }
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Token<'a> {
        let closed = self.skip_blank();
        let start = self.pos;
        let tok = if closed {
            self.token()
        } else {
            self.pos = self.src.len();
            Tok::Bad("a comment that does not end")
        };
        Token {
            tok,
            span: Span {
                start: start as u32,
                end: self.pos as u32,
            },
        }
    }

    fn token(&mut self) -> Tok<'a> {
        let start = self.pos;
        match self.at(start) {
            0 if start >= self.src.len() => Tok::End,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | b'%' => {
                self.word(start + 1);
                match &self.src[start..self.pos] {
                    // The remainder operator of constant expressions.
                    "%" => Tok::Punct(b'%'),
                    word => Tok::Ident(word),
                }
            }
            b'.' if is_word(self.at(start + 1)) => {
                self.word(start + 1);
                while self.at(self.pos) == b':' && self.at(self.pos + 1) == b':' {
                    self.word(self.pos + 2);
                }
                Tok::Dot(&self.src[start + 1..self.pos])
            }
            b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b if b.is_ascii() => self.punct(b),
            _ => {
                self.pos += self.src[start..].chars().next().map_or(1, char::len_utf8);
                Tok::Bad("a character outside ASCII")
            }
        }
    }

    fn word(&mut self, mut pos: usize) {
        while is_word(self.at(pos)) {
            pos += 1;
        }
        self.pos = pos;
    }

    fn punct(&mut self, first: u8) -> Tok<'a> {
        let pair = [first, self.at(self.pos + 1)];
        if matches!(
            &pair,
            b"<<" | b">>" | b"<=" | b">=" | b"==" | b"!=" | b"&&" | b"||"
        ) {
            self.pos += 2;
            return Tok::Punct2(pair);
        }
        self.pos += 1;
        Tok::Punct(first)
    }

    fn string(&mut self) -> Tok<'a> {
        let start = self.pos;
        match string_end(self.bytes(), start) {
            Some(end) => {
                self.pos = end;
                Tok::Str(&self.src[start + 1..end - 1])
            }
            None => {
                self.pos = self.src.len();
                Tok::Bad("a string that does not end")
            }
        }
    }

    fn number(&mut self) -> Tok<'a> {
        let start = self.pos;
        let (first, second) = (self.at(start), self.at(start + 1));
        match (first, second) {
            (b'0', b'f' | b'F') => {
                self.word(start + 2);
                return match hex_exact(&self.src[start + 2..self.pos], 8) {
                    Some(bits) => Tok::F32(bits as u32),
                    None => Tok::Bad("a float that is not 0f and 8 hexadecimal digits"),
                };
            }
            (b'0', b'd' | b'D') => {
                self.word(start + 2);
                return match hex_exact(&self.src[start + 2..self.pos], 16) {
                    Some(bits) => Tok::F64(bits),
                    None => Tok::Bad("a double that is not 0d and 16 hexadecimal digits"),
                };
            }
            _ => {}
        }
        self.word(start);
        let hex = first == b'0' && matches!(second, b'x' | b'X');
        if !hex && (self.at(self.pos) == b'.' || self.src[start..self.pos].contains(['e', 'E'])) {
            return self.decimal_float(start);
        }
        match integer(&self.src[start..self.pos]) {
            Some(value) => Tok::Int(value),
            None => Tok::Bad("a number that does not fit 64 bits or is misspelled"),
        }
    }

    /// `1.5`, `2.`, `1e-3`
    fn decimal_float(&mut self, start: usize) -> Tok<'a> {
        let mut pos = start;
        while self.at(pos).is_ascii_digit() {
            pos += 1;
        }
        if self.at(pos) == b'.' {
            pos += 1;
            while self.at(pos).is_ascii_digit() {
                pos += 1;
            }
        }
        if matches!(self.at(pos), b'e' | b'E') {
            pos += 1;
            if matches!(self.at(pos), b'+' | b'-') {
                pos += 1;
            }
            while self.at(pos).is_ascii_digit() {
                pos += 1;
            }
        }
        self.pos = pos;
        match self.src[start..pos].parse::<f64>() {
            Ok(value) => Tok::F64(value.to_bits()),
            Err(_) => Tok::Bad("a misspelled number"),
        }
    }

    /// Reads an instruction's dotted word that starts at `start`: opcode and modifiers without gaps.
    pub(crate) fn dotted(&mut self, start: usize) -> &'a str {
        self.pos = start;
        loop {
            self.word(self.pos);
            match (self.at(self.pos), self.at(self.pos + 1)) {
                (b'.', next) if is_word(next) => self.pos += 1,
                (b':', b':') => self.pos += 2,
                _ => return &self.src[start..self.pos],
            }
        }
    }
}

/// Integer literal with its optional `U`: decimal, hexadecimal, octal or binary.
fn integer(text: &str) -> Option<u64> {
    let text = text.strip_suffix(['U', 'u']).unwrap_or(text);
    let parse = |digits, radix| u64::from_str_radix(digits, radix).ok();
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => parse(&text[2..], 16),
        [b'0', b'b' | b'B', ..] => parse(&text[2..], 2),
        [b'0', _, ..] => parse(&text[1..], 8),
        _ => parse(text, 10),
    }
}

fn hex_exact(digits: &str, len: usize) -> Option<u64> {
    let ok = digits.len() == len && digits.bytes().all(|b| b.is_ascii_hexdigit());
    ok.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// First byte of the line end at or after `pos`.
fn line_end(bytes: &[u8], pos: usize) -> usize {
    bytes[pos..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(bytes.len(), |i| pos + i)
}

/// The byte after the block comment that starts at `pos`.
fn comment_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let body = bytes.get(pos + 2..)?;
    body.windows(2)
        .position(|w| w == b"*/")
        .map(|i| pos + 2 + i + 2)
}

/// The byte after the string whose opening quote is at `pos`; a backslash protects what follows.
fn string_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let mut i = pos + 1;
    loop {
        match bytes.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// The closing brace that matches an opening one just before `pos`.
pub(crate) fn matching_brace(bytes: &[u8], mut pos: usize) -> Option<usize> {
    let mut depth = 1usize;
    loop {
        match bytes.get(pos)? {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(pos);
                }
            }
            b'"' => {
                pos = string_end(bytes, pos)?;
                continue;
            }
            b'/' if bytes.get(pos + 1) == Some(&b'/') => {
                pos = line_end(bytes, pos);
                continue;
            }
            b'/' if bytes.get(pos + 1) == Some(&b'*') => {
                pos = comment_end(bytes, pos)?;
                continue;
            }
            _ => {}
        }
        pos += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(src: &str) -> Vec<Tok<'_>> {
        let mut lexer = Lexer::new(src, 0);
        std::iter::from_fn(|| match lexer.next().tok {
            Tok::End => None,
            tok => Some(tok),
        })
        .collect()
    }

    #[test]
    fn numbers_of_every_radix() {
        let toks = all(
            "10 0x1F 017 0b101 7U 0 18446744073709551615 0f3f800000 0d3FF0000000000000 1.5 2e3",
        );
        let one = 1f64.to_bits();
        let want = [
            Tok::Int(10),
            Tok::Int(31),
            Tok::Int(15),
            Tok::Int(5),
            Tok::Int(7),
            Tok::Int(0),
            Tok::Int(u64::MAX),
            Tok::F32(1f32.to_bits()),
            Tok::F64(one),
            Tok::F64(1.5f64.to_bits()),
            Tok::F64(2e3f64.to_bits()),
        ];
        assert_eq!(toks, want);
    }

    #[test]
    fn misspelled_numbers_are_bad() {
        for text in [
            "0f12",
            "0d1",
            "0xg",
            "99999999999999999999",
            "12abc",
            "0f3f8000001",
            "08",
        ] {
            assert!(matches!(all(text)[0], Tok::Bad(_)), "{text}");
        }
    }

    #[test]
    fn comments_strings_and_words() {
        let toks = all("// x }\n%r1 /* { */ .L1::evict_last \"a\\\"b\" << < _");
        let want = [
            Tok::Ident("%r1"),
            Tok::Dot("L1::evict_last"),
            Tok::Str("a\\\"b"),
            Tok::Punct2(*b"<<"),
            Tok::Punct(b'<'),
            Tok::Ident("_"),
        ];
        assert_eq!(toks, want);
        assert!(matches!(all("/* open")[0], Tok::Bad(_)));
        assert!(matches!(all("\"open")[0], Tok::Bad(_)));
    }

    #[test]
    fn brace_matching_minds_comments_and_strings() {
        let src = b"{ // }\n \"}\" /* } */ { } } tail";
        assert_eq!(matching_brace(src, 1), Some(24));
        assert_eq!(matching_brace(b"{ {", 1), None);
    }
}

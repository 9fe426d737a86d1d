//! The parser: a cursor over tokens, and one file per part of the grammar.

mod body;
mod data;
mod expr;
mod function;
pub(crate) mod instr;
mod module;
mod operand;

pub(crate) use body::parse_body;
pub(crate) use instr::flag_place;
pub(crate) use module::parse_module;

use crate::{
    error::{Error, ErrorKind, Span},
    lexer::{Lexer, Tok, Token},
};

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Deepest nesting of scopes, parentheses and initialisers.
const MAX_DEPTH: u32 = 64;

/// A cursor with one token of lookahead.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    src: &'a str,
    lexer: Lexer<'a>,
    next: Token<'a>,
    /// End of the last token taken.
    end: u32,
}

impl<'a> Cursor<'a> {
    /// Reads `src` from byte `start`.
    fn new(src: &'a str, start: usize) -> Self {
        let mut lexer = Lexer::new(src, start);
        let next = lexer.next();
        Self {
            src,
            lexer,
            next,
            end: start as u32,
        }
    }

    /// The next token, not taken.
    fn peek(&self) -> Tok<'a> {
        self.next.tok
    }

    /// Where the next token starts.
    fn start(&self) -> u32 {
        self.next.span.start
    }

    /// From `start` to the end of the last token taken.
    fn since(&self, start: u32) -> Span {
        Span {
            start,
            end: self.end.max(start),
        }
    }

    /// Takes the next token.
    fn bump(&mut self) -> Token<'a> {
        let token = self.next;
        self.end = token.span.end;
        self.next = self.lexer.next();
        token
    }

    /// Goes on at byte `pos`.
    fn jump(&mut self, pos: usize) {
        self.lexer = Lexer::new(self.src, pos);
        self.end = pos as u32;
        self.next = self.lexer.next();
    }

    fn is(&self, punct: u8) -> bool {
        self.next.tok == Tok::Punct(punct)
    }

    /// Takes the next token if it is this character.
    fn eat(&mut self, punct: u8) -> bool {
        let found = self.is(punct);
        if found {
            self.bump();
        }
        found
    }

    /// Takes `.word` if it comes next.
    fn eat_dot(&mut self, word: &str) -> bool {
        let found = self.next.tok == Tok::Dot(word);
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, punct: u8) -> Result<()> {
        if self.eat(punct) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{}`", punct as char)))
    }

    fn ident(&mut self, what: &str) -> Result<&'a str> {
        match self.peek() {
            Tok::Ident(name) => {
                self.bump();
                Ok(name)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn string(&mut self) -> Result<&'a str> {
        match self.peek() {
            Tok::Str(text) => {
                self.bump();
                Ok(text)
            }
            _ => Err(self.unexpected("a string")),
        }
    }

    /// An error at the next token.
    fn unexpected(&self, wanted: &str) -> Error {
        let span = self.next.span;
        let message = match self.next.tok {
            Tok::Bad(why) => format!("{why}, where {wanted} should stand"),
            Tok::End => format!("the text ends where {wanted} should stand"),
            _ => format!("`{}` where {wanted} should stand", span.text(self.src)),
        };
        Error::new(ErrorKind::Syntax, self.src, span, message)
    }

    /// An error at a place.
    fn error(&self, kind: ErrorKind, span: Span, message: impl Into<String>) -> Error {
        Error::new(kind, self.src, span, message)
    }
}

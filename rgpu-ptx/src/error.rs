//! Errors with a place: what is wrong, in which function, on which line, in which text.

use std::fmt;

/// A range of bytes of the module text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The text of the range, empty if it lies outside.
    pub fn text(self, module: &str) -> &str {
        module
            .get(self.start as usize..self.end as usize)
            .unwrap_or("")
    }
}

/// What kind of error, for those who map it to a driver's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not PTX.
    Syntax,
    /// A name that nothing declares, or declared twice.
    Name,
    /// Well-formed but against the rules of the instruction or directive.
    Invalid,
    /// Newer than this crate: a PTX version or an instruction it does not know.
    Unsupported,
    /// Beyond a limit that protects this process.
    TooLarge,
}

/// A parse or validation error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    pub kind: ErrorKind,
    /// What is wrong.
    pub message: String,
    /// The function or kernel it is in, if any.
    pub function: Option<String>,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: u32,
    pub span: Span,
    /// The statement, on one line and cut if long.
    pub text: String,
}

/// Longest statement text in a message.
const MAX_TEXT: usize = 160;

impl Error {
    /// An error at `span` of `module`; the text shown is `span`'s.
    pub(crate) fn new(
        kind: ErrorKind,
        module: &str,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = place(module, span);
        Self {
            kind,
            message: message.into(),
            function: None,
            line,
            column,
            span,
            text: one_line(span.text(module)),
        }
    }

    /// Names the function.
    pub(crate) fn in_function(mut self, name: &str) -> Self {
        self.function.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Replaces the text shown by that of the whole statement.
    pub(crate) fn with_text(mut self, text: &str) -> Self {
        self.text = one_line(text);
        self
    }
}

/// Line and column where a span starts, from 1.
pub(crate) fn place(module: &str, span: Span) -> (u32, u32) {
    let start = (span.start as usize).min(module.len());
    let before = &module.as_bytes()[..start];
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |i| i + 1);
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    (line as u32, (start - line_start + 1) as u32)
}

/// Squeezes white space and cuts at [`MAX_TEXT`].
fn one_line(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > MAX_TEXT {
            let cut = (0..=MAX_TEXT)
                .rev()
                .find(|&i| out.is_char_boundary(i))
                .unwrap_or(0);
            out.truncate(cut);
            out.push('…');
            break;
        }
    }
    out
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTX line {}:{}", self.line, self.column)?;
        if let Some(name) = &self.function {
            write!(f, " in {name}")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.text.is_empty() {
            write!(f, ": `{}`", self.text)?;
        }
        Ok(())
    }
}

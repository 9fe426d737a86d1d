//! PTX text: lexer, parser, syntax tree, validator, printer.
//!
//! [`Module::parse`] reads a whole module and only indexes the function bodies;
//! [`Function::parse_body`](ast::Function::parse_body) parses one body when it is needed, and
//! [`validate`](validate::validate) checks it so that a code generator can rely on its shape.

pub mod ast;
pub mod error;
pub mod instr_table;
mod lexer;
pub mod module;
mod parse;
pub mod print;
pub mod rules;
pub mod types;
pub mod validate;

pub use error::{Error, ErrorKind, Span};
pub use module::Module;

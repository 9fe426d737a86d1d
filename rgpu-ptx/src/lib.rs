//! PTX text: lexer, parser, syntax tree, validator, printer.
//!
//! [`Module::parse`] reads a whole module and only measures the function bodies;
//! [`Function::parse_body`](ast::Function::parse_body) parses one body when it is needed, and
//! [`validate`](validate::validate) checks it so that a code generator can rely on its shape.
//!
//! ```
//! use rgpu_ptx::{Module, validate::validate};
//!
//! let text = "
//!     .version 8.0 .target sm_80 .address_size 64
//!     .visible .entry scale(.param .u64 out, .param .f32 by) {
//!         .reg .f32 %f<3>; .reg .b64 %rd<2>;
//!         ld.param.u64 %rd0, [out];
//!         ld.param.f32 %f0, [by];
//!         ld.global.f32 %f1, [%rd0];
//!         mul.rn.f32 %f2, %f1, %f0;
//!         st.global.f32 [%rd0], %f2;
//!         ret;
//!     }";
//! let module = Module::parse(text)?;
//! let kernel = module.kernel("scale").expect("declared above");
//! assert_eq!((kernel.params[1].offset, kernel.params_size()), (8, 12));
//! let body = kernel.parse_body(&module)?;
//! validate(&module, kernel, &body)?;
//! assert_eq!(body.statements.len(), 6);
//! # Ok::<(), rgpu_ptx::Error>(())
//! ```
//!
//! Parsing and validation never panic on any input; memory grows with the text, nesting and counts
//! are limited. The instruction table ([`instr_table`]) is the only list of what is understood.

pub mod ast;
pub mod error;
pub mod forms;
pub mod instr_table;
mod lexer;
mod link;
pub mod module;
mod parse;
pub mod print;
pub mod rules;
pub mod types;
pub mod validate;

pub use error::{Error, ErrorKind, Span};
pub use link::link;
pub use module::Module;

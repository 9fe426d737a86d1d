//! A `libcublasLt.so.12` that forwards whole calls to the server's cuBLASLt.
//!
//! Descriptors are this library's own, in the application's memory; no frame says that one was made or changed.
//! Products and transforms carry what their descriptors say, and are posted. Questions about algorithms wait, the
//! first time: the answer to a question that was asked before is known.

mod algorithms;
mod answers;
mod api;
mod descriptors;
pub mod entry;
mod products;

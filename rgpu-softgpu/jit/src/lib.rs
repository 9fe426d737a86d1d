//! Compiles PTX for the CPU: a [`Program`] is a loaded module whose variables lie in device memory; each
//! kernel becomes machine code when it is first asked for, one function that runs one thread.
//!
//! The way of a kernel: [`rgpu_ptx`] parses it, `passes` finds out what must be known of it (a readable list
//! in `passes/mod.rs`), `emit` writes Cranelift IR, one instruction family per file, and `compile` makes
//! machine code that follows the contract of [`rgpu_softgpu_exec::abi`].

mod cache;
mod compile;
mod dump;
mod emit;
mod error;
mod globals;
mod made;
mod module;
mod object;
mod passes;
mod program;
mod trampoline;

pub use cache::Cache;
pub use emit::call::is_system_function;
pub use error::Error;
pub use globals::{Global, ModuleMemory};
pub use passes::needs::Needs;
pub use program::{Counts, KernelInfo, KernelParam, Program};

/// First value that stands for a function's address; function number n is at `+ n * FUNCTION_STRIDE`.
/// The range is not memory, so an access to it is an illegal address.
pub const FUNCTION_WINDOW_BASE: u64 = 0x1300_0000_0000;
/// Distance of the values of two functions.
pub const FUNCTION_STRIDE: u64 = 16;

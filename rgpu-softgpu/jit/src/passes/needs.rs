//! What a kernel takes of a multiprocessor. Needs its text, and those of the functions it may call, but no code.

use rgpu_ptx::Module;
use rgpu_ptx::ast::FuncId;

use super::live::Live;
use super::{frames, reach, shared};
use crate::error::Error;

/// What a kernel takes of a multiprocessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of static shared memory.
    pub static_shared: u64,
    /// Bytes of local memory per thread.
    pub local_size: u64,
    /// The most 32-bit words that a thread keeps in registers at once. A GPU's compiler orders instructions otherwise
    /// and may need more or fewer.
    pub live_words: u32,
}

/// Finds out what `kernel` needs.
pub(crate) fn run(module: &Module, kernel: FuncId) -> Result<Needs, Error> {
    let reached = reach::run(module, kernel)?;
    let words = reached.functions.iter().map(|f| Live::new(&f.body).words());
    Ok(Needs {
        static_shared: shared::run(module, &reached).size,
        local_size: frames::run(&reached).local_size,
        live_words: words.max().unwrap_or(0),
    })
}
